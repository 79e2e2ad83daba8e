//! A test of each view, with a session in the request, and one of the whole site.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambda_session::{Keys, MemoryStore, Session, SessionLayer, testing};
use sha2::{Digest as _, Sha256};
use tower::ServiceExt as _;

use crate::site::{routes, site};

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).expect("a request")
}

fn post(path: &str, form: &'static str) -> Request<Body> {
    let request =
        Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    request.body(Body::from(form)).expect("a request")
}

/// The answer of a view to `request` when `session` is the visitor's.
async fn answer(session: &Session, request: Request<Body>) -> Response {
    let request = testing::in_request(session, request);
    routes().oneshot(request).await.expect("an answer")
}

/// The site with its layers, over sessions in memory.
fn whole_site() -> Router {
    let keys = Keys::new(b"a long and random secret of at least 32 bytes").expect("keys");
    let sessions = SessionLayer::builder(MemoryStore::default(), keys)
        .build()
        .expect("a layer");
    site(sessions)
}

async fn text(response: Response) -> String {
    let body = to_bytes(response.into_body(), 100_000)
        .await
        .expect("a body");
    String::from_utf8(body.to_vec()).expect("UTF-8")
}

#[tokio::test]
async fn a_visitor_is_asked_to_log_in() {
    let page = text(answer(&Session::default(), get("/")).await).await;
    assert!(page.contains("You are not logged in"), "{page}");
}

#[tokio::test]
async fn a_login_begins_a_session_of_its_own() {
    let session = Session::default();
    session
        .insert("basket", "of the one before")
        .expect("a variable");

    let answered = answer(&session, post("/login", "username=+alice+")).await;

    assert_eq!(answered.status(), StatusCode::SEE_OTHER);
    assert_eq!(session.owner().as_deref(), Some("alice"));
    assert!(
        testing::is_renewed(&session),
        "a login needs a new session ID"
    );
    assert!(session.is_empty(), "what another person left");
    let page = text(answer(&session, get("/")).await).await;
    assert!(
        page.contains("<b>alice</b>") && page.contains("Visit number 1"),
        "{page}"
    );
}

#[tokio::test]
async fn a_name_that_is_none_logs_nobody_in() {
    let session = Session::default();
    let answered = answer(&session, post("/login", "username=++")).await;
    assert_eq!(answered.status(), StatusCode::BAD_REQUEST);
    assert_eq!(session.owner(), None);
}

#[tokio::test]
async fn a_logout_ends_the_session() {
    let session = Session::default();
    session.login("alice").expect("a login");
    let answered = answer(&session, post("/logout", "")).await;
    assert_eq!(answered.status(), StatusCode::SEE_OTHER);
    assert!(testing::is_ended(&session));
}

#[tokio::test]
async fn every_answer_has_the_headers_that_protect_a_page() {
    let site = whole_site();
    for (path, from, status) in [
        ("/", "same-origin", StatusCode::OK),
        ("/elsewhere", "same-origin", StatusCode::NOT_FOUND),
        ("/login", "cross-site", StatusCode::FORBIDDEN),
    ] {
        let mut request = if status == StatusCode::FORBIDDEN {
            post(path, "username=alice")
        } else {
            get(path)
        };
        let from = from.parse().expect("a value");
        request.headers_mut().insert("sec-fetch-site", from);
        let answered = site.clone().oneshot(request).await.expect("an answer");
        assert_eq!(answered.status(), status, "{path}");
        for (name, value) in [
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "same-origin"),
            (header::CACHE_CONTROL, "no-store"),
        ] {
            assert_eq!(answered.headers()[&name], value, "{path}: {name}");
        }
        let policies: Vec<_> = answered
            .headers()
            .get_all(header::CONTENT_SECURITY_POLICY)
            .iter()
            .collect();
        let [policy] = policies[..] else {
            panic!("{path}: {policies:?}")
        };
        let policy = policy.to_str().expect("a text").to_owned();
        assert!(
            policy.starts_with("default-src 'none'; ") && policy.ends_with("'none'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        let page = text(answered).await;
        if let Some((_, rest)) = page.split_once("<style>") {
            let (style, _) = rest.split_once("</style>").expect("its end");
            let hash = STANDARD.encode(Sha256::digest(style));
            assert!(
                policy.contains(&format!("style-src 'sha256-{hash}';")),
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn the_cookie_of_a_login_opens_the_site_until_the_logout_and_another_site_gets_none() {
    let site = whole_site();
    let send = async |mut request: Request<Body>, from: &'static str, cookie: &str| {
        let headers = request.headers_mut();
        headers.insert("sec-fetch-site", from.parse().expect("a value"));
        headers.insert(header::COOKIE, cookie.parse().expect("a value"));
        site.clone().oneshot(request).await.expect("an answer")
    };

    let refused = send(post("/login", "username=alice"), "cross-site", "").await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(!refused.headers().contains_key(header::SET_COOKIE));

    let logged_in = send(post("/login", "username=alice"), "same-origin", "").await;
    let cookie = logged_in.headers()[header::SET_COOKIE]
        .to_str()
        .expect("text");
    let cookie = cookie.split(';').next().expect("a pair");
    let page = text(send(get("/"), "same-origin", cookie).await).await;
    assert!(page.contains("<b>alice</b>"), "{page}");

    send(post("/logout", ""), "same-origin", cookie).await;
    let page = text(send(get("/"), "same-origin", cookie).await).await;
    assert!(page.contains("You are not logged in"), "{page}");
}
