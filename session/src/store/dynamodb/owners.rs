//! Owners' lists in DynamoDB.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};

use super::failure::{Outcome as _, failed};
use super::item::PARTITION_KEY;
use super::{DynamoDbStore, expression, item, text};
use crate::core::id::{OwnerKey, RecordKey};
use crate::core::moment::Moment;
use crate::store::{OwnerList, OwnerStore, StoreFuture, WriteOutcome};

/// Most keys that one write takes out of a list: an expression may have 4 KB.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-expression-parameters>
const MAX_STRUCK: usize = 400;

impl OwnerStore for DynamoDbStore {
    fn enlist<'a>(&'a self, owner: &'a OwnerKey, key: &'a RecordKey, at: &'a Moment) -> StoreFuture<'a, OwnerList> {
        Box::pin(async move {
            let request = self.update_item(id(owner), expression::enlist(key, at));
            let output = request
                .return_values(ReturnValue::AllNew)
                .send()
                .await
                .map_err(failed)?;
            Ok(item::read_list(output.attributes.unwrap_or_default()))
        })
    }

    fn list<'a>(&'a self, owner: &'a OwnerKey) -> StoreFuture<'a, OwnerList> {
        Box::pin(async move {
            let request = self.client.get_item().table_name(&self.table).consistent_read(true);
            let output = request.key(PARTITION_KEY, id(owner)).send().await.map_err(failed)?;
            Ok(item::read_list(output.item.unwrap_or_default()))
        })
    }

    fn strike<'a>(&'a self, owner: &'a OwnerKey, keys: &'a [RecordKey]) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            for keys in keys.chunks(MAX_STRUCK) {
                let request = self.update_item(id(owner), expression::strike(keys));
                // A list that is not there names nobody.
                let (WriteOutcome::Applied | WriteOutcome::ConditionFailed) = request.send().await.written()?;
            }
            Ok(())
        })
    }

    fn revoke<'a>(&'a self, key: &'a RecordKey, at: &'a Moment) -> StoreFuture<'a, Option<RecordKey>> {
        Box::pin(async move {
            let request = self.update_item(text(key), expression::revoke(at));
            let output = request
                .return_values(ReturnValue::AllNew)
                .send()
                .await
                .map_err(failed)?;
            Ok(output.attributes.as_ref().and_then(item::successor))
        })
    }
}

fn id(owner: &OwnerKey) -> AttributeValue {
    AttributeValue::S(owner.as_str().to_owned())
}
