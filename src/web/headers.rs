//! The headers on every answer.

use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue, Response, header};

use super::pages;

static HEADERS: LazyLock<HeaderMap> = LazyLock::new(|| {
    let fixed = [
        // A page is for its visitor alone, and the browser must not show it from its history after a logout.
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "Cookie"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // With `no-referrer`, browsers would send `Origin: null` with the app's own form.
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    let fixed = fixed.map(|(name, value)| (name, HeaderValue::from_static(value)));
    let policy = (header::CONTENT_SECURITY_POLICY, pages::CONTENT_SECURITY_POLICY.clone());
    fixed.into_iter().chain([policy]).collect()
});

/// For which names a browser shall insist on https during the next year (`Strict-Transport-Security`).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Hsts {
    /// For the site's own name.
    Site,
    /// For the names below it, too, whoever serves them (OWASP ASVS 5.0, 3.4.1, level 2).
    Subdomains,
}

/// Sets the headers that every answer has, errors included. They follow OWASP's HTTP Headers Cheat Sheet.
pub(crate) fn set<B>(response: &mut Response<B>, hsts: Option<Hsts>) {
    let headers = response.headers_mut();
    headers.reserve(HEADERS.len() + 1);
    for (name, value) in &*HEADERS {
        headers.insert(name, value.clone());
    }
    if let Some(hsts) = hsts {
        let year = HeaderValue::from_static(match hsts {
            Hsts::Site => "max-age=31536000",
            Hsts::Subdomains => "max-age=31536000; includeSubDomains",
        });
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
}
