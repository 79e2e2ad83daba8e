//! Converts Lambda's events to requests, for `lambda_http`'s handlers and axum routers.
//!
//! [`lambda_http::run`] panics on a query or host that cannot be in a URL, and on a body that is not base64 although
//! the event says so. An event of another service fails the invocation. Lambda counts both as failures of the function:
//! the visitor gets a bare 502, and any stranger can trigger the function's alarm. This module answers all of them with
//! 400.
//!
//! This is a whole function on axum (feature `axum`). It takes its settings from the environment, as
//! [`SessionLayer::from_env`](crate::SessionLayer::from_env) and
//! [`DynamoDbStore::from_env`](crate::DynamoDbStore::from_env) document:
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
//! This is the same function on plain `lambda_http`:
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
/// The error of a function's `main`: `?` converts any error into it.
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

mod log;
pub(crate) mod path;
mod source;

pub use log::log;
pub use source::SourceAddress;

/// Serves Lambda's events with `service` until Lambda ends the process: the events of a Function URL, an HTTP API
/// (payload formats 1.0 and 2.0), a REST API and an Application Load Balancer.
///
/// Any other event, and an event whose request cannot be read, is answered with 400. Each request carries the
/// invocation's [`Deadline`], and a [`SourceAddress`] if the event has one. If Lambda sets
/// `AWS_LAMBDA_MAX_CONCURRENCY`, several requests are served at once. The service runs in a task of its own, which ends
/// when the future is dropped. It does not inherit the context of the caller's task, such as a span.
///
/// # Errors
///
/// Fails if the Runtime API cannot be reached.
pub async fn run<S>(service: S) -> Result<(), Error>
where
    S: Service<Request, Error = Infallible, Future: Send + 'static> + Clone + Send + 'static,
    S::Response: IntoResponse + Send,
{
    run_with(service, bad_request).await
}

/// Serves events as [`run`] does, and answers those that cannot be read with `unreadable`, which gets the invocation's
/// ID.
///
/// # Errors
///
/// Fails if the Runtime API cannot be reached.
pub async fn run_with<S, U>(service: S, unreadable: U) -> Result<(), Error>
where
    S: Service<Request, Error = Infallible, Future: Send + 'static> + Clone + Send + 'static,
    S::Response: IntoResponse + Send,
    U: Fn(Option<&str>) -> Response<Body> + Clone + Send + 'static,
{
    // A task of its own, because waking the future that `main` waits for takes a system call, and each view would need
    // two. Dropping the `JoinSet` ends the task.
    let mut serving = JoinSet::new();
    serving.spawn(lambda_runtime::run_concurrent(self::service(service, unreadable)));
    match serving.join_next().await {
        Some(served) => served?,
        None => Ok(()),
    }
}

/// The service that [`run_with`] gives to the Lambda runtime, which takes an event and returns its answer. It is for a
/// program that calls it itself, such as a test or a warm-up.
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
        // The service is called inside the future, so the panics that are caught below are those of the conversion.
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
        // An event with more headers than a map can hold panics when it is read, other bad events when they are
        // converted.
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

/// Makes a service of an async function that fails with [`SessionError`](crate::SessionError). [`run`] and
/// [`SessionLayer`](crate::SessionLayer) take such a service.
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

/// Whether this thread is reading an event. A panic meanwhile is the event's fault and is answered with 400. A panic
/// hook that writes to a log should ask this first; otherwise strangers can write to the log.
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

/// Lets other tasks run first that are ready. One of them returns the connection on which the event arrived; an answer
/// that is ready earlier needs a second connection.
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

/// Parses an HTTP event; otherwise returns `None`.
///
/// `lambda_http` tries one kind of event after the other and begins with a REST API's. Most events are those of a
/// Function URL or an HTTP API, and only these have the method in `requestContext.http`. Trying them first reads most
/// events once.
fn read(event: &str) -> Option<LambdaRequest> {
    let Ok(event) = serde_json::from_str::<ApiGatewayV2httpRequest>(event) else {
        return serde_json::from_str(event).ok();
    };
    // A query with a `#` ends there in a URL. No client can have sent it, and the conversion would drop the rest of it.
    let query = event.raw_query_string.as_deref();
    let is_whole = query.is_none_or(|query| !query.contains('#'));
    is_whole.then_some(LambdaRequest::ApiGatewayV2(event))
}

/// Makes an empty event of the same kind, for an answer of the same kind.
fn empty_like(event: Option<&LambdaRequest>) -> fn() -> LambdaRequest {
    match event {
        Some(LambdaRequest::ApiGatewayV1(_)) => || LambdaRequest::ApiGatewayV1(ApiGatewayProxyRequest::default()),
        Some(LambdaRequest::Alb(_)) => || LambdaRequest::Alb(AlbTargetGroupRequest::default()),
        _ => || LambdaRequest::ApiGatewayV2(ApiGatewayV2httpRequest::default()),
    }
}

/// An earlier deadline than this one, in 2001, is not a time: `cargo lambda watch` gives the duration that an
/// invocation may take, in milliseconds.
const EARLIEST: u64 = 1_000_000_000_000;

/// The invocation's deadline, which Lambda gives in milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "Lambda gives the deadline as a time of day")]
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
        // Has the fields that mark the other two kinds, some of them where strangers can put them.
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
        assert!(told(600_000).is_none(), "a duration, as cargo-lambda gives it");
        // A deadline that has passed leaves no time.
        assert!(told(EARLIEST).is_some());
    }
}
