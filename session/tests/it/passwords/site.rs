//! The running passwords example, with its two tables.

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
use dev::dynamodb::table;
use dev::program::{Program, Table};
use dev::visitor::{Visitor, assert_redirect};
use serde_json::json;

use crate::support::own_table::Item;
use crate::support::{example, sdk_at};

pub(super) const PASSWORD: &str = "correct horse battery staple";
pub(super) const ANOTHER: &str = "another correct horse battery";
pub(super) const WRONG: &str = "incorrect horse battery staple";

const USERS: &str = "Users";

/// Both tables, and a function over them that serves many requests at once.
pub(super) struct Site {
    pub(super) tables: Table,
    pub(super) function: Arc<Program>,
    /// A client that bypasses the proxy.
    client: Client,
}

impl Site {
    pub(super) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// Starts the function with these variables in addition.
    pub(super) async fn with(variables: &[(&str, &str)]) -> Self {
        let tables = Table::new().await;
        let client = Client::from_conf(sdk_at(tables.dynamodb.endpoint()).build());
        let name = AttributeDefinition::builder()
            .attribute_name("name")
            .attribute_type(ScalarAttributeType::S);
        let key = KeySchemaElement::builder()
            .attribute_name("name")
            .key_type(KeyType::Hash);
        let create = client
            .create_table()
            .table_name(USERS)
            .billing_mode(BillingMode::PayPerRequest)
            .attribute_definitions(name.build().expect("a definition"))
            .key_schema(key.build().expect("a key"));
        create.send().await.expect("the users' table");
        let function = Program::function(
            example("passwords"),
            &tables,
            &[variables, &[("USERS_TABLE_NAME", USERS)]].concat(),
        )
        .await;
        Self {
            tables,
            function: Arc::new(function),
            client,
        }
    }

    /// Creates a visitor who has never been here.
    pub(super) fn visitor(&self) -> Visitor {
        Visitor::of(&self.function)
    }

    /// Creates a visitor who has signed up.
    pub(super) async fn user(&self, name: &str) -> Visitor {
        let mut user = self.visitor();
        let signed_up = user
            .post("/signup", &[("username", name), ("password", PASSWORD)])
            .await;
        assert_redirect(&signed_up, "/");
        user
    }

    pub(super) async fn users(&self) -> Vec<Item> {
        self.scan(USERS).await
    }

    /// The counters of attempts in the sessions' table.
    pub(super) async fn counters(&self) -> Vec<Item> {
        let mut items = self.scan(table::NAME).await;
        items.retain(|item| item["id"].as_s().is_ok_and(|id| id.starts_with("attempts:")));
        items
    }

    /// Ends every window now.
    pub(super) fn end_windows(&self) {
        self.tables.dynamodb.edit(|item| {
            if item["id"]["S"].as_str().is_some_and(|id| id.starts_with("attempts:")) {
                item["expires_at"] = json!({ "N": "800000000" });
            }
        });
    }

    async fn scan(&self, table: &str) -> Vec<Item> {
        let scan = self.client.scan().table_name(table).consistent_read(true);
        scan.send().await.expect("an answer").items.unwrap_or_default()
    }
}
