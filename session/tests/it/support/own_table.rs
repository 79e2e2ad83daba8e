//! A sessions table of the test's own: the store over it, and a client that bypasses the store.
//!
//! The table is in an embedded DynamoDB, or in the one that listens at `DYNAMODB_TEST_ENDPOINT`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use dev::dynamodb::{Embedded, table};
use lambda_session::{DynamoDbStore, RecordKey};

use super::{sdk, sdk_at};

const PARTITION_KEY: &str = "id";

pub(crate) type Item = HashMap<String, AttributeValue>;

pub(crate) struct Table {
    pub(crate) store: DynamoDbStore,
    client: Client,
    endpoint: String,
    name: String,
    _dynamodb: Option<Embedded>,
}

impl Table {
    pub(crate) async fn new() -> Self {
        match Self::given().await {
            Some(given) => given,
            None => Self::embedded().await,
        }
    }

    /// Creates a table in the DynamoDB that `DYNAMODB_TEST_ENDPOINT` names, if it is set.
    pub(crate) async fn given() -> Option<Self> {
        let endpoint = std::env::var("DYNAMODB_TEST_ENDPOINT")
            .ok()
            .filter(|endpoint| !endpoint.is_empty())?;
        Some(Self::at(&endpoint).await)
    }

    pub(crate) async fn embedded() -> Self {
        let dynamodb = Embedded::in_memory().await;
        let endpoint = dynamodb.endpoint();
        Self {
            store: DynamoDbStore::new(&sdk(), table::NAME, Some(&endpoint)).expect("a store"),
            client: Client::from_conf(sdk_at(&endpoint).build()),
            endpoint,
            name: table::NAME.to_owned(),
            _dynamodb: Some(dynamodb),
        }
    }

    /// Creates a table under a name that no other run has used.
    async fn at(endpoint: &str) -> Self {
        static TABLES: AtomicU32 = AtomicU32::new(0);
        let started = std::time::UNIX_EPOCH.elapsed().expect("a clock after 1970");
        let number = TABLES.fetch_add(1, Ordering::Relaxed);
        let name = format!("sessions-{}-{}-{number}", started.as_millis(), std::process::id());
        let client = Client::from_conf(sdk_at(endpoint).build());
        let id = AttributeDefinition::builder()
            .attribute_name(PARTITION_KEY)
            .attribute_type(ScalarAttributeType::S);
        let key = KeySchemaElement::builder()
            .attribute_name(PARTITION_KEY)
            .key_type(KeyType::Hash);
        let create = client
            .create_table()
            .table_name(&name)
            .billing_mode(BillingMode::PayPerRequest)
            .attribute_definitions(id.build().expect("a definition"))
            .key_schema(key.build().expect("a key"));
        create.send().await.expect("a table at DYNAMODB_TEST_ENDPOINT");
        Self {
            store: DynamoDbStore::new(&sdk(), &name, Some(endpoint)).expect("a store"),
            client,
            endpoint: endpoint.to_owned(),
            name,
            _dynamodb: None,
        }
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Returns the item under this key.
    pub(crate) async fn item(&self, key: &RecordKey) -> Option<Item> {
        let get = self.client.get_item().table_name(&self.name).consistent_read(true);
        let get = get.key(PARTITION_KEY, AttributeValue::S(key.as_str().to_owned()));
        get.send().await.expect("an answer").item
    }

    /// Returns every item.
    pub(crate) async fn items(&self) -> Vec<Item> {
        let scan = self.client.scan().table_name(&self.name).consistent_read(true);
        scan.send().await.expect("an answer").items.unwrap_or_default()
    }

    pub(crate) async fn put(&self, item: Item) {
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item));
        put.send().await.expect("a put");
    }

    /// Edits an item by hand: sets one attribute, or removes it.
    pub(crate) async fn edit(&self, key: &RecordKey, attribute: &str, value: Option<AttributeValue>) {
        let mut item = self.item(key).await.expect("an item to edit");
        item.remove(attribute);
        item.extend(value.map(|value| (attribute.to_owned(), value)));
        self.put(item).await;
    }
}

pub(crate) fn string(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub(crate) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
