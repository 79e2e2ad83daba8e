//! Bound sessions in Chromium over https, with its own keys and its own ideas of when to refresh.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse as _;
use dev::PATIENCE;
use dev::browser::{assert_shown, command, fill, in_browser, in_profile, press, run, that_binds};
use dev::program::Program;
use dev::tls::Terminator;
use fantoccini::{Client, Locator};
use http::{Request, Response};
use lambda_session::{MemoryStore, SameOriginLayer, Session, SessionLayer};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::example;
use crate::support::site::keys;

const SITE: &str = "https://site.test/";
const SECOND: &str = "__Host-session-bound";
const TEN_MINUTES: u64 = 600;
const MONTH: Duration = Duration::from_hours(30 * 24);

/// A site whose clock can be put forward, and which counts the registrations and the refreshes.
#[derive(Clone, Default)]
struct Site {
    ahead: Arc<AtomicU64>,
    registrations: Arc<AtomicUsize>,
    refreshes: Arc<AtomicUsize>,
}

impl Site {
    /// Serves the site, and returns the flags of a browser that finds it.
    async fn serve(&self) -> Vec<String> {
        let ahead = Arc::clone(&self.ahead);
        let now = || std::time::UNIX_EPOCH.elapsed().expect("a clock after 1970").as_secs();
        let layer = SessionLayer::builder(MemoryStore::default(), keys())
            .bound(true)
            .clock(move || now() + ahead.load(Ordering::SeqCst));
        let counted = self.clone();
        let count = from_fn(move |request: Request<Body>, next: Next| {
            match request.uri().path() {
                "/.session/bind" => drop(counted.registrations.fetch_add(1, Ordering::SeqCst)),
                "/.session/refresh" => drop(counted.refreshes.fetch_add(1, Ordering::SeqCst)),
                _ => {}
            }
            next.run(request)
        });
        let pages = Router::new().fallback(page).layer(layer.build().expect("a layer"));
        // The browser's own requests pass the guard against other sites.
        let pages = pages.layer(SameOriginLayer::new()).layer(count);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener");
        tokio::spawn(async move { axum::serve(listener, pages).await });
        over_https(address).await
    }

    fn registrations(&self) -> usize {
        self.registrations.load(Ordering::SeqCst)
    }

    fn refreshes(&self) -> usize {
        self.refreshes.load(Ordering::SeqCst)
    }

    /// Lets ten minutes pass here. The browser's second cookie ends, as it would have by the browser's own clock.
    async fn let_ten_minutes_pass(&self, client: &Client) {
        self.ahead.fetch_add(TEN_MINUTES, Ordering::SeqCst);
        drop_second(client).await;
    }
}

/// Returns the flags of a browser that finds the server at this address as `https://*.test`.
async fn over_https(address: SocketAddr) -> Vec<String> {
    let terminator = Terminator::new().expect("a certificate");
    let pin = terminator.pin.clone();
    let port = terminator.start_before(address).await.expect("a free port");
    that_binds(port, &pin)
}

/// Says who the visitor is, and whether the session is bound.
async fn page(session: Session, request: Request<Body>) -> Response<Body> {
    match request.uri().path() {
        "/login" => {
            session.clear();
            session.remember(MONTH);
            session.insert("name", "ann").expect("a variable");
            (http::StatusCode::SEE_OTHER, [("location", "/")]).into_response()
        }
        "/renew" => {
            session.renew();
            (http::StatusCode::SEE_OTHER, [("location", "/")]).into_response()
        }
        "/logout" => {
            session.end();
            "bye".into_response()
        }
        "/clear" => [("clear-site-data", "\"cookies\"")].into_response(),
        "/elsewhere" => html(&format!("<a href={SITE}>Go there</a><iframe src={SITE}></iframe>")),
        _ => {
            let name: Option<String> = session.get("name").expect("a text");
            let bound = if session.is_bound() { "bound" } else { "not bound" };
            html(&format!("<p>{} {bound}</p>", name.as_deref().unwrap_or("nobody")))
        }
    }
}

fn html(body: &str) -> Response<Body> {
    let icon = "<link rel=icon href=data:,>";
    ([("content-type", "text/html")], format!("{icon}{body}")).into_response()
}

async fn shows(client: &Client, text: &str) {
    client.goto(SITE).await.expect("a page");
    assert_shown(client, "p", text).await;
}

/// Goes to the page until it says that the session is bound.
async fn is_bound(client: &Client) {
    let began = Instant::now();
    loop {
        client.goto(SITE).await.expect("a page");
        if client.source().await.expect("a page").contains("ann bound") {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "the browser does not bind the session");
    }
}

