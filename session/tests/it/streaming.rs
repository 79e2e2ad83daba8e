//! Answers that are streamed, through the Runtime API.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use dev::browser::{assert_shown, in_browser, run};
use dev::event::Event;
use dev::lambda::Lambda;
use dev::program::{SECRET_KEY, Table};
use dev::proxy::Fault;
use futures_util::stream;
use http::header::SET_COOKIE;
use http::{Request, Response};
use hyper::body::Bytes;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::support::example;

async fn start(table: &Table) -> Lambda {
    start_with(table, "true").await
}

/// Starts the function with `Secure` cookies or with others.
async fn start_with(table: &Table, secure: &str) -> Lambda {
    let environment = [
        ("SECRET_KEY", SECRET_KEY.to_owned()),
        ("SESSION_COOKIE_SECURE", secure.to_owned()),
        ("AWS_LAMBDA_MAX_CONCURRENCY", "8".to_owned()),
    ];
    Lambda::start(example("stream"), environment.into_iter().chain(table.environment())).await
}

/// A streamed answer that is being received.
struct Streamed {
    pieces: UnboundedReceiver<Bytes>,
    received: Vec<u8>,
}

impl Streamed {
    fn new(lambda: &Lambda, event: Event) -> Self {
        let pieces = lambda.api().stream(event.into_value().to_string().into_bytes());
        let received = Vec::new();
        Self { pieces, received }
    }

    /// Receives the next piece, or tells that there is none.
    async fn more(&mut self) -> bool {
        let piece = self.pieces.recv().await;
        self.received.extend(piece.iter().flatten());
        piece.is_some()
    }

    /// The metadata before the body.
    async fn metadata(&mut self) -> Value {
        loop {
            if let Some(end) = self.received.windows(8).position(|zeros| zeros == [0; 8]) {
                let metadata = serde_json::from_slice(&self.received[..end]).expect("metadata");
                self.received.drain(..end + 8);
                return metadata;
            }
            assert!(self.more().await, "an answer: {:?}", self.received);
        }
    }

    /// Waits until the body contains `text`.
    async fn contains(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.received).contains(text) {
            assert!(
                self.more().await,
                "{text} in {:?}",
                String::from_utf8_lossy(&self.received)
            );
        }
    }

    async fn rest(mut self) -> Vec<u8> {
        while self.more().await {}
        self.received
    }
}

