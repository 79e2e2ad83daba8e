//! Attacks on bound sessions.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dev::proxy::Fault;
use http::Response;
use lambda_session::MemoryStore;

use super::*;
use crate::support::device::{Device, header_of};

/// Checks that the layer refused a request of the protocol, and gave no cookie.
#[track_caller]
fn assert_refused(answer: &Response<String>) {
    assert_eq!(answer.status(), 400, "{answer:?}");
    assert!(!answer.headers().contains_key("set-cookie"), "{answer:?}");
}

/// Sends a proof to a path of the protocol.
async fn prove(browser: &mut Browser, path: &str, proof: &str) -> Response<String> {
    let name = browser.session.as_ref().map(|session| format!("\"{}\"", session.name));
    let proof = format!("\"{proof}\"");
    let mut headers = vec![("secure-session-response", proof.as_str())];
    headers.extend(name.as_deref().map(|name| ("sec-secure-session-id", name)));
    browser.send("POST", path, &headers).await
}

#[tokio::test]
async fn copied_cookies_open_nothing_once_ten_minutes_are_over() {
    let (world, site, mut browser) = Calm::bound().await;
    let mut thief = browser.copied();
    // A second cookie that the thief keeps beyond its time.
    for (_, until) in thief.jar.values_mut() {
        *until = u64::MAX;
    }
    wait(TEN_MINUTES - 1);
    assert_admin(&thief.visit("/").await);
    wait(1);
    let (answer, calls) = world.cost(thief.visit("/")).await;
    assert_nobody(&answer);
    assert_eq!(calls, ["GetItem"]);
    assert_eq!(thief.visit("/bound").await.body(), "false");
    for change in [
        "/set?theme=dark",
        "/increment?visits",
        "/flash?hello",
        "/save?a=b",
        "/goodbye?now",
    ] {
        let (answer, calls) = world.cost(thief.visit(change)).await;
        assert_eq!(
            (answer.status().as_u16(), calls),
            (409, vec!["GetItem".to_owned()]),
            "{change}"
        );
        assert!(!answer.headers().contains_key("set-cookie"), "{change}");
    }
    for end in ["/logout", "/end", "/clear", "/pop?username"] {
        let (answer, calls) = world.cost(thief.visit(end)).await;
        assert_eq!(
            (answer.status().as_u16(), calls),
            (200, vec!["GetItem".to_owned()]),
            "{end}"
        );
        assert!(!answer.headers().contains_key("set-cookie"), "{end}");
    }
    // A login of the thief leaves the visitor's session alone.
    assert_eq!(thief.visit("/login?thief").await.status(), 200);
    assert_eq!(thief.visit("/").await.body(), "username=thief");
    assert_admin(&browser.browse("/").await);
    assert_admin(&browser.at(&site).visit("/").await);
}

#[tokio::test]
async fn a_thief_who_renews_is_out_when_the_copied_second_cookie_ends() {
    let (_world, site, browser) = Calm::bound().await;
    let (mut thief, challenge) = (browser.copied(), browser.asked.clone());
    for seconds in [200, 200, TEN_MINUTES - 401] {
        assert_eq!(thief.visit("/renew").await.status(), 200);
        thief.jar.get_mut(SECOND).expect("a second cookie").1 = u64::MAX;
        assert!(thief.asked.is_none(), "a thief is asked for no key");
        assert_admin(&thief.visit("/").await);
        wait(seconds);
    }
    assert_admin(&thief.visit("/").await);
    wait(1);
    assert_nobody(&thief.visit("/").await);
    assert_nobody(&thief.visit("/renew").await);
    // He has nothing to refresh it with, even if he knows all that the visitor's browser does except for the key.
    thief.session.clone_from(&browser.session);
    assert_refused(&thief.refresh().await);
    thief.asked = challenge;
    assert_refused(&thief.register().await);
    assert_nobody(&thief.visit("/").await);
    // Whoever logs in again has a session that the thief knows nothing of.
    let mut again = Browser::log_in(&site, "/login?admin").await;
    wait(TEN_MINUTES);
    assert_admin(&again.browse("/").await);
}

