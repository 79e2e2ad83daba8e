//! Checks that the page to go to after a login is on this site.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str};

/// The longest `next` that is accepted, in bytes.
const MAX_BYTES: usize = 2048;

/// Returns `next` if it is a path on this site, with or without a query, and `None` if following it could lead away.
///
/// [`RequireLoginLayer`](crate::RequireLoginLayer) sends a visitor to `/login?next=…`. The login page puts the decoded
/// parameter into a hidden field of its form, and the login view checks the field with `local_path`. The check belongs
/// in that view, because anybody can write a link to the login page:
///
/// ```
/// use http::{Response, StatusCode, header};
/// use lambda_session::local_path;
///
/// /// `next` is the form's field, decoded once, as a form parser gives it.
/// fn logged_in(next: Option<&str>) -> Response<String> {
///     let location = next.and_then(local_path).unwrap_or("/");
///     let answer = Response::builder().status(StatusCode::SEE_OTHER).header(header::LOCATION, location);
///     answer.body(String::new()).unwrap()
/// }
///
/// assert_eq!(logged_in(Some("/orders?page=2")).headers()["location"], "/orders?page=2");
/// assert_eq!(logged_in(Some("//evil.example")).headers()["location"], "/");
/// assert_eq!(logged_in(None).headers()["location"], "/");
/// ```
///
/// The returned text is visible ASCII, so it is valid as a header value. It begins with one `/`, has at most 2048
/// bytes, and contains no `\`, which browsers read as `/`. After one percent-decoding, the path still has no second `/`
/// at its beginning, no `\`, and no segment `.` or `..`, so a router or proxy that decodes and normalizes it does not
/// turn it into another site's address. It contains no control character, encoded or not.
#[must_use]
pub fn local_path(next: &str) -> Option<&str> {
    let visible = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if !visible || !next.starts_with('/') || next.len() > MAX_BYTES {
        return None;
    }
    if percent_decode_str(next).any(|byte| byte.is_ascii_control()) {
        return None;
    }
    let path = next.split(['?', '#']).next().unwrap_or_default();
    let path: Vec<u8> = percent_decode_str(path).collect();
    let leaves = path.starts_with(b"//") || path.contains(&b'\\');
    // A browser resolves dot segments before it sends a path. A proxy that resolves `/.//evil` makes `//evil` of it.
    let dots = path
        .split(|&byte| byte == b'/')
        .any(|segment| matches!(segment, b"." | b".."));
    (!leaves && !dots).then_some(next)
}

