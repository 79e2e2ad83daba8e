//! A proxy in front of DynamoDB, which records every call and can spoil it.
//!
//! What happens to a call is decided when it arrives: by the first fault planned for its operation (`once`, `hold`,
//! `deliver_late`), otherwise by the present `rule`, otherwise it passes. A call that is forwarded reaches DynamoDB
//! even if the client has gone, because a network does not take a request back.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::json;

mod call;
mod connections;
mod fault;

pub use call::Call;
use connections::Connections;
pub use connections::Ending;
pub use fault::{Fault, Gate};

/// The operations that the template's policy allows. The proxy also plays IAM: it denies everything else, so that what
/// the deployed function may not do fails here as well.
pub const ALLOWED_OPERATIONS: [&str; 3] = ["GetItem", "PutItem", "UpdateItem"];

/// A running proxy. It stops when the value is dropped.
pub struct Proxy {
    shared: Arc<Shared>,
    connections: Connections,
}

struct Shared {
    upstream: String,
    client: Client<HttpConnector, Full<Bytes>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    calls: Vec<Call>,
    /// Whether calls are not kept.
    forgetful: bool,
    planned: Vec<(&'static str, Fault)>,
    /// The gates that hold calls, by invocation, because the SDK's next attempt waits at the same gate.
    held: Vec<(String, Gate)>,
    rule: Option<Rule>,
}

impl State {
    fn fault(&mut self, call: &Call) -> Fault {
        if let Some((_, gate)) = self.held.iter().find(|(held, _)| *held == call.invocation) {
            return Fault::Hold(gate.clone());
        }
        let planned = self
            .planned
            .iter()
            .position(|(operation, _)| *operation == call.operation);
        let fault = match planned {
            Some(first) => self.planned.remove(first).1,
            None => self.rule.as_mut().map_or(Fault::Pass, |rule| rule(call)),
        };
        if let Fault::Hold(gate) = &fault {
            self.held.push((call.invocation.clone(), gate.clone()));
        }
        fault
    }
}

type Rule = Box<dyn FnMut(&Call) -> Fault + Send>;

impl Proxy {
    /// Listens on a port of its own, in front of this endpoint. Needs a Tokio runtime.
    ///
    /// # Panics
    ///
    /// There is no free port.
    pub fn start(upstream: &str) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .retry_canceled_requests(false)
            .build_http();
        let upstream = upstream.to_owned();
        let shared = Arc::new(Shared {
            upstream,
            client,
            state: Mutex::default(),
        });
        let connections = Connections::listen(Arc::clone(&shared));
        Self { shared, connections }
    }

    /// Returns the URL that the function connects to.
    pub fn endpoint(&self) -> String {
        let address: SocketAddr = self.connections.address();
        format!("http://{address}")
    }

    /// Returns every call so far, in the order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.state().calls.clone()
    }

    /// Forgets the calls so far.
    pub fn forget_calls(&self) {
        self.shared.state().calls.clear();
    }

    /// Keeps no calls from now on, for a run whose calls would not fit into memory.
    pub fn keep_no_calls(&self) {
        let mut state = self.shared.state();
        state.calls.clear();
        state.forgetful = true;
    }

    /// Returns the operations of those calls, to compare them with a call budget.
    pub fn operations(&self) -> Vec<String> {
        self.shared
            .state()
            .calls
            .iter()
            .map(|call| call.operation.clone())
            .collect()
    }

    /// Spoils the next call of this operation for which nothing else was planned.
    pub fn once(&self, operation: &'static str, fault: Fault) {
        self.shared.state().planned.push((operation, fault));
    }

    /// Holds the next call of this operation until its gate is released, and with it the attempts that the SDK makes
    /// after its timeout.
    pub fn hold(&self, operation: &'static str) -> Gate {
        let gate = Gate::new();
        self.once(operation, Fault::Hold(gate.clone()));
        gate
    }

    /// Breaks the connection of the next call of this operation, and delivers the call when its gate is released.
    pub fn deliver_late(&self, operation: &'static str) -> Gate {
        let gate = Gate::new();
        self.once(operation, Fault::DeliverLate(gate.clone()));
        gate
    }

    /// Decides about every call for which nothing was planned, from now on.
    pub fn rule(&self, rule: impl FnMut(&Call) -> Fault + Send + 'static) {
        self.shared.state().rule = Some(Box::new(rule));
    }

    /// Ends the rule, and forgets what was planned.
    pub fn pass_everything(&self) {
        let mut state = self.shared.state();
        state.rule = None;
        state.planned.clear();
    }

    /// Closes the connections on which no call is running, and returns when they are closed.
    pub async fn close_idle(&self, ending: Ending) {
        self.connections.close_idle(ending).await;
    }

    /// Refuses new connections from now on, as if DynamoDB were not there, and closes idle ones.
    pub async fn refuse(&mut self) {
        self.connections.refuse().await;
    }

    /// Accepts connections again, on the same port.
    ///
    /// # Panics
    ///
    /// Another process has taken the port.
    pub fn resume(&mut self) {
        self.connections.resume(Arc::clone(&self.shared));
    }
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy")
            .field("endpoint", &self.endpoint())
            .field("upstream", &self.shared.upstream)
            .finish_non_exhaustive()
    }
}

