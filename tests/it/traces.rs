//! What the compiled function sends to X-Ray's daemon. A socket of the test stands in for the daemon.

use std::net::UdpSocket;

use aws_sdk_dynamodb::types::AttributeValue;
use dev::dynamodb::table;
use dev::event::Event;
use dev::proxy::Fault;
use serde_json::{Value, json};

use crate::support::app::{App, value_of};
use crate::support::{SECRET_KEY, client, forge};

const TRACE: &str = "1-68f0a1b2-0123456789abcdef01234567";
const FUNCTION: &str = "53995c3f42cd8ad8";

struct Daemon(UdpSocket);

impl Daemon {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_nonblocking(true).expect("a socket that does not wait");
        Self(socket)
    }

    fn address(&self) -> String {
        self.0.local_addr().expect("an address").to_string()
    }

    /// The documents that have arrived. It does not wait for more, because the function sends all before the answer.
    fn documents(&self) -> Vec<Value> {
        let mut datagram = [0; 8_192];
        let received = std::iter::from_fn(|| self.0.recv(&mut datagram).ok().map(|bytes| datagram[..bytes].to_vec()));
        let read = |datagram: Vec<u8>| {
            let text = String::from_utf8(datagram).expect("text");
            let (header, document) = text.split_once('\n').expect("two lines");
            let header: Value = serde_json::from_str(header).expect("a header");
            assert_eq!(header, json!({ "format": "json", "version": 1 }));
            serde_json::from_str(document).expect("a document")
        };
        received.map(read).collect()
    }
}

/// A function whose invocations X-Ray samples.
async fn sampled(variables: &[(&str, &str)]) -> App {
    let app = App::with(variables).await;
    let header = format!("Root={TRACE};Parent={FUNCTION};Sampled=1;Lineage=1:a87bd80c:0");
    app.lambda.api().set_trace(&header);
    app
}

/// The key of a cookie's record.
fn record_key(cookie: &str) -> String {
    let id = value_of(cookie).split('.').next();
    forge::record_key(id.expect("an ID"))
}

fn names(documents: &[Value]) -> Vec<&str> {
    documents
        .iter()
        .filter_map(|document| document["name"].as_str())
        .collect()
}

#[tokio::test]
async fn a_sampled_request_sends_its_load_its_save_and_their_store_calls_and_no_secret() {
    const MARK: &str = "zqxmark";
    let daemon = Daemon::start();
    let address = daemon.address();
    let variables = [
        ("XRAY_TRACING", "true"),
        ("AWS_XRAY_DAEMON_ADDRESS", address.as_str()),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
        // Only at this level would a call of `tracing::enabled!` in `Log::write` drop a span.
        ("AWS_LAMBDA_LOG_LEVEL", "DEBUG"),
    ];
    let mut app = sampled(&variables).await;
    let first = app.login(MARK).await;
    let mut documents = daemon.documents();
    // A span is sent when it ends, so a store call's span comes before the span that contains it.
    assert_eq!(names(&documents), ["store.swap", "session.save"]);

    let page = app.send(Event::get("/").cookie(&first)).await;
    assert_eq!(page.status, 200);
    let view = daemon.documents();
    assert_eq!(names(&view), ["store.load", "session.load"]);
    let [call, load] = [&view[0], &view[1]];
    assert_eq!(load["parent_id"], FUNCTION);
    assert_eq!(call["parent_id"], load["id"]);
    for part in [call, load] {
        assert_eq!(
            (&part["trace_id"], &part["type"]),
            (&json!(TRACE), &json!("subsegment"))
        );
        assert_eq!(part["fault"], false);
    }
    // In seconds since 1970.
    assert!(load["start_time"].as_f64() > Some(1.7e9), "{view:?}");
    assert!(load["start_time"].as_f64() <= call["start_time"].as_f64(), "{view:?}");
    assert!(call["end_time"].as_f64() <= load["end_time"].as_f64(), "{view:?}");
    let annotations = &call["annotations"];
    assert_eq!(annotations["outcome"], "record");
    assert_eq!(annotations["db_system_name"], "aws.dynamodb");
    documents.extend(view);

    let form = Event::post_form("/login", &[("username", &format!("other {MARK}"))]);
    let second = app.send(form.cookie(&first)).await.cookie();
    app.proxy.once("GetItem", Fault::Error(400, "AccessDeniedException"));
    assert_eq!(app.send(Event::get("/").cookie(&second)).await.status, 500);
    let failed = daemon.documents();
    let faults: Vec<_> = failed.iter().map(|document| &document["fault"]).collect();
    assert_eq!(faults[faults.len() - 2..], [true, true], "{failed:?}");
    documents.extend(failed);

    // Lambda decides which requests are sampled.
    app.lambda
        .api()
        .set_trace(&format!("Root={TRACE};Parent={FUNCTION};Sampled=0"));
    app.send(Event::get("/").cookie(&second)).await;
    assert_eq!(names(&daemon.documents()), [""; 0]);

    let sent = format!("{documents:?}").to_lowercase();
    let mut secrets = vec![MARK, "username", SECRET_KEY];
    let keys = [&first, &second].map(|cookie| record_key(cookie));
    secrets.extend(keys.iter().map(String::as_str));
    for cookie in [&first, &second] {
        secrets.extend(value_of(cookie).split('.'));
    }
    for secret in secrets {
        assert!(!sent.contains(&secret.to_lowercase()), "{secret} in {sent}");
    }
    let printed = app.lambda.kill().await;
    assert!(printed.stdout.contains("\"store_calls\":1"), "{printed:?}");
    assert!(!printed.stdout.contains("\"span"), "the log has grown: {printed:?}");
}

