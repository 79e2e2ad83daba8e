//! What a `Cookie` header may hold: the right person or nobody, never an error, and no store call without a valid MAC. Every
//! forgery there is, and several cookies of the name, are in the library's tests; here it is the compiled function that is asked.

use crate::support::SECRET_KEY;
use crate::support::app::{App, COOKIE, is_admin};
use crate::support::forge;
use dev::event::Event;

const NOTHING: [&str; 0] = [];
const NAME: &str = "__Host-session";

/// A logged-in visitor, and the two halves of their cookie's value.
async fn visitor(site: &App) -> (String, String) {
    let cookie = site.login("admin").await;
    let value = cookie.strip_prefix(COOKIE).expect("our cookie");
    let (id, mac) = value.split_once('.').expect("an ID and a MAC");
    (id.to_owned(), mac.to_owned())
}

#[tokio::test]
async fn the_documented_format_is_what_is_issued() {
    let site = App::start().await;
    let (id, mac) = visitor(&site).await;
    assert_eq!(forge::cookie(SECRET_KEY.as_bytes(), NAME, &id), format!("{id}.{mac}"));
    assert_eq!((id.len(), mac.len()), (43, 43));
}

#[tokio::test]
async fn what_was_not_issued_is_nobody_and_costs_no_store_call() {
    let site = App::start().await;
    let (id, mac) = visitor(&site).await;
    let (other_id, _) = visitor(&site).await;
    let value = format!("{id}.{mac}");
    let secret = SECRET_KEY.as_bytes();
    for forged in [
        String::new(),
        id.clone(),
        format!("{value}A"),
        value[..value.len() - 1].to_owned(),
        value.to_lowercase(),
        value.replace('.', "%2E"),
        format!("\"{value}\""),
        format!("{other_id}.{mac}"),
        forge::cookie(b"another secret key that is long enough", NAME, &id),
        forge::cookie(secret, "session", &id),
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
async fn a_signed_id_without_a_record_is_nobody_and_is_never_adopted() {
    let site = App::start().await;
    let id = forge::id(1);
    let planted = format!("{COOKIE}{}", forge::cookie(SECRET_KEY.as_bytes(), NAME, &id));
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
async fn neighbours_do_not_get_in_the_way() {
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

/// They make no header, so all of them are dropped. No browser sends one.
#[tokio::test]
async fn a_control_character_in_a_neighbour_makes_nobody_and_no_error() {
    let site = App::start().await;
    let own = site.login("admin").await;
    for control in ["\0", "\n", "\r\n", "\u{7f}", "\u{1b}"] {
        let neighbour = format!("a={control}");
        let (page, calls) = site.counted(Event::get("/").cookie(&neighbour).cookie(&own)).await;
        assert!(!is_admin(&page), "{control:?}");
        assert_eq!(calls, NOTHING, "{control:?}");
    }
}

/// A logout says that it worked, so it leaves no cookie of ours, whatever was in it.
#[tokio::test]
async fn a_logout_clears_the_cookie_whatever_was_in_it() {
    let site = App::start().await;
    for cookie in ["", "__Host-session=forged", "other=1"] {
        let logout = site.send(Event::get("/logout").cookie(cookie)).await;
        assert_eq!((logout.status, logout.cookie().as_str()), (303, COOKIE), "{cookie}");
    }
}

#[tokio::test]
async fn the_id_is_taken_from_the_cookie_alone() {
    let site = App::start().await;
    let own = site.login("admin").await;
    let value = own.strip_prefix(COOKIE).expect("our cookie");
    let mut events: Vec<Event> = [
        "session",
        "__host-session",
        "authorization",
        "x-session-id",
        "set-cookie",
    ]
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
