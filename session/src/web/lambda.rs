//! Converts Lambda's events to requests, for `lambda_http`'s handlers and axum routers.
//!
//! [`lambda_http::run`] panics on a query or host that cannot be in a URL, and on a body that is not base64 although
//! the event says so. An event of another service fails the invocation. Lambda counts both as failures of the function:
//! the visitor gets a bare 502, and any stranger can trigger the function's alarm. This module answers all of them with
//! 400. It panics on none of them, so that holds in a program that is built with `panic = "abort"`, too, which
//! cargo-lambda does unless `Cargo.toml` says otherwise.
//!
//! A panic in a handler is another matter: it fails its own request only in a program that unwinds, and otherwise ends
//! the process with all requests in it. So set, in the root of the workspace:
//!
//! ```toml
//! [profile.release]
//! panic = "unwind"
//! ```
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
//!     lambda::serve(Router::new().route("/", get(count)).layer(sessions)).await
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
//!     lambda::serve(sessions.layer(lambda::handler(count))).await
//! }
//! ```

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Instant, SystemTime};

use http::{HeaderValue, StatusCode};
use hyper::body::Bytes;
/// The error of a function's `main`: `?` converts any error into it.
pub use lambda_http::Error;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use lambda_http::lambda_runtime;
use lambda_http::request::LambdaRequest;
use lambda_http::{Body, Context, IntoResponse, LambdaEvent, Request, RequestExt as _, Response, StreamAdapter};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::task::JoinSet;
use tower::{Service, ServiceExt as _};

use crate::protocol::budget::Deadline;
use crate::protocol::error::{SessionError, short_answer};
use crate::store::erased::boxed;
use crate::web::body::ResponseBody;

mod answer;
mod authorizer;
mod event;
mod log;
pub(crate) mod path;
mod port;
mod source;

pub use self::authorizer::{Authorizer, authorizer};
use self::event::{Door, Read};
pub use self::log::start_log;
pub use source::SourceAddress;

/// The variable with the host and port of the Runtime API, which Lambda sets.
const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

/// An event that has not been read.
type Event = LambdaEvent<Box<RawValue>>;

/// Serves Lambda's events as [`run`] does where Lambda runs the program, and a port of this machine elsewhere: the one
/// line that a `main` ends with.
///
/// Without `AWS_LAMBDA_RUNTIME_API`, it listens on <http://127.0.0.1:3000>, or on the port of the program's argument
/// `--port N`, and prints the address. Browsers reach it over plain HTTP, so the cookies must not be `Secure` there:
/// `SESSION_COOKIE_SECURE=false`. A request has the [`SourceAddress`] of its connection, and no [`Deadline`].
///
/// ```no_run
/// # use axum::{Router, routing::get};
/// # use lambda_session::{Keys, MemoryStore, SessionLayer, lambda};
/// # #[tokio::main]
/// # async fn main() -> Result<(), lambda::Error> {
/// let sessions = SessionLayer::from_env(MemoryStore::default())?.build()?;
/// lambda::serve(Router::new().route("/", get(async || "hello")).layer(sessions)).await
/// # }
/// ```
///
/// # Errors
///
/// Fails if the Runtime API cannot be reached, if the port is taken, or if there is an argument other than `--port N`.
pub async fn serve<S>(service: S) -> Result<(), Error>
where
    S: Service<Request, Error = Infallible, Future: Send + 'static> + Clone + Send + 'static,
    S::Response: IntoResponse + Send + 'static,
{
    if std::env::var_os(RUNTIME_API).is_some_and(|api| !api.is_empty()) {
        return run(service).await;
    }
    start_log();
    port::serve(service, port::from_command_line()?).await
}

