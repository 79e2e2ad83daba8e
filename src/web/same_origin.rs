//! The same-origin rule, which guards logging in and out.

use http::{HeaderMap, HeaderValue};

/// Why a request that logs in or out was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Another site sent it (OWASP CSRF Prevention Cheat Sheet, Fetch Metadata).
    CrossOrigin,
    /// The browser fetches ahead of a click that may never come.
    Prefetch,
}

/// Where browsers say that they fetch ahead: the Fetch Standard's name, and those before it.
const PREFETCH: [&str; 3] = ["sec-purpose", "purpose", "x-moz"];

/// Checks that a request which logs in or out comes from one of our own pages, or from a person at the address bar.
///
/// The rule is that of Go's `net/http.CrossOriginProtection`: `Sec-Fetch-Site` decides where a browser sends it;
/// without it, an `Origin` must be our own. With neither header the request passes, because programs send neither, and
/// any client must be able to follow the link to `/logout`. What that leaves open: Safari before 16.4 sends neither on
/// a GET, so another site's link can log its users out. It can not log them in, because every browser sends `Origin`
/// with a form.
///
/// # Errors
///
/// [`Refusal`] says why not.
pub(crate) fn check(headers: &HeaderMap, secure: bool) -> Result<(), Refusal> {
    if PREFETCH
        .iter()
        .flat_map(|name| headers.get_all(*name))
        .any(|purpose| purpose.as_bytes().to_ascii_lowercase().starts_with(b"prefetch"))
    {
        return Err(Refusal::Prefetch);
    }
    let ours = match (single(headers, "sec-fetch-site"), single(headers, "origin")) {
        (Header::One(site), _) => site == "same-origin" || site == "none",
        (Header::Absent, Header::One(origin)) => is_own_origin(origin, headers, secure),
        (Header::Absent, Header::Absent) => true,
        (Header::Unclear, _) | (_, Header::Unclear) => false,
    };
    if ours { Ok(()) } else { Err(Refusal::CrossOrigin) }
}

enum Header<'a> {
    Absent,
    One(&'a str),
    /// Several, or not text.
    Unclear,
}

fn single<'a>(headers: &'a HeaderMap, name: &'static str) -> Header<'a> {
    let mut values = headers.get_all(name).iter();
    match (values.next().map(HeaderValue::to_str), values.next()) {
        (None, _) => Header::Absent,
        (Some(Ok(value)), None) => Header::One(value),
        _ => Header::Unclear,
    }
}

/// Whether `origin` is the one this request was sent to: scheme, host and port, as a browser serializes them (RFC
/// 6454, section 6.2), so without a default port.
fn is_own_origin(origin: &str, headers: &HeaderMap, secure: bool) -> bool {
    let Header::One(host) = single(headers, "host") else {
        return false;
    };
    let (scheme, default_port) = if secure {
        ("https://", ":443")
    } else {
        ("http://", ":80")
    };
    let host = host.strip_suffix(default_port).unwrap_or(host);
    !host.is_empty()
        && origin
            .strip_prefix(scheme)
            .is_some_and(|ours| ours.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    #[track_caller]
    fn assert_guarded(headers: &[(&'static str, &'static str)], secure: bool, expected: Result<(), Refusal>) {
        let map = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        assert_eq!(check(&map, secure), expected, "{headers:?}");
    }

    #[test]
    fn fetch_metadata_decides_where_there_is_any() {
        for site in ["same-origin", "none"] {
            assert_guarded(&[("sec-fetch-site", site)], true, Ok(()));
            assert_guarded(
                &[("sec-fetch-site", site), ("origin", "null"), ("host", "app.example")],
                true,
                Ok(()),
            );
        }
        for site in [
            "cross-site",
            "same-site",
            "",
            "Same-Origin",
            "same-origin, cross-site",
            "x",
        ] {
            let own = [
                ("sec-fetch-site", site),
                ("origin", "https://app.example"),
                ("host", "app.example"),
            ];
            assert_guarded(&own, true, Err(Refusal::CrossOrigin));
        }
        assert_guarded(
            &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
            true,
            Err(Refusal::CrossOrigin),
        );
    }

    #[test]
    fn without_fetch_metadata_the_origin_must_be_our_own() {
        for (origin, host, secure) in [
            ("https://app.example", "app.example", true),
            ("https://app.example", "APP.example:443", true),
            ("https://app.example:8443", "app.example:8443", true),
            ("http://127.0.0.1:3000", "127.0.0.1:3000", false),
            ("http://localhost", "localhost:80", false),
            ("http://[::1]:3000", "[::1]:3000", false),
        ] {
            assert_guarded(&[("origin", origin), ("host", host)], secure, Ok(()));
        }
        for (origin, secure) in [
            ("null", true),
            ("", true),
            ("http://app.example", true),
            ("https://app.example", false),
            ("https://app.example.evil.example", true),
            ("https://evil-app.example", true),
            ("https://app.example:8443", true),
            ("https://app.example@evil.example", true),
            ("https://user@app.example", true),
            ("https://app.example/", true),
            ("https://app.example https://app.example", true),
            ("https://app.example, https://app.example", true),
        ] {
            let headers = [("origin", origin), ("host", "app.example")];
            assert_guarded(&headers, secure, Err(Refusal::CrossOrigin));
        }
        let no_host = [("origin", "https://app.example")];
        assert_guarded(&no_host, true, Err(Refusal::CrossOrigin));
        assert_guarded(&[("origin", "https://"), ("host", "")], true, Err(Refusal::CrossOrigin));
        assert_guarded(&[], true, Ok(()));
    }

    #[test]
    fn a_prefetch_is_refused_whoever_asks() {
        for name in PREFETCH {
            for value in ["prefetch", "prefetch;prerender", "Prefetch"] {
                let headers = [(name, value), ("sec-fetch-site", "same-origin")];
                assert_guarded(&headers, true, Err(Refusal::Prefetch));
            }
        }
    }
}
