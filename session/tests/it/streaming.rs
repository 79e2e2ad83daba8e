//! Answers that are streamed, through the Runtime API.

use dev::event::Event;
use dev::lambda::Lambda;
use dev::program::{SECRET_KEY, Table};
use dev::proxy::Fault;
use hyper::body::Bytes;
use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::support::example;

async fn start(table: &Table) -> Lambda {
    let environment = [
        ("SECRET_KEY", SECRET_KEY.to_owned()),
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
    let lambda = start(&table).await;
    table.proxy.once("PutItem", Fault::Error(400, "AccessDeniedException"));
    let mut failed = Streamed::new(&lambda, Event::get("/events"));
    let metadata = failed.metadata().await;
    assert_eq!(metadata["statusCode"], 500, "{metadata}");
    assert_eq!(metadata["cookies"].as_array().map(Vec::len), Some(0));
    let body = failed.rest().await;
    assert!(!String::from_utf8_lossy(&body).contains("visit"), "{body:?}");
}
