use std::convert::Infallible;

use http::header;
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::*;
use crate::testing::{Clock, visitor};
use crate::{Keys, MemoryStore, SessionErrorKind, SessionLayer, SessionLayerBuilder};

type Site = BoxCloneSyncService<Request<String>, Response<String>, Infallible>;

/// A site behind `guard`, which has a page under every path, and its sessions.
fn site(guard: &RequireLoginLayer) -> (Site, SessionLayer) {
    let sessions = sessions(|builder| builder);
    (with_pages(&sessions, guard), sessions)
}

fn sessions(set: impl FnOnce(SessionLayerBuilder) -> SessionLayerBuilder) -> SessionLayer {
    let keys = Keys::new(b"a long and random secret of at least 32 bytes").unwrap();
    set(SessionLayer::builder(MemoryStore::default(), keys))
        .build()
        .unwrap()
}

fn with_pages(sessions: &SessionLayer, guard: &RequireLoginLayer) -> Site {
    let page = service_fn(async |_: Request<String>| Ok::<_, Infallible>(Response::new("a page".to_owned())));
    let site = sessions.layer(guard.layer(page));
    BoxCloneSyncService::new(site.map_response(|answer| answer.map(|body| body.into_inner().into_inner())))
}

/// Why the request was refused.
fn refusal(answer: &Response<String>) -> Option<Refusal> {
    match answer.extensions().get().map(SessionError::kind)? {
        SessionErrorKind::Refused(refusal) => Some(refusal),
        _ => None,
    }
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

/// Returns the cookie of a visitor who is logged in as `name`.
async fn cookie_of(sessions: &SessionLayer, name: &str) -> String {
    visitor(sessions, |session| Ok(session.insert("username", name)?))
        .await
        .unwrap()
}

const NAVIGATE: (&str, &str) = ("sec-fetch-mode", "navigate");

fn store_calls(answer: &Response<String>) -> u32 {
    answer.extensions().get().map_or(0, LazySession::store_calls)
}

#[tokio::test(flavor = "current_thread")]
async fn whoever_is_logged_in_passes_for_one_read() {
    let (site, sessions) = site(&RequireLoginLayer::new("/login"));
    let cookie = cookie_of(&sessions, "admin").await;
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
    let (site, _) = site(&RequireLoginLayer::new("/login"));
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
        assert_eq!(refusal(&answer), (status == 401).then_some(Refusal::NotLoggedIn));
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
        let (site, _) = site(&RequireLoginLayer::new(login));
        let answer = answer(&site, request("GET", uri, &[NAVIGATE])).await;
        assert_eq!(answer.headers()[header::LOCATION], location, "{uri}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn the_login_page_passes_unread_whoever_asks() {
    let (site, sessions) = site(&RequireLoginLayer::new("/login?lang=de"));
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
    let cookie = cookie_of(&sessions, "admin").await;
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
    let (site, sessions) = site(&admins);
    for (name, status) in [("admin", 200), ("alice", 303)] {
        let cookie = cookie_of(&sessions, name).await;
        let visit = request("GET", "/", &[NAVIGATE, ("cookie", &cookie)]);
        assert_eq!(answer(&site, visit).await.status(), status, "{name}");
    }
}

#[tokio::test(flavor = "current_thread")]
#[expect(clippy::disallowed_methods, reason = "a deadline is an `Instant`")]
async fn a_session_that_cannot_be_read_is_the_errors_answer() {
    let (site, sessions) = site(&RequireLoginLayer::new("/login"));
    let cookie = cookie_of(&sessions, "admin").await;
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

#[tokio::test(flavor = "current_thread")]
async fn who_is_logged_in_and_may_not_gets_403_and_who_is_not_goes_to_the_login_page() {
    let admins = RequireLoginLayer::new("/login").may_if(|session| {
        let name = session.get::<String>("username");
        name.is_ok_and(|name| name.as_deref() == Some("admin"))
    });
    let (site, sessions) = site(&admins);
    for (name, status) in [(Some("admin"), 200), (Some("alice"), 403), (None, 303)] {
        let cookie = match name {
            Some(name) => cookie_of(&sessions, name).await,
            None => String::new(),
        };
        let answer = answer(&site, request("GET", "/", &[NAVIGATE, ("cookie", &cookie)])).await;
        assert_eq!(answer.status(), status, "{name:?}");
        assert_eq!(refusal(&answer), (status == 403).then_some(Refusal::NotPermitted));
        assert!(!answer.headers().contains_key(header::WWW_AUTHENTICATE));
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_proof_of_long_ago_has_to_be_given_again_and_its_page_is_for_who_is_logged_in() {
    let clock = Clock::at(1_800_000_000);
    let ten_minutes = Duration::from_mins(10);
    let guard = RequireLoginLayer::new("/login").confirmed_within("password", ten_minutes, "/confirm?lang=de");
    let sessions = sessions(|builder| builder.clock(clock.now()));
    let site = with_pages(&sessions, &guard);
    let proved = |session: &Session| {
        session.insert("username", "admin")?;
        session.confirm("password")
    };
    let cookie = visitor(&sessions, proved).await.unwrap();
    let visit = async |method, path, headers: &[(&'static str, &str)]| {
        let headers = [headers, &[("cookie", cookie.as_str())]].concat();
        answer(&site, request(method, path, &headers)).await
    };

    clock.advance(Duration::from_secs(599));
    assert_eq!(visit("POST", "/password", &[]).await.body(), "a page");
    clock.advance(Duration::from_secs(1));
    let page = visit("GET", "/account?tab=2", &[NAVIGATE]).await;
    assert_eq!(page.status(), 303);
    assert_eq!(
        page.headers()[header::LOCATION],
        "/confirm?lang=de&next=/account%3Ftab%3D2"
    );
    for (method, headers) in [("POST", &[NAVIGATE][..]), ("GET", &[("sec-fetch-mode", "cors")])] {
        let other = visit(method, "/password", headers).await;
        assert_eq!(
            (other.status().as_u16(), other.body().as_str()),
            (401, "please prove again who you are (password)\n")
        );
        assert_eq!(other.headers()["www-confirm"], "password");
        assert_eq!(refusal(&other), Some(Refusal::NotConfirmed("password")));
    }
    let htmx = visit(
        "POST",
        "/password",
        &[("hx-request", "true"), ("hx-current-url", "https://x.example/account")],
    )
    .await;
    assert_eq!(
        (htmx.status().as_u16(), &htmx.headers()["www-confirm"]),
        (401, &"password".parse().unwrap())
    );
    assert_eq!(htmx.headers()["hx-redirect"], "/confirm?lang=de&next=/account");

    assert_eq!(
        visit("GET", "/confirm?next=/account", &[NAVIGATE]).await.body(),
        "a page"
    );
    let stranger = answer(&site, request("GET", "/confirm", &[NAVIGATE])).await;
    assert_eq!(stranger.headers()[header::LOCATION], "/login?next=/confirm");
}

#[test]
fn next_has_the_name_that_the_site_gives_it_and_is_named_once() {
    for (page, name, location) in [
        ("/login", "next", "/login?next=/orders%3Fx"),
        ("/login", "return_to", "/login?return_to=/orders%3Fx"),
        ("/login", "a&b=c", "/login?a%26b%3Dc=/orders%3Fx"),
        ("/login?next=/home", "next", "/login?next=/home"),
        ("/login?next", "next", "/login?next"),
        ("/login?next=/home?x", "next", "/login?next=/home?x"),
        ("/login?lang=de&next=/home", "next", "/login?lang=de&next=/home"),
        ("/login?nextcloud=1", "next", "/login?nextcloud=1&next=/orders%3Fx"),
        ("/login?x=next=", "next", "/login?x=next=&next=/orders%3Fx"),
        (
            "/login?next=/home",
            "return_to",
            "/login?next=/home&return_to=/orders%3Fx",
        ),
    ] {
        let request = request("GET", "/orders?x", &[NAVIGATE]);
        let page = LoginPage::new(page).next_name(name);
        let answer: Response<String> = page.answer(&request, Refusal::NotLoggedIn);
        assert_eq!(answer.headers()[header::LOCATION], location);
        assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
    }
    let confirmed = |guard: RequireLoginLayer| guard.confirmed_within("password", Duration::from_mins(10), "/confirm");
    let guard = || RequireLoginLayer::new("/login");
    for guard in [
        confirmed(guard()).next_name("to"),
        confirmed(guard().next_name("to")),
        confirmed(guard().next_name("return_to")).next_name("to"),
    ] {
        let shown = format!("{guard:?}");
        let pages = ["/login", "/confirm"].map(|page| format!("{:?}", Some(LoginPage::new(page).next_name("to"))));
        assert!(pages.iter().all(|page| shown.contains(page)), "{shown}");
    }
}

#[test]
fn htmx_is_told_to_open_the_page_and_comes_back_to_the_page_that_the_visitor_sees() {
    const SEEN: (&str, &str) = ("hx-current-url", "https://x.example/orders?page=2#last");
    for (method, headers, next) in [
        ("POST", &[SEEN][..], Some("/orders%3Fpage%3D2")),
        ("GET", &[SEEN], Some("/orders%3Fpage%3D2")),
        (
            "GET",
            &[SEEN, NAVIGATE, ("accept", "text/html")],
            Some("/orders%3Fpage%3D2"),
        ),
        // The link or the form of a whole page.
        ("GET", &[SEEN, ("hx-boosted", "true")], Some("/part")),
        ("POST", &[SEEN, ("hx-boosted", "true")], Some("/orders%3Fpage%3D2")),
        ("GET", &[], Some("/part")),
        ("GET", &[("hx-current-url", "no address")], Some("/part")),
        ("GET", &[("hx-current-url", "https://x.example//evil.example")], None),
        ("GET", &[("hx-current-url", "https://x.example/%5cevil.example")], None),
    ] {
        let headers = [&[("hx-request", "true")], headers].concat();
        let answer: Response<String> =
            LoginPage::new("/login").answer(&request(method, "/part", &headers), Refusal::NotLoggedIn);
        let location = next.map_or("/login".to_owned(), |next| format!("/login?next={next}"));
        assert_eq!(answer.headers()["hx-redirect"], location, "{headers:?}");
        assert_eq!(answer.status(), 401);
        assert!(!answer.headers().contains_key(header::LOCATION));
        assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
    }
    let no_htmx = request("GET", "/part", &[("hx-request", "false"), SEEN]);
    let answer: Response<String> = LoginPage::new("/login").answer(&no_htmx, Refusal::NotLoggedIn);
    assert!(!answer.headers().contains_key("hx-redirect"));
}

#[test]
fn a_proof_that_no_header_can_name_is_a_mistake() {
    let made = std::panic::catch_unwind(|| {
        RequireLoginLayer::new("/login").confirmed_within("pass\nword", Duration::from_secs(1), "/confirm")
    });
    assert!(made.is_err());
}
