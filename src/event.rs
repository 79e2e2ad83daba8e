//! Lambda's events: as [`lambda_http::run`] takes them, but with an answer for every request.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};

use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use lambda_http::lambda_runtime::{self, LambdaEvent};
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Body, Error, Request, Response};
use serde::Serialize;
use tower::{Service, service_fn};

/// Serves events until Lambda ends the process.
///
/// # Errors
///
/// The Runtime API cannot be reached.
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
    lambda_runtime::run(service(application)).await
}

/// What [`run`] gives the Lambda runtime: an event in, its answer out.
///
/// `lambda_http` panics on a query or host that is no part of a URL, and on a body that is not the base64 it claims
/// to be. To Lambda that is a failure of the function: the visitor gets its bare 502, and anybody could ring the
/// alarm. Here it becomes a request without a path, which the application answers with 400.
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
pub fn service<S>(application: S) -> impl Service<LambdaEvent<LambdaRequest>, Response: Serialize, Error = Infallible>
where
    S: Application,
{
    let application = Adapter::from(application);
    service_fn(move |event: LambdaEvent<LambdaRequest>| {
        let mut application = application.clone();
        let context = event.context.clone();
        // What a panic leaves behind is dropped: the half-made request.
        catch_unwind(AssertUnwindSafe(|| application.call(event))).unwrap_or_else(|_| {
            let nothing = LambdaRequest::ApiGatewayV2(ApiGatewayV2httpRequest::default());
            application.call(LambdaEvent::new(nothing, context))
        })
    })
}

/// What [`app::service`](crate::app::service) makes.
pub trait Application:
    Service<Request, Response = Response<Body>, Error = Infallible, Future: Send + 'static> + Clone
{
}

impl<S> Application for S where
    S: Service<Request, Response = Response<Body>, Error = Infallible, Future: Send + 'static> + Clone
{
}
