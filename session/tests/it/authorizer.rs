//! The example authorizer as a function, asked by API Gateway's events about visitors of the example `account`.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use dev::dynamodb::table;
use dev::lambda::Lambda;
use dev::program::{Program, SECRET_KEY, Table};
use dev::proxy::Fault;
use dev::runtime;
use dev::visitor::{Visitor, assert_redirect};
use futures_util::future::join_all;
use lambda_session::DynamoDbStore;
use serde_json::{Value, json};

use crate::support::device::Browser;
use crate::support::site::{Site, keys, layer};
use crate::support::{example, sdk};

const API: &str = "arn:aws:execute-api:eu-central-1:123456789012:abcdef123/prod";
const PASSWORD: &str = "correct horse battery staple";

/// An authorizer that serves eight events at once, and knows longer times than the site.
struct Authorizer(Lambda);

impl Authorizer {
    async fn start(table: &Table) -> Self {
        let environment = [
            ("SECRET_KEY", SECRET_KEY),
            ("SESSION_IDLE_TIMEOUT", "7200"),
            ("SESSION_BOUND", "true"),
            ("AWS_LAMBDA_MAX_CONCURRENCY", "8"),
        ];
        let environment = environment.map(|(name, value)| (name, value.to_owned()));
        let environment = environment.into_iter().chain(table.environment());
        Self(Lambda::start(example("authorizer"), environment).await)
    }

    /// Returns the answer to an event, or the error of the invocation.
    async fn ask(&self, event: Value) -> Result<Value, Value> {
        let outcome = self.0.api().invoke(event.to_string().into_bytes());
        let answer = outcome.await.expect("an outcome")?;
        runtime::json(&answer)
    }

    /// Returns what the functions behind an HTTP API learn of a visitor with these cookies, if the visitor passes.
    async fn passes(&self, cookies: &str) -> Option<Value> {
        let mut answer = self.ask(http_api(cookies)).await.expect("an answer");
        let passes = answer["isAuthorized"].as_bool().expect("an answer");
        assert_eq!(answer.get("context").is_some(), passes, "{answer}");
        passes.then(|| answer["context"].take())
    }
}

/// The events, as the developer guide of API Gateway shows them.
fn http_api(cookies: &str) -> Value {
    json!({
        "version": "2.0",
        "type": "REQUEST",
        "routeArn": format!("{API}/GET/orders"),
        "identitySource": [cookies],
        "routeKey": "GET /orders",
        "rawPath": "/prod/orders",
        "rawQueryString": "page=2",
        "cookies": cookies.split("; ").collect::<Vec<_>>(),
        "headers": { "host": "abcdef123.execute-api.eu-central-1.amazonaws.com", "accept": "*/*" },
        "queryStringParameters": { "page": "2" },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcdef123",
            "domainName": "abcdef123.execute-api.eu-central-1.amazonaws.com",
            "domainPrefix": "abcdef123",
            "http": { "method": "GET", "path": "/prod/orders", "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7" },
            "requestId": "id",
            "routeKey": "GET /orders",
            "stage": "prod",
            "time": "28/Nov/2026:08:00:00 +0000",
            "timeEpoch": 1_795_852_800_000_u64,
        },
        "pathParameters": null,
        "stageVariables": null,
    })
}

fn http_api_v1(cookies: &str) -> Value {
    json!({
        "version": "1.0",
        "type": "REQUEST",
        "methodArn": format!("{API}/GET/orders"),
        "identitySource": cookies,
        "authorizationToken": cookies,
        "resource": "/orders",
        "path": "/orders",
        "httpMethod": "GET",
        "headers": { "cookie": cookies, "accept": "*/*" },
        "queryStringParameters": {},
        "pathParameters": {},
        "stageVariables": {},
        "requestContext": {
            "path": "/orders",
            "accountId": "123456789012",
            "resourceId": "05c7jb",
            "stage": "prod",
            "requestId": "id",
            "identity": { "sourceIp": "203.0.113.7" },
            "resourcePath": "/orders",
            "httpMethod": "GET",
            "apiId": "abcdef123",
        },
    })
}

