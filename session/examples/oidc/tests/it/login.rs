//! Logins, with wrong answers of a provider and wrong requests of a visitor.

use std::future::pending;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::routing::get;
use axum::{Json, Router};
use dev::program::Table;
use dev::visitor::{Visitor, assert_redirect, assert_refused};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::fake::{CLIENT, configuration_of, forged, now, symmetric, unsigned};
use crate::site::{Site, begin, fields, function, with};

const UNTRUSTED: &str = "cannot be trusted";
const NOT_BEGUN: &str = "was not begun here";

#[tokio::test]
async fn a_login_keeps_the_basket_and_leaves_no_secret_in_the_session() {
    let site = Site::new().await;
    let mut visitor = site.visitor();
    visitor.post("/basket", &[("item", "tea")]).await;
    assert_redirect(&visitor.get("/profile").await, "/login?next=/profile");
    let begun = begin(&mut visitor, "/login?next=/profile").await;
    let before = visitor.clone();
    assert_redirect(&visitor.get(&site.good(&begun, "a", "alice")).await, "/profile");
    assert_ne!(visitor.session(), before.session(), "a new ID");
    assert_eq!(before.clone().who().await, None, "the old ID opens nothing");
    let page = visitor.get("/").await;
    assert!(
        page.body.contains("Logged in as alice") && page.body.contains("<li>tea</li>"),
        "{page:?}"
    );
    let owner = format!("{} alice", site.provider.issuer);
    assert!(visitor.get("/profile").await.body.contains(&owner));
    // The last write is that of the new session.
    let calls = site.table.proxy.calls();
    let created = calls
        .iter()
        .rfind(|call| call.operation == "PutItem")
        .expect("a session");
    assert_eq!(created.request["Item"]["data"]["M"]["logins"], json!({ "L": [] }));

    // Another user finds nothing of the one before.
    let begun = begin(&mut visitor, "/login").await;
    assert_redirect(&visitor.get(&site.good(&begun, "b", "bob")).await, "/");
    assert_eq!(visitor.who().await.as_deref(), Some("bob"));
    assert!(!visitor.get("/").await.body.contains("tea"));
}

#[tokio::test]
async fn another_site_begins_no_login() {
    let site = Site::new().await;
    let mut tricked = site.visitor();
    tricked.headers = vec![("sec-fetch-site", "cross-site".to_owned())];
    // The function has read once when it started.
    assert_eq!(tricked.get("/elsewhere").await.status, 404);
    site.table.proxy.forget_calls();
    let followed = tricked.get("/login?next=/profile").await;
    assert_eq!((followed.status, followed.cookies.len()), (200, 0), "{followed:?}");
    assert!(!followed.headers.contains_key("refresh"), "{followed:?}");
    assert_refused(&tricked.post("/login", &[]).await, 403, "Another site sent this.");
    assert!(site.table.proxy.calls().is_empty());
}

