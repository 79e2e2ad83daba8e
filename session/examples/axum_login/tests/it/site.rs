//! The site as a function with its table, and what its visitors see.

use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_dynamodb::types::AttributeValue;
use dev::dynamodb::table;
use dev::program::{Program, Table};
use dev::visitor::{Visitor, assert_redirect};
use lambda_session::DynamoDbStore;

const PASSWORD: &str = "correct horse battery staple";

pub(crate) struct Site {
    pub(crate) table: Table,
    program: Arc<Program>,
    /// A client that the faults do not touch.
    dynamodb: aws_sdk_dynamodb::Client,
}

impl Site {
    pub(crate) async fn new() -> Self {
        let table = Table::new().await;
        let program = Program::function(env!("CARGO_BIN_EXE_axum_login"), &table, &[]).await;
        let keys = Credentials::new("local", "local", None, None, "local");
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(keys))
            .build();
        let store = DynamoDbStore::new(&sdk, table::NAME, Some(&table.dynamodb.endpoint())).expect("a store");
        let site = Self {
            table,
            program: Arc::new(program),
            dynamodb: store.client().clone(),
        };
        // Once the function answers, it has made its first read, by which it warms up.
        assert_eq!(site.visitor().get("/login").await.status, 200);
        site.table.proxy.forget_calls();
        site
    }

    pub(crate) fn visitor(&self) -> Visitor {
        Visitor::of(&self.program)
    }

    /// A visitor who is logged in, and has seen the message about it.
    pub(crate) async fn user(&self, name: &str) -> Visitor {
        let mut visitor = self.visitor();
        assert_redirect(&visitor.log_in(name, PASSWORD).await, "/");
        assert_eq!(who(&mut visitor).await.as_deref(), Some(name));
        visitor
    }

    pub(crate) async fn items(&self) -> Vec<std::collections::HashMap<String, AttributeValue>> {
        let scan = self.dynamodb.scan().table_name(table::NAME).consistent_read(true);
        scan.send().await.expect("the items").items.unwrap_or_default()
    }

    /// Moves the expiry of every session into the past.
    pub(crate) async fn expire(&self) {
        for mut item in self.items().await {
            item.insert("expires_at".to_owned(), AttributeValue::N("1000000000".to_owned()));
            let put = self.dynamodb.put_item().table_name(table::NAME);
            put.set_item(Some(item)).send().await.expect("a put");
        }
    }
}

/// Returns the name of the person who is logged in.
pub(crate) async fn who(visitor: &mut Visitor) -> Option<String> {
    let page = visitor.get("/").await;
    assert_eq!(page.status, 200, "{page:?}");
    let (_, after) = page.body.split_once("<h1>Logged in as ")?;
    after.split('<').next().map(str::to_owned)
}

/// The basket and the theme on the start page.
pub(crate) async fn basket_and_theme(visitor: &mut Visitor) -> (String, String) {
    let page = visitor.get("/").await;
    let after = |label: &str| {
        let (_, after) = page.body.split_once(label).expect("the variable's paragraph");
        after.split(".</p>").next().unwrap_or_default().to_owned()
    };
    (after("<p>Basket: "), after("<p>Theme: "))
}

pub(crate) async fn buy(visitor: &mut Visitor, item: &str) -> u16 {
    visitor.post("/basket", &[("item", item)]).await.status
}

pub(crate) async fn paint(visitor: &mut Visitor, theme: &str) -> u16 {
    visitor.post("/theme", &[("theme", theme)]).await.status
}

#[tokio::test]
async fn a_page_that_requires_a_login_is_shown_after_it_and_the_message_once() {
    let site = Site::new().await;
    let mut visitor = site.visitor();
    let answer = visitor.get("/orders").await;
    assert_eq!(answer.status, 307, "{answer:?}");
    assert_eq!(answer.headers["location"], "/login?next=%2Forders");
    let wrong = visitor.log_in("alice", "guessed").await;
    assert_eq!((wrong.status, visitor.session()), (401, None), "{wrong:?}");
    let fields = [("username", "alice"), ("password", PASSWORD), ("next", "/orders")];
    assert_redirect(&visitor.post("/login", &fields).await, "/orders");
    assert!(visitor.get("/orders").await.body.contains("Orders of alice"));
    let mut prefetch = visitor.clone();
    prefetch.headers.push(("sec-purpose", "prefetch".to_owned()));
    assert!(!prefetch.get("/").await.body.contains("Welcome"));
    assert!(visitor.get("/").await.body.contains("Welcome, alice"));
    assert!(!visitor.get("/").await.body.contains("Welcome"));
}

#[tokio::test]
async fn a_login_keeps_the_basket_under_a_new_id_and_the_old_id_opens_nothing() {
    let site = Site::new().await;
    let mut visitor = site.visitor();
    assert_eq!(buy(&mut visitor, "tea").await, 303);
    let mut before = visitor.clone();
    assert_redirect(&visitor.log_in("alice", PASSWORD).await, "/");
    assert_eq!(basket_and_theme(&mut visitor).await.0, "tea");
    assert_eq!(basket_and_theme(&mut before).await.0, "");
    assert_eq!(who(&mut visitor).await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn the_table_holds_no_id_and_reads_are_consistent() {
    let site = Site::new().await;
    let visitor = site.user("alice").await;
    let cookie = visitor.session().expect("a cookie");
    let id = &cookie[cookie.len() - 22..];
    let items = format!("{:?}", site.items().await);
    assert!(items.contains("axum-login.data") && !items.contains(id), "{items}");
    let calls = site.table.proxy.calls();
    let mut reads = calls.iter().filter(|call| call.operation == "GetItem").peekable();
    assert!(reads.peek().is_some());
    assert!(reads.all(|read| read.request["ConsistentRead"] == true));
    assert!(!items.contains("lambda-session.read"), "{items}");
}

#[tokio::test]
async fn a_forged_cookie_and_a_visitor_without_one_cost_no_store_call() {
    let site = Site::new().await;
    let mut visitor = site.visitor();
    visitor.get("/").await;
    let id = "A".repeat(22);
    for forged in [id.clone(), "A".repeat(43) + "=" + &id] {
        visitor.jar.insert("__Host-session".to_owned(), forged);
        assert_eq!(who(&mut visitor).await, None);
    }
    assert_eq!(site.table.proxy.operations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_view_reads_once_and_a_login_writes_three_times() {
    let site = Site::new().await;
    let mut visitor = site.visitor();
    visitor.log_in("alice", PASSWORD).await;
    let login = ["UpdateItem", "UpdateItem", "PutItem"];
    assert_eq!(site.table.proxy.operations(), login, "an end, the list, and the record");
    visitor.get("/").await;
    site.table.proxy.forget_calls();
    visitor.get("/orders").await;
    visitor.get("/").await;
    assert_eq!(site.table.proxy.operations(), ["GetItem", "GetItem"]);
}