/// Removes the second cookie, as time does.
async fn drop_second(client: &Client) {
    command(client, "Network.deleteCookies", json!({ "name": SECOND, "url": SITE })).await;
}

async fn jar(client: &Client) -> Vec<Value> {
    let kept = command(client, "Network.getCookies", json!({ "urls": [SITE] })).await;
    kept["cookies"].as_array().expect("a list").clone()
}

/// Puts stolen cookies into a thief's browser. The thief keeps the second one for longer than it is good.
async fn plant(thief: &Client, stolen: Vec<Value>) {
    assert_eq!(stolen.len(), 2, "{stolen:?}");
    thief.goto("https://other.test/").await.expect("a page");
    for mut cookie in stolen {
        cookie["expires"] = json!(4_000_000_000_u64);
        cookie["url"] = json!(SITE);
        command(thief, "Network.setCookie", cookie).await;
    }
}

#[tokio::test]
async fn chromium_keeps_its_session_and_a_thief_does_not() {
    const NAME: &str = "chromium_keeps_its_session_and_a_thief_does_not";
    let site = Site::default();
    let flags = site.serve().await;
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let profile = tempfile::tempdir().expect("a directory");

    let here = site.clone();
    let thief_flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
    in_profile(NAME, &flags, profile.path(), |client| async move {
        client.goto("https://site.test/login").await.expect("a page");
        is_bound(&client).await;
        // Requests wait for the refresh, and all are answered with the session.
        for _ in 0..3 {
            let before = here.refreshes();
            here.let_ten_minutes_pass(&client).await;
            let pages = "const page = () => fetch('/').then(answer => answer.text());
                const isBound = page => page.includes('ann bound');
                return Promise.all([page(), page(), page()]).then(pages => pages.map(isBound))";
            assert_eq!(run(&client, pages).await, json!([true, true, true]));
            assert!(here.refreshes() > before);
        }
        // A renewal goes on with the key.
        client.goto("https://site.test/renew").await.expect("a page");
        assert_shown(&client, "p", "ann bound").await;
        for _ in 0..2 {
            let before = here.refreshes();
            here.let_ten_minutes_pass(&client).await;
            shows(&client, "ann bound").await;
            assert!(here.refreshes() > before);
        }
        assert_eq!(here.registrations(), 1);
        // A second tab.
        let tab = client.new_window(true).await.expect("a tab");
        client.switch_to_window(tab.handle).await.expect("the tab");
        here.let_ten_minutes_pass(&client).await;
        shows(&client, "ann bound").await;

        // On another site's page, a frame is nobody's, and a link leads to the session.
        here.let_ten_minutes_pass(&client).await;
        client.goto("https://other.test/elsewhere").await.expect("a page");
        client.enter_frame(0).await.expect("a frame");
        assert_shown(&client, "p", "nobody not bound").await;
        client.enter_parent_frame().await.expect("the page");
        client
            .find(Locator::Css("a"))
            .await
            .expect("a link")
            .click()
            .await
            .expect("a click");
        assert_shown(&client, "p", "ann bound").await;

        let stolen = jar(&client).await;
        let thieves = here.clone();
        let thief_flags: Vec<&str> = thief_flags.iter().map(String::as_str).collect();
        in_browser(NAME, &thief_flags, |thief| async move {
            plant(&thief, stolen).await;
            shows(&thief, "ann bound").await;
            thieves.ahead.fetch_add(TEN_MINUTES, Ordering::SeqCst);
            shows(&thief, "nobody not bound").await;
            thief.goto("https://site.test/logout").await.expect("a page");
        })
        .await;
        drop_second(&client).await;
        shows(&client, "ann bound").await;
    })
    .await;

    // The browser is started again with its profile.
    let here = site.clone();
    in_profile(NAME, &flags, profile.path(), |client| async move {
        let before = here.refreshes();
        client.goto("https://other.test/").await.expect("a page");
        here.let_ten_minutes_pass(&client).await;
        shows(&client, "ann bound").await;
        assert!(here.refreshes() > before);

        client.goto("https://site.test/logout").await.expect("a page");
        assert_eq!(jar(&client).await, [Value::Null; 0]);
        shows(&client, "nobody not bound").await;
        client.goto("https://site.test/login").await.expect("a page");
        is_bound(&client).await;
        // Whoever clears the site's data has neither the session nor anything to refresh.
        client.goto("https://site.test/clear").await.expect("a page");
        assert_eq!(jar(&client).await, [Value::Null; 0]);
        let before = here.refreshes();
        here.let_ten_minutes_pass(&client).await;
        shows(&client, "nobody not bound").await;
        assert_eq!(here.refreshes(), before);
    })
    .await;
}

