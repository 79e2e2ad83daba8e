//! The contract of `Store`, for the stores of the library. `records` and `limits` test the items in DynamoDB;
//! `DYNAMODB_TEST_ENDPOINT` may name another DynamoDB for them.

use lambda_session::Value;
use lambda_session::testing::steps::*;

mod limits;
mod records;

mod memory {
    lambda_session::store_contract!(lambda_session::MemoryStore::default());
    lambda_session::owner_store_contract!(lambda_session::MemoryStore::default());
}

mod dynamodb {
    // An embedded DynamoDB stops when its table is dropped, after the rule.
    lambda_session::store_contract!(crate::support::own_table::Table::new().await.store);
    lambda_session::owner_store_contract!(crate::support::own_table::Table::new().await.store);
}

/// A value in DynamoDB's own notation, as in `{"N": "1"}`.
fn raw(value: serde_json::Value) -> Value {
    serde_json::from_value(value).expect("DynamoDB's notation")
}
