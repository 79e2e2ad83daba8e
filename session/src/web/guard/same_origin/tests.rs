use std::convert::Infallible;

use http::{HeaderName, StatusCode, header};
use proptest::prelude::*;
use proptest::string::string_regex;
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::*;
use crate::SessionErrorKind;
use crate::protocol::error::SessionError;
use crate::web::PREFETCH;

fn request(method: &str, path: &str, headers: &[(&'static str, &str)]) -> Request<String> {
    let mut request = Request::new(String::new());
    *request.method_mut() = method.parse().unwrap();
    *request.uri_mut() = path.parse().unwrap();
    for &(name, value) in headers {
        let value = HeaderValue::from_str(value).unwrap();
        request.headers_mut().append(HeaderName::from_static(name), value);
    }
    request
}

#[track_caller]
fn assert_checked(headers: &[(&'static str, &'static str)], secure: bool, expected: Result<(), Refusal>) {
    let rule = SameOriginLayer::new().secure(secure);
    assert_eq!(rule.check(&request("POST", "/login", headers)), expected, "{headers:?}");
}

#[test]
fn fetch_metadata_decides_where_there_is_any() {
    for site in ["same-origin", "none"] {
        assert_checked(&[("sec-fetch-site", site)], true, Ok(()));
        assert_checked(
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
        assert_checked(&own, true, Err(Refusal::CrossOrigin));
    }
    assert_checked(
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
        assert_checked(&[("origin", origin), ("host", host)], secure, Ok(()));
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
        assert_checked(&headers, secure, Err(Refusal::CrossOrigin));
    }
    let no_host = [("origin", "https://app.example")];
    assert_checked(&no_host, true, Err(Refusal::CrossOrigin));
    let two_hosts = [no_host[0], ("host", "app.example"), ("host", "app.example")];
    assert_checked(&two_hosts, true, Err(Refusal::CrossOrigin));
    assert_checked(&[("origin", "https://"), ("host", "")], true, Err(Refusal::CrossOrigin));
    assert_checked(&[], true, Ok(()));
}

/// hyper represents a request over HTTP/2 like this.
#[test]
fn without_a_host_header_the_authority_is_ours() {
    let own = [("origin", "https://app.example")];
    let rule = SameOriginLayer::new();
    assert_eq!(rule.check(&request("POST", "https://app.example/login", &own)), Ok(()));
    for uri in ["https://other.example/login", "https://user@app.example/login"] {
        assert_eq!(
            rule.check(&request("POST", uri, &own)),
            Err(Refusal::CrossOrigin),
            "{uri}"
        );
    }
    let other_host = [own[0], ("host", "other.example")];
    let two_hosts = [own[0], ("host", "app.example"), ("host", "other.example")];
    for headers in [&other_host[..], &two_hosts] {
        let refused = rule.check(&request("POST", "https://app.example/login", headers));
        assert_eq!(refused, Err(Refusal::CrossOrigin), "{headers:?}");
    }
}

#[test]
fn a_prefetch_is_refused_whoever_asks() {
    for name in &PREFETCH {
        for value in ["prefetch", "prefetch;prerender", "Prefetch"] {
            let headers = [(name.as_str(), value), ("sec-fetch-site", "same-origin")];
            assert_checked(&headers, true, Err(Refusal::Prefetch));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_headers_are_same_origin_or_not(
        site in prop::option::of(string_regex("[a-z,-]{0,12}").unwrap()),
        origin in prop::option::of(string_regex("(https?://)?[a-z.:@/0-9]{0,12}").unwrap()),
        host in prop::option::of(string_regex("[a-z.:0-9]{0,8}").unwrap()),
    ) {
        let named = [("sec-fetch-site", &site), ("origin", &origin), ("host", &host)];
        let headers: Vec<_> = named.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect();
        let own = host.as_ref().map(|host| host.strip_suffix(":443").unwrap_or(host));
        let own = own.filter(|host| !host.is_empty()).map(|host| format!("https://{host}"));
        let expected = match (&site, &origin) {
            (Some(site), _) => site == "same-origin" || site == "none",
            (None, Some(origin)) => own.as_ref() == Some(origin),
            (None, None) => true,
        };
        let passes = SameOriginLayer::new().check(&request("POST", "/", &headers)).is_ok();
        prop_assert_eq!(passes, expected);
    }
}

/// The answer of a service that says `done` to every request.
async fn answer(layer: &SameOriginLayer, request: Request<String>) -> Response<String> {
    let done = async |_: Request<String>| Ok::<_, Infallible>(Response::new("done".to_owned()));
    let answer = layer.layer(service_fn(done)).oneshot(request).await.unwrap();
    answer.map(ResponseBody::into_inner)
}

const THEIRS: &[(&str, &str)] = &[("sec-fetch-site", "cross-site")];

#[tokio::test(flavor = "current_thread")]
async fn only_unsafe_methods_and_the_paths_named_are_checked() {
    let layer = SameOriginLayer::new().also("/logout").also("/hook").except("/hook");
    for (method, path, done) in [
        ("POST", "/", false),
        ("PUT", "/", false),
        ("PATCH", "/", false),
        ("DELETE", "/", false),
        ("CONNECT", "/", false),
        ("PROPPATCH", "/", false),
        // Methods are case-sensitive (RFC 9110, section 9.1), so this is not a safe method.
        ("get", "/", false),
        ("GET", "/", true),
        ("HEAD", "/", true),
        ("OPTIONS", "/", true),
        ("TRACE", "/", true),
        ("GET", "/logout", false),
        ("HEAD", "/logout", false),
        ("GET", "/logout?all=1", false),
        ("GET", "https://app.example/logout", false),
        // No router treats these as `/logout`.
        ("GET", "/logout/", true),
        ("GET", "/Logout", true),
        ("GET", "/%6cogout", true),
        ("POST", "/hook", true),
        ("GET", "/hook", true),
        ("POST", "/hook?id=1", true),
        ("POST", "/hook/", false),
        ("POST", "/hook/1", false),
        ("POST", "/x/../hook", false),
    ] {
        let theirs = answer(&layer, request(method, path, THEIRS)).await;
        assert_eq!(theirs.body() == "done", done, "{method} {path}");
        let ours = answer(&layer, request(method, path, &[("sec-fetch-site", "same-origin")])).await;
        assert_eq!(ours.body(), "done", "{method} {path}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_refusal_says_why_and_is_not_stored() {
    let layer = SameOriginLayer::new().also("/logout");
    let prefetch = [("sec-purpose", "prefetch"), ("sec-fetch-site", "same-origin")];
    for (headers, refusal, text) in [
        (THEIRS, Refusal::CrossOrigin, "another site sent this request\n"),
        (
            &prefetch[..],
            Refusal::Prefetch,
            "the browser sent this request ahead of time\n",
        ),
    ] {
        let refused = answer(&layer, request("GET", "/logout", headers)).await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        assert_eq!(refused.headers()[header::CONTENT_TYPE], "text/plain; charset=utf-8");
        assert_eq!(refused.headers()[header::CACHE_CONTROL], "no-store");
        let error: &SessionError = refused.extensions().get().unwrap();
        assert_eq!(error.kind(), SessionErrorKind::Refused(refusal));
        assert_eq!(refused.body(), text);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn the_layer_compares_with_http_only_if_told_to() {
    let local = [("origin", "http://localhost:3000"), ("host", "localhost:3000")];
    let layer = SameOriginLayer::default();
    assert_eq!(answer(&layer, request("POST", "/", &local)).await.status(), 403);
    let layer = layer.secure(false);
    assert_eq!(answer(&layer, request("POST", "/", &local)).await.status(), 200);
}

#[test]
#[should_panic(expected = "a path begins with `/`, and \"logout\" does not")]
fn a_path_that_no_request_has_is_a_mistake() {
    let _ = SameOriginLayer::new().also("logout");
}
