//! Logouts: at this site, and by the provider's tokens.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use dev::dynamodb::table;
use dev::proxy::{Fault, Gate};
use dev::visitor::{Visitor, assert_redirect, assert_refused};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;

use crate::fake::{CLIENT, forged, now, symmetric, unsigned};
use crate::site::{Site, begin, function, with};

#[tokio::test]
async fn a_logout_is_the_providers_too_and_no_other_site_can_ask_for_it() {
    let site = Site::new().await;
    let mut user = site.user("alice").await;
    let mut tricked = user.clone();
    tricked.headers = vec![("sec-fetch-site", "cross-site".to_owned())];
    assert_refused(&tricked.get("/logout").await, 403, "Another site sent this.");
    let answer = user.get("/logout").await;
    let url: Url = answer.headers["location"].parse().expect("an address");
    let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
    assert!(
        url.as_str().starts_with(&format!("{}/logout?", site.provider.issuer)),
        "{url}"
    );
    assert_eq!(
        (query["client_id"].as_str(), query["post_logout_redirect_uri"].as_str()),
        (CLIENT, "https://shop.example/")
    );
    assert_eq!(query["id_token_hint"].split('.').count(), 3);
    assert_eq!((user.who().await, user.session()), (None, None));
    assert_redirect(&user.get("/logout").await, "/");
}

#[tokio::test]
async fn a_logout_has_ended_the_session_before_the_provider_is_asked() {
    let site = Site::new().await;
    let user = site.user("alice").await;
    // Another instance, which has not loaded its provider's configuration. That provider accepts the connection and
    // says nothing.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let issuer = format!("http://{}", silent.local_addr().expect("a bound listener"));
    let function = Arc::new(function(&site.table, &issuer).await);
    let mut elsewhere = Visitor::of(&function);
    elsewhere.jar.clone_from(&user.jar);
    let logout = tokio::spawn(async move { elsewhere.get("/logout").await });
    let asked = silent.accept().await.expect("a connection");
    assert_eq!(user.clone().who().await, None);
    drop((asked, silent));
    assert_redirect(&logout.await.expect("an answer"), "/");
}

#[tokio::test]
async fn a_logout_token_ends_the_session_that_it_names_or_all_of_its_subject() {
    let site = Site::new().await;
    let provider = &site.provider;
    let [mut laptop, mut bob] = [site.user("alice").await, site.user("bob").await];
    // Another session at the provider.
    let mut phone = site.visitor();
    let begun = begin(&mut phone, "/login").await;
    let claims = with(provider.claims("alice", &begun.nonce), "sid", json!("another session"));
    let back = site.answer(&begun, "phone", Some(provider.sign(&claims)));
    assert_redirect(&phone.get(&back).await, "/");

    let named = with(provider.logout_claims("alice"), "sid", json!("session of alice"));
    let named = provider.sign_as(&json!({ "alg": "ES256", "kid": "first", "typ": "logout+jwt" }), &named);
    assert_eq!(site.back_channel(&named).await, 200);
    assert_eq!(laptop.who().await, None);
    let begun = begin(&mut laptop, "/login").await;
    let claims = with(provider.claims("alice", &begun.nonce), "sid", json!("a third session"));
    let back = site.answer(&begun, "again", Some(provider.sign(&claims)));
    assert_redirect(&laptop.get(&back).await, "/");
    assert_eq!(phone.who().await.as_deref(), Some("alice"));
    assert_eq!(site.back_channel(&named).await, 400, "once");

    assert_eq!(
        site.back_channel(&provider.sign(&provider.logout_claims("alice")))
            .await,
        200
    );
    assert_eq!(phone.who().await, None);
    assert_eq!(bob.who().await.as_deref(), Some("bob"));
}