/// Serves Lambda's events with `service` until Lambda ends the process: the events of a Function URL, an HTTP API
/// (payload formats 1.0 and 2.0), a REST API, an Application Load Balancer, and VPC Lattice (event structure version
/// V2).
///
/// Any other event, and an event whose request cannot be read, is answered with 400. Each request carries the
/// invocation's [`Deadline`], and a [`SourceAddress`] if the event has one. If Lambda sets
/// `AWS_LAMBDA_MAX_CONCURRENCY`, several requests are served at once. The service runs in a task of its own, which ends
/// when the future is dropped. It does not inherit the context of the caller's task, such as a span.
///
/// If the program has set no `tracing` subscriber, this sets one, as [`start_log`] does.
///
/// # Which headers get through
///
/// A load balancer whose target group has no [multi-value headers][alb], which is the default, takes one cookie of each
/// answer, and so does VPC Lattice. If an answer has several, the session's cookie gets through, or the first cookie if
/// the session sets none. The log names the others. Behind a load balancer, set `lambda.multi_value_headers.enabled` on
/// its target group to let all cookies through. If the service in front of the function takes only one value of a
/// header, the values of any other repeated header are joined.
///
/// [alb]: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html#multi-value-headers
///
/// # Errors
///
/// Fails if the Runtime API cannot be reached.
pub async fn run<S>(service: S) -> Result<(), Error>
where
    S: Service<Request, Error = Infallible, Future: Send + 'static> + Clone + Send + 'static,
    S::Response: IntoResponse + Send + 'static,
{
    run_with(service, |_: &str| bad_request()).await
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
    S::Response: IntoResponse + Send + 'static,
    U: Fn(&str) -> Response<Body> + Clone + Send + 'static,
{
    start_log();
    in_a_task(|| lambda_runtime::run_concurrent(self::service(service, unreadable))).await
}

/// Serves events as [`run`] does, and sends each answer as its body comes: for server-sent events, and for up to 200 MB
/// rather than six.
///
/// The session is saved for the last time before the body begins. If the body's stream changes the session afterwards,
/// the change is lost. A method that returns a `Result` then fails. After a method that returns none, the next
/// [`Session::save`](crate::Session::save) fails.
///
/// The service in front of the function has to stream, too, or visitors get the answer in Lambda's own form. Set
/// `InvokeMode: RESPONSE_STREAM` on a [Function
/// URL](https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html), or `ResponseTransferMode:
/// STREAM` on a REST API. The other services do not stream.
///
/// # Errors
///
/// Fails if the Runtime API cannot be reached.
pub async fn run_streaming<S, B>(service: S) -> Result<(), Error>
where
    S: Service<Request, Response = Response<B>, Error = Infallible, Future: Send + 'static> + Clone + Send + 'static,
    B: hyper::body::Body<Data = Bytes, Error: Into<Error> + fmt::Debug + Send> + Send + 'static,
{
    start_log();
    let ignores_stage = ignores_stage();
    let events = tower::service_fn(move |event: Event| {
        let LambdaEvent { payload, context } = event;
        let Read { request, .. } = event::read(payload.get(), ignores_stage);
        let mut work = Some((service.clone(), request));
        // `lambda_http` makes a request of this, and streams the answer to it.
        let nothing = LambdaRequest::ApiGatewayV2(ApiGatewayV2httpRequest::default());
        let answer = tower::service_fn(move |empty: Request| {
            let work = work.take();
            async move {
                others_first().await;
                Ok::<_, Infallible>(match work {
                    Some((service, Some(request))) => streamed(service, invoked(request, empty.lambda_context())).await,
                    _ => bad_request(),
                })
            }
        });
        StreamAdapter::from(answer).call(LambdaEvent::new(nothing, context))
    });
    in_a_task(|| lambda_runtime::run_concurrent(events)).await
}

/// A service's answer, which begins in the same form for all doors when it is streamed.
async fn streamed<S, B>(service: S, request: Request) -> Response<ResponseBody<Pin<Box<B>>>>
where
    S: Service<Request, Response = Response<B>, Error = Infallible>,
{
    let Ok(response) = service.oneshot(request).await;
    let mut response = ResponseBody::of(response.map(Box::pin));
    answer::fit(&mut response, Door::V2);
    response
}

/// Runs a loop over events in a task of its own, because waking the future that `main` waits for takes a system call,
/// and each view would need two. Dropping the `JoinSet` ends the task.
async fn in_a_task<F>(events: impl FnOnce() -> F) -> Result<(), Error>
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    let mut serving = JoinSet::new();
    // `spawn` alone would move the loop's 5 KB several times, each time to another place of the stack.
    serving.spawn(boxed(events));
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
) -> impl Service<Event, Response: Serialize + Send, Error = Infallible, Future: Send> + Clone + Send
where
    S: Service<Request, Error = Infallible, Future: Send + 'static> + Clone + Send + 'static,
    S::Response: IntoResponse + Send + 'static,
    U: Fn(&str) -> Response<Body> + Clone + Send + 'static,
{
    let ignores_stage = ignores_stage();
    tower::service_fn(move |event: Event| {
        let LambdaEvent { payload, context } = event;
        let Read { door, request } = event::read(payload.get(), ignores_stage);
        let (service, unreadable) = (service.clone(), unreadable.clone());
        async move {
            others_first().await;
            let mut response = match request {
                Some(request) => answer::converted(service.oneshot(invoked(request, context)).await?).await,
                None => unreadable(&context.request_id),
            };
            answer::fit(&mut response, door);
            Ok(answer::Answer { response, door })
        }
    })
}