/// The characters that are percent-encoded in a query: all but unreserved ones (RFC 3986, section 2.3) and `/`.
pub(super) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::Url;

    use super::*;

    #[test]
    fn what_could_lead_away_is_refused() {
        for next in [
            "",
            // Not from the root.
            "orders",
            "./orders",
            "?page=2",
            "#top",
            " /orders",
            "%2forders",
            // Other sites.
            "https://evil.example",
            "HTTPS:evil.example",
            "https:/evil.example",
            "javascript:alert(1)",
            "data:text/html,x",
            "evil.example",
            "//evil.example",
            "///evil.example",
            "////evil.example",
            "//user@evil.example/path",
            // `\` is `/` to a browser.
            "/\\evil.example",
            "\\/evil.example",
            "\\\\evil.example",
            "\\evil.example",
            "/orders\\..\\x",
            "/?x=\\",
            // Browsers drop tabs and line breaks, then read what is left.
            "/\t/evil.example",
            "/\n/evil.example",
            "/\r\n/evil.example",
            "\t//evil.example",
            "\u{1}//evil.example",
            "/\u{0}/evil.example",
            "/orders\u{7f}",
            "/orders\r\nSet-Cookie: x=y",
            "/two words",
            "/orders ",
            // Dangerous after one decoding.
            "%2f%2fevil.example",
            "/%2f/evil.example",
            "/%2fevil.example",
            "/%2Fevil.example",
            "/%5cevil.example",
            "/%5Cevil.example",
            "/orders/%5c%5cevil.example",
            "/%09/evil.example",
            "/%0a/evil.example",
            "/%00/evil.example",
            "/orders%0d%0aSet-Cookie:%20x=y",
            "/?x=%0d%0aSet-Cookie:%20x=y",
            "/%7f",
            // Dangerous once dot segments are resolved.
            "/.//evil.example",
            "/..//evil.example",
            "/orders/..//evil.example",
            "/orders/../%2fevil.example",
            "/%2e//evil.example",
            "/%2E%2e//evil.example",
            "/.%2e%2f/evil.example",
            "/orders/..",
            "/.?x=y",
            // Not ASCII: some look like `/`, some are folded to it.
            "/／evil.example",
            "／／evil.example",
            "/straße",
            "/\u{a0}/evil.example",
            "/\u{202e}",
        ] {
            assert_eq!(local_path(next), None, "{next:?}");
        }
        let long = format!("/{}", "x".repeat(MAX_BYTES));
        assert_eq!(local_path(&long), None);
    }

    #[test]
    fn what_stays_here_is_given_back() {
        for next in [
            "/",
            "/orders",
            "/orders/",
            "/orders/2/lines",
            "/orders?page=2&sort=date#last",
            "/orders?to=https://other.example/path",
            "/orders?to=//other.example",
            "/orders?to=%2f%2fother.example%5c",
            "/?",
            "/#//x",
            "/a//b",
            "/a%2fb",
            "/a%2f%2fb",
            "/.well-known/change-password",
            "/...",
            "/a..b/.c",
            "/stra%C3%9Fe",
            "/two%20words",
            "/100%",
            "/100%25",
            "/%zz",
            // Twice encoded: one decoding leaves an encoded `/`, which is part of a segment.
            "/%252fevil.example",
            "/@evil.example",
            "/:8080",
            "/;//evil.example",
            "/javascript:alert(1)",
            "/https://evil.example",
            "/it's;(all)*legal,$!~\"<>`{|}^[]",
        ] {
            assert_eq!(local_path(next), Some(next), "{next:?}");
            assert_stays(next).unwrap();
        }
        let longest = format!("/{}", "x".repeat(MAX_BYTES - 1));
        assert_eq!(local_path(&longest), Some(longest.as_str()));
    }

    /// Asserts that `next`, the path that it leads to, and `next` decoded once all stay on the site.
    fn assert_stays(next: &str) -> Result<(), TestCaseError> {
        let site = Url::parse("https://site.example/login?next=x").unwrap();
        let followed = site.join(next).unwrap();
        prop_assert_eq!(followed.origin(), site.origin(), "{:?}", next);
        let again = site.join(followed.path()).unwrap();
        prop_assert_eq!(again.origin(), site.origin(), "{:?} by way of {}", next, followed);
        let once = String::from_utf8_lossy(&percent_decode_str(next).collect::<Vec<_>>()).into_owned();
        let followed = site.join(&once).unwrap();
        prop_assert_eq!(followed.origin(), site.origin(), "{:?} decoded", next);
        let again = site.join(followed.path()).unwrap();
        prop_assert_eq!(
            again.origin(),
            site.origin(),
            "{:?} decoded, by way of {}",
            next,
            followed
        );
        prop_assert!(http::HeaderValue::from_str(next).is_ok());
        Ok(())
    }

    /// Makes texts of pieces that matter to URL parsers, mostly after a `/`.
    fn reference() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => prop::sample::select(vec![
                "/", "\\", ".", "..", "%2f", "%2F", "%5c", "%2e", "%2E%2e", "%25", "%", "%09", "\t", "\n", "\r", "?",
                "#", ":", "@", "https:", "evil.example", "a", ";", " ", "%20", "\u{0}", "／", "%ef%bc%8f", "[", "%3f",
                "%23",
            ])
            .prop_map(str::to_owned),
            1 => proptest::string::string_regex("[!-~]{1,3}").unwrap(),
            1 => any::<char>().prop_map(String::from),
        ];
        (prop::bool::weighted(0.9), prop::collection::vec(piece, 0..8)).prop_map(|(rooted, pieces)| {
            let rest = pieces.concat();
            if rooted { format!("/{rest}") } else { rest }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_is_accepted_stays_on_the_site(next in reference()) {
            if let Some(accepted) = local_path(&next) {
                prop_assert_eq!(accepted, &next);
                assert_stays(accepted)?;
            }
        }

        #[test]
        fn what_is_encoded_decodes_to_itself(path in proptest::string::string_regex("[ -~]{0,40}").unwrap()) {
            let encoded = percent_encoding::utf8_percent_encode(&path, RESERVED).to_string();
            prop_assert!(encoded.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~/%".contains(&byte)));
            prop_assert_eq!(percent_decode_str(&encoded).collect::<Vec<_>>(), path.as_bytes());
        }
    }
}