#[tokio::test]
async fn a_logout_token_that_is_none_ends_nothing() {
    let site = Site::new().await;
    let provider = &site.provider;
    let mut user = site.user("alice").await;
    let good = || provider.logout_claims("alice");
    let event = "http://schemas.openid.net/event/backchannel-logout";
    let changed = |name, value| provider.sign(&with(good(), name, value));
    for (what, token) in [
        ("another issuer", changed("iss", json!("https://evil.example"))),
        ("another client", changed("aud", json!("another"))),
        ("it has expired", changed("exp", json!(now() - 1))),
        ("it is old", changed("iat", json!(now() - 3_600))),
        ("it is of tomorrow", changed("iat", json!(now() + 300))),
        ("no subject", changed("sub", Value::Null)),
        ("no name of its own", changed("jti", Value::Null)),
        ("no event", changed("events", Value::Null)),
        (
            "another event",
            changed("events", json!({ "https://other.example": {} })),
        ),
        ("an event that is none", changed("events", json!({ event: true }))),
        ("a nonce", changed("nonce", json!("a nonce"))),
        ("an ID token", provider.sign(&provider.claims("alice", "a nonce"))),
        ("another key signed it", forged(&good())),
        ("nobody signed it", unsigned(&good())),
        ("the client's secret signed it", symmetric(&good())),
        (
            "an access token",
            provider.sign_as(&json!({ "alg": "ES256", "kid": "first", "typ": "at+jwt" }), &good()),
        ),
        ("no token", "nonsense".to_owned()),
    ] {
        assert_eq!(site.back_channel(&token).await, 400, "{what}");
    }
    assert_eq!(user.who().await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn a_logout_token_that_could_not_be_carried_out_can_be_sent_again() {
    let site = Site::new().await;
    let mut user = site.user("alice").await;
    let token = site.provider.sign(&site.provider.logout_claims("alice"));
    site.table.proxy.rule(|call| match call.operation.as_str() {
        "UpdateItem" => Fault::Error(500, "InternalServerError"),
        _ => Fault::Pass,
    });
    assert_eq!(site.back_channel(&token).await, 503);
    site.table.proxy.pass_everything();
    assert_eq!(site.back_channel(&token).await, 200);
    assert_eq!(user.who().await, None);
}

/// Asserts that a login of Alice's fails if this order of the provider arrives during the login.
async fn assert_overtaken(site: &Site, order: &Value) {
    let mut visitor = site.visitor();
    let begun = begin(&mut visitor, "/login").await;
    let back = site.good(&begun, "overtaken", "alice");
    // The code is exchanged, and then the write that adds the login to the owner's list is held.
    let gate = Gate::new();
    let held = gate.clone();
    site.table.proxy.rule(move |call| {
        assert_eq!(call.request["TableName"], table::NAME);
        if call.operation == "UpdateItem" {
            Fault::Hold(held.clone())
        } else {
            Fault::Pass
        }
    });
    let mut slow = visitor.clone();
    let login = tokio::spawn(async move {
        let answer = slow.get(&back).await;
        (answer, slow)
    });
    gate.arrived().await;
    site.table.proxy.pass_everything();
    assert_eq!(site.back_channel(&site.provider.sign(order)).await, 200);
    gate.release();
    let (answer, mut slow) = login.await.expect("an answer");
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(slow.who().await, None);
}

#[tokio::test]
async fn a_login_that_a_logout_at_the_provider_overtakes_fails() {
    let site = Site::new().await;
    let order = with(site.provider.logout_claims("alice"), "sid", json!("session of alice"));
    assert_overtaken(&site, &order).await;
}

/// Makes the subject's mark a minute older.
fn a_minute_passes_since_the_mark(site: &Site) {
    let mut marks = 0;
    site.table.dynamodb.edit(|item| {
        if item["id"]["S"].as_str().is_some_and(|id| id.starts_with("sub:")) {
            let expires_at: u64 = item["expires_at"]["N"]
                .as_str()
                .expect("a time")
                .parse()
                .expect("seconds");
            item["expires_at"] = json!({ "N": (expires_at - 60).to_string() });
            marks += 1;
        }
    });
    assert_eq!(marks, 1);
}

#[tokio::test]
async fn a_login_that_a_logout_of_all_the_subjects_sessions_overtakes_fails_and_a_later_one_does_not() {
    let site = Site::new().await;
    let mut bob = site.visitor();
    let begun = begin(&mut bob, "/login").await;
    assert_overtaken(&site, &site.provider.logout_claims("alice")).await;
    let back = site.good(&begun, "bob", "bob");
    assert_redirect(&bob.get(&back).await, "/");

    a_minute_passes_since_the_mark(&site);
    assert_eq!(site.user("alice").await.who().await.as_deref(), Some("alice"));
}
