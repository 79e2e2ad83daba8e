//! What the layer sees in a request.

use super::*;
use crate::core::cookie::Keys;
use crate::core::id::ID_BYTES;
use crate::{MemoryStore, SessionLayer};

const NOW: u64 = 1_800_000_000;
const LIFE: u64 = 600;

fn tokens() -> Tokens {
    Tokens::new(&Keys::new(b"0123456789abcdef0123456789abcdef").unwrap(), "session")
}

fn bound() -> Arc<Bound> {
    Arc::new(Bound::new(tokens(), "session", String::new(), None, LIFE, "/.session"))
}

fn id(number: u8) -> SessionId {
    SessionId::new([number; ID_BYTES])
}

/// The second cookie of the session with this number, which is good until this time.
fn second(number: u8, until: u64) -> String {
    format!("session-bound={}", tokens().cookie(id(number).record_key(), until))
}

#[test]
fn the_latest_second_cookie_of_a_session_counts_and_none_is_foreign_beside_one_of_its_own() {
    let (early, late) = (second(1, NOW + 1), second(1, NOW + LIFE));
    let (over, of_another) = (second(1, NOW), second(9, NOW + LIFE));
    for (cookies, until, is_foreign) in [
        (&[][..], None, false),
        (&[&early], Some(NOW + 1), false),
        (&[&early, &late], Some(NOW + LIFE), false),
        (&[&late, &early], Some(NOW + LIFE), false),
        (&[&over], None, false),
        (&[&of_another], None, true),
        (&[&of_another, &early], Some(NOW + 1), false),
    ] {
        let cookies: Vec<_> = cookies.iter().map(|cookie| cookie.as_str()).collect();
        let request = Request::builder().header(header::COOKIE, cookies.join("; "));
        let visit = bound().visit(&request.body(()).unwrap(), &[id(1), id(2)], NOW);
        assert_eq!(visit.second, [(id(1), until), (id(2), None)], "{cookies:?}");
        assert_eq!(visit.foreign, is_foreign, "{cookies:?}");
    }
}

#[test]
fn the_layer_answers_a_post_to_its_two_paths_alone() {
    for (method, path, is_asked) in [
        ("POST", "/.session/bind", true),
        ("POST", "/.session/refresh?session=x", true),
        ("GET", "/.session/bind", false),
        ("GET", "/.session/refresh", false),
        ("POST", "/.session", false),
        ("POST", "/.session/refresh/", false),
        ("POST", "/login", false),
    ] {
        let request = Request::builder().method(method).uri(path).body(()).unwrap();
        let visit = bound().visit(&request, &[], NOW);
        assert_eq!(visit.asked.is_some(), is_asked, "{method} {path}");
    }
}

#[test]
fn a_header_holds_a_text_up_to_the_size_of_a_proof() {
    let longest = "x".repeat(MOST_BYTES);
    for (value, text) in [
        ("text", Some("text")),
        ("\"text\"", Some("text")),
        ("\"text\";id=\"name\"", Some("text")),
        ("\"text", None),
        (&longest, Some(&*longest)),
        (&format!("{longest}x"), None),
    ] {
        let headers = HeaderMap::from_iter([(RESPONSE, HeaderValue::from_str(value).unwrap())]);
        assert_eq!(string(&headers, &RESPONSE).as_deref(), text);
    }
}

#[test]
fn an_answer_that_removes_the_second_cookie_is_not_stored_whatever_the_handler_says() {
    let keys = Keys::new(b"0123456789abcdef0123456789abcdef").unwrap();
    let layer = SessionLayer::builder(MemoryStore::default(), keys).bound(true);
    let request = Request::builder().header(header::COOKIE, "__Host-session-bound=of-another");
    let opened = layer.build().unwrap().open_request(&request.body(()).unwrap());
    opened.session().0.state().found.locked = true;
    let response = Response::builder().header(header::CACHE_CONTROL, "public, max-age=600");
    let mut response = response.body(()).unwrap();
    opened.set_headers(&CookieAction::Keep, &mut response);
    let removed = response.headers()[header::SET_COOKIE].to_str().unwrap();
    assert!(removed.starts_with("__Host-session-bound=;"), "{removed}");
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
}
