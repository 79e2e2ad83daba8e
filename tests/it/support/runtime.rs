//! The Runtime API: where a function asks Lambda for invocations and says what became of them.
//!
//! As on Lambda a function gets one invocation at a time, and the next waits until it asks again.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use http::StatusCode;
use hyper::body::Frame;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot};
use tokio::task::JoinHandle;

/// A running Runtime API. It ends with the value.
pub(crate) struct RuntimeApi {
    address: SocketAddr,
    invocations: mpsc::UnboundedSender<Invocation>,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

/// What the function answered, or the error it reported.
pub(crate) type Outcome = Result<Value, Value>;

impl RuntimeApi {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener");
        let (invocations, waiting) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            connections: AtomicUsize::new(0),
            polls: AtomicUsize::new(0),
            init_error: Mutex::default(),
            waiting: AsyncMutex::new(waiting),
            running: Mutex::default(),
        });
        let router = router(Arc::clone(&shared));
        let counted = Arc::clone(&shared);
        let listener = listener.tap_io(move |_| {
            counted.connections.fetch_add(1, Ordering::SeqCst);
        });
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("a server") });
        Self {
            address,
            invocations,
            shared,
            server,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How often the function asked for an invocation.
    pub(crate) fn polls(&self) -> usize {
        self.shared.polls.load(Ordering::SeqCst)
    }

    /// How many connections the function has made.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// What the function said of a start that failed.
    pub(crate) fn init_error(&self) -> Option<Value> {
        self.shared
            .init_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Queues an event. The outcome arrives in the channel.
    pub(crate) fn invoke(&self, event: Vec<u8>) -> oneshot::Receiver<Outcome> {
        let (reply, outcome) = oneshot::channel();
        // Without anybody to take it the reply is dropped, and the receiver learns that.
        let _ = self.invocations.send(Invocation { event, reply });
        outcome
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

struct Invocation {
    event: Vec<u8>,
    reply: oneshot::Sender<Outcome>,
}

struct Shared {
    connections: AtomicUsize,
    polls: AtomicUsize,
    init_error: Mutex<Option<Value>>,
    waiting: AsyncMutex<mpsc::UnboundedReceiver<Invocation>>,
    running: Mutex<HashMap<String, oneshot::Sender<Outcome>>>,
}

impl Shared {
    fn finish(&self, id: &str, outcome: Outcome) -> StatusCode {
        let reply = self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        // A test that no longer waits for its invocation is no concern of the function's.
        reply.map_or(StatusCode::NOT_FOUND, |reply| {
            let _ = reply.send(outcome);
            StatusCode::ACCEPTED
        })
    }
}

fn router(api: Arc<Shared>) -> Router {
    Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(init_error))
        .with_state(api)
}

async fn next(State(api): State<Arc<Shared>>) -> Response {
    let id = format!(
        "00000000-0000-4000-8000-{:012}",
        api.polls.fetch_add(1, Ordering::SeqCst)
    );
    let Some(invocation) = api.waiting.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    api.running
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(id.clone(), invocation.reply);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970");
    let arn = "arn:aws:lambda:eu-central-1:123456789012:function:lambda-session".to_owned();
    let headers = [
        ("lambda-runtime-aws-request-id", id),
        ("lambda-runtime-deadline-ms", (now.as_millis() + 10_000).to_string()),
        ("lambda-runtime-invoked-function-arn", arn),
        (
            "lambda-runtime-trace-id",
            "Root=1-68f0a1b2-0123456789abcdef01234567;Sampled=0".to_owned(),
        ),
        ("content-type", "application/json".to_owned()),
    ];
    (headers, Body::new(Pieces::of(&invocation.event))).into_response()
}

/// An event in two pieces, as a network may deliver it.
struct Pieces {
    rest: VecDeque<Bytes>,
    paused: bool,
}

impl Pieces {
    fn of(event: &[u8]) -> Self {
        let (head, tail) = event.split_at(event.len() / 2);
        Self {
            rest: [head, tail].map(Bytes::copy_from_slice).into(),
            paused: false,
        }
    }
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        // A server that has to wait sends what it has.
        self.paused = !self.paused;
        if self.paused {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.rest.pop_front().map(|piece| Ok(Frame::data(piece))))
    }
}

async fn init_error(State(api): State<Arc<Shared>>, body: String) -> StatusCode {
    let report = serde_json::from_str(&body).expect("a report in JSON");
    *api.init_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
    StatusCode::ACCEPTED
}

async fn response(State(api): State<Arc<Shared>>, Path(id): Path<String>, body: String) -> StatusCode {
    api.finish(&id, Ok(serde_json::from_str(&body).expect("an answer in JSON")))
}

async fn error(State(api): State<Arc<Shared>>, Path(id): Path<String>, body: String) -> StatusCode {
    api.finish(&id, Err(serde_json::from_str(&body).unwrap_or(Value::String(body))))
}