#[tokio::test]
async fn several_tabs_log_in_at_once_and_only_so_many() {
    let site = Site::new().await;
    let mut visitor = site.visitor();
    let mut tabs = Vec::new();
    for n in 0..9 {
        tabs.push(begin(&mut visitor, &format!("/login?next=/profile?tab={n}")).await);
    }
    let back = site.good(&tabs[0], "tab-0", "alice");
    assert_refused(&visitor.get(&back).await, 400, NOT_BEGUN);
    for n in [8, 1, 4] {
        let back = site.good(&tabs[n], &format!("tab-{n}"), "alice");
        assert_redirect(&visitor.get(&back).await, &format!("/profile?tab={n}"));
    }
    assert_eq!(visitor.who().await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn a_next_that_leads_away_leads_home() {
    let site = Site::new().await;
    let mut visitor = site.visitor();
    let begun = begin(&mut visitor, "/login?next=//evil.example").await;
    assert_redirect(&visitor.get(&site.good(&begun, "a", "alice")).await, "/");
}

/// Makes a token of good claims, or no token.
type Tamper<'a> = Box<dyn Fn(Value) -> Option<String> + 'a>;

#[tokio::test]
async fn an_id_token_that_is_not_for_this_login_is_refused() {
    let site = Site::new().await;
    let provider = &site.provider;
    let mut visitor = site.visitor();
    visitor.post("/basket", &[("item", "tea")]).await;
    let changed = |name: &'static str, value: Value| -> Tamper<'_> {
        Box::new(move |claims| Some(provider.sign(&with(claims, name, value.clone()))))
    };
    let header = |header: Value| -> Tamper<'_> { Box::new(move |claims| Some(provider.sign_as(&header, &claims))) };
    let tampered: Vec<(&str, Tamper<'_>)> = vec![
        ("another nonce", changed("nonce", json!("another"))),
        ("no nonce", changed("nonce", Value::Null)),
        ("another issuer", changed("iss", json!("https://evil.example"))),
        ("another client", changed("aud", json!("another"))),
        ("one more client", changed("aud", json!([CLIENT, "another"]))),
        ("it has expired", changed("exp", json!(now() - 1))),
        ("the provider's clock is ahead", changed("iat", json!(now() + 300))),
        ("it is old", changed("iat", json!(now() - 3_600))),
        ("nobody signed it", Box::new(|claims| Some(unsigned(&claims)))),
        (
            "the client's secret signed it",
            Box::new(|claims| Some(symmetric(&claims))),
        ),
        ("another key signed it", Box::new(|claims| Some(forged(&claims)))),
        ("an unknown key", header(json!({ "alg": "ES256", "kid": "second" }))),
        ("another algorithm", header(json!({ "alg": "RS256", "kid": "first" }))),
        (
            "an access token",
            header(json!({ "alg": "ES256", "kid": "first", "typ": "at+jwt" })),
        ),
        (
            "a logout token",
            header(json!({ "alg": "ES256", "kid": "first", "typ": "logout+jwt" })),
        ),
        ("no token", Box::new(|_| None)),
    ];
    for (n, (what, tamper)) in tampered.iter().enumerate() {
        let begun = begin(&mut visitor, "/login").await;
        let token = tamper(provider.claims("alice", &begun.nonce));
        let answer = visitor.get(&site.answer(&begun, &format!("code-{n}"), token)).await;
        assert_eq!((answer.status, answer.cookies.len()), (400, 0), "{what}: {answer:?}");
        assert!(answer.body.contains(UNTRUSTED), "{what}: {answer:?}");
        assert_eq!(visitor.who().await, None, "{what}");
    }
    // A clock that is a little ahead is accepted.
    let begun = begin(&mut visitor, "/login").await;
    let ahead = with(provider.claims("alice", &begun.nonce), "iat", json!(now() + 30));
    let back = site.answer(&begun, "ahead", Some(provider.sign(&ahead)));
    assert_redirect(&visitor.get(&back).await, "/");
    assert!(visitor.get("/").await.body.contains("<li>tea</li>"), "nothing was lost");
}

#[tokio::test]
async fn a_callback_that_this_browser_did_not_begin_or_that_came_before_is_refused() {
    let site = Site::new().await;
    let [mut visitor, mut stranger] = [site.visitor(), site.visitor()];
    let strangers = begin(&mut stranger, "/login").await;
    assert_refused(
        &visitor.get(&site.good(&strangers, "s", "mallory")).await,
        400,
        NOT_BEGUN,
    );
    let begun = begin(&mut visitor, "/login").await;
    assert_refused(
        &visitor.get(&site.good(&strangers, "s", "mallory")).await,
        400,
        NOT_BEGUN,
    );
    assert_refused(&visitor.get("/callback").await, 400, NOT_BEGUN);
    assert_eq!(visitor.who().await, None);

    let back = site.good(&begun, "a", "alice");
    assert_redirect(&visitor.get(&back).await, "/");
    assert_refused(&visitor.get(&back).await, 400, NOT_BEGUN);
    // A used code with a fresh state.
    let begun = begin(&mut visitor, "/login").await;
    assert_refused(&visitor.get(&site.good(&begun, "a", "bob")).await, 400, UNTRUSTED);
    // A code of another login with this one's state: the verifier does not match.
    let begun = begin(&mut visitor, "/login").await;
    site.good(&strangers, "t", "mallory");
    let swapped = format!("/callback?code=t&state={}", begun.state);
    assert_refused(&visitor.get(&swapped).await, 400, UNTRUSTED);
    // An answer of another provider.
    let begun = begin(&mut visitor, "/login").await;
    let mixed_up = site.good(&begun, "b", "bob") + "&iss=https://evil.example";
    assert_refused(&visitor.get(&mixed_up).await, 400, UNTRUSTED);
    assert_eq!(visitor.who().await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn the_providers_errors_are_pages_of_our_own_words() {
    let site = Site::new().await;
    let mut visitor = site.visitor();
    for (error, status, text) in [
        ("access_denied", 403, "The login was cancelled."),
        ("login_required", 403, "wants to ask you something"),
        ("temporarily_unavailable", 503, "cannot be reached"),
        ("invalid_scope", 502, "The provider refused this login"),
    ] {
        let begun = begin(&mut visitor, "/login").await;
        let back = format!(
            "/callback?error={error}&error_description=call+us&state={}",
            begun.state
        );
        let answer = visitor.get(&back).await;
        assert_refused(&answer, status, text);
        assert!(
            !answer.body.contains("call us") && !answer.body.contains(error),
            "{answer:?}"
        );
        assert_refused(&visitor.get(&back).await, 400, NOT_BEGUN);
    }
    let unasked = visitor.get("/callback?error=access_denied&state=none").await;
    assert_refused(&unasked, 400, NOT_BEGUN);
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_is_503_and_what_needs_none_works() {
    let table = Table::new().await;
    let function = Arc::new(function(&table, "http://127.0.0.1:1").await);
    let mut visitor = Visitor::of(&function);
    let answer = visitor.post("/login", &[]).await;
    assert_refused(&answer, 503, "The provider cannot be reached");
    assert_eq!(answer.headers["retry-after"], "5");
    assert_redirect(&visitor.post("/basket", &[("item", "tea")]).await, "/");
}

#[tokio::test]
async fn a_basket_that_the_session_cannot_hold_is_refused_in_words_and_kept_as_it_was() {
    let site = Site::new().await;
    let mut visitor = site.visitor();
    let large = [("item", &*"x".repeat(10_000))];
    assert_redirect(&visitor.post("/basket", &large).await, "/");
    let refused = visitor.post("/basket", &large).await;
    assert_refused(&refused, 500, "Your session cannot hold that much.");
    assert_eq!(visitor.get("/").await.body.matches("<li>").count(), 1);
}

#[tokio::test]
async fn however_often_a_request_asks_the_provider_it_waits_no_longer() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let issuer = format!("http://{}", listener.local_addr().expect("a bound listener"));
    let metadata = Json(configuration_of(&issuer));
    let late = async move || {
        tokio::time::sleep(Duration::from_secs(3)).await;
        metadata
    };
    let routes = Router::new()
        .route("/.well-known/openid-configuration", get(late))
        .route("/jwks", get(pending::<()>));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let table = Table::new().await;
    let mut visitor = Visitor::of(&Arc::new(function(&table, &issuer).await));
    let asked_at = Instant::now();
    let answer = visitor.post("/login", &[]).await;
    assert_refused(&answer, 503, "The provider cannot be reached");
    // Four seconds in total, and not for each call.
    let waited = asked_at.elapsed();
    assert!(
        (Duration::from_secs(3)..Duration::from_secs(6)).contains(&waited),
        "{waited:?}"
    );
}

#[tokio::test]
async fn a_form_from_the_provider_is_passed_on_and_touches_no_session() {
    let site = Site::new().await;
    let mut visitor = site.visitor();
    visitor.post("/basket", &[("item", "tea")]).await;
    let begun = begin(&mut visitor, "/login").await;
    site.good(&begun, "a", "alice");

    // A browser sends this form from another site, so without the cookie.
    let mut from_provider = site.visitor();
    from_provider.headers = vec![("sec-fetch-site", "cross-site".to_owned())];
    site.table.proxy.forget_calls();
    let form = [("code", "a"), ("state", begun.state.as_str()), ("other", "x")];
    let page = from_provider.post("/callback", &form).await;
    assert_eq!(
        (page.status, page.cookies.len(), site.table.proxy.calls().len()),
        (200, 0, 0),
        "{page:?}"
    );
    let passed_on = fields(&page);
    let expected =
        [("code", "a"), ("state", begun.state.as_str())].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(passed_on, expected);

    let again: Vec<_> = passed_on
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let mut tricked = visitor.clone();
    tricked.headers.clone_from(&from_provider.headers);
    assert_refused(
        &tricked.post("/callback/posted", &again).await,
        403,
        "Another site sent this.",
    );
    assert_redirect(&visitor.post("/callback/posted", &again).await, "/");
    assert_eq!(visitor.who().await.as_deref(), Some("alice"));
    assert!(visitor.get("/").await.body.contains("<li>tea</li>"));

    let hostile = from_provider
        .post("/callback", &[("code", "\"><script>alert(1)</script>")])
        .await;
    assert!(!hostile.body.contains("<script>alert"), "{hostile:?}");
}
