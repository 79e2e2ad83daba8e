//! The headers on every answer, errors included: OWASP's HTTP Headers Cheat Sheet, ASVS 5.0 V3.4.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::support::app::{App, COOKIE};
use crate::support::html::Page;
use dev::event::Event;
use dev::lambda::Answer;
use dev::proxy::Fault;

/// An answer of every kind, each with the status that it must have.
async fn answers(site: &App) -> Vec<(u16, Answer)> {
    let own = site.login("admin").await;
    let mut answers = Vec::new();
    for (status, event) in [
        (200, Event::get("/")),
        (200, Event::get("/").cookie(&own)),
        (200, Event::get("/login")),
        (200, Event::new("HEAD", "/")),
        (200, Event::new("HEAD", "/login")),
        (303, Event::post_form("/login", &[("username", "admin")]).cookie(&own)),
        (303, Event::get("/logout")),
        (400, Event::post_form("/login", &[("username", "")])),
        (400, Event::get("")),
        (403, Event::get("/logout").header("sec-fetch-site", "cross-site")),
        (
            403,
            Event::post_form("/login", &[]).header("sec-fetch-site", "cross-site"),
        ),
        (404, Event::get("/nothing")),
        (405, Event::new("POST", "/")),
        (405, Event::new("DELETE", "/login")),
        (405, Event::new("HEAD", "/logout")),
        (413, Event::post_form("/login", &[("username", &"x".repeat(5_000))])),
        (
            415,
            Event::post_form("/login", &[]).with("/headers/content-type", "text/plain"),
        ),
    ] {
        answers.push((status, site.send(event).await));
    }
    let cookie = site.login("admin").await;
    for event in [
        || Event::get("/"),
        || Event::post_form("/login", &[("username", "admin")]),
        || Event::get("/logout"),
    ] as [fn() -> Event; 3]
    {
        let refused = Fault::Error(400, "ResourceNotFoundException");
        for (fault, status) in [(refused, 500), (Fault::Error(400, "ThrottlingException"), 503)] {
            site.proxy.rule(move |_| fault.clone());
            answers.push((status, site.send(event().cookie(&cookie)).await));
            site.proxy.pass_everything();
        }
    }
    answers
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_guard_it() {
    let site = App::start().await;
    for (status, answer) in answers(&site).await {
        assert_eq!(answer.status, status, "{answer:?}");
        for (name, value) in [
            ("cache-control", "no-store"),
            ("vary", "Cookie"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("strict-transport-security", "max-age=31536000"),
        ] {
            assert_eq!(answer.headers.get(name).map(String::as_str), Some(value), "{answer:?}");
        }
        let type_expected = (status != 303).then_some("text/html; charset=utf-8");
        assert_eq!(
            answer.headers.get("content-type").map(String::as_str),
            type_expected,
            "{answer:?}"
        );
        assert_eq!(answer.headers.contains_key("location"), status == 303, "{answer:?}");
        assert_eq!(answer.headers.contains_key("allow"), status == 405, "{answer:?}");
        assert_eq!(answer.headers.contains_key("retry-after"), status == 503, "{answer:?}");
        let said: Vec<_> = answer
            .headers
            .keys()
            .filter(|name| name.starts_with("access-control"))
            .collect();
        assert!(said.is_empty(), "no other site may read an answer: {said:?}");
        if status >= 400 {
            assert!(answer.cookies.is_empty(), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn the_policy_allows_the_one_style_sheet_and_nothing_else_that_runs() {
    let site = App::start().await;
    for (_, answer) in answers(&site).await {
        let policy = &answer.headers["content-security-policy"];
        let directives: Vec<_> = policy.split("; ").collect();
        assert!(!policy.contains("unsafe"), "{policy}");
        for directive in [
            "default-src 'none'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(directives.contains(&directive), "{policy}");
        }
        if answer.body.is_empty() {
            continue;
        }
        let page = Page::parse(&answer.body);
        let hash = STANDARD.encode(Sha256::digest(page.one("style").text()));
        assert!(
            directives.contains(&format!("style-src 'sha256-{hash}'").as_str()),
            "{policy}"
        );
    }
}

#[tokio::test]
async fn browsers_insist_on_https_for_the_names_below_only_if_the_site_says_so() {
    for (subdomains, policy) in [
        ("true", "max-age=31536000; includeSubDomains"),
        ("false", "max-age=31536000"),
    ] {
        let site = App::with(&[("HSTS_SUBDOMAINS", subdomains)]).await;
        let page = site.send(Event::get("/")).await;
        assert_eq!(page.headers["strict-transport-security"], policy, "{page:?}");
    }
}

#[tokio::test]
async fn without_https_no_browser_is_told_to_insist_on_it() {
    let site = App::with(&[("SESSION_COOKIE_SECURE", "false")]).await;
    let page = site.send(Event::get("/")).await;
    assert!(!page.headers.contains_key("strict-transport-security"), "{page:?}");
}

#[tokio::test]
async fn a_cookie_is_set_by_a_login_and_cleared_by_a_logout_and_by_nothing_else() {
    let site = App::start().await;
    let login = site.send(Event::post_form("/login", &[("username", "admin")])).await;
    let [cookie] = login.cookies.as_slice() else {
        panic!("{login:?}")
    };
    let (pair, attributes) = cookie.split_once("; ").expect("attributes");
    assert_eq!(attributes, "HttpOnly; SameSite=Lax; Path=/; Secure");
    let logout = site.send(Event::get("/logout").cookie(pair)).await;
    let cleared = format!("{COOKIE}; HttpOnly; SameSite=Lax; Path=/; Secure; Max-Age=0");
    assert_eq!(logout.cookies, [cleared]);
}
