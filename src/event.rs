//! Lambda's events: as [`lambda_http::run`] takes them, but with an answer for every request, and cheaper.
//!
//! `lambda_http` panics on a query or host that is no part of a URL, and on a body that is not the base64 it claims to
//! be. To Lambda that is a failure of the function: the visitor gets its bare 502, and anybody could ring the alarm.

mod answer;
mod headers;
mod request;

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use http::{HeaderName, HeaderValue};
use lambda_http::lambda_runtime::{self, LambdaEvent};
use lambda_http::{Body, Context, Error, Request, RequestExt as _, Response};
use serde::Serialize;
use tokio::task::JoinSet;
use tower::{Service, ServiceExt as _, service_fn};

pub use request::Event;

use answer::Answer;

const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// Serves events until Lambda ends the process.
///
/// # Errors
///
/// The Runtime API cannot be reached, or its client panicked, as without the variables that Lambda sets.
///
/// ```
/// use std::convert::Infallible;
///
/// use lambda_http::{Body, Request, Response};
/// use lambda_session::event;
/// use tower::service_fn;
///
/// # async fn start() -> Result<(), lambda_http::Error> {
/// event::run(service_fn(async |_: Request| Ok::<_, Infallible>(Response::new(Body::from("hello"))))).await
/// # }
/// ```
pub async fn run<S>(application: S) -> Result<(), Error>
where
    S: Application,
{
    // As a task: before tokio polls the future that it was started with, it asks the system for events. In a set, because
    // that ends its tasks when it is dropped.
    let mut task = JoinSet::new();
    task.spawn(after_others(lambda_runtime::run(service(application))));
    match task.join_next().await {
        Some(Ok(ended)) => ended,
        // The panic's message could hold what came from outside.
        _ => Err("Lambda's loop panicked".into()),
    }
}

/// Whenever `future` is woken, lets the tasks run first that are queued already. Among them are the HTTP client's, which put
/// a connection back where the next request looks for one.
async fn after_others<F>(future: F) -> F::Output
where
    F: Future,
{
    let mut future = pin!(future);
    let mut yielded = false;
    poll_fn(|context| {
        yielded = !yielded;
        if yielded {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        future.as_mut().poll(context)
    })
    .await
}

/// Marks the request that [`warm_up`] makes, in its extensions.
#[derive(Clone, Copy, Debug)]
pub struct WarmUp;

/// Has the application answer a request that nobody made, `GET /` without a cookie, so that what a first request needs of
/// the program is in memory when it comes. The answer is dropped.
///
/// Everything that a visitor's request would do is done: an application that writes on `GET /` should leave that out where
/// it finds [`WarmUp`] in the request's extensions, as [`app::service`](crate::app::service) leaves out the log line.
///
/// ```
/// use std::convert::Infallible;
///
/// use lambda_http::{Body, Request, Response};
/// use lambda_session::event;
/// use tower::service_fn;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let hello = service_fn(async |_: Request| Ok::<_, Infallible>(Response::new(Body::from("hello"))));
/// event::warm_up(hello).await;
/// # }
/// ```
pub async fn warm_up<S>(mut application: S)
where
    S: Application,
{
    // What Lambda's runtime does with an event and its answer.
    let Ok(request) = serde_json::from_str(include_str!("../events/home-200.json")) else {
        return;
    };
    let marked = service_fn(move |mut request: Request| {
        request.extensions_mut().insert(WarmUp);
        application.call(request)
    });
    let Ok(answer) = service(marked)
        .oneshot(LambdaEvent::new(request, Context::default()))
        .await;
    let _ = serde_json::to_vec(&answer);
}

/// What [`run`] gives the Lambda runtime: an event in, its answer out.
///
/// An event whose request cannot be read becomes a request without a path, which the application answers with 400.
///
/// ```
/// use std::convert::Infallible;
///
/// use lambda_http::{Body, Request, Response};
/// use lambda_session::event;
/// use tower::service_fn;
///
/// let hello = service_fn(async |_: Request| Ok::<_, Infallible>(Response::new(Body::from("hello"))));
/// let function = event::service(hello);
/// ```
pub fn service<S>(
    application: S,
) -> impl Service<LambdaEvent<Event>, Response: Serialize + Send, Error = Infallible, Future: Send> + Send
where
    S: Application,
{
    service_fn(move |event: LambdaEvent<Event>| {
        let mut request = event.payload.into_request();
        // The event's own is the trace's root without its parent.
        if let Some(Ok(trace)) = event.context.xray_trace_id.as_deref().map(HeaderValue::try_from) {
            let _ = request.headers_mut().try_insert(TRACE_ID, trace);
        }
        let response = application.clone().oneshot(request.with_lambda_context(event.context));
        async { response.await.map(Answer) }
    })
}

/// What [`app::service`](crate::app::service) makes.
pub trait Application:
    Service<Request, Response = Response<Body>, Error = Infallible, Future: Send + 'static> + Clone + Send + 'static
{
}

impl<S> Application for S where
    S: Service<Request, Response = Response<Body>, Error = Infallible, Future: Send + 'static> + Clone + Send + 'static
{
}

#[cfg(test)]
mod tests {
    use std::future::{Ready, ready};
    use std::sync::mpsc;

    use http::Method;
    use lambda_http::request::RequestContext;

    use super::*;

    fn hello(_: Request) -> Ready<Result<Response<Body>, Infallible>> {
        ready(Ok(Response::new(Body::from("hello"))))
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_panic_outside_of_lambda_is_an_error_without_its_message() {
        let error = run(service_fn(hello)).await.unwrap_err();
        assert_eq!(error.to_string(), "Lambda's loop panicked");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_request_that_cannot_be_read_has_its_method_and_context_but_no_path() {
        let event = r#"{ "rawPath": "/", "headers": { "host": "a b" },
            "requestContext": { "accountId": "me", "http": { "method": "HEAD" } } }"#;
        let event: Event = serde_json::from_str(event).unwrap();
        assert_eq!(format!("{event:?}"), "Event { .. }");
        let (seen, requests) = mpsc::channel();
        let handler = service_fn(move |request: Request| {
            let RequestContext::ApiGatewayV2(context) = request.request_context() else {
                return hello(request);
            };
            let _ = seen.send((
                request.method().clone(),
                request.raw_http_path().to_owned(),
                context.account_id,
            ));
            hello(request)
        });
        service(handler)
            .oneshot(LambdaEvent::new(event, Context::default()))
            .await
            .unwrap();
        assert_eq!(
            requests.recv().unwrap(),
            (Method::HEAD, String::new(), Some("me".to_owned()))
        );
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_warm_up_is_one_marked_view_without_a_cookie() {
        let (seen, requests) = mpsc::channel();
        warm_up(service_fn(move |request: Request| {
            let marked = request.extensions().get::<WarmUp>().is_some();
            let cookie = request.headers().contains_key("cookie");
            let _ = seen.send((request.raw_http_path().to_owned(), cookie, marked));
            ready(Ok::<_, Infallible>(Response::new(Body::Empty)))
        }))
        .await;
        let expected = ("/".to_owned(), false, true);
        assert_eq!(requests.iter().collect::<Vec<_>>(), [expected]);
    }
}