#[tokio::test]
async fn a_renewal_takes_the_time_of_no_other_sessions_second_cookie() {
    let (_world, site, browser) = Calm::bound().await;
    wait(300);
    let mut own = Browser::log_in(&site, "/login?thief").await;
    let (ended, cookies) = (own.copied(), own.cookies());
    own.visit("/logout").await;
    let mut thief = browser.copied();
    let both = format!("{cookies}; {}", browser.cookies());
    assert_eq!(thief.send("GET", "/renew", &[("cookie", &both)]).await.status(), 200);
    let time = |cookies: &Browser| cookies.jar[SECOND].0.split('.').next().map(str::to_owned);
    assert_eq!(time(&thief), time(&browser));
    assert!(time(&ended) > time(&browser));
    wait(TEN_MINUTES - 300);
    assert_nobody(&thief.visit("/").await);
}

#[tokio::test]
async fn copied_cookies_do_nothing_among_others_either() {
    let (_world, site, mut browser) = Calm::bound().await;
    wait(TEN_MINUTES);
    let mut other = Browser::new(&site);
    other.visit("/login?other").await;
    // The cookie of a session that is not bound, beside that of one that is.
    let both = format!("{}; {}", browser.cookies(), other.cookies());
    let both = [("cookie", both.as_str())];
    let mut thief = Browser::new(&site);
    assert_nobody(&thief.send("GET", "/", &both).await);
    let ended = thief.send("GET", "/logout", &both).await;
    assert!(!ended.headers().contains_key("set-cookie"));
    assert_admin(&browser.browse("/").await);
    // More cookies than a request may have.
    let mut many = vec![browser.jar[FIRST].0.clone()];
    for _ in 0..4 {
        let mut planted = Browser::new(&site);
        planted.visit("/login?planted").await;
        many.push(planted.jar[FIRST].0.clone());
    }
    let many: Vec<_> = many.iter().map(|value| format!("{FIRST}={value}")).collect();
    thief.send("GET", "/logout", &[("cookie", &many.join("; "))]).await;
    assert_admin(&browser.visit("/").await);
}

#[tokio::test]
async fn a_refresh_looks_at_four_sessions_of_the_cookie_at_most() {
    let (world, site, browser) = Calm::bound().await;
    let mut cookies = vec![browser.cookies()];
    for _ in 0..4 {
        let mut planted = Browser::new(&site);
        planted.visit("/login?planted").await;
        cookies.push(planted.cookies());
    }
    for (count, calls) in [(4, 4), (5, 1)] {
        let session = browser.session.as_ref().expect("it is bound");
        let name = format!("\"{}\"", session.name);
        let proof = browser
            .device
            .refreshes(session.challenge.as_ref().expect("a challenge"));
        let headers = [
            ("cookie", cookies[..count].join("; ")),
            ("sec-secure-session-id", name),
            ("secure-session-response", proof),
        ];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        let mut thief = Browser::new(&site);
        let (answer, made) = world.cost(thief.send("POST", &session.url, &headers)).await;
        assert_eq!((answer.status().as_u16(), made.len()), (200, calls), "{count}");
    }
}

#[tokio::test]
async fn a_logout_with_the_cookie_before_a_renewal_leaves_a_bound_session_alone() {
    let (world, site, mut browser) = Calm::bound().await;
    let mut thief = browser.copied();
    thief.jar.remove(SECOND);
    browser.visit("/renew").await;
    wait(60);
    for (end, status) in [("/logout", 200), ("/end", 200), ("/goodbye?now", 409)] {
        let (answer, calls) = world.cost(thief.visit(end)).await;
        assert_eq!(answer.status().as_u16(), status, "{end}");
        assert_eq!(calls, ["GetItem", "GetItem"], "{end}");
        assert!(!answer.headers().contains_key("set-cookie"), "{end}");
    }
    assert_admin(&browser.visit("/").await);

    // A session that is not bound ends with the one that it renewed, as everywhere.
    let mut plain = Browser::new(&site);
    plain.visit("/login?plain").await;
    let mut before = plain.copied();
    plain.visit("/renew").await;
    before.visit("/logout").await;
    assert_eq!(plain.visit("/").await.body(), "");
}

