//! The proxy does to a call what the fault says, as the real SDK and the DynamoDB behind it see it.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::AttributeValue;
use dev::dynamodb::{Embedded, table};
use dev::proxy::{Ending, Fault, Proxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::sdk_at;

struct Setup {
    proxy: Proxy,
    /// A client of the proxy, with one attempt for each call.
    client: Client,
    /// A client that bypasses the proxy.
    direct: Client,
    _dynamodb: Embedded,
}

impl Setup {
    async fn new() -> Self {
        let dynamodb = Embedded::in_memory().await;
        let proxy = Proxy::start(&dynamodb.endpoint());
        Self {
            client: client(&proxy.endpoint(), 1),
            direct: client(&dynamodb.endpoint(), 1),
            proxy,
            _dynamodb: dynamodb,
        }
    }

    /// Whether DynamoDB has the item.
    async fn has(&self, id: &str) -> bool {
        get(&self.direct, id).await.expect("an answer")
    }
}

fn client(endpoint: &str, attempts: u32) -> Client {
    let retries = RetryConfig::standard()
        .with_max_attempts(attempts)
        .with_initial_backoff(Duration::from_millis(1));
    Client::from_conf(sdk_at(endpoint).retry_config(retries).build())
}

/// The error's code, or `None` for a call that DynamoDB did not answer.
type Code = Option<String>;

async fn put(client: &Client, id: &str) -> Result<(), Code> {
    let put = client
        .put_item()
        .table_name(table::NAME)
        .item("id", AttributeValue::S(id.to_owned()));
    put.send()
        .await
        .map(drop)
        .map_err(|error| error.code().map(str::to_owned))
}

async fn get(client: &Client, id: &str) -> Result<bool, Code> {
    let get = client
        .get_item()
        .table_name(table::NAME)
        .key("id", AttributeValue::S(id.to_owned()));
    let got = get.send().await.map_err(|error| error.code().map(str::to_owned))?;
    Ok(got.item.is_some())
}

#[tokio::test]
async fn it_records_the_calls_it_passes() {
    let setup = Setup::new().await;
    let before = Instant::now();
    put(&setup.client, "a").await.expect("a put");
    assert_eq!(get(&setup.client, "a").await, Ok(true));

    assert_eq!(setup.proxy.operations(), ["PutItem", "GetItem"]);
    let [put, get] = &setup.proxy.calls()[..] else {
        panic!("two calls")
    };
    assert_eq!(put.request["Item"]["id"]["S"], "a");
    assert_eq!((put.attempt, put.nth, put.status), (1, 1, Some(200)));
    assert!(before <= put.arrived && put.arrived <= get.arrived);
    assert_ne!(put.invocation, get.invocation);
    assert_eq!(put.connection, get.connection, "kept alive");
}

#[tokio::test]
async fn a_held_call_waits_for_its_release() {
    let setup = Setup::new().await;
    let gate = setup.proxy.hold("PutItem");
    let client = setup.client.clone();
    let held = tokio::spawn(async move { put(&client, "a").await });
    gate.arrived().await;
    assert!(!setup.has("a").await);
    gate.release();
    assert_eq!(held.await.expect("a result"), Ok(()));
    assert!(setup.has("a").await);
}

#[tokio::test]
async fn a_held_call_is_delivered_after_its_client_gave_up() {
    let setup = Setup::new().await;
    let gate = setup.proxy.hold("PutItem");
    let client = setup.client.clone();
    let held = tokio::spawn(async move { put(&client, "a").await });
    gate.arrived().await;
    held.abort();
    assert!(held.await.expect_err("no result").is_cancelled());
    assert!(!setup.has("a").await);
    gate.release();
    gate.delivered().await;
    assert!(setup.has("a").await);
}

#[tokio::test]
async fn a_late_call_fails_at_once_and_lands_when_told() {
    let setup = Setup::new().await;
    let gate = setup.proxy.deliver_late("PutItem");
    assert_eq!(put(&setup.client, "a").await, Err(None));
    gate.arrived().await;
    assert!(!setup.has("a").await);
    gate.release();
    gate.delivered().await;
    assert!(setup.has("a").await);
}

#[tokio::test]
async fn a_dropped_call_never_lands_and_a_dropped_reply_hides_one_that_did() {
    let setup = Setup::new().await;
    setup.proxy.once("PutItem", Fault::DropCall);
    assert_eq!(put(&setup.client, "a").await, Err(None));
    assert!(!setup.has("a").await);

    setup.proxy.once("PutItem", Fault::DropReply);
    assert_eq!(put(&setup.client, "b").await, Err(None));
    assert!(setup.has("b").await);
    assert_eq!(setup.proxy.calls()[1].status, Some(200));
}

#[tokio::test]
async fn the_sdk_retries_a_dropped_reply_as_the_same_invocation() {
    let setup = Setup::new().await;
    setup.proxy.once("PutItem", Fault::DropReply);
    assert_eq!(put(&client(&setup.proxy.endpoint(), 3), "a").await, Ok(()));
    let calls = setup.proxy.calls();
    assert_eq!(
        calls.iter().map(|call| (call.attempt, call.nth)).collect::<Vec<_>>(),
        [(1, 1), (2, 2)]
    );
    assert_eq!(calls[0].invocation, calls[1].invocation);
}

#[tokio::test]
async fn an_error_is_answered_under_its_name() {
    let setup = Setup::new().await;
    for (status, name) in [
        (400, "ProvisionedThroughputExceededException"),
        (400, "ThrottlingException"),
        (400, "RequestLimitExceeded"),
        (500, "InternalServerError"),
        (400, "AccessDeniedException"),
        (400, "ResourceNotFoundException"),
        (400, "ValidationException"),
    ] {
        setup.proxy.once("PutItem", Fault::Error(status, name));
        assert_eq!(put(&setup.client, "a").await, Err(Some(name.to_owned())));
    }
    assert!(!setup.has("a").await);
}

#[tokio::test]
async fn an_operation_that_the_policy_does_not_name_is_denied() {
    let setup = Setup::new().await;
    let deletion = setup.client.delete_item().table_name(table::NAME);
    let deletion = deletion.key("id", AttributeValue::S("a".to_owned())).send().await;
    assert_eq!(deletion.expect_err("an error").code(), Some("AccessDeniedException"));
}

#[tokio::test]
async fn garbage_is_an_error_without_a_name() {
    let setup = Setup::new().await;
    setup.proxy.once("GetItem", Fault::Garbage);
    assert_eq!(get(&setup.client, "a").await, Err(None));
}

#[tokio::test]
async fn a_call_that_hangs_ends_with_the_clients_patience() {
    let setup = Setup::new().await;
    let patience = Duration::from_millis(100);
    let timeouts = TimeoutConfig::builder().operation_timeout(patience).build();
    let config = setup.client.config().to_builder().timeout_config(timeouts).build();
    setup.proxy.once("GetItem", Fault::Hang);
    let started = Instant::now();
    assert_eq!(get(&Client::from_conf(config), "a").await, Err(None));
    assert!(started.elapsed() >= patience);
}

#[tokio::test]
async fn a_delayed_call_takes_that_long() {
    let setup = Setup::new().await;
    let delay = Duration::from_millis(50);
    setup.proxy.once("PutItem", Fault::Delay(delay));
    let started = Instant::now();
    assert_eq!(put(&setup.client, "a").await, Ok(()));
    assert!(started.elapsed() >= delay);
}

#[tokio::test]
async fn a_rule_sees_every_call_that_nothing_was_planned_for() {
    let setup = Setup::new().await;
    setup.proxy.rule(|call| match (call.operation.as_str(), call.nth) {
        ("PutItem", 2) => Fault::Error(500, "InternalServerError"),
        _ => Fault::Pass,
    });
    assert_eq!(put(&setup.client, "a").await, Ok(()));
    assert!(put(&setup.client, "b").await.is_err());
    assert_eq!(put(&setup.client, "c").await, Ok(()));

    setup.proxy.rule(|_| Fault::DropCall);
    assert!(put(&setup.client, "d").await.is_err());
    setup.proxy.pass_everything();
    assert_eq!(put(&setup.client, "e").await, Ok(()));
}

#[tokio::test]
async fn idle_connections_close_and_the_next_call_takes_a_new_one() {
    for ending in [Ending::Close, Ending::Reset] {
        let setup = Setup::new().await;
        // The SDK may notice only while it sends, so it has a second attempt.
        let client = client(&setup.proxy.endpoint(), 2);
        assert_eq!(get(&client, "a").await, Ok(false));
        setup.proxy.close_idle(ending).await;
        assert_eq!(get(&client, "a").await, Ok(false), "{ending:?}");
        let connections: Vec<_> = setup.proxy.calls().iter().map(|call| call.connection).collect();
        assert_eq!(connections, [0, 1], "{ending:?}");
    }
}

#[tokio::test]
async fn an_idle_connection_ends_as_it_was_told() {
    let setup = Setup::new().await;
    for (ending, expected) in [(Ending::Close, Ok(0)), (Ending::Reset, Err(ErrorKind::ConnectionReset))] {
        let address = setup.proxy.endpoint().replace("http://", "");
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: dynamodb\r\n\r\n")
            .await
            .expect("a request");
        let mut answer = vec![0; 4096];
        assert_ne!(stream.read(&mut answer).await.expect("an answer"), 0);
        setup.proxy.close_idle(ending).await;
        assert_eq!(stream.read(&mut answer).await.map_err(|error| error.kind()), expected);
    }
}

#[tokio::test]
async fn a_running_call_is_not_idle() {
    let setup = Setup::new().await;
    let gate = setup.proxy.hold("PutItem");
    let client = setup.client.clone();
    let held = tokio::spawn(async move { put(&client, "a").await });
    gate.arrived().await;
    setup.proxy.close_idle(Ending::Reset).await;
    gate.release();
    assert_eq!(held.await.expect("a result"), Ok(()));
}

#[tokio::test]
async fn refused_connections_come_back_after_the_outage() {
    let mut setup = Setup::new().await;
    assert_eq!(put(&setup.client, "a").await, Ok(()));
    setup.proxy.refuse().await;
    assert_eq!(get(&setup.client, "a").await, Err(None));
    assert_eq!(setup.proxy.operations(), ["PutItem"]);
    setup.proxy.resume();
    assert_eq!(get(&setup.client, "a").await, Ok(true));
}
