//! Reads the login form's body, which any client may send, and returns a name that can be displayed.

use http::{HeaderMap, StatusCode, header};

/// Most bytes a form may have.
const MAX_BODY_BYTES: usize = 4 * 1024;
/// Most characters a username may have.
const MAX_USERNAME_CHARS: usize = 64;

const FIELD: &str = "username";

const DAMAGED: &str = "The form arrived damaged. Please try again.";

/// Why a form was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FormError {
    /// 413: the body is too large.
    TooLarge,
    /// 415: the body is not a plain urlencoded form.
    WrongType,
    /// 400: the field has no valid username.
    Field {
        /// What the visitor is told.
        message: &'static str,
        /// What the visitor typed, without blanks around it and without invisible characters.
        typed: String,
    },
}

impl FormError {
    /// The status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::WrongType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Field { .. } => StatusCode::BAD_REQUEST,
        }
    }
}

/// The username in a login form, trimmed.
///
/// # Errors
///
/// [`FormError`] if the body is over 4 KiB, is not `application/x-www-form-urlencoded` in UTF-8, has a broken escape,
/// or does not have exactly one field `username` with 1 to 64 visible characters.
pub(crate) fn username(headers: &HeaderMap, body: &[u8]) -> Result<String, FormError> {
    if body.len() > MAX_BODY_BYTES {
        return Err(FormError::TooLarge);
    }
    if !is_form(headers) {
        return Err(FormError::WrongType);
    }
    let typed = only_value(body).map_err(|message| FormError::Field {
        message,
        typed: String::new(),
    })?;
    let name = typed.trim();
    match check(name) {
        Ok(()) => Ok(name.to_owned()),
        // `typed` has no invisible characters: the visitor could not see and correct them, and HTML allows no control
        // characters, escaped or not.
        Err(message) => Err(FormError::Field {
            message,
            typed: seen(name),
        }),
    }
}

/// Whether the body is `application/x-www-form-urlencoded` (WHATWG URL Standard, section 5), in UTF-8 and not
/// compressed.
fn is_form(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let content_type = match (types.next(), types.next()) {
        (Some(one), None) => one.to_str().ok(),
        _ => None,
    };
    let encoded = match headers.get(header::CONTENT_ENCODING) {
        None => false,
        Some(encoding) => !encoding.as_bytes().eq_ignore_ascii_case(b"identity"),
    };
    let Some(content_type) = content_type else {
        return false;
    };
    let mut parts = content_type.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    let utf_8 = parts.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
            value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    });
    !encoded && utf_8 && media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

fn only_value(body: &[u8]) -> Result<String, &'static str> {
    if has_broken_escape(body) {
        return Err(DAMAGED);
    }
    let mut found = None;
    for (name, value) in form_urlencoded::parse(body) {
        // The decoder replaces bytes that are not UTF-8 by this character.
        if [&name, &value]
            .iter()
            .any(|text| text.contains(char::REPLACEMENT_CHARACTER))
        {
            return Err(DAMAGED);
        }
        if name == FIELD && found.replace(value.into_owned()).is_some() {
            return Err("The form arrived with more than one username. Please enter one.");
        }
    }
    found.ok_or("Please enter a username.")
}

/// Whether a `%` is not followed by two hexadecimal digits. The decoder would leave such a `%` as it is.
fn has_broken_escape(body: &[u8]) -> bool {
    body.split(|&byte| byte == b'%')
        .skip(1)
        .any(|after| !matches!(after, [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit()))
}

fn check(name: &str) -> Result<(), &'static str> {
    let length = name.chars().count();
    // `seen` copies the name, and most names have nothing to leave out.
    if name.contains(is_invisible) && seen(name) != name {
        Err("The username had characters that cannot be seen. They are left out now: please check it and try again.")
    } else if length == 0 {
        Err("Please enter a username.")
    } else if length > MAX_USERNAME_CHARS {
        Err("The username is longer than 64 characters. Please shorten it.")
    } else {
        Ok(())
    }
}

/// Whether a character is a control character, is invisible, or changes the direction of text. With such characters,
/// two different names could look the same.
fn is_invisible(c: char) -> bool {
    const UNSEEN: [std::ops::RangeInclusive<char>; 5] = [
        '\u{200b}'..='\u{200f}',
        '\u{2028}'..='\u{202e}',
        '\u{2060}'..='\u{206f}',
        '\u{feff}'..='\u{feff}',
        '\u{e0000}'..='\u{e007f}',
    ];
    c.is_control() || UNSEEN.iter().any(|range| range.contains(&c))
}

/// Returns the name without its invisible characters. A zero-width joiner or non-joiner stays between two characters of
/// a script that needs it, or between two emoji, because it changes what is seen there.
fn seen(name: &str) -> String {
    let joined = |c: &char| JOINED.iter().any(|range| range.contains(c));
    let chars: Vec<char> = name.chars().collect();
    let joins = |at: usize| {
        let neighbours = [at.checked_sub(1), Some(at + 1)].map(|at| chars.get(at?));
        matches!(chars[at], '\u{200c}' | '\u{200d}') && neighbours.iter().all(|c| c.is_some_and(joined))
    };
    let kept = chars
        .iter()
        .enumerate()
        .filter(|&(at, c)| !is_invisible(*c) || joins(at));
    kept.map(|(_, c)| *c).collect()
}

