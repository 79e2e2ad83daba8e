//! The layers take services with any response body, inside and outside of tower-http's layers.

use std::convert::Infallible;
use std::fmt::Debug;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use futures_util::stream;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::Bytes;
use lambda_session::testing::Browser;
use lambda_session::{
    ErrorPageLayer, MemoryStore, RequireLoginLayer, ResponseBody, SameOriginLayer, Session, SessionError, SessionLayer,
    lambda,
};
use tower::{Layer, Service, ServiceBuilder, service_fn};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

use crate::support::site::keys;

fn sessions() -> SessionLayer {
    let layer = SessionLayer::builder(MemoryStore::default(), keys()).build();
    layer.expect("a good configuration")
}

/// Checks that this body comes through all layers, and that the layers' own answers do.
async fn comes_through<B>(kind: &str, text: &str, body: impl Fn() -> B + Clone + Send + Sync + 'static)
where
    B: Body<Data = Bytes, Error: Debug> + Send + 'static,
{
    let views = service_fn(move |request: Request<String>| {
        let body = body.clone();
        async move {
            let session = Session::of(&request).await.expect("a session");
            session.increment("visits", 1).expect("a number");
            Ok::<_, Infallible>(Response::new(body()))
        }
    });
    let site = ServiceBuilder::new()
        .layer(SameOriginLayer::new())
        .layer(sessions())
        // Its own login page is open to everybody.
        .layer(RequireLoginLayer::new("/"))
        .service(views);
    let mut browser = Browser::new(site);
    let page = browser.get("/").await;
    assert_eq!((page.status.as_u16(), page.body.as_str()), (200, text), "{kind}");
    assert!(browser.cookie("__Host-session").is_some(), "{kind}");

    let fetch = Request::get("/orders").body(String::new()).expect("a request");
    let refused = browser.send(fetch).await;
    assert_eq!(
        (refused.status.as_u16(), refused.body.as_str()),
        (401, "nobody is logged in\n"),
        "{kind}"
    );

    let theirs = Request::post("/").header("sec-fetch-site", "cross-site");
    let refused = browser.send(theirs.body(String::new()).expect("a request")).await;
    let said = "another site sent this request\n";
    assert_eq!((refused.status.as_u16(), refused.body.as_str()), (403, said), "{kind}");
}

#[tokio::test]
async fn every_kind_of_body_comes_through_all_layers() {
    const TEXT: &str = "a page";
    comes_through("String", TEXT, || TEXT.to_owned()).await;
    comes_through("axum", TEXT, || axum::body::Body::from(TEXT)).await;
    comes_through("lambda_http", TEXT, || lambda_http::Body::from(TEXT)).await;
    comes_through("Full", TEXT, || Full::<Bytes>::from(TEXT)).await;
    comes_through("Empty", "", Empty::<Bytes>::new).await;
    comes_through("BoxBody", TEXT, || Full::<Bytes>::from(TEXT).boxed()).await;
    // tonic's is this one, too, with an error of its own.
    comes_through("UnsyncBoxBody", TEXT, || {
        let body = Full::<Bytes>::from(TEXT).map_err(|never| -> std::io::Error { match never {} });
        body.boxed_unsync()
    })
    .await;
    // Its stream cannot be moved.
    comes_through("StreamBody", TEXT, || {
        StreamBody::new(stream::once(async {
            Ok::<_, Infallible>(Frame::data(Bytes::from(TEXT)))
        }))
    })
    .await;
}

#[tokio::test]
async fn a_body_says_its_size_before_it_is_read() {
    let refused = SameOriginLayer::new().layer(service_fn(async |_: Request<String>| {
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    }));
    for (site, bytes) in [("same-origin", 0), ("cross-site", 31)] {
        let request = Request::post("/").header("sec-fetch-site", site);
        let request = request.body(String::new()).expect("a request");
        let Ok(answer) = tower::ServiceExt::oneshot(refused.clone(), request).await;
        assert_eq!(answer.body().size_hint().exact(), Some(bytes), "{site}");
        assert_eq!(answer.body().is_end_stream(), bytes == 0, "{site}");
    }
    // What tower-http's layers answer with.
    let empty = ResponseBody::<Full<Bytes>>::default();
    assert_eq!((empty.size_hint().exact(), empty.is_end_stream()), (Some(0), true));
}

const LINE: &str = "The page is long enough to be worth a compression.";

/// Counts the visits, whatever the request's body is.
async fn views<B: Send>(request: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    let session = Session::of(&request).await.expect("a session");
    let visits = session.increment("visits", 1).expect("a number");
    Ok(Response::new(format!("{LINE} visit {visits}").into()))
}

/// Visits the site twice, and once from another site's page, which gets the guard's own answer.
async fn visits<S, B>(order: &str, site: S)
where
    B: Body<Error: Debug>,
    S: Service<Request<String>, Response = Response<B>, Error: Debug> + Clone,
{
    let mut browser = Browser::new(site);
    for visit in 1..3 {
        assert_eq!(browser.get("/").await.body, format!("{LINE} visit {visit}"), "{order}");
    }
    let theirs = Request::post("/").header("sec-fetch-site", "cross-site");
    let refused = browser.send(theirs.body(String::new()).expect("a request")).await;
    assert_eq!(
        (refused.status.as_u16(), refused.body.as_str()),
        (403, "our page"),
        "{order}"
    );
    let packed = Request::get("/").header("accept-encoding", "gzip");
    let packed = browser.send(packed.body(String::new()).expect("a request")).await;
    let encoding = packed.headers.get("content-encoding").map(http::HeaderValue::as_bytes);
    assert_eq!(
        encoding,
        order.contains("compression").then_some(&b"gzip"[..]),
        "{order}"
    );
}

/// Puts a layer outside of the library's layers, and inside.
macro_rules! both_orders {
    ($name:literal, $layer:expr) => {
        let page = |_: &SessionError, _: &http::request::Parts| Some(Response::new("our page".to_owned()));
        let ours = ServiceBuilder::new()
            .layer(ErrorPageLayer::new(page))
            .layer(SameOriginLayer::new())
            .layer(sessions());
        let outside = ServiceBuilder::new().layer($layer).layer(ours.clone());
        visits(concat!($name, " outside"), outside.service(service_fn(views))).await;
        let inside = ours.layer($layer);
        visits(concat!($name, " inside"), inside.service(service_fn(views))).await;
    };
}

#[tokio::test]
async fn the_layers_go_inside_and_outside_of_tower_https() {
    both_orders!("trace", TraceLayer::new_for_http());
    both_orders!("compression", CompressionLayer::new());
    let minute = Duration::from_mins(1);
    both_orders!(
        "timeout",
        TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, minute)
    );
    both_orders!("catch-panic", CatchPanicLayer::new());
    both_orders!("cors", CorsLayer::permissive());
    both_orders!("body limit", RequestBodyLimitLayer::new(1_000));
}