#[tokio::test]
async fn a_second_cookie_opens_no_other_session_and_none_when_it_is_changed() {
    let (_world, site, browser) = Calm::bound().await;
    let other = Browser::log_in(&site, "/login?other").await;
    wait(60);
    let right = browser.jar[SECOND].0.clone();
    let (time, mac) = right.split_once('.').expect("a dot");
    let later = format!("{}.{mac}", time.parse::<u64>().expect("a time") + 1);
    let values = [
        &other.jar[SECOND].0,
        &later,
        &right[..right.len() - 1],
        time,
        mac,
        "",
        &other.jar[FIRST].0,
    ];
    for value in values {
        let mut thief = browser.copied();
        thief.jar.insert(SECOND.to_owned(), (value.to_owned(), u64::MAX));
        let answer = thief.visit("/").await;
        assert_eq!((answer.status().as_u16(), answer.body().as_str()), (200, ""), "{value}");
        // A second cookie of another session goes, so that a browser asks for the right one. The first one stays.
        assert!(thief.jar.contains_key(FIRST), "{value}");
    }
    assert_admin(&browser.copied().visit("/").await);
}

#[tokio::test]
async fn a_registration_binds_its_session_alone_and_once() {
    let world = Calm::new().await;
    let site = world.bound_site();
    let mut browser = Browser::new(&site);
    browser.visit("/login?admin").await;
    let (path, challenge) = browser.asked.clone().expect("a registration");
    let proof = browser.device.registers(&challenge);
    assert_eq!(prove(&mut browser, &path, &proof).await.status(), 200);
    // The same one again changes nothing, as after a lost answer.
    let before = world.only_item().await;
    assert_eq!(prove(&mut browser, &path, &proof).await.status(), 200);
    assert_eq!(world.only_item().await, before);
    wait(300);
    let (answer, calls) = world.cost(prove(&mut browser, &path, &proof)).await;
    assert_refused(&answer);
    assert_eq!(calls, [""; 0]);

    let mut gone = Browser::new(&site);
    gone.visit("/login?gone").await;
    gone.visit("/logout").await;
    assert_refused(&gone.register().await);
}

#[tokio::test]
async fn a_thief_who_registers_first_loses_the_session_when_the_visitor_registers() {
    let world = Calm::new().await;
    let site = world.bound_site();
    let mut browser = Browser::new(&site);
    browser.visit("/login?admin").await;
    // Somebody who has only the cookies has no challenge to sign.
    let mut thief = browser.copied();
    let without = thief.device.registers(&browser.jar[FIRST].0);
    assert_refused(&prove(&mut thief, "/.session/bind", &without).await);
    // Somebody who saw the whole answer to the login has one.
    thief.asked.clone_from(&browser.asked);
    assert_eq!(thief.register().await.status(), 200);
    assert_refused(&browser.register().await);
    assert_eq!(thief.visit("/").await.body(), "");
    assert_eq!(browser.visit("/").await.body(), "");
    thief.refresh().await;
    assert!(thief.session.is_none());

    // A renewal before the visitor's registration does not save the thief's.
    let mut browser = Browser::new(&site);
    browser.visit("/login?admin").await;
    let mut thief = browser.copied();
    thief.asked.clone_from(&browser.asked);
    assert_eq!(thief.register().await.status(), 200);
    assert_eq!(thief.visit("/renew").await.status(), 200);
    assert_refused(&browser.register().await);
    assert_eq!(thief.visit("/").await.body(), "");
}