/// With one entry for each cookie, as an HTTP/2 client sends them.
fn rest_api(cookies: &str) -> Value {
    let mut event = http_api_v1(cookies);
    event["headers"] = json!({ "Accept": "*/*", "Cookie": "_ga=GA1.1.1" });
    event["multiValueHeaders"] = json!({ "Accept": ["*/*"], "Cookie": [cookies, "_ga=GA1.1.1"] });
    event
}

fn web_socket_api(cookies: &str) -> Value {
    json!({
        "type": "REQUEST",
        "methodArn": format!("{API}/$connect"),
        "headers": { "Cookie": cookies, "Upgrade": "websocket", "Sec-WebSocket-Version": "13" },
        "multiValueHeaders": { "Cookie": [cookies], "Upgrade": ["websocket"], "Sec-WebSocket-Version": ["13"] },
        "queryStringParameters": {},
        "multiValueQueryStringParameters": {},
        "stageVariables": {},
        "requestContext": {
            "routeKey": "$connect",
            "eventType": "CONNECT",
            "messageDirection": "IN",
            "stage": "prod",
            "connectedAt": 1_795_852_800_000_u64,
            "connectionId": "connection-id",
            "identity": { "sourceIp": "203.0.113.7" },
            "apiId": "abcdef123",
        },
    })
}

/// A visitor of the example `account`.
async fn visitor(table: &Table) -> Visitor {
    let site = Program::function(example("account"), table, &[]).await;
    Visitor::of(&Arc::new(site))
}

async fn log_in(visitor: &mut Visitor) -> String {
    assert_redirect(&visitor.log_in("alice", PASSWORD).await, "/");
    cookies(visitor)
}

fn cookies(visitor: &Visitor) -> String {
    format!("_ga=GA1.1.1; __Host-session={}", visitor.session().expect("a session"))
}

#[tokio::test]
async fn whoever_is_logged_in_passes_through_each_api_for_one_read_and_until_the_logout() {
    let table = Table::new().await;
    let mut alice = visitor(&table).await;
    let authorizer = Authorizer::start(&table).await;
    let cookies = log_in(&mut alice).await;
    alice.headers.push(("accept", "application/json".to_owned()));
    let devices: Value = serde_json::from_str(&alice.get("/sessions").await.body).expect("JSON");
    let known = json!({ "owner": "alice", "handle": devices["sessions"][0]["handle"] });
    assert!(known["handle"].is_string(), "{devices}");

    table.proxy.forget_calls();
    assert_eq!(authorizer.passes(&cookies).await, Some(known.clone()));
    assert_eq!(
        table.proxy.operations(),
        ["GetItem"],
        "one read, and no write that keeps the session alive"
    );
    let policy = |effect: &str| {
        let statement = json!({ "Action": "execute-api:Invoke", "Effect": effect, "Resource": format!("{API}/*") });
        json!({ "Version": "2012-10-17", "Statement": [statement] })
    };
    let events = [http_api_v1, rest_api, web_socket_api];
    for event in events {
        let answer = authorizer.ask(event(&cookies)).await.expect("an answer");
        let allows = json!({ "principalId": "alice", "policyDocument": policy("Allow"), "context": known });
        assert_eq!(answer, allows);
    }

    assert_redirect(&alice.post("/logout", &[]).await, "/");
    assert_eq!(authorizer.passes(&cookies).await, None);
    for event in events {
        let answer = authorizer.ask(event(&cookies)).await.expect("an answer");
        let denies = json!({ "principalId": "nobody", "policyDocument": policy("Deny"), "context": {} });
        assert_eq!(answer, denies);
    }
}