/// One `ServiceBuilder` with all of them, around a router and behind Lambda's doors.
#[tokio::test]
async fn one_builder_of_layers_fits_a_router_and_lambda() {
    async fn visit(session: Session) -> Result<String, SessionError> {
        Ok(format!("{LINE} visit {}", session.increment("visits", 1)?))
    }
    let layers = || {
        ServiceBuilder::new()
            .layer(TraceLayer::new_for_http())
            .layer(SameOriginLayer::new())
            .layer(sessions())
            .layer(CompressionLayer::new())
    };
    let app: Router = Router::new().route("/", get(visit)).layer(layers());
    let mut browser = Browser::new(app.clone());
    assert_eq!(browser.get("/").await.body, format!("{LINE} visit 1"));

    // These only have to compile.
    drop(lambda::run(app.clone()));
    drop(lambda::run_streaming(app));
    let plain = layers().service(lambda::handler(async |_| Ok("a page")));
    drop(lambda::run(plain.clone()));
    drop(lambda::run_streaming(plain.clone()));
    drop(lambda::serve(plain));
    let stream = service_fn(async |_: lambda_http::Request| {
        let page = stream::once(async { Ok::<_, Infallible>(Frame::data(Bytes::from("a page"))) });
        Ok::<_, Infallible>(Response::new(StreamBody::new(page)))
    });
    drop(lambda::run_streaming(sessions().layer(stream)));
}
