//! The three layers together, on axum and on plain `lambda_http`.

use std::convert::Infallible;
use std::future::Ready;
use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response as AnyResponse};
use axum::routing::{get, post};
use http::header::{self, CACHE_CONTROL, COOKIE, LOCATION, SET_COOKIE, VARY};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use tower::{Layer, Service, ServiceExt as _};

use crate::{
    ErrorPageLayer, Keys, LazySession, MemoryStore, RequireLoginLayer, SameOriginLayer, Session, SessionError,
    SessionErrorKind, SessionLayer, local_path,
};

fn sessions() -> SessionLayer {
    let keys = Keys::new(b"a long and random secret of at least 32 bytes").unwrap();
    SessionLayer::builder(MemoryStore::default(), keys).build().unwrap()
}

/// Logs in, and redirects to the form's `next`, which is the whole body here.
async fn login(request: Request) -> AnyResponse {
    let session = LazySession::of(&request).unwrap().load().await.unwrap();
    session.insert("username", "admin").unwrap();
    let form = to_bytes(request.into_body(), 4096).await.unwrap();
    let next = std::str::from_utf8(&form).ok().and_then(local_path).unwrap_or("/");
    see_other(next)
}

async fn logout(request: Request) -> AnyResponse {
    LazySession::of(&request).unwrap().end();
    see_other("/")
}

fn see_other(location: &str) -> AnyResponse {
    let response = Response::builder().status(303).header(LOCATION, location);
    response.body(Body::empty()).unwrap()
}

fn own_page(error: &SessionError, _: &Parts) -> Option<Response<String>> {
    let is_refusal = matches!(error.kind(), SessionErrorKind::Refused(_));
    is_refusal.then(|| Response::new(format!("our page: {error}")))
}

fn app() -> Router {
    let account = Router::new().route("/orders", get(async || "orders"));
    let members = Router::new()
        .route("/", get(async || "home"))
        .nest("/account", account)
        .layer(RequireLoginLayer::new("/login"));
    Router::new()
        .route("/login", get(async || "the form").post(login))
        .route("/logout", get(logout))
        .route("/hook", post(async || "noted"))
        .merge(members)
        .layer(sessions())
        .layer(SameOriginLayer::new().also("/logout").except("/hook"))
        .layer(ErrorPageLayer::new(own_page))
}

struct Answer {
    status: u16,
    location: String,
    cookie: Option<String>,
    text: String,
}