#[tokio::test]
async fn nobody_passes_without_a_login_and_a_forged_cookie_costs_no_read() {
    let table = Table::new().await;
    let mut stranger = visitor(&table).await;
    let authorizer = Authorizer::start(&table).await;
    assert_eq!(
        stranger
            .post("/set", &[("name", "basket"), ("value", "tea")])
            .await
            .status,
        204
    );
    let anonymous = cookies(&stranger);
    table.proxy.forget_calls();
    for cookies in [
        "",
        "_ga=GA1.1.1",
        "__Host-session=",
        "__Host-session=forged.forged",
        &anonymous[..anonymous.len() - 2],
    ] {
        assert_eq!(authorizer.passes(cookies).await, None, "{cookies}");
    }
    assert_eq!(table.proxy.operations(), [""; 0]);
    assert_eq!(authorizer.passes(&anonymous).await, None, "nobody is logged in");
    assert_eq!(table.proxy.operations(), ["GetItem"]);
}

#[tokio::test]
async fn what_cannot_be_told_fails_the_invocation_and_neither_lets_pass_nor_denies() {
    let table = Table::new().await;
    let mut alice = visitor(&table).await;
    let mut authorizer = Authorizer::start(&table).await;
    let cookies = log_in(&mut alice).await;
    table.proxy.once("GetItem", Fault::Error(400, "AccessDeniedException"));
    let failed = authorizer.ask(http_api(&cookies)).await.expect_err("a failure");
    assert_eq!(failed["errorType"], "SessionError", "{failed}");

    // In the second that the invocation has, there is time for one attempt.
    let held = table.proxy.hold("GetItem");
    authorizer.0.api().set_timeout(Duration::from_secs(1));
    table.proxy.forget_calls();
    let failed = authorizer.ask(rest_api(&cookies)).await.expect_err("a failure");
    assert_eq!(failed["errorType"], "SessionError", "{failed}");
    assert_eq!(table.proxy.operations(), ["GetItem"]);
    held.release();

    for event in [
        json!("/"),
        json!({ "type": "TOKEN", "authorizationToken": cookies }),
        dev_event(&cookies),
    ] {
        let failed = authorizer.ask(event).await.expect_err("a failure");
        assert_eq!(failed["errorType"], "NotAnAuthorizersEvent", "{failed}");
        assert!(!failed.to_string().contains("__Host-session"), "{failed}");
    }
    authorizer.0.api().set_timeout(Duration::from_secs(10));
    assert!(authorizer.passes(&cookies).await.is_some(), "the process lives on");
    let log = authorizer.0.kill().await.stdout;
    assert!(log.contains("store failure"), "{log}");
}

/// The event of a site rather than of an authorizer.
fn dev_event(cookies: &str) -> Value {
    dev::event::Event::get("/").header("cookie", cookies).into_value()
}

#[tokio::test]
async fn several_requests_are_authorized_at_once() {
    let table = Table::new().await;
    let mut alice = visitor(&table).await;
    let authorizer = Authorizer::start(&table).await;
    let cookies = log_in(&mut alice).await;
    let held = table.proxy.hold("GetItem");
    let first = authorizer.passes(&cookies);
    let others = async {
        held.arrived().await;
        let others = join_all((0..32).map(|_| authorizer.passes(&cookies))).await;
        held.release();
        others
    };
    let (first, others) = tokio::join!(first, others);
    assert!(first.is_some_and(|known| others.iter().all(|other| other.as_ref() == Some(&known))));
}

#[tokio::test]
async fn a_bound_session_passes_only_with_its_second_cookie() {
    let table = Table::new().await;
    let store = DynamoDbStore::new(&sdk(), table::NAME, Some(&table.proxy.endpoint())).expect("a store");
    // Two minutes ago: in the first minute, requests come that have no second cookie yet.
    let before = || UNIX_EPOCH.elapsed().expect("a clock after 1970").as_secs() - 120;
    let site = Site::of(layer(store, keys()).bound(true).clock(before));
    let browser = Browser::log_in(&site, "/login?admin").await;
    let authorizer = Authorizer::start(&table).await;
    let both = browser.cookies();
    assert_eq!(both.matches("__Host-session").count(), 2, "{both}");
    assert!(authorizer.passes(&both).await.is_some());
    let copied: Vec<_> = both
        .split("; ")
        .filter(|pair| !pair.starts_with("__Host-session-bound="))
        .collect();
    assert_eq!(authorizer.passes(&copied.join("; ")).await, None);
}
