use std::convert::Infallible;

use http::{Method, header};
use tower::util::BoxCloneSyncService;
use tower::{ServiceExt as _, service_fn};

use super::*;
use crate::{Keys, MemoryStore, Refusal, SessionLayer};

type Site = BoxCloneSyncService<Request<String>, Response<String>, Infallible>;

/// A site behind `guard`. `POST /login` logs in the user whom the body names; every other request gets a page.
fn site(guard: &RequireLoginLayer) -> Site {
    async fn views(request: Request<String>) -> Result<Response<String>, Infallible> {
        let session = LazySession::of(&request).unwrap();
        if request.method() == Method::POST && request.uri().path() == "/login" {
            let session = session.load().await.unwrap();
            session.insert("username", request.body()).unwrap();
        }
        Ok(Response::new("a page".to_owned()))
    }
    let keys = Keys::new(b"a long and random secret of at least 32 bytes").unwrap();
    let sessions = SessionLayer::builder(MemoryStore::default(), keys).build().unwrap();
    BoxCloneSyncService::new(sessions.layer(guard.layer(service_fn(views))))
}

fn request(method: &str, uri: &str, headers: &[(&'static str, &str)]) -> Request<String> {
    let mut request = Request::builder().method(method).uri(uri);
    for &(name, value) in headers {
        request = request.header(name, value);
    }
    request.body(String::new()).unwrap()
}

async fn answer(site: &Site, request: Request<String>) -> Response<String> {
    site.clone().oneshot(request).await.unwrap()
}

/// Logs in as `name`, and returns the cookie.
async fn cookie_of(site: &Site, name: &str) -> String {
    let login = request("POST", "/login", &[]).map(|_| name.to_owned());
    let answer = answer(site, login).await;
    let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

const NAVIGATE: (&str, &str) = ("sec-fetch-mode", "navigate");

fn store_calls(answer: &Response<String>) -> u32 {
    answer.extensions().get().map_or(0, LazySession::store_calls)
}

#[tokio::test(flavor = "current_thread")]
async fn whoever_is_logged_in_passes_for_one_read() {
    let site = site(&RequireLoginLayer::new("/login"));
    let cookie = cookie_of(&site, "admin").await;
    for (method, headers) in [("GET", &[NAVIGATE][..]), ("GET", &[]), ("POST", &[])] {
        let mut request = request(method, "/orders", headers);
        request.headers_mut().insert(header::COOKIE, cookie.parse().unwrap());
        let answer = answer(&site, request).await;
        assert_eq!(
            (answer.body().as_str(), store_calls(&answer)),
            ("a page", 1),
            "{method}"
        );
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_navigation_goes_to_the_login_page_and_anything_else_is_401() {
    let site = site(&RequireLoginLayer::new("/login"));
    let browser = (
        "accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    );
    for (method, headers, status) in [
        ("GET", &[NAVIGATE][..], 303),
        ("HEAD", &[NAVIGATE], 303),
        ("GET", &[NAVIGATE, ("accept", "*/*")], 303),
        ("GET", &[browser], 303),
        ("HEAD", &[browser], 303),
        (
            "GET",
            &[("accept", "application/json"), ("accept", "Text/HTML ;q=0.5")],
            303,
        ),
        // Scripts, whatever they accept.
        ("GET", &[("sec-fetch-mode", "cors"), browser], 401),
        ("GET", &[("sec-fetch-mode", "same-origin"), browser], 401),
        ("GET", &[("sec-fetch-mode", "no-cors"), browser], 401),
        // Programs.
        ("GET", &[], 401),
        ("GET", &[("accept", "*/*")], 401),
        ("GET", &[("accept", "application/json")], 401),
        ("GET", &[("accept", "text/html-not, x-text/html, text/*")], 401),
        // Forms, whose fields a redirect would lose.
        ("POST", &[NAVIGATE, browser], 401),
        ("PUT", &[NAVIGATE, browser], 401),
        ("OPTIONS", &[NAVIGATE, browser], 401),
    ] {
        let answer = answer(&site, request(method, "/orders", headers)).await;
        assert_eq!(answer.status(), status, "{method} {headers:?}");
        assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
        assert_eq!(answer.headers().contains_key(header::LOCATION), status == 303);
        assert_eq!(answer.headers().contains_key(header::WWW_AUTHENTICATE), status == 401);
        let refusal = (status == 401).then_some(&Refusal::NotLoggedIn);
        assert_eq!(answer.extensions().get(), refusal);
        assert_eq!(answer.body(), if status == 401 { "nobody is logged in\n" } else { "" });
        assert_eq!(store_calls(&answer), 0, "there is no cookie to look for");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn next_is_where_the_visitor_was_going_if_that_is_here() {
    let long = format!("/{}", "x".repeat(2048));
    for (login, uri, location) in [
        ("/login", "/", "/login?next=/"),
        ("/login", "/orders/2", "/login?next=/orders/2"),
        (
            "/login",
            "/orders?page=2&to=%2f+x",
            "/login?next=/orders%3Fpage%3D2%26to%3D%252f%2Bx",
        ),
        ("/login", "https://site.example/orders?x", "/login?next=/orders%3Fx"),
        ("/login?lang=de", "/orders", "/login?lang=de&next=/orders"),
        ("/a/login", "/login", "/a/login?next=/login"),
        ("/login", "//evil.example/x", "/login"),
        ("/login", "https://site.example//evil.example", "/login"),
        ("/login", "/%2f/evil.example", "/login"),
        ("/login", "/%5cevil.example", "/login"),
        ("/login", "/..//evil.example", "/login"),
        ("/login", "/stra\u{df}e", "/login"),
        ("/login?lang=de", "//evil.example", "/login?lang=de"),
        ("/login", &long, "/login"),
    ] {
        let site = site(&RequireLoginLayer::new(login));
        let answer = answer(&site, request("GET", uri, &[NAVIGATE])).await;
        assert_eq!(answer.headers()[header::LOCATION], location, "{uri}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn the_login_page_passes_unread_whoever_asks() {
    let site = site(&RequireLoginLayer::new("/login?lang=de"));
    for (uri, passes) in [
        ("/login", true),
        ("/login?next=/orders", true),
        ("/login/", false),
        ("/login/x", false),
        ("/Login", false),
    ] {
        let answer = answer(&site, request("GET", uri, &[NAVIGATE])).await;
        assert_eq!(answer.body() == "a page", passes, "{uri}");
    }
    let cookie = cookie_of(&site, "admin").await;
    let form = request("GET", "/login", &[NAVIGATE, ("cookie", &cookie)]);
    assert_eq!(store_calls(&answer(&site, form).await), 0);
}

#[tokio::test(flavor = "current_thread")]
async fn the_site_says_who_counts_as_logged_in() {
    let admins = RequireLoginLayer::new("/login").logged_in_if(|session| {
        session
            .get::<String>("username")
            .is_ok_and(|name| name.as_deref() == Some("admin"))
    });
    let site = site(&admins);
    for (name, status) in [("admin", 200), ("alice", 303)] {
        let cookie = cookie_of(&site, name).await;
        let visit = request("GET", "/", &[NAVIGATE, ("cookie", &cookie)]);
        assert_eq!(answer(&site, visit).await.status(), status, "{name}");
    }
}

#[tokio::test(flavor = "current_thread")]
#[expect(clippy::disallowed_methods, reason = "a deadline is an `Instant`")]
async fn a_session_that_cannot_be_read_is_the_errors_answer() {
    let site = site(&RequireLoginLayer::new("/login"));
    let cookie = cookie_of(&site, "admin").await;
    let mut late = request("GET", "/", &[NAVIGATE, ("cookie", &cookie)]);
    late.extensions_mut()
        .insert(crate::Deadline::at(std::time::Instant::now()));
    let unavailable = answer(&site, late).await;
    assert_eq!(unavailable.status(), 503);
    assert!(unavailable.extensions().get::<SessionError>().is_some());

    let unread = async |_: Request<String>| Ok::<_, Infallible>(Response::new("a page".to_owned()));
    let alone = RequireLoginLayer::new("/login").layer(service_fn(unread));
    let no_layer = alone.oneshot(request("GET", "/", &[NAVIGATE])).await.unwrap();
    let error: &SessionError = no_layer.extensions().get().unwrap();
    assert_eq!(
        (no_layer.status(), error.kind()),
        (error.status(), crate::SessionErrorKind::NoLayer)
    );
}

#[test]
fn a_login_page_of_another_site_is_a_mistake() {
    for login in [
        "",
        "login",
        "//sso.example",
        "https://sso.example",
        "/login#form",
        "/log in",
    ] {
        let made = std::panic::catch_unwind(|| RequireLoginLayer::new(login));
        assert!(made.is_err(), "{login}");
    }
}