/// Whether the program asked `lambda_http` for paths without the stage.
fn ignores_stage() -> bool {
    std::env::var_os(event::IGNORE_STAGE).is_some()
}

/// Adds to a request what its invocation tells: Lambda's context, the deadline, the trace, and the visitor's address.
fn invoked(mut request: Request, context: Context) -> Request {
    let trace = context.xray_trace_id.as_deref();
    if let Some(trace) = trace.and_then(|trace| HeaderValue::from_str(trace).ok()) {
        request.headers_mut().insert("x-amzn-trace-id", trace);
    }
    if let Some(deadline) = deadline(&context) {
        request.extensions_mut().insert(deadline);
    }
    if let Some(source) = SourceAddress::of(&request) {
        request.extensions_mut().insert(source);
    }
    request.with_lambda_context(context)
}

/// Makes a service of an async function whose error type is [`SessionError`](crate::SessionError). If the function
/// fails, the service answers with the error's own response. [`run`] and [`SessionLayer`](crate::SessionLayer) take
/// such a service.
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
) -> impl Service<Request, Response = Response<Body>, Error = Infallible, Future: Send + 'static> + Clone + Send
where
    H: Fn(Request) -> F + Clone + Send + 'static,
    F: Future<Output = Result<R, SessionError>> + Send + 'static,
    R: IntoResponse + Send + 'static,
{
    tower::service_fn(move |request| {
        let answer = handler(request);
        async move {
            Ok(match answer.await {
                Ok(answer) => answer::converted(answer).await,
                Err(error) => error.into_response(),
            })
        }
    })
}

fn bad_request<B: From<String>>() -> Response<B> {
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

    #[test]
    fn a_request_has_the_deadline_and_the_trace_of_its_invocation() {
        let mut context = Context::default();
        context.deadline = EARLIEST;
        context.xray_trace_id = Some("Root=1-0-0".into());
        let request = invoked(Request::default(), context);
        assert_eq!(request.headers()["x-amzn-trace-id"], "Root=1-0-0");
        assert!(request.extensions().get::<Deadline>().is_some());
        assert_eq!(request.lambda_context().deadline, EARLIEST);
    }

    /// The answer to a view, as Lambda gets it through a Function URL.
    async fn answered<S>(service: S) -> serde_json::Value
    where
        S: Service<Request, Error = Infallible, Future: Send + 'static> + Clone + Send + 'static,
        S::Response: IntoResponse + Send + 'static,
    {
        let event = r#"{"rawPath": "/", "requestContext": {"http": {"method": "GET"}}}"#;
        let event = LambdaEvent::new(RawValue::from_string(event.to_owned()).unwrap(), Context::default());
        let Ok(answer) = self::service(service, |_: &str| bad_request()).oneshot(event).await;
        serde_json::to_value(answer).unwrap()
    }

    #[tokio::test(flavor = "current_thread")]
    async fn an_answer_of_lambda_is_sent_as_it_is() {
        let keys = crate::Keys::new(b"a long and random secret of at least 32 bytes").unwrap();
        let sessions = crate::SessionLayer::builder(crate::MemoryStore::default(), keys)
            .build()
            .unwrap();
        let bytes = handler(async |_| Ok(vec![0xff, b'a']));
        for answer in [
            answered(bytes.clone()).await,
            answered(tower::Layer::layer(&sessions, bytes)).await,
        ] {
            assert_eq!(
                (&answer["body"], &answer["isBase64Encoded"]),
                (&"/2E=".into(), &true.into())
            );
        }
        let page = handler(async |_| {
            let page = Response::builder().header("content-type", "text/html; charset=iso-8859-1");
            Ok(page.body(Body::from(b"\xe9t\xe9".to_vec())).unwrap())
        });
        assert_eq!(answered(page).await["body"], "6XTp", "the browser decodes it");
        assert_eq!(
            answered(handler(async |_| Ok(""))).await["body"],
            "",
            "SAM warns if there is no body"
        );
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_streamed_answer_has_each_header_once() {
        let page = tower::service_fn(async |_| {
            let page = Response::builder().header("link", "</a>").header("link", "</b>");
            Ok::<_, Infallible>(page.body(String::new()).unwrap())
        });
        let answer = streamed(page, Request::default()).await;
        assert_eq!(
            answer.headers().get_all("link").iter().collect::<Vec<_>>(),
            ["</a>, </b>"]
        );
    }
}
