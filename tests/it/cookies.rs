//! What a `Cookie` header may hold: the right person or nobody, never an error, and no store call without a valid MAC.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use sha2::{Digest, Sha512};

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
    let (other_id, other_mac) = visitor(&site).await;
    let value = format!("{id}.{mac}");
    let secret = SECRET_KEY.as_bytes();
    let bytes = |text: &str| URL_SAFE.decode(format!("{text}=")).expect("base64url");
    let percent = value
        .bytes()
        .map(|byte| format!("%{byte:02X}"))
        .collect::<Vec<_>>()
        .concat();
    let mut forged: Vec<String> = (0..value.len()).map(|length| value[..length].to_owned()).collect();
    forged.extend((1..value.len()).map(|start| value[start..].to_owned()));
    forged.extend(["A", ".", "=", "==", ".A", " A", "\t", ",", "\u{0}"].map(|more| format!("{value}{more}x")));
    forged.extend(["A", "=", "==", "."].map(|more| format!("{value}{more}")));
    forged.extend([
        format!("{id}=.{mac}="),
        format!("{}.{}", STANDARD.encode(bytes(&id)), STANDARD.encode(bytes(&mac))),
        format!("{}.{mac}", last_bits_flipped(&id)),
        format!("{id}.{}", last_bits_flipped(&mac)),
        format!("\"{value}\""),
        value.replace('.', "%2E"),
        percent,
        value.to_lowercase(),
        value.to_uppercase(),
        value.replace('.', ":"),
        value.replace('.', ".."),
        format!("{mac}.{id}"),
        format!("{id}.{other_mac}"),
        format!("{other_id}.{mac}"),
        id.clone(),
        format!("{id}."),
        format!(".{mac}"),
        forge::cookie(b"another secret key that is long enough", NAME, &id),
        forge::cookie(b"", NAME, &id),
        forge::cookie(secret, "", &id),
        forge::cookie(secret, "session", &id),
        forge::cookie(secret, "__Host-backoffice", &id),
        format!("{id}.{}", &URL_SAFE.encode(Sha512::digest(&id))[..43]),
        format!("{id}.{}", forge::record_key(&id)),
        forge::cookie(secret, NAME, "short"),
        forge::cookie(secret, NAME, &last_bits_flipped(&id)),
        forge::cookie(secret, NAME, &"=".repeat(43)),
        forge::cookie(secret, NAME, &format!("{id}A")),
        "A".repeat(4096),
        format!("{value}{}", "A".repeat(4096 - value.len())),
    ]);
    for forged in forged {
        let (page, calls) = site.counted(Event::get("/").cookie(&format!("{COOKIE}{forged}"))).await;
        assert!(!is_admin(&page), "{forged}");
        assert_eq!(calls, NOTHING, "{forged}");
        assert!(page.cookies.is_empty(), "{forged}: {page:?}");
    }
    assert!(site.is_admin(&format!("{COOKIE}{value}")).await);
}

/// The same bytes to a lenient decoder: 43 characters of base64url hold two bits more than 32 bytes need.
fn last_bits_flipped(text: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (start, last) = text.split_at(text.len() - 1);
    let place = ALPHABET.iter().position(|byte| last.as_bytes() == [*byte]);
    let flipped = ALPHABET[place.expect("base64url") ^ 1];
    format!("{start}{}", char::from(flipped))
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

/// One of them is planted. Alone the living one counts; of two living ones nothing tells which is which, until a login or a
/// logout ends both.
#[tokio::test]
async fn of_two_that_verify_the_one_with_a_living_session_counts() {
    let site = App::start().await;
    let (mine, other) = (site.login("admin").await, site.login("admin").await);
    let dead = format!("{COOKIE}{}", forge::cookie(SECRET_KEY.as_bytes(), NAME, &forge::id(1)));
    for pair in [[&mine, &dead], [&dead, &mine]] {
        let event = Event::get("/").cookie(pair[0]).cookie(pair[1]);
        let (page, calls) = site.counted(event).await;
        assert!(is_admin(&page));
        assert_eq!(calls, ["GetItem", "GetItem"]);
    }
    let both = |event: Event| event.cookie(&mine).cookie(&other);
    assert!(!is_admin(&site.send(both(Event::get("/"))).await));
    let login = site
        .send(both(Event::post_form("/login", &[("username", "admin")])))
        .await;
    assert!(site.is_admin(&login.cookie()).await);
    assert!(!site.is_admin(&mine).await && !site.is_admin(&other).await);
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

#[tokio::test]
async fn a_key_that_was_rotated_out_still_verifies_and_another_does_not() {
    let old = "the key that signed before this one did";
    let site = App::with(&[("SECRET_KEY_FALLBACKS", old)]).await;
    let id = forge::id(1);
    for (key, calls) in [(old, &["GetItem"][..]), ("a key that never was one of ours here", &[])] {
        let cookie = format!("{COOKIE}{}", forge::cookie(key.as_bytes(), NAME, &id));
        assert_eq!(site.counted(Event::get("/").cookie(&cookie)).await.1, calls, "{key}");
    }
}