/// CloudWatch bills log lines by their bytes, so no line names the spans that it was written in.
#[tokio::test]
async fn the_log_does_not_grow_by_spans() {
    let daemon = Daemon::start();
    let address = daemon.address();
    for format in ["Text", "JSON"] {
        let variables = [
            ("XRAY_TRACING", "true"),
            ("AWS_XRAY_DAEMON_ADDRESS", address.as_str()),
            ("AWS_LAMBDA_LOG_FORMAT", format),
        ];
        let mut app = sampled(&variables).await;
        let cookie = app.login("admin").await;
        let broken = client(&app.dynamodb.endpoint())
            .update_item()
            .table_name(table::NAME)
            .key("id", AttributeValue::S(record_key(&cookie)))
            .update_expression("SET expires_at = :wrong")
            .expression_attribute_values(":wrong", AttributeValue::S("never".into()));
        broken.send().await.expect("a broken record");
        daemon.documents();
        assert!(!app.is_admin(&cookie).await);
        assert_eq!(names(&daemon.documents()), ["store.load", "session.load"]);
        // The warning is logged within the load's span.
        let printed = app.lambda.kill().await.stdout;
        let warning = printed.lines().find(|line| line.contains("malformed record"));
        assert!(!warning.expect("a warning").contains("session.load"), "{printed}");
    }
}

#[tokio::test]
async fn nothing_is_sent_unless_it_is_wanted() {
    let daemon = Daemon::start();
    let address = daemon.address();
    for wanted in [None, Some("false"), Some("")] {
        let mut variables = vec![("AWS_XRAY_DAEMON_ADDRESS", address.as_str())];
        variables.extend(wanted.map(|wanted| ("XRAY_TRACING", wanted)));
        let app = sampled(&variables).await;
        let cookie = app.login("admin").await;
        assert!(app.is_admin(&cookie).await);
        assert_eq!(names(&daemon.documents()), [""; 0], "{wanted:?}");
    }
}

#[tokio::test]
async fn a_daemon_that_is_away_fails_no_request() {
    let away = Daemon::start().address();
    let app = sampled(&[("XRAY_TRACING", "true"), ("AWS_XRAY_DAEMON_ADDRESS", &away)]).await;
    let cookie = app.login("admin").await;
    for _ in 0..3 {
        assert!(app.is_admin(&cookie).await);
    }
}
