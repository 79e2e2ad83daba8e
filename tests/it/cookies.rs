//! `Cookie` headers of any content: the page is that of the cookie's visitor or of nobody, it is never an error, and
//! without a valid MAC the function makes no store call. The library's tests cover all forgeries, and several cookies
//! of one name; these tests send a few of them to the compiled function.

use crate::support::SECRET_KEY;
use crate::support::app::{App, COOKIE, COOKIE_NAME, is_admin, value_of};
use crate::support::forge;
use dev::event::Event;

const NOTHING: [&str; 0] = [];

/// A logged-in visitor, and the two halves of their cookie's value.
async fn visitor(site: &App) -> (String, String) {
    let cookie = site.login("admin").await;
    let (id, mac) = value_of(&cookie).split_once('.').expect("an ID and a MAC");
    (id.to_owned(), mac.to_owned())
}

#[tokio::test]
async fn the_documented_format_is_what_is_issued() {
    let site = App::start().await;
    let (id, mac) = visitor(&site).await;
    let made = forge::cookie(SECRET_KEY.as_bytes(), COOKIE_NAME, &id);
    assert_eq!(made, format!("{id}.{mac}"));
    assert_eq!((id.len(), mac.len()), (43, 43));
}

#[tokio::test]
async fn a_cookie_that_was_not_issued_opens_no_session_and_costs_no_store_call() {
    let site = App::start().await;
    let (id, mac) = visitor(&site).await;
    let (other_id, _) = visitor(&site).await;
    let value = format!("{id}.{mac}");
    let secret = SECRET_KEY.as_bytes();
    let another_name = COOKIE_NAME.trim_start_matches("__Host-");
    for forged in [
        String::new(),
        id.clone(),
        format!("{value}A"),
        value[..value.len() - 1].to_owned(),
        value.to_lowercase(),
        value.replace('.', "%2E"),
        format!("\"{value}\""),
        format!("{other_id}.{mac}"),
        forge::cookie(b"another secret key that is long enough", COOKIE_NAME, &id),
        forge::cookie(secret, another_name, &id),
        "A".repeat(4096),
    ] {
        let (page, calls) = site.counted(Event::get("/").cookie(&format!("{COOKIE}{forged}"))).await;
        assert!(!is_admin(&page), "{forged}");
        assert_eq!(calls, NOTHING, "{forged}");
        assert!(page.cookies.is_empty(), "{forged}: {page:?}");
    }
    assert!(site.is_admin(&format!("{COOKIE}{value}")).await);
}

#[tokio::test]
async fn a_signed_id_without_a_record_opens_no_session_and_is_never_adopted() {
    let site = App::start().await;
    let id = forge::id(1);
    let planted = format!("{COOKIE}{}", forge::cookie(SECRET_KEY.as_bytes(), COOKIE_NAME, &id));
    let (page, calls) = site.counted(Event::get("/").cookie(&planted)).await;
    assert!(!is_admin(&page));
    assert_eq!(calls, ["GetItem"]);

    // Session fixation (OWASP Session Management Cheat Sheet, "Renew the Session ID After Any Privilege Level Change").
    let login = Event::post_form("/login", &[("username", "admin")]).cookie(&planted);
    let issued = site.send(login).await.cookie();
    assert_ne!(issued, planted);
    assert!(site.is_admin(&issued).await);
    assert!(!site.is_admin(&planted).await);
}

#[tokio::test]
async fn other_cookies_do_not_hide_the_sessions() {
    let site = App::start().await;
    let own = site.login("admin").await;
    let many: Vec<String> = (0..3_000).map(|n| format!("neighbour{n}=value{n}")).collect();
    let planted: Vec<String> = (0..3_000).map(|n| format!("{COOKIE}{}.forged", forge::id(n))).collect();
    let long = format!("long={}", "x".repeat(4096));
    let spelled = [
        own.replace("__Host-", "__host-"),
        own.replace("__Host-", ""),
        format!("x{own}"),
    ];
    for neighbours in [
        &["a=b", "c", "", "=", "=x", ";;", "\"q\"=\"r\""].map(str::to_owned)[..],
        &["naïve=ü", "雪=🦀", "latin=\u{e9}"].map(str::to_owned),
        &[long],
        &[own.clone(), own.clone()],
        &[format!("{COOKIE}forged"), COOKIE.to_owned()],
        &spelled,
        &many,
        &planted,
    ] {
        for place in [0, neighbours.len() / 2, neighbours.len()] {
            let mut cookies = neighbours.to_vec();
            cookies.insert(place, own.clone());
            let event = cookies
                .iter()
                .fold(Event::get("/"), |event, cookie| event.cookie(cookie));
            assert!(is_admin(&site.send(event).await), "{:?} at {place}", neighbours.first());

            let joined = Event::get("/").header("cookie", &cookies.join("; "));
            assert!(
                is_admin(&site.send(joined).await),
                "{:?} at {place}",
                neighbours.first()
            );
        }
    }
}

/// No HTTP header can contain such a character, so that cookie is left out. No browser sends one.
#[tokio::test]
async fn a_control_character_in_another_cookie_does_not_hide_the_session() {
    let site = App::start().await;
    let own = site.login("admin").await;
    for control in ["\0", "\n", "\r\n", "\u{7f}", "\u{1b}"] {
        let neighbour = format!("a={control}");
        let page = site.send(Event::get("/").cookie(&neighbour).cookie(&own)).await;
        assert!(is_admin(&page), "{control:?}");
    }
}

/// A logout answers that the visitor is logged out, so it clears the cookie even if the cookie opened no session.
#[tokio::test]
async fn a_logout_clears_the_cookie_whatever_was_in_it() {
    let site = App::start().await;
    let forged = format!("{COOKIE}forged");
    for cookie in ["", forged.as_str(), "other=1"] {
        let logout = site.send(Event::get("/logout").cookie(cookie)).await;
        assert_eq!((logout.status, logout.cookie().as_str()), (303, COOKIE), "{cookie}");
    }
}

#[tokio::test]
async fn the_id_is_taken_from_the_cookie_alone() {
    let site = App::start().await;
    let own = site.login("admin").await;
    let (name, value) = (COOKIE_NAME.to_lowercase(), value_of(&own));
    let mut events: Vec<Event> = ["session", name.as_str(), "authorization", "x-session-id", "set-cookie"]
        .map(|name| Event::get("/").header(name, value).header(&format!("{name}2"), &own))
        .into();
    events.extend([
        Event::get(&format!("/?{own}&session={value}&sid={value}")),
        Event::new("GET", "/").body(own.as_bytes()),
        Event::get("/").with(
            "/requestContext/authorizer",
            serde_json::json!({ "lambda": { "session": value } }),
        ),
        Event::get("/").with("/pathParameters", serde_json::json!({ "session": value })),
    ]);
    for event in events {
        let (page, calls) = site.counted(event).await;
        assert!(!is_admin(&page));
        assert_eq!(calls, NOTHING);
    }
    let in_the_path = site.counted(Event::get(&format!("/;{own}"))).await;
    assert_eq!((in_the_path.0.status, in_the_path.1.len()), (404, 0));
}
