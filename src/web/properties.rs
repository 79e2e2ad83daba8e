//! Forms of any bytes are read without a panic, and as their format specifies.

use form_urlencoded::byte_serialize;
use http::{HeaderMap, HeaderValue, header};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::string::string_regex;

use super::form::{self, FormError};

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 10_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Texts that match a pattern. The pattern is parsed once; a plain string as a strategy is parsed for every case.
fn text(pattern: &str) -> impl Strategy<Value = String> + use<> {
    string_regex(pattern).expect("a pattern")
}

/// Any characters, but more often than by chance those that have a meaning in the format.
fn form_body() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"username=".to_vec()),
        Just(b"username".to_vec()),
        text("[a-z%&=+;]{0,8}").prop_map(String::into_bytes),
        text("(%[0-9A-Fa-f]{2}){1,6}").prop_map(String::into_bytes),
        vec(any::<char>(), 0..70).prop_map(|chars| chars.into_iter().collect::<String>().into_bytes()),
        vec(any::<u8>(), 0..8),
    ];
    vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// Letters, digits and punctuation of many scripts, and emoji, with spaces only inside.
fn name() -> impl Strategy<Value = String> {
    const SEEN: &str = "!-~À-ʯΣ-ωА-яא-תؠ-يअ-हぁ-ゖ一-鿿가-힣😀-🙏";
    text(&format!("[{SEEN}]([{SEEN} ]{{0,62}}[{SEEN}])?"))
}

fn form_headers() -> HeaderMap {
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    HeaderMap::from_iter([(header::CONTENT_TYPE, form)])
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_form_is_a_name_that_can_be_seen_or_a_mistake(body in form_body()) {
        match form::username(&form_headers(), &body) {
            Ok(name) => {
                prop_assert!((1..=64).contains(&name.chars().count()), "{:?}", name);
                prop_assert!(!name.contains(char::is_control), "{:?}", name);
                prop_assert_eq!(name.trim(), &name);
            }
            Err(FormError::Field { typed, .. }) => prop_assert!(!typed.contains(char::is_control), "{:?}", typed),
            Err(other) => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn a_name_survives_the_form(name in name()) {
        let encoded: String = byte_serialize(name.as_bytes()).collect();
        let body = format!("before=x&username={encoded}&after=");
        prop_assert_eq!(form::username(&form_headers(), body.as_bytes()), Ok(name));
    }

    #[test]
    fn any_content_type_is_a_form_or_not(value in text("\\PC{0,40}")) {
        let headers = HeaderMap::from_iter(HeaderValue::from_str(&value).map(|value| (header::CONTENT_TYPE, value)));
        prop_assert!(form::username(&headers, b"username=x").is_err() || value.to_lowercase().contains("urlencoded"));
    }
}
