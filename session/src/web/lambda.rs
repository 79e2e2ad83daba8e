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

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::{Instant, SystemTime};

use http::StatusCode;
/// The error of a function's `main`: `?` converts any error into it.
pub use lambda_http::Error;
use lambda_http::lambda_runtime;
use lambda_http::{Adapter, Body, Context, IntoResponse, LambdaEvent, Request, RequestExt as _, Response};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::task::JoinSet;
use tower::{Service, ServiceExt as _};

use crate::protocol::budget::Deadline;
use crate::protocol::error::{SessionError, short_answer};

mod answer;
mod event;
mod log;
pub(crate) mod path;
mod source;

use event::Read;
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
    let ignores_stage = ignores_stage();
    tower::service_fn(move |event: LambdaEvent<Box<RawValue>>| {
        let LambdaEvent { payload, context } = event;
        let Read { door, request } = event::read(payload.get(), ignores_stage);
        let mut work = Some((service.clone(), unreadable.clone(), request));
        // `lambda_http` makes this request of an empty event, and an answer for the kind of that event.
        let answer = tower::service_fn(move |empty: Request| {
            let work = work.take();
            async move {
                others_first().await;
                let mut response = match work {
                    Some((service, _, Some(request))) => {
                        service.oneshot(invoked(request, empty)).await?.into_response().await
                    }
                    Some((_, unreadable, None)) => {
                        unreadable(empty.lambda_context_ref().map(|context| context.request_id.as_str()))
                    }
                    None => Response::default(),
                };
                answer::fit(&mut response, door);
                Ok(response)
            }
        });
        Adapter::from(answer).call(LambdaEvent::new(door.empty_event(), context))
    })
}

/// Whether the program asked `lambda_http` for paths without the stage.
fn ignores_stage() -> bool {
    std::env::var_os(event::IGNORE_STAGE).is_some()
}

/// Adds to a request what its invocation tells: Lambda's context, the deadline, the trace, and the visitor's address.
fn invoked(request: Request, empty: Request) -> Request {
    let (parts, _) = empty.into_parts();
    let context = parts.lambda_context_ref().cloned().unwrap_or_default();
    let deadline = deadline(&context);
    let mut request = request.with_lambda_context(context);
    request.headers_mut().extend(parts.headers);
    let source = SourceAddress::of(&request);
    let extensions = request.extensions_mut();
    if let Some(deadline) = deadline {
        extensions.insert(deadline);
    }
    if let Some(source) = source {
        extensions.insert(source);
    }
    request
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
    use super::*;

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
