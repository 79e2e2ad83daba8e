//! The Runtime API, where a function asks Lambda for invocations and reports their results.
//!
//! As on Lambda, each request of the function for the next invocation gets one, and waits until there is one. A
//! function that makes one such request at a time serves one invocation at a time; a function that makes several serves
//! several.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, UNIX_EPOCH};
use std::{fmt, io};

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::http1;

/// The time that a function has for an invocation, unless it is set: the template's timeout.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// The header of an invocation that X-Ray does not sample.
const UNTRACED: &str = "Root=1-68f0a1b2-0123456789abcdef01234567;Sampled=0";

/// A running Runtime API. It stops when the value is dropped.
pub struct RuntimeApi {
    address: SocketAddr,
    invocations: mpsc::UnboundedSender<Invocation>,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

/// The function's answer, as it sent it, or the error that it reported.
pub type Outcome = Result<Bytes, Value>;

impl RuntimeApi {
    /// Listens on a port of its own.
    ///
    /// # Errors
    ///
    /// There is no free port.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (invocations, waiting) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            state: watch::Sender::new(State {
                timeout: TIMEOUT,
                trace: UNTRACED.to_owned(),
                connections: 0,
                polls: 0,
                init_error: None,
            }),
            waiting: AsyncMutex::new(waiting),
            running: Mutex::default(),
        });
        let api = Arc::clone(&shared);
        let connected = move || {
            api.state.send_modify(|state| state.connections += 1);
            let api = Arc::clone(&api);
            move |request| Arc::clone(&api).answer(request)
        };
        let server = tokio::spawn(http1::serve(listener, connected, std::future::pending()));
        Ok(Self {
            address,
            invocations,
            shared,
            server,
        })
    }

    /// Returns the address that `AWS_LAMBDA_RUNTIME_API` names.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns how often the function has asked for an invocation.
    pub fn polls(&self) -> usize {
        self.shared.state.borrow().polls
    }

    /// Waits until the function has asked for an invocation this many times.
    pub async fn polled(&self, times: usize) {
        // The sender lives as long as `self`.
        let _ = self
            .shared
            .state
            .subscribe()
            .wait_for(|state| state.polls >= times)
            .await;
    }

    /// Returns how many connections the function has made.
    pub fn connections(&self) -> usize {
        self.shared.state.borrow().connections
    }

    /// Returns what the function has reported about a start that failed.
    pub fn init_error(&self) -> Option<Value> {
        self.shared.state.borrow().init_error.clone()
    }

    /// Sets the time that the function has for each invocation from now on. The function learns the deadline, but
    /// nothing stops it.
    pub fn set_timeout(&self, timeout: Duration) {
        self.shared.state.send_modify(|state| state.timeout = timeout);
    }

    /// Sets X-Ray's header of each invocation from now on. Without it, X-Ray samples none.
    pub fn set_trace(&self, header: &str) {
        self.shared
            .state
            .send_modify(|state| header.clone_into(&mut state.trace));
    }

    /// Queues an event. The channel delivers the outcome, or closes without one if the function cannot answer.
    pub fn invoke(&self, event: Vec<u8>) -> oneshot::Receiver<Outcome> {
        let (reply, outcome) = oneshot::channel();
        // If nobody takes the event, the reply is dropped, and the receiver learns that.
        let reply = Reply::Whole(reply);
        let _ = self.invocations.send(Invocation { event, reply });
        outcome
    }

    /// Queues an event for a function that streams its answer. The channel delivers the answer's bytes as they come:
    /// the metadata in JSON, eight zero bytes, and the body. It closes without a byte if the function cannot answer, or
    /// answers in one piece.
    pub fn stream(&self, event: Vec<u8>) -> mpsc::UnboundedReceiver<Bytes> {
        let (pieces, received) = mpsc::unbounded_channel();
        let reply = Reply::Pieces(pieces);
        let _ = self.invocations.send(Invocation { event, reply });
        received
    }
}

impl fmt::Debug for RuntimeApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeApi")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

struct Invocation {
    event: Vec<u8>,
    reply: Reply,
}

enum Reply {
    Whole(oneshot::Sender<Outcome>),
    Pieces(mpsc::UnboundedSender<Bytes>),
}

struct Shared {
    state: watch::Sender<State>,
    waiting: AsyncMutex<mpsc::UnboundedReceiver<Invocation>>,
    running: Mutex<HashMap<String, Reply>>,
}

struct State {
    timeout: Duration,
    trace: String,
    connections: usize,
    polls: usize,
    init_error: Option<Value>,
}

