//! Lambda's events as requests, for `lambda_http`'s handlers and axum routers.
//!
//! [`lambda_http::run`] panics on a query or host that is no part of a URL, and on a body that is not the base64 it claims to
//! be; an event of another service fails the invocation. To Lambda either is a failure of the function: the visitor gets a bare
//! 502, and any stranger can ring the function's alarm. Here each of them is answered with 400.
//!
//! A whole function on axum (feature `axum`), which takes its settings from the environment as
//! [`SessionLayer::from_env`](crate::SessionLayer::from_env) and [`DynamoDbStore::from_env`](crate::DynamoDbStore::from_env) say:
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use lambda_session::{DynamoDbStore, Session, SessionError, SessionLayer, lambda};
//!
//! async fn count(session: Session) -> Result<String, SessionError> {
//!     let visits = session.increment("visits", 1)?;
//!     Ok(format!("Visit number {visits}"))
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), lambda::Error> {
//!     let sessions = SessionLayer::from_env(DynamoDbStore::from_env()?)?.build()?;
//!     lambda::run(Router::new().route("/", get(count)).layer(sessions)).await
//! }
//! ```
//!
//! The same on plain `lambda_http`:
//!
//! ```no_run
//! use lambda_http::{Error, Request};
//! use lambda_session::{DynamoDbStore, Session, SessionError, SessionLayer, lambda};
//! use tower::Layer as _;
//!
//! async fn count(request: Request) -> Result<String, SessionError> {
//!     let visits = Session::of(&request).await?.increment("visits", 1)?;
//!     Ok(format!("Visit number {visits}"))
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Error> {
//!     let sessions = SessionLayer::from_env(DynamoDbStore::from_env()?)?.build()?;
//!     lambda::run(sessions.layer(lambda::handler(count))).await
//! }
//! ```

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;
use std::time::{Instant, SystemTime};

use http::StatusCode;
/// What a function's `main` fails with: any error becomes one by `?`.
pub use lambda_http::Error;
use lambda_http::aws_lambda_events::alb::AlbTargetGroupRequest;
use lambda_http::aws_lambda_events::apigw::{ApiGatewayProxyRequest, ApiGatewayV2httpRequest};
use lambda_http::lambda_runtime;
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Body, Context, IntoResponse, LambdaEvent, Request, RequestExt as _, Response};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::task::JoinSet;
use tower::{Service, ServiceExt as _};

use crate::protocol::budget::Deadline;
use crate::protocol::error::{SessionError, short_answer};

mod source;

pub use source::SourceAddress;

/// Serves Lambda's events with `service` until Lambda ends the process: those of a Function URL, an HTTP API (payload formats 1.0
/// and 2.0), a REST API and an Application Load Balancer.
///
/// What is no such event, or holds a request that cannot be read, is answered with 400. Each request carries a [`Deadline`]: the
/// invocation's own, and a [`SourceAddress`]. Where Lambda asks for it by `AWS_LAMBDA_MAX_CONCURRENCY`, several requests are served at once.
/// It serves in a task of its own, which ends when the future is dropped: what the caller's task has, such as a span around it, the
/// service does not.
///
/// # Errors
///
/// The Runtime API cannot be reached.
pub async fn run<S>(service: S) -> Result<(), Error>
where
    S: Service<Request, Error = Infallible, Future: Send + 'static> + Clone + Send + 'static,
    S::Response: IntoResponse + Send,
{
    run_with(service, bad_request).await
}

/// As [`run`], with an answer of your own to what cannot be read. It is called with the invocation's ID.
///
/// # Errors
///
/// The Runtime API cannot be reached.
pub async fn run_with<S, U>(service: S, unreadable: U) -> Result<(), Error>
where
    S: Service<Request, Error = Infallible, Future: Send + 'static> + Clone + Send + 'static,
    S::Response: IntoResponse + Send,
    U: Fn(Option<&str>) -> Response<Body> + Clone + Send + 'static,
{
    // In a task of its own: to wake what `main` waits for takes a system call, and each view would take two. It ends when it is
    // waited for no longer.
    let mut serving = JoinSet::new();
    serving.spawn(lambda_runtime::run_concurrent(self::service(service, unreadable)));
    match serving.join_next().await {
        Some(served) => served?,
        None => Ok(()),
    }
}

/// What [`run_with`] gives the Lambda runtime: an event in, its answer out. For a program that calls it itself, such as a test or
/// a warm-up.
pub fn service<S, U>(
    service: S,
    unreadable: U,
) -> impl Service<LambdaEvent<Box<RawValue>>, Response: Serialize + Send, Error = Infallible, Future: Send> + Clone + Send
where
    S: Service<Request, Error = Infallible, Future: Send + 'static> + Clone + Send + 'static,
    S::Response: IntoResponse + Send,
    U: Fn(Option<&str>) -> Response<Body> + Clone + Send + 'static,
{
    tower::service_fn(move |event: LambdaEvent<Box<RawValue>>| {
        let LambdaEvent { payload, context } = event;
        let service = service.clone();
        // The service is called in the future that it makes, so what is caught below is the conversion's panic.
        let answer = tower::service_fn(move |mut request: Request| {
            let service = service.clone();
            if let Some(deadline) = request.lambda_context_ref().and_then(deadline) {
                request.extensions_mut().insert(deadline);
            }
            if let Some(source) = SourceAddress::of(&request) {
                request.extensions_mut().insert(source);
            }
            async move {
                others_first().await;
                Ok(service.oneshot(request).await?.into_response().await)
            }
        });
        // More headers than a map can hold panic when they are read, the rest when they are converted.
        let payload = unless_it_panics(|| read(payload.get())).flatten();
        let like = empty_like(payload.as_ref());
        let event = payload.map(|payload| LambdaEvent::new(payload, context.clone()));
        if let Some(answer) = event.and_then(|event| unless_it_panics(|| Adapter::from(answer).call(event))) {
            return answer;
        }
        let mut refusal = unreadable(Some(&context.request_id));
        let refused = tower::service_fn(move |_| std::future::ready(Ok(std::mem::take(&mut refusal))));
        Adapter::from(refused).call(LambdaEvent::new(like(), context))
    })
}

/// A service of an async function whose errors are the session's, which [`run`] and
/// [`SessionLayer`](crate::SessionLayer) take.
///
/// ```
/// use lambda_http::Request;
/// use lambda_session::{Session, SessionError, lambda};
///
/// async fn greet(request: Request) -> Result<String, SessionError> {
///     let name: Option<String> = Session::of(&request).await?.get("username")?;
///     Ok(format!("Hello {}", name.as_deref().unwrap_or("stranger")))
/// }
///
/// let service = lambda::handler(greet);
/// ```
pub fn handler<H, F, R>(
    handler: H,
) -> impl Service<Request, Response = Response<Body>, Error = Infallible, Future: Send + 'static> + Clone + Send + use<H, F, R>
where
    H: Fn(Request) -> F + Clone + Send + 'static,
    F: Future<Output = Result<R, SessionError>> + Send + 'static,
    R: IntoResponse + Send,
{
    tower::service_fn(move |request| {
        let answer = handler(request);
        async move {
            Ok(match answer.await {
                Ok(answer) => answer.into_response().await,
                Err(error) => error.into_response(),
            })
        }
    })
}

fn bad_request(_: Option<&str>) -> Response<Body> {
    short_answer(StatusCode::BAD_REQUEST, "this request cannot be read\n".to_owned())
}

thread_local! {
    static READING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is reading an event. A panic then is the event's fault and is answered with 400: a panic hook that writes
/// to a log asks, or strangers would write there.
#[must_use]
pub fn is_reading_event() -> bool {
    READING.get()
}

fn unless_it_panics<T>(read: impl FnOnce() -> T) -> Option<T> {
    READING.set(true);
    let result = catch_unwind(AssertUnwindSafe(read));
    READING.set(false);
    result.ok()
}

/// Lets the tasks go first that can go on. One of them puts the connection back that the event came by: an answer that is ready before that
/// needs another one.
async fn others_first() {
    let mut is_first = true;
    poll_fn(move |context| {
        if !std::mem::take(&mut is_first) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// An event, unless it is none that holds a request.
///
/// `lambda_http` tries one kind after the other and begins with a REST API's. Most are a Function URL's or an HTTP API's, which no other
/// kind can be taken for: only they say the method in `requestContext.http`. So they are read once.
fn read(event: &str) -> Option<LambdaRequest> {
    let Ok(event) = serde_json::from_str::<ApiGatewayV2httpRequest>(event) else {
        return serde_json::from_str(event).ok();
    };
    // A query that goes on where a URL's ends: no client can have sent that, and the conversion would drop the rest of it.
    let query = event.raw_query_string.as_deref();
    let is_whole = query.is_none_or(|query| !query.contains('#'));
    is_whole.then_some(LambdaRequest::ApiGatewayV2(event))
}

/// Makes an event of the same kind with nothing in it, for an answer of the same kind.
fn empty_like(event: Option<&LambdaRequest>) -> fn() -> LambdaRequest {
    match event {
        Some(LambdaRequest::ApiGatewayV1(_)) => || LambdaRequest::ApiGatewayV1(ApiGatewayProxyRequest::default()),
        Some(LambdaRequest::Alb(_)) => || LambdaRequest::Alb(AlbTargetGroupRequest::default()),
        _ => || LambdaRequest::ApiGatewayV2(ApiGatewayV2httpRequest::default()),
    }
}

/// An invocation that would have to end before this second, in 2001, tells something else: `cargo lambda watch` tells how many
/// milliseconds an invocation may take.
const EARLIEST: u64 = 1_000_000_000_000;

/// The invocation's own, which Lambda tells in milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the deadline is a time of day")]
fn deadline(context: &Context) -> Option<Deadline> {
    let left = context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
    let at = Instant::now()
        .checked_add(left)
        .filter(|_| context.deadline >= EARLIEST);
    at.map(Deadline::at)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_kind_of_event_is_read_as_what_it_is() {
        let http = json!({ "requestContext": { "http": { "method": "GET" } } });
        let rest = json!({ "httpMethod": "GET", "requestContext": { "httpMethod": "GET" } });
        let alb = json!({ "httpMethod": "GET", "requestContext": { "elb": { "targetGroupArn": "arn" } } });
        // Named like the other two, and with what strangers can send.
        let named = json!({
            "version": "2.0", "httpMethod": "GET", "requestContext": { "httpMethod": "GET" },
            "queryStringParameters": { "requestContext": "http" }, "body": http.to_string(),
        });
        let kind = |event: &serde_json::Value| match read(&event.to_string()) {
            Some(LambdaRequest::ApiGatewayV2(_)) => "http",
            Some(LambdaRequest::ApiGatewayV1(_)) => "rest",
            Some(LambdaRequest::Alb(_)) => "alb",
            _ => "none",
        };
        assert_eq!(
            [&http, &rest, &alb, &named, &json!({})].map(kind),
            ["http", "rest", "alb", "rest", "none"]
        );
    }

    #[test]
    fn a_deadline_is_a_time_and_not_how_long_an_invocation_may_take() {
        let told = |milliseconds| {
            let mut context = Context::default();
            context.deadline = milliseconds;
            deadline(&context)
        };
        assert!(told(0).is_none());
        assert!(told(600_000).is_none(), "as cargo-lambda tells it");
        // One that is over leaves no time.
        assert!(told(EARLIEST).is_some());
    }
}
