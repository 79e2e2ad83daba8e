use super::*;
use crate::core::id::{ID_BYTES, SessionId};

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const OTHER: &[u8] = b"another secret key of 32 bytes!!";
const NOW: u64 = 1_800_000_000;
const LIFE: u64 = 600;

fn tokens() -> Tokens {
    Tokens::new(&Keys::new(SECRET).unwrap(), "__Host-session")
}

fn session(number: u8) -> RecordKey {
    SessionId::new([number; ID_BYTES]).record_key().clone()
}

fn opens(tokens: &Tokens, value: &str, number: u8, now: u64) -> bool {
    tokens.opens(value.as_bytes(), &session(number), now, LIFE).is_some()
}

#[test]
fn the_second_cookie_is_frozen() {
    // python3: b64url(hmac.new(SECRET, b"lambda-session/bound/v1\0__Host-session\0Cookie\0" + b"A" * 43 +
    // b"\0" + b"1800000600", "sha256").digest())
    let key = RecordKey::from_stored("A".repeat(43));
    let mac = "YuGdgZFKnAqyFE8cRkBcRltJCjZajSUZFAaOCw4anFc";
    assert_eq!(tokens().cookie(&key, NOW + LIFE), format!("{}.{mac}", NOW + LIFE));
}

#[test]
fn a_second_cookie_opens_its_session_until_its_time() {
    let value = tokens().cookie(&session(1), NOW + LIFE);
    for (now, opened) in [(NOW, true), (NOW + LIFE - 1, true), (NOW + LIFE, false), (0, false)] {
        assert_eq!(opens(&tokens(), &value, 1, now), opened, "{now}");
    }
    // An instance whose clock is behind by a minute takes it, too.
    assert!(opens(&tokens(), &value, 1, NOW - 60) && !opens(&tokens(), &value, 1, NOW - 61));
}

#[test]
fn nothing_but_a_second_cookie_of_this_session_and_name_opens_it() {
    let value = tokens().cookie(&session(1), NOW + LIFE);
    let (time, mac) = value.split_once('.').unwrap();
    let keys = Keys::new(SECRET).unwrap();
    for presented in [
        String::new(),
        time.to_owned(),
        format!("{time}."),
        value[..value.len() - 1].to_owned(),
        format!("{value}="),
        format!("{value}A"),
        format!("{}.{mac}", NOW + LIFE + 1),
        format!("0{value}"),
        format!("+{value}"),
        format!("{}.{mac}", "9".repeat(30)),
        tokens().cookie(&session(2), NOW + LIFE),
        tokens().token(Purpose::Cookie, &session(1), NOW + LIFE),
        tokens().token(Purpose::Refresh, &session(1), NOW + LIFE)[44..].to_owned(),
        Tokens::new(&keys, "session").cookie(&session(1), NOW + LIFE),
        Tokens::new(&Keys::new(OTHER).unwrap(), "__Host-session").cookie(&session(1), NOW + LIFE),
    ] {
        assert!(!opens(&tokens(), &presented, 1, NOW), "{presented}");
    }
    let rotated = Keys::new(OTHER).unwrap().with_fallback(SECRET).unwrap();
    assert!(opens(&Tokens::new(&rotated, "__Host-session"), &value, 1, NOW));
}

#[test]
fn a_challenge_is_good_for_its_purpose_and_session_until_its_time() {
    let challenge = tokens().token(Purpose::Bind, &session(1), NOW + LIFE);
    let answered = |purpose, text: &str, now| tokens().challenged(purpose, text, now, LIFE);
    assert_eq!(answered(Purpose::Bind, &challenge, NOW), Some(session(1)));
    assert_eq!(answered(Purpose::Bind, &challenge, NOW + LIFE), None);
    assert_eq!(answered(Purpose::Bind, &challenge, NOW - 61), None, "from the future");
    for purpose in [Purpose::Cookie, Purpose::Name, Purpose::Refresh] {
        assert_eq!(answered(purpose, &challenge, NOW), None, "{purpose:?}");
    }
    let moved = challenge.replacen(session(1).as_str(), session(2).as_str(), 1);
    let later = challenge.replacen(&(NOW + LIFE).to_string(), &(NOW + LIFE + 1).to_string(), 1);
    for text in ["", ".", "..", &moved, &later, &challenge[1..], &challenge[..90]] {
        assert_eq!(answered(Purpose::Bind, text.get(..).unwrap(), NOW), None, "{text}");
    }
}
