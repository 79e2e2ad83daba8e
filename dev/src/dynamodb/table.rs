//! The sessions table, defined once for everything that runs without AWS.
//!
//! The template is the definition that is deployed. This one uses the template's property names, so that a test can
//! compare the two value by value.

use serde_json::{Value, json};

/// The table's name as `sam local` passes it: it resolves `!Ref` to the template's logical ID.
pub const NAME: &str = "SessionsTable";

/// Returns the `Properties` of the template's `AWS::DynamoDB::Table`.
pub fn properties() -> Value {
    json!({
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
        "TimeToLiveSpecification": { "AttributeName": "expires_at", "Enabled": true },
    })
}