/// The characters between which a zero-width joiner or non-joiner may stand: those of the scripts from Arabic to those
/// of India and Mongolia, symbols, and emoji.
const JOINED: [std::ops::RangeInclusive<char>; 5] = [
    '\u{600}'..='\u{1cff}',
    '\u{2190}'..='\u{2bff}',
    '\u{a800}'..='\u{abff}',
    '\u{fb50}'..='\u{fefe}',
    '\u{10000}'..='\u{1ffff}',
];

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const FORM: &str = "application/x-www-form-urlencoded";

    fn parse(content_type: &str, body: &str) -> Result<String, FormError> {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap())]);
        username(&headers, body.as_bytes())
    }

    #[track_caller]
    fn assert_field(body: &str, message: &str, typed: &str) {
        match parse(FORM, body) {
            Err(FormError::Field {
                message: said,
                typed: kept,
            }) => {
                assert!(said.contains(message), "{body:?}: {said:?}");
                assert_eq!(kept, typed, "{body:?}");
            }
            other => panic!("{body:?}: {other:?}"),
        }
    }

    #[test]
    fn a_name_is_decoded_and_trimmed() {
        for (body, name) in [
            ("username=admin", "admin"),
            ("&username=admin&&other=1", "admin"),
            ("user%6Eame=a+b%26c", "a b&c"),
            ("username=%E3%80%80%C3%9Cn%C3%AF+", "Ünï"),
            ("username==", "="),
            ("username=%F0%9F%A6%80", "🦀"),
        ] {
            assert_eq!(parse(FORM, body).as_deref(), Ok(name), "{body}");
        }
        let longest = "x".repeat(MAX_USERNAME_CHARS);
        assert_eq!(parse(FORM, &format!("username=++{longest}++")), Ok(longest));
    }

    #[test]
    fn a_wrong_field_is_named_and_what_was_typed_is_kept() {
        for body in [
            "",
            "other=1",
            "Username=x",
            "username[]=x",
            "{\"username\":\"x\"}",
            "username",
            "username=",
        ] {
            assert_field(body, "enter a username", "");
        }
        for blank in ["username=+%E3%80%80", "username=%0A", "username=%09%C2%85%E2%80%A9"] {
            assert_field(blank, "enter a username", "");
        }
        for twice in ["username=a&username=a", "username=a&user%6eame=b"] {
            assert_field(twice, "more than one", "");
        }
        let long = "é".repeat(MAX_USERNAME_CHARS + 1);
        assert_field(&format!("username={long}"), "longer than 64", &long);
        for unseen in ["%00", "%0A", "%7F", "%E2%80%8B", "%E2%80%AE", "%EF%BB%BF", "%E2%80%A8"] {
            assert_field(&format!("username=+a{unseen}b"), "cannot be seen", "ab");
        }
    }

    #[test]
    fn a_joiner_is_part_of_a_name_where_it_is_seen_and_only_there() {
        let family = "👨\u{200d}👩\u{200d}👧\u{200d}👦";
        let (heart, persian, sinhala) = ("❤\u{fe0f}\u{200d}🔥", "علی\u{200c}رضا", "ශ්\u{200d}රී");
        for name in [family, heart, persian, sinhala] {
            let body = format!(
                "username={}",
                form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>()
            );
            assert_eq!(parse(FORM, &body).unwrap(), name);
        }
        for (hidden, seen) in [
            ("ad\u{200d}min", "admin"),
            ("é\u{200d}ü", "éü"),
            ("👩\u{200d}", "👩"),
            ("\u{200d}👩", "👩"),
            ("👩\u{200d}\u{200d}👧", "👩👧"),
            ("👩\u{200b}👧", "👩👧"),
        ] {
            let body = format!(
                "username={}",
                form_urlencoded::byte_serialize(hidden.as_bytes()).collect::<String>()
            );
            assert_field(&body, "cannot be seen", seen);
        }
    }

    #[test]
    fn a_damaged_form_is_refused() {
        for body in [
            "username=%",
            "username=%4",
            "username=%zz",
            "username=%u0041",
            "username=%%41",
            "username=%FF",
            "username=%C0%AF",
            "username=%ED%A0%80",
            "%=1&username=x",
            "%ff=1&username=x",
            "username=x&other=%",
        ] {
            assert_field(body, "damaged", "");
        }
    }

    #[test]
    fn another_content_type_is_refused() {
        for ok in [
            FORM,
            "Application/X-WWW-Form-Urlencoded; charset=\"UTF-8\"",
            "application/x-www-form-urlencoded; version=1",
        ] {
            assert!(parse(ok, "username=x").is_ok(), "{ok}");
        }
        for wrong in [
            "",
            "application/json",
            "multipart/form-data; boundary=x",
            "text/plain",
            "application/x-www-form-urlencoded, text/plain",
            "application/x-www-form-urlencoded; charset=utf-16",
            "application/x-www-form-urlencoded; Charset=utf-16",
            "application/x-www-form-urlencoded; charset=utf-16=utf-8",
        ] {
            assert_eq!(parse(wrong, "username=x"), Err(FormError::WrongType), "{wrong}");
        }
        assert_eq!(username(&HeaderMap::new(), b"username=x"), Err(FormError::WrongType));
        for (encoding, is_taken) in [("gzip", false), ("identity", true), ("Identity", true)] {
            let encoded = HeaderMap::from_iter([
                (header::CONTENT_TYPE, HeaderValue::from_static(FORM)),
                (header::CONTENT_ENCODING, HeaderValue::from_static(encoding)),
            ]);
            let refused = username(&encoded, b"username=x").err();
            assert_eq!(refused, (!is_taken).then_some(FormError::WrongType), "{encoding}");
        }
    }

    #[test]
    fn a_body_over_4_kib_is_refused_before_it_is_looked_at() {
        let body = format!("username=x&{}", "a".repeat(MAX_BODY_BYTES));
        assert_eq!(parse("image/png", &body), Err(FormError::TooLarge));
        assert!(parse(FORM, &format!("username=x&{}", "a".repeat(MAX_BODY_BYTES - 11))).is_ok());
    }
}