fn cookie(metadata: &Value) -> String {
    let cookie = metadata["cookies"][0].as_str().expect("a cookie");
    cookie.split(';').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn events_arrive_while_the_answer_is_under_way_and_the_session_was_saved_before() {
    let table = Table::new().await;
    let lambda = start(&table).await;
    let mut first = Streamed::new(&lambda, Event::get("/events"));
    let metadata = first.metadata().await;
    assert_eq!(metadata["statusCode"], 200, "{metadata}");
    assert_eq!(metadata["headers"]["content-type"], "text/event-stream");
    assert_eq!(metadata["headers"]["vary"], "Cookie");
    assert_eq!(table.proxy.operations(), ["PutItem"], "saved before the body began");
    first.contains("visit 1, event 1").await;
    // The first answer never ends, and the next one is served beside it.
    let mut second = Streamed::new(&lambda, Event::get("/events").cookie(&cookie(&metadata)));
    let metadata = second.metadata().await;
    assert_eq!(metadata["cookies"].as_array().map(Vec::len), Some(0), "{metadata}");
    second.contains("visit 2, event 0").await;
    first.contains("event 3").await;
}

#[tokio::test]
async fn twenty_megabytes_arrive_and_what_cannot_be_read_is_400() {
    let table = Table::new().await;
    let lambda = start(&table).await;
    let mut download = Streamed::new(&lambda, Event::get("/download"));
    assert_eq!(download.metadata().await["statusCode"], 200);
    let body = download.rest().await;
    assert_eq!((body.len(), body.iter().all(|&byte| byte == b'x')), (20 << 20, true));
    let hostile = [
        Event::get("/events").with("/headers/host", "a b"),
        Event::get("/events").with("/rawQueryString", "<script>"),
        Event::get("/events").with("/requestContext", Value::Null),
    ];
    for event in hostile {
        let mut refused = Streamed::new(&lambda, event.clone());
        assert_eq!(refused.metadata().await["statusCode"], 400, "{event:?}");
        assert_eq!(refused.rest().await, b"this request cannot be read\n");
    }
}

#[tokio::test]
async fn a_session_that_cannot_be_saved_is_an_error_and_no_stream() {
    let table = Table::new().await;
    let mut lambda = start(&table).await;
    table.proxy.once("PutItem", Fault::Error(400, "AccessDeniedException"));
    let mut failed = Streamed::new(&lambda, Event::get("/events"));
    let metadata = failed.metadata().await;
    assert_eq!(metadata["statusCode"], 500, "{metadata}");
    assert_eq!(metadata["cookies"].as_array().map(Vec::len), Some(0));
    let body = failed.rest().await;
    assert!(!String::from_utf8_lossy(&body).contains("visit"), "{body:?}");
    let log = lambda.kill().await.stdout;
    assert!(log.contains("store failure"), "{log}");
}

#[tokio::test]
async fn a_streamed_request_has_the_deadline_of_its_invocation() {
    let table = Table::new().await;
    let lambda = start(&table).await;
    lambda.api().set_timeout(Duration::ZERO);
    let mut late = Streamed::new(&lambda, Event::get("/events"));
    let metadata = late.metadata().await;
    assert_eq!(metadata["statusCode"], 503, "{metadata}");
    assert_eq!(table.proxy.operations(), [""; 0]);
}

/// Serves a port as a Function URL that streams: it makes an event of each request, and passes the answer on as it
/// comes.
async fn serve(lambda: Lambda) -> SocketAddr {
    let lambda = Arc::new(lambda);
    let url = Router::new().fallback(move |request: Request<Body>| {
        let lambda = Arc::clone(&lambda);
        async move {
            let (parts, body) = request.into_parts();
            let body = to_bytes(body, 1 << 20).await.expect("a body");
            let event = Event::from_request(&parts, &body, "localhost").expect("an event");
            let mut answer = Streamed::new(&lambda, event);
            let metadata = answer.metadata().await;
            let status = metadata["statusCode"]
                .as_u64()
                .and_then(|status| u16::try_from(status).ok());
            let mut response = Response::builder().status(status.expect("a status"));
            for (name, value) in metadata["headers"].as_object().expect("headers") {
                response = response.header(name, value.as_str().expect("a text"));
            }
            for cookie in metadata["cookies"].as_array().expect("cookies") {
                response = response.header(SET_COOKIE, cookie.as_str().expect("a text"));
            }
            let pieces = stream::unfold(answer, |mut answer| async move {
                let is_there = !answer.received.is_empty() || answer.more().await;
                is_there.then(|| (Ok::<_, Infallible>(std::mem::take(&mut answer.received)), answer))
            });
            response.body(Body::from_stream(pieces)).expect("a response")
        }
    });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("a bound listener");
    tokio::spawn(async move { axum::serve(listener, url).await });
    address
}

#[tokio::test]
async fn a_page_in_chromium_shows_the_events_as_they_come_and_its_visitor_keeps_the_session() {
    let table = Table::new().await;
    let address = serve(start_with(&table, "false").await).await;
    in_browser(
        "a_page_in_chromium_shows_the_events_as_they_come_and_its_visitor_keeps_the_session",
        &[],
        move |client| async move {
            client.goto(&format!("http://{address}/")).await.expect("a page");
            assert_shown(&client, "li", "visit 1, event 0").await;
            assert_shown(&client, "li", "visit 1, event 3").await;
            assert_eq!(
                run(&client, "return events.readyState === EventSource.OPEN").await,
                true
            );
            // The answer never ends. The browser leaves it, and sends the cookie that came before its first event.
            client.refresh().await.expect("the page");
            assert_shown(&client, "li", "visit 2, event 3").await;
            let of_the_first = "return document.body.textContent.includes('visit 1')";
            assert_eq!(run(&client, of_the_first).await, false);
        },
    )
    .await;
    assert_eq!(table.proxy.operations(), ["PutItem", "GetItem", "UpdateItem"]);
}
