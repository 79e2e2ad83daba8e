//! Only the app's own pages and the person at the address bar may log a visitor in or out.
//!
//! The library's `SameOriginLayer` implements this rule, and the library's tests have a table of its cases. These tests
//! show that the rule guards the app's views, and that the pages say what to do.

use crate::support::app::{App, COOKIE};
use dev::event::{Event, HOST};

/// The headers by which a request says which site it comes from.
type From<'a> = &'a [(&'a str, &'a str)];

fn own_origin() -> String {
    format!("https://{HOST}")
}

fn login_from(from: From) -> Event {
    let form = Event::post_form("/login", &[("username", "mallory")]);
    with(form.without("origin").without("sec-fetch-site"), from)
}

fn with(event: Event, from: From) -> Event {
    from.iter()
        .fold(event, |event, (name, value)| event.header(name, value))
}

#[track_caller]
fn assert_link(page: &str, target: &str) {
    assert!(page.contains(&format!("href=\"{target}\"")), "{page}");
}

#[tokio::test]
async fn our_own_pages_and_the_address_bar_log_in_and_out() {
    let site = App::start().await;
    let own = own_origin();
    let allowed: [From; 4] = [
        &[("sec-fetch-site", "same-origin"), ("origin", &own)],
        &[("sec-fetch-site", "none")],
        &[("origin", &own)],
        &[],
    ];
    for from in allowed {
        let cookie = site.login("admin").await;
        let login = site.send(login_from(from).cookie(&cookie)).await;
        assert_eq!((login.status, login.cookies.len()), (303, 1), "{from:?}");
        let renewed = login.cookie();
        assert_ne!(renewed, cookie);
        let inside = site.send(Event::get("/").cookie(&renewed)).await;
        assert!(inside.body.contains("Logged in as mallory"), "{from:?}: {inside:?}");

        let cookie = site.login("admin").await;
        let logout = site.send(with(Event::get("/logout").cookie(&cookie), from)).await;
        assert_eq!((logout.status, logout.cookie().as_str()), (303, COOKIE), "{from:?}");
        assert!(!site.is_admin(&cookie).await, "{from:?}");
    }
}

#[tokio::test]
async fn another_site_changes_nothing_and_the_person_is_told_what_to_do() {
    let site = App::start().await;
    let cookie = site.login("admin").await;
    let refused: [From; 4] = [
        &[("sec-fetch-site", "cross-site")],
        &[("origin", "https://evil.example")],
        // AWS merges the two into one value.
        &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
        &[("sec-purpose", "prefetch"), ("sec-fetch-site", "same-origin")],
    ];
    for from in refused {
        for (event, way_out) in [
            (login_from(from).cookie(&cookie), "/login"),
            (login_from(from), "/login"),
            (with(Event::get("/logout").cookie(&cookie), from), "/logout"),
        ] {
            let (page, calls) = site.counted(event).await;
            assert_eq!(page.status, 403, "{from:?}: {page:?}");
            assert!(page.cookies.is_empty(), "{from:?}: {page:?}");
            assert_link(&page.body, way_out);
            assert!(calls.is_empty(), "{from:?}: {calls:?}");
        }
        assert!(site.is_admin(&cookie).await, "{from:?}");
    }
}

/// A Function URL, an HTTP API and a custom domain all forward the `Host` that the browser sent. Only that header
/// counts: neither the API's own name, nor a header that a page could have set.
#[tokio::test]
async fn the_host_header_says_which_origin_is_our_own() {
    let site = App::start().await;
    for (host, origin, status) in [
        ("shop.example", "https://shop.example", 303),
        ("shop.example:443", "https://shop.example", 303),
        ("SHOP.example", "https://shop.example", 303),
        (
            "shop.example",
            "https://api.execute-api.eu-central-1.amazonaws.com",
            403,
        ),
        ("shop.example", "https://forwarded.example", 403),
        ("shop.example", "https://shop.example:444", 403),
    ] {
        let event = login_from(&[("origin", origin)])
            .with("/headers/host", host)
            .with(
                "/requestContext/domainName",
                "api.execute-api.eu-central-1.amazonaws.com",
            )
            .header("x-forwarded-host", "forwarded.example")
            .header("forwarded", "host=forwarded.example");
        assert_eq!(site.send(event).await.status, status, "{host} {origin}");
    }
    let nowhere = login_from(&[("origin", "https://shop.example")]).without("host");
    assert_eq!(site.send(nowhere).await.status, 403);
}

#[tokio::test]
async fn over_plain_http_our_own_origin_is_a_plain_one() {
    let site = App::with(&[("SESSION_COOKIE_SECURE", "false")]).await;
    for (host, origin, status) in [
        ("127.0.0.1:3000", "http://127.0.0.1:3000", 303),
        ("127.0.0.1:3000", "https://127.0.0.1:3000", 403),
        ("127.0.0.1:3000", "http://localhost:3000", 403),
    ] {
        let event = login_from(&[("origin", origin)]).with("/headers/host", host);
        assert_eq!(site.send(event).await.status, status, "{host} {origin}");
    }
}

#[tokio::test]
async fn pages_that_change_nothing_open_from_any_site() {
    let site = App::start().await;
    let cookie = site.login("admin").await;
    let foreign: From = &[
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://evil.example"),
        ("sec-purpose", "prefetch"),
    ];
    for path in ["/", "/login"] {
        let page = site.send(with(Event::get(path).cookie(&cookie), foreign)).await;
        assert_eq!((page.status, page.cookies.len()), (200, 0), "{path}");
    }
}
