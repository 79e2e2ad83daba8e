//! The example as a function, with its two tables, and what visitors do there.

use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
use dev::dynamodb::table;
use dev::lambda::Answer;
use dev::program::{Program, Table};
use dev::visitor::{Visitor, assert_redirect};
use lambda_session::DynamoDbStore;
use serde_json::Value;

use crate::authenticator::Device;

/// The compiled example.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_passkeys");

pub(crate) const BASE_URL: &str = "https://shop.example";
pub(crate) const HOST: &str = "shop.example";
pub(crate) const USERS: &str = "Users";

/// Both tables behind one proxy, and a function over them that serves many requests at once.
pub(crate) struct Site {
    pub(crate) tables: Table,
    pub(crate) function: Arc<Program>,
    /// A client that bypasses the proxy.
    client: Client,
}

impl Site {
    pub(crate) async fn new() -> Self {
        let tables = Table::new().await;
        let client = users_table(&tables).await;
        let environment = [("USERS_TABLE_NAME", USERS), ("BASE_URL", BASE_URL)];
        let function = Program::function(PROGRAM, &tables, &environment).await;
        Self {
            tables,
            function: Arc::new(function),
            client,
        }
    }

    pub(crate) fn visitor(&self) -> Visitor {
        Visitor::of(&self.function)
    }

    /// Somebody who has signed up, with the passkey.
    pub(crate) async fn user(&self, name: &str) -> (Visitor, Device) {
        let (mut visitor, mut device) = (self.visitor(), Device::new());
        let options = begin(&mut visitor, "/signup/begin", &[("name", name)]).await;
        let credential = device.create(&options);
        assert_redirect(&visitor.post("/signup", &[("credential", &credential)]).await, "/");
        (visitor, device)
    }

    /// The users, as the table has them.
    pub(crate) async fn users(&self) -> Vec<Value> {
        let scan = self.client.scan().table_name(USERS).consistent_read(true).send().await;
        let items = scan.expect("an answer").items.unwrap_or_default();
        let json = items.iter().map(|item| item["user"].as_s().expect("a text"));
        json.map(|json| serde_json::from_str(json).expect("JSON")).collect()
    }

    /// The only user.
    pub(crate) async fn only_user(&self) -> Value {
        let users: [Value; 1] = self.users().await.try_into().expect("one user");
        let [user] = users;
        user
    }

    /// The number of the only user's account.
    pub(crate) async fn number(&self) -> String {
        self.only_user().await["id"].as_str().expect("a text").to_owned()
    }

    /// The counters of the only user's passkeys.
    pub(crate) async fn counters(&self) -> Vec<u64> {
        let user = self.only_user().await;
        let keys = user["keys"].as_array().expect("a list").iter();
        let counter = |key: &Value| key["passkey"]["cred"]["counter"].as_u64().expect("a number");
        keys.map(counter).collect()
    }
}

/// Makes the users' table, and returns a client that bypasses the proxy.
pub(crate) async fn users_table(tables: &Table) -> Client {
    let keys = Credentials::new("local", "local", None, None, "local");
    let sdk = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .build();
    let store = DynamoDbStore::new(&sdk, table::NAME, Some(&tables.dynamodb.endpoint())).expect("a store");
    let id = AttributeDefinition::builder()
        .attribute_name("id")
        .attribute_type(ScalarAttributeType::S);
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash);
    let client = store.client().clone();
    let create = client
        .create_table()
        .table_name(USERS)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(id.build().expect("a definition"))
        .key_schema(key.build().expect("a key"));
    create.send().await.expect("the users' table");
    client
}

/// Begins a ceremony, as the script does. Returns what the browser is told.
pub(crate) async fn begin(visitor: &mut Visitor, path: &str, form: &[(&str, &str)]) -> Value {
    let answer = visitor.post(path, form).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_str(&answer.body).expect("JSON")
}

/// Logs in with a passkey.
pub(crate) async fn log_in(visitor: &mut Visitor, device: &mut Device) -> Answer {
    let options = begin(visitor, "/login/begin", &[]).await;
    visitor.post("/login", &[("credential", &device.get(&options))]).await
}

/// Proves with a passkey that the user who is logged in is still there.
pub(crate) async fn confirm(visitor: &mut Visitor, device: &mut Device) -> Answer {
    let options = begin(visitor, "/confirm/begin", &[]).await;
    let form = [("credential", &*device.get(&options)), ("next", "/account")];
    visitor.post("/confirm", &form).await
}

/// Adds a passkey with this label.
pub(crate) async fn add(visitor: &mut Visitor, device: &mut Device, label: &str) -> Answer {
    let options = begin(visitor, "/passkeys/begin", &[("label", label)]).await;
    visitor
        .post("/passkeys", &[("credential", &device.create(&options))])
        .await
}

/// Removes a passkey.
pub(crate) async fn remove(visitor: &mut Visitor, device: &Device) -> Answer {
    visitor.post("/passkeys/remove", &[("id", &device.id())]).await
}

/// Goes to the account page as a browser does.
pub(crate) async fn account(visitor: &mut Visitor) -> Answer {
    visitor.headers = vec![("sec-fetch-mode", "navigate".to_owned())];
    let answer = visitor.get("/account").await;
    visitor.headers.clear();
    answer
}

/// Makes recovery codes.
pub(crate) async fn codes(visitor: &mut Visitor) -> Vec<String> {
    let page = visitor.post("/codes", &[]).await;
    assert_eq!(page.status, 200, "{page:?}");
    let codes = page.body.split("<li><code>").skip(1);
    codes
        .map(|after| after.split('<').next().unwrap_or_default().to_owned())
        .collect()
}