#[tokio::test]
async fn of_two_registrations_at_once_with_different_keys_none_keeps_the_session() {
    let world = Calm::new().await;
    let site = world.bound_site();
    let mut first = Browser::new(&site);
    first.visit("/login?admin").await;
    let mut second = first.copied();
    second.asked.clone_from(&first.asked);
    let (one, other) = tokio::join!(first.register(), second.register());
    let mut statuses = [one.status().as_u16(), other.status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
    assert_eq!(
        (
            first.visit("/").await.body().as_str(),
            second.visit("/").await.body().as_str()
        ),
        ("", "")
    );
}

#[tokio::test]
async fn refreshes_at_once_are_answered_all() {
    let (_world, _, mut browser) = Calm::bound().await;
    wait(TEN_MINUTES);
    let session = browser.session.clone().expect("it is bound");
    let device = Device::new();
    let device = std::mem::replace(&mut browser.device, device);
    let proof = device.refreshes(&session.challenge.clone().expect("a challenge"));
    let mut tabs = [browser.copied(), browser.copied(), browser.copied()];
    let [one, two, three] = &mut tabs;
    for tab in [&mut *one, two, three] {
        tab.session = Some(session.clone());
    }
    let url = session.url.as_str();
    let answers = tokio::join!(
        prove(one, url, &proof),
        prove(two, url, &proof),
        prove(three, url, &proof)
    );
    for answer in [answers.0, answers.1, answers.2] {
        assert_eq!(answer.status(), 200);
    }
    for tab in &mut tabs {
        assert_admin(&tab.visit("/").await);
    }
}

#[tokio::test]
async fn planted_cookies_keep_no_browser_from_refreshing() {
    let (_world, site, mut browser) = Calm::bound().await;
    wait(60);
    let session = browser.session.clone().expect("it is bound");
    let proof = browser.device.refreshes(&session.challenge.expect("a challenge"));
    let [name, proof] = [session.name, proof].map(|text| format!("\"{text}\""));
    for planted in [1, 4] {
        assert_eq!(browser.visit("/renew").await.status(), 200);
        let mut cookies = Vec::new();
        for _ in 0..planted {
            let mut other = Browser::new(&site);
            other.visit("/login?planted").await;
            cookies.push(other.cookies());
        }
        let headers = [
            ("cookie", cookies.join("; ")),
            ("sec-secure-session-id", name.clone()),
            ("secure-session-response", proof.clone()),
        ];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        browser.jar.remove(SECOND);
        assert_eq!(browser.send("POST", &session.url, &headers).await.status(), 200);
        assert_admin(&browser.visit("/").await);
    }
}

#[tokio::test]
async fn a_proof_is_good_for_its_session_purpose_and_time_alone() {
    let (world, site, mut browser) = Calm::bound().await;
    let mut other = Browser::log_in(&site, "/login?other").await;
    let (_, login) = browser.asked.clone().expect("a registration");
    let session = browser.session.clone().expect("it is bound");
    let url = session.url.clone();
    let next = session.challenge.clone().expect("a challenge");
    let others = other
        .session
        .clone()
        .expect("it is bound")
        .challenge
        .expect("a challenge");

    // Each of these challenges is another session's or another purpose's, so the browser is asked to sign one.
    for challenge in [
        login.as_str(),
        others.as_str(),
        "",
        "challenge",
        &next[1..],
        &session.name,
        &browser.jar[SECOND].0.clone(),
    ] {
        let proof = browser.device.refreshes(challenge);
        let (answer, calls) = world.cost(prove(&mut browser, &url, &proof)).await;
        assert_eq!((answer.status().as_u16(), calls), (403, Vec::new()), "{challenge}");
        assert!(!answer.headers().contains_key("set-cookie"), "{challenge}");
    }
    // Nor does the challenge of a refresh bind anything.
    let proof = browser.device.registers(&next);
    let (answer, calls) = world.cost(prove(&mut browser, "/.session/bind", &proof)).await;
    assert_refused(&answer);
    assert_eq!(calls, [""; 0]);
    // Another device's signature.
    let forged = other.device.refreshes(&next);
    assert_refused(&prove(&mut browser, &url, &forged).await);
    let own = browser.device.refreshes(&next);
    // A proof for the session of another browser.
    let answer = prove(&mut other, &url, &own).await;
    assert_eq!(answer.status(), 403);
    // In time, and too late.
    wait(TEN_MINUTES + 299);
    assert_eq!(prove(&mut browser, &url, &own).await.status(), 200);
    wait(1);
    let (answer, calls) = world.cost(prove(&mut browser, &url, &own)).await;
    assert_eq!((answer.status().as_u16(), calls), (403, Vec::new()));
    // From an instance whose clock is far ahead.
    let ahead = Site::of(world.bound_layer().clock(|| now() + 120));
    let challenged = browser
        .at(&ahead)
        .send("POST", &url, &[("sec-secure-session-id", &session.name)])
        .await;
    let challenge = header_of(&challenged, "secure-session-challenge").expect("a challenge");
    let proof = browser.device.refreshes(challenge.split('"').nth(1).expect("a string"));
    assert_eq!(prove(browser.at(&site), &url, &proof).await.status(), 403);
    // After a logout.
    browser.refresh().await;
    let session = browser.session.clone().expect("it is bound");
    let proof = browser.device.refreshes(&session.challenge.expect("a challenge"));
    assert_admin(&browser.visit("/").await);
    browser.visit("/logout").await;
    assert_eq!(prove(&mut browser, &url, &proof).await.body(), "{\"continue\":false}");
}

#[tokio::test]
async fn what_does_not_verify_costs_no_store_call() {
    let (world, site, mut browser) = Calm::bound().await;
    let url = browser.session.clone().expect("it is bound").url;
    let (bind, challenge) = browser.asked.clone().expect("a registration");
    let header = URL_SAFE_NO_PAD.encode(r#"{"typ":"dbsc+jwt","alg":"none"}"#);
    let payload = URL_SAFE_NO_PAD.encode(format!(r#"{{"jti":"{challenge}"}}"#));
    let unsigned = format!("{header}.{payload}.");
    let mut changed = browser.device.registers(&challenge);
    changed.truncate(changed.len() - 4);
    changed.push_str("AAAA");
    let large = "A".repeat(1_000_000);
    let own = Browser::new(&site).device.registers(&challenge.replace('1', "2"));
    for proof in [
        unsigned.as_str(),
        &changed,
        &large,
        &own,
        "",
        "\"",
        "\\",
        "a.b.c",
        "\u{7f}",
    ] {
        for path in [&bind, &url] {
            let Ok(value) = http::HeaderValue::from_str(proof) else {
                continue;
            };
            let text = value.to_str().expect("ASCII");
            let (answer, calls) = world
                .cost(browser.send("POST", path, &[("secure-session-response", text)]))
                .await;
            assert_refused(&answer);
            assert_eq!(calls, [""; 0], "{proof:.100}");
        }
    }
    let (answer, calls) = world.cost(browser.send("POST", &bind, &[])).await;
    assert_refused(&answer);
    assert_eq!(calls, [""; 0]);
    for name in [
        "",
        "name",
        &"A".repeat(1_000_000),
        &browser.jar[FIRST].0.clone(),
        &challenge,
    ] {
        let (answer, calls) = world
            .cost(browser.send("POST", &url, &[("sec-secure-session-id", name)]))
            .await;
        assert_refused(&answer);
        assert_eq!(calls, [""; 0], "{name:.100}");
    }
    // Other methods of the two paths are the program's.
    assert_admin(&browser.send("GET", &bind, &[]).await);
    assert_admin(&browser.send("PUT", &url, &[]).await);
}

#[tokio::test]
async fn a_lost_reply_binds_the_session_all_the_same() {
    let world = World::new().await;
    let site = world.bound_site();
    let mut browser = Browser::new(&site);
    browser.visit("/login?admin").await;
    let once = Arc::new(std::sync::atomic::AtomicBool::new(true));
    world.spoil("UpdateItem", move || {
        if once.swap(false, std::sync::atomic::Ordering::SeqCst) {
            Fault::DropReply
        } else {
            Fault::Pass
        }
    });
    assert_eq!(browser.register().await.status(), 200);
    wait(TEN_MINUTES);
    assert_admin(&browser.browse("/").await);
}

#[tokio::test]
async fn layers_with_different_cookies_accept_nothing_of_each_other() {
    let store = MemoryStore::default();
    let [shop, office] =
        ["shop", "office"].map(|name| Site::of(layer(store.clone(), keys()).clock(now).bound(true).cookie_name(name)));
    let mut browser = Browser::new(&shop);
    browser.visit("/login?admin").await;
    assert_refused(&browser.at(&office).register().await);
    assert_eq!(browser.at(&shop).register().await.status(), 200);
    let session = browser.session.clone();
    assert_refused(&browser.at(&office).attempt().await);
    browser.session = session;
    assert_eq!(browser.at(&shop).attempt().await.status(), 200);
}

#[tokio::test]
async fn a_shorter_time_holds_for_what_was_given_before() {
    let (world, _, mut browser) = Calm::bound().await;
    let strict = Site::of(world.bound_layer().bound_for(Duration::from_mins(1)));
    wait(60);
    assert_eq!(browser.at(&strict).visit("/").await.body(), "");
    browser.refresh().await;
    assert_admin(&browser.visit("/").await);
    wait(60);
    assert_admin(&browser.browse("/").await);
}