#[tokio::test]
async fn a_thief_who_renews_in_chromium_is_out_after_ten_minutes() {
    const NAME: &str = "a_thief_who_renews_in_chromium_is_out_after_ten_minutes";
    let site = Site::default();
    let flags = site.serve().await;
    let thief_flags = flags.clone();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    in_browser(NAME, &flags, |client| async move {
        client.goto("https://site.test/login").await.expect("a page");
        is_bound(&client).await;
        let (stolen, here) = (jar(&client).await, site.clone());
        let thief_flags: Vec<&str> = thief_flags.iter().map(String::as_str).collect();
        in_browser(NAME, &thief_flags, |thief| async move {
            plant(&thief, stolen).await;
            for _ in 0..2 {
                thief.goto("https://site.test/renew").await.expect("a page");
                assert_shown(&thief, "p", "ann bound").await;
            }
            here.ahead.fetch_add(TEN_MINUTES, Ordering::SeqCst);
            shows(&thief, "nobody not bound").await;
        })
        .await;
        assert_eq!(site.registrations(), 1, "the thief's browser registers nothing");
        // The visitor logs in again.
        shows(&client, "nobody not bound").await;
        client.goto("https://site.test/login").await.expect("a page");
        is_bound(&client).await;
    })
    .await;
}

#[tokio::test]
async fn chromium_refreshes_before_the_second_cookie_ends() {
    let layer = SessionLayer::builder(MemoryStore::default(), keys())
        .bound(true)
        .bound_for(Duration::from_secs(10));
    let refreshes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&refreshes);
    let count = from_fn(move |request: Request<Body>, next: Next| {
        counted.fetch_add(
            usize::from(request.uri().path() == "/.session/refresh"),
            Ordering::SeqCst,
        );
        next.run(request)
    });
    let pages = Router::new()
        .fallback(page)
        .layer(layer.build().expect("a layer"))
        .layer(count);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("a bound listener");
    tokio::spawn(async move { axum::serve(listener, pages).await });
    let flags = over_https(address).await;
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    in_browser(
        "chromium_refreshes_before_the_second_cookie_ends",
        &flags,
        |client| async move {
            client.goto("https://site.test/login").await.expect("a page");
            is_bound(&client).await;
            let began = Instant::now();
            while refreshes.load(Ordering::SeqCst) < 4 || began.elapsed() < Duration::from_secs(12) {
                shows(&client, "ann bound").await;
                assert!(began.elapsed() < 4 * PATIENCE, "the browser does not refresh");
                // Without a pause, the browser would load pages as fast as it can.
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        },
    )
    .await;
}

#[tokio::test]
async fn the_account_example_binds_a_login_and_ends_it() {
    let bound = [("SESSION_COOKIE_SECURE", "true"), ("SESSION_BOUND", "true")];
    let program = Program::server(example("account"), None, &bound).await;
    let address = program
        .address()
        .trim_start_matches("http://")
        .parse()
        .expect("an address");
    let flags = over_https(address).await;
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    in_browser(
        "the_account_example_binds_a_login_and_ends_it",
        &flags,
        |client| async move {
            // The page's policy forbids the script of this test.
            command(&client, "Page.setBypassCSP", json!({ "enabled": true })).await;
            client.goto(SITE).await.expect("the start page");
            fill(&client, "username", "alice").await;
            fill(&client, "password", "correct horse battery staple").await;
            press(&client, "Log in").await;
            assert_shown(&client, "h1", "Logged in as alice").await;
            let began = Instant::now();
            while jar(&client).await.len() < 2 {
                assert!(began.elapsed() < PATIENCE, "the browser does not bind the session");
                client.refresh().await.expect("the page");
            }
            // A renewal goes on with the key, and so do the refreshes.
            let renew = "return fetch('/renew', { method: 'POST' })
                .then(answer => [answer.status, answer.headers.get('secure-session-registration')])";
            for visits in ["1", "2"] {
                drop_second(&client).await;
                press(&client, "Count one more").await;
                assert_shown(&client, "output", visits).await;
                assert_eq!(run(&client, renew).await, json!([204, null]));
            }
            drop_second(&client).await;
            press(&client, "Count one more").await;
            assert_shown(&client, "output", "3").await;
            press(&client, "Log out").await;
            assert_shown(&client, "h1", "You are not logged in").await;
            let left: Vec<_> = jar(&client)
                .await
                .into_iter()
                .filter(|cookie| cookie["name"] == SECOND)
                .collect();
            assert_eq!(left, [Value::Null; 0]);
        },
    )
    .await;
}