impl Shared {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Pieces> {
        let (parts, body) = request.into_parts();
        let path = parts
            .uri
            .path()
            .strip_prefix("/2018-06-01/runtime/")
            .unwrap_or_default();
        let path: Vec<&str> = path.split('/').collect();
        let mode = parts.headers.get("lambda-runtime-function-response-mode");
        if let ["invocation", id, "response"] = path[..]
            && mode.is_some_and(|mode| mode == "streaming")
        {
            return self.pass_on(id, body).await;
        }
        let Ok(body) = body.collect().await else {
            return status(StatusCode::BAD_REQUEST);
        };
        let body = body.to_bytes();
        match (parts.method, &path[..]) {
            (Method::GET, ["invocation", "next"]) => self.next().await,
            (Method::POST, ["invocation", id, "response"]) => self.finish(id, Ok(body)),
            (Method::POST, ["invocation", id, "error"]) => self.finish(id, Err(text_or_json(&body))),
            (Method::POST, ["init", "error"]) => {
                let report = text_or_json(&body);
                self.state.send_modify(|state| state.init_error = Some(report));
                status(StatusCode::ACCEPTED)
            }
            _ => status(StatusCode::NOT_FOUND),
        }
    }

    async fn next(&self) -> Response<Pieces> {
        let mut number = 0;
        self.state.send_modify(|state| {
            number = state.polls;
            state.polls += 1;
        });
        // A request that waits holds the lock. The requests behind it get the later invocations.
        let Some(invocation) = self.waiting.lock().await.recv().await else {
            return status(StatusCode::GONE);
        };
        let id = format!("00000000-0000-4000-8000-{number:012}");
        self.running().insert(id.clone(), invocation.reply);
        let (timeout, trace) = {
            let state = self.state.borrow();
            (state.timeout, state.trace.clone())
        };
        let deadline = UNIX_EPOCH.elapsed().unwrap_or_default() + timeout;
        let response = Response::builder()
            .header("lambda-runtime-aws-request-id", id)
            .header("lambda-runtime-deadline-ms", deadline.as_millis().to_string())
            .header(
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:eu-central-1:123456789012:function:lambda-session",
            )
            .header("lambda-runtime-trace-id", trace)
            .header("content-type", "application/json")
            .body(Pieces::of(&invocation.event));
        response.unwrap_or_else(|_| status(StatusCode::INTERNAL_SERVER_ERROR))
    }

    fn finish(&self, id: &str, outcome: Outcome) -> Response<Pieces> {
        let reply = self.running().remove(id);
        status(reply.map_or(StatusCode::NOT_FOUND, |reply| {
            if let Reply::Whole(reply) = reply {
                // If nobody waits for the outcome any more, the function is not affected.
                let _ = reply.send(outcome);
            }
            StatusCode::ACCEPTED
        }))
    }

    /// Passes a streamed answer on. As on Lambda, the function may go on after the client has gone.
    async fn pass_on(&self, id: &str, mut body: Incoming) -> Response<Pieces> {
        let reply = self.running().remove(id);
        let pieces = match reply {
            Some(Reply::Pieces(pieces)) => pieces,
            Some(Reply::Whole(reply)) => {
                let _ = reply.send(Err(Value::String("a streamed answer".to_owned())));
                return status(StatusCode::ACCEPTED);
            }
            None => return status(StatusCode::NOT_FOUND),
        };
        while let Some(Ok(frame)) = body.frame().await {
            if let Ok(piece) = frame.into_data() {
                let _ = pieces.send(piece);
            }
        }
        status(StatusCode::ACCEPTED)
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Reply>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads an answer.
///
/// # Errors
///
/// It is not JSON, so the invocation has failed.
pub fn json(answer: &[u8]) -> Result<Value, Value> {
    serde_json::from_slice(answer).map_err(|error| Value::String(format!("the answer is not JSON: {error}")))
}

fn text_or_json(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(body).into_owned()))
}

fn status(status: StatusCode) -> Response<Pieces> {
    let mut response = Response::new(Pieces::of(&[]));
    *response.status_mut() = status;
    response
}

/// An event in two pieces, as a network may deliver it.
struct Pieces {
    rest: VecDeque<Bytes>,
    paused: bool,
}

impl Pieces {
    fn of(event: &[u8]) -> Self {
        let (head, tail) = event.split_at(event.len() / 2);
        let pieces = [head, tail].into_iter().filter(|piece| !piece.is_empty());
        Self {
            rest: pieces.map(Bytes::copy_from_slice).collect(),
            paused: false,
        }
    }
}

impl Body for Pieces {
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

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }
}