/// The answer to a browser's request from `site`.
async fn visit(app: &Router, method: &str, uri: &str, site: &str, cookie: &str, body: &str) -> Answer {
    let request = http::Request::builder()
        .method(method)
        .uri(uri)
        .header("sec-fetch-mode", "navigate")
        .header("sec-fetch-site", site)
        .header(COOKIE, cookie)
        .body(Body::from(body.to_owned()));
    let answer = app.clone().oneshot(request.unwrap()).await.unwrap();
    let text = |name| {
        answer
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let cookie = text(SET_COOKIE).map(|cookie| cookie.split(';').next().unwrap().to_owned());
    let location = text(LOCATION).unwrap_or_default();
    if answer.status() == 401 || location.starts_with("/login") {
        let headers = (text(VARY), text(CACHE_CONTROL));
        assert_eq!(headers, (Some("Cookie".to_owned()), Some("no-store".to_owned())));
    }
    let status = answer.status().as_u16();
    let text = to_bytes(answer.into_body(), 4096).await.unwrap();
    let text = String::from_utf8(text.to_vec()).unwrap();
    Answer {
        status,
        location,
        cookie,
        text,
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_visitor_logs_in_on_the_way_and_other_sites_do_nothing() {
    let app = app();
    let sent = visit(&app, "GET", "/account/orders?page=2", "none", "", "").await;
    assert_eq!(
        (sent.status, sent.location.as_str()),
        (303, "/login?next=/account/orders%3Fpage%3D2")
    );
    let form = visit(&app, "GET", &sent.location, "none", "", "").await;
    assert_eq!((form.status, form.text.as_str()), (200, "the form"));

    let theirs = visit(&app, "POST", "/login", "cross-site", "", "").await;
    assert_eq!((theirs.status, theirs.cookie), (403, None));
    assert_eq!(theirs.text, "our page: another site sent this request");

    let led_away = visit(&app, "POST", "/login", "same-origin", "", "//evil.example").await;
    assert_eq!((led_away.status, led_away.location.as_str()), (303, "/"));
    let login = visit(&app, "POST", "/login", "same-origin", "", "/account/orders?page=2").await;
    assert_eq!((login.status, login.location.as_str()), (303, "/account/orders?page=2"));
    let cookie = login.cookie.unwrap();
    let orders = visit(&app, "GET", &login.location, "same-origin", &cookie, "").await;
    assert_eq!((orders.status, orders.text.as_str()), (200, "orders"));

    let theirs = visit(&app, "GET", "/logout", "cross-site", &cookie, "").await;
    assert_eq!((theirs.status, theirs.cookie), (403, None));
    assert_eq!(visit(&app, "GET", "/", "cross-site", &cookie, "").await.text, "home");
    let ours = visit(&app, "GET", "/logout", "same-origin", &cookie, "").await;
    assert_eq!((ours.status, ours.location.as_str()), (303, "/"));
    assert_eq!(visit(&app, "GET", "/", "same-origin", &cookie, "").await.status, 303);
    assert_eq!(visit(&app, "POST", "/hook", "cross-site", "", "").await.text, "noted");

    let lost_form = visit(&app, "POST", "/", "same-origin", "", "").await;
    assert_eq!(
        (lost_form.status, lost_form.text.as_str()),
        (401, "our page: nobody is logged in")
    );
}

#[cfg(feature = "lambda")]
#[tokio::test(flavor = "current_thread")]
async fn the_layers_go_around_a_plain_handler() {
    use tower::ServiceBuilder;

    let service = ServiceBuilder::new()
        .layer(SameOriginLayer::new())
        .layer(sessions())
        .layer(RequireLoginLayer::new("/login"))
        .service(crate::lambda::handler(async |_| Ok("a page")));
    for (method, site, status) in [("GET", "none", 303), ("POST", "none", 401), ("POST", "cross-site", 403)] {
        let request = http::Request::builder()
            .method(method)
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-site", site)
            .body(lambda_http::Body::Empty);
        let answer = service.clone().oneshot(request.unwrap()).await.unwrap();
        assert_eq!(answer.status(), status, "{method} {site}");
    }
}

/// A service that is never ready.
#[derive(Clone)]
struct Busy;

impl Service<http::Request<String>> for Busy {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Pending
    }

    fn call(&mut self, _: http::Request<String>) -> Self::Future {
        unreachable!("the service is not ready")
    }
}

#[test]
fn no_layer_is_ready_before_the_service_inside_is() {
    fn is_ready<L: Layer<Busy, Service: Service<http::Request<String>>>>(layer: &L) -> bool {
        let polled = layer.layer(Busy).poll_ready(&mut Context::from_waker(Waker::noop()));
        polled.is_ready()
    }
    assert!(!is_ready(&sessions()));
    assert!(!is_ready(&SameOriginLayer::new()));
    assert!(!is_ready(&RequireLoginLayer::new("/login")));
    assert!(!is_ready(&ErrorPageLayer::new(own_page)));
}

/// A timeout layer: what takes longer than ten seconds gets 504.
async fn cut_off(request: Request, next: Next) -> AnyResponse {
    let answer = tokio::time::timeout(std::time::Duration::from_secs(10), next.run(request)).await;
    answer.unwrap_or_else(|_| StatusCode::GATEWAY_TIMEOUT.into_response())
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn a_timeout_layer_inside_the_sessions_hands_out_the_cookie_of_a_login_that_it_cut_off() {
    async fn log_in(session: Session) {
        session.login("alice").unwrap();
        std::future::pending::<()>().await;
    }
    for is_inside in [true, false] {
        let (views, sessions) = (Router::new().route("/login", post(log_in)), sessions());
        let app = if is_inside {
            views.layer(from_fn(cut_off)).layer(sessions.clone())
        } else {
            views.layer(sessions.clone()).layer(from_fn(cut_off))
        };
        let answer = visit(&app, "POST", "/login", "same-origin", "", "").await;
        assert_eq!((answer.status, answer.cookie.is_some()), (504, is_inside));
        let saved = sessions.sessions().list("alice").await.unwrap();
        assert_eq!(saved.len(), usize::from(is_inside), "inside: {is_inside}");
    }
}

/// A CORS layer: it answers a preflight itself.
async fn allow_shop(request: Request, next: Next) -> AnyResponse {
    let mut answer = if request.method() == http::Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    let shop = HeaderValue::from_static("https://shop.example");
    answer.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, shop);
    answer
}

#[tokio::test(flavor = "current_thread")]
async fn a_preflight_is_401_unless_the_cors_layer_is_outside_of_the_guards() {
    let members = || Router::new().route("/orders", get(async || "orders"));
    let guard = || RequireLoginLayer::new("/login");
    let around = |app: Router| app.layer(sessions()).layer(SameOriginLayer::new());
    for (app, status, is_allowed) in [
        (around(members().layer(guard())), 401, false),
        (around(members().layer(from_fn(allow_shop)).layer(guard())), 401, false),
        (around(members().layer(guard())).layer(from_fn(allow_shop)), 204, true),
    ] {
        let preflight = http::Request::options("/orders")
            .header(header::ORIGIN, "https://shop.example")
            .header(header::ACCESS_CONTROL_REQUEST_METHOD, "GET")
            .header("sec-fetch-mode", "cors")
            .header("sec-fetch-site", "cross-site");
        let answer = app.oneshot(preflight.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(
            answer.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN),
            is_allowed
        );
    }
}