/// There is no answer, because the connection is to be closed.
#[derive(Debug)]
struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("closed on purpose")
    }
}

impl std::error::Error for Closed {}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Handles one call, from its arrival to the answer.
    async fn handle(
        self: Arc<Self>,
        connection: usize,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Closed> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
        let (index, fault) = self.record(connection, &parts.headers, &body);
        let headers = parts.headers;
        match fault {
            Fault::Pass => self.forward(index, headers, body, None).await,
            Fault::Hold(gate) => self.forward(index, headers, body, Some(gate)).await,
            Fault::DeliverLate(gate) => {
                drop(tokio::spawn(self.forward(index, headers, body, Some(gate))));
                Err(Closed)
            }
            Fault::DropCall => Err(Closed),
            Fault::DropReply => {
                self.forward(index, headers, body, None).await?;
                Err(Closed)
            }
            Fault::Delay(time) => {
                tokio::time::sleep(time).await;
                self.forward(index, headers, body, None).await
            }
            Fault::Error(status, name) => Ok(error(status, name)),
            Fault::Answer(status, body) => Ok(answer(status, body)),
            Fault::Garbage => Ok(Response::new("<html>not DynamoDB".into())),
            Fault::Empty => Ok(Response::new(Full::default())),
            Fault::Hang => std::future::pending().await,
        }
    }

    fn record(&self, connection: usize, headers: &HeaderMap, body: &[u8]) -> (usize, Fault) {
        let mut call = Call::read(connection, headers, body);
        let mut state = self.state();
        let calls = state.calls.iter();
        call.attempt = 1 + calls
            .clone()
            .filter(|earlier| earlier.invocation == call.invocation)
            .count();
        call.nth = 1 + calls.filter(|earlier| earlier.operation == call.operation).count();
        let mut fault = state.fault(&call);
        if !ALLOWED_OPERATIONS.contains(&call.operation.as_str()) {
            fault = Fault::Error(400, "AccessDeniedException");
        }
        if !state.forgetful {
            state.calls.push(call);
        }
        (state.calls.len().saturating_sub(1), fault)
    }

    /// Forwards the call in a task of its own, so that it goes on if the client goes away.
    async fn forward(
        self: Arc<Self>,
        index: usize,
        headers: HeaderMap,
        body: Bytes,
        gate: Option<Gate>,
    ) -> Result<Response<Full<Bytes>>, Closed> {
        let forwarded = tokio::spawn(async move {
            if let Some(gate) = &gate {
                gate.pass().await;
            }
            let mut request = Request::post(&self.upstream)
                .body(Full::new(body))
                .map_err(|_| Closed)?;
            *request.headers_mut() = headers;
            // The client's host is the proxy, under whose name DynamoDB does not answer.
            request.headers_mut().remove(http::header::HOST);
            let answer = self.client.request(request).await.map_err(|_| Closed)?;
            let (mut parts, body) = answer.into_parts();
            let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
            parts.headers.remove(http::header::CONNECTION);
            if let Some(call) = self.state().calls.get_mut(index) {
                call.status = Some(parts.status.as_u16());
            }
            if let Some(gate) = &gate {
                gate.deliver();
            }
            Ok(Response::from_parts(parts, Full::new(body)))
        });
        forwarded.await.map_err(|_| Closed)?
    }
}

fn error(status: u16, name: &str) -> Response<Full<Bytes>> {
    let body = json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{name}"), "message": "injected" });
    answer(status, body.to_string())
}

fn answer(status: u16, body: String) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amzn-requestid", "INJECTED")
        .body(Full::from(body))
        .expect("a valid answer")
}
