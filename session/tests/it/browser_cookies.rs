//! Chromium keeps a cookie that the builder accepts as it was written, and sends it back. It drops or changes a cookie
//! that the builder refuses.
//!
//! On any page of `https://*.NAME.test`, `?set` gives the visitor of the layer NAME a session, and `?end` ends it.
//! Every page shows the cookies that it was sent.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use dev::browser::{command, in_browser};
use dev::tls::Terminator;
use fantoccini::Client;
use http::{HeaderValue, Request, Response, header};
use lambda_session::{MemoryStore, ResponseBody, SameSite, Session, SessionLayer, SessionLayerBuilder};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::support::site::keys;

type Configure = fn(SessionLayerBuilder) -> SessionLayerBuilder;
type Pages = BoxCloneSyncService<Request<String>, Response<String>, Infallible>;

/// The layer's name, its configuration, and what Chromium keeps: name, `Domain` (with a dot) or host, `Path`,
/// `SameSite`, and flags other than `HttpOnly`.
const ACCEPTED: [(&str, Configure, &str); 15] = [
    ("default", |layer| layer, "__Host-session www.default.test / Lax Secure"),
    (
        "stem",
        |layer| layer.cookie_name("shop"),
        "__Host-shop www.stem.test / Lax Secure",
    ),
    (
        "plain",
        |layer| layer.cookie_name("shop").secure(false),
        "shop www.plain.test / Lax",
    ),
    (
        "domain",
        |layer| layer.domain("Domain.test"),
        "__Secure-session .domain.test / Lax Secure",
    ),
    (
        "path",
        |layer| layer.path("/shop"),
        "__Secure-session www.path.test /shop Lax Secure",
    ),
    (
        "strict",
        |layer| layer.same_site(SameSite::Strict),
        "__Host-session www.strict.test / Strict Secure",
    ),
    (
        "lax",
        |layer| layer.same_site(SameSite::Lax),
        "__Host-session www.lax.test / Lax Secure",
    ),
    (
        "none",
        |layer| layer.same_site(SameSite::None),
        "__Host-session www.none.test / None Secure",
    ),
    (
        "partitioned",
        |layer| layer.same_site(SameSite::None).partitioned(true),
        "__Host-session www.partitioned.test / None Secure Partitioned",
    ),
    (
        "partitioned-lax",
        |layer| layer.domain("partitioned-lax.test").partitioned(true),
        "__Secure-session .partitioned-lax.test / Lax Secure Partitioned",
    ),
    (
        "secure-prefix",
        |layer| {
            let layer = layer.cookie_name("__Secure-shop");
            layer.domain("secure-prefix.test").path("/shop")
        },
        "__Secure-shop .secure-prefix.test /shop Lax Secure",
    ),
    (
        "http-prefix",
        |layer| {
            let layer = layer.cookie_name("__Http-shop");
            layer.domain("http-prefix.test").path("/shop")
        },
        "__Http-shop .http-prefix.test /shop Lax Secure",
    ),
    (
        "host-prefix",
        |layer| layer.cookie_name("__host-shop"),
        "__host-shop www.host-prefix.test / Lax Secure",
    ),
    (
        "host-http-prefix",
        |layer| layer.cookie_name("__Host-Http-shop"),
        "__Host-Http-shop www.host-http-prefix.test / Lax Secure",
    ),
    (
        "max-age",
        |layer| layer,
        "__Host-session www.max-age.test / Lax Secure for 1 h",
    ),
];

/// The name of the pages, the builder's configuration, the `Set-Cookie` value that it would make, and what Chromium
/// keeps of that value: nothing, or a cookie that differs from the one asked for. Such a cookie has another `Domain` or
/// `Path`, or a `Path` that matches no page. A `Domain` with a leading dot works, but the builder refuses it, because
/// the same domain without the dot has the same effect.
///
/// Chromium 156 enforces `__Http-` and `__Host-Http-` like the other two prefixes. A browser that does not know them
/// keeps three of these cookies, but the builder still refuses them.
const REFUSED: [(&str, Configure, &str, &str); 22] = [
    (
        "host-plain",
        |layer| layer.cookie_name("__Host-shop").secure(false),
        "__Host-shop=1; Path=/",
        "",
    ),
    (
        "host-case",
        |layer| layer.cookie_name("__hOST-shop").secure(false),
        "__hOST-shop=1; Path=/",
        "",
    ),
    (
        "host-domain",
        |layer| layer.cookie_name("__Host-shop").domain("host-domain.test"),
        "__Host-shop=1; Path=/; Domain=host-domain.test; Secure",
        "",
    ),
    (
        "host-path",
        |layer| layer.cookie_name("__Host-shop").path("/shop"),
        "__Host-shop=1; Path=/shop; Secure",
        "",
    ),
    (
        "secure-plain",
        |layer| layer.cookie_name("__Secure-shop").secure(false),
        "__Secure-shop=1; Path=/",
        "",
    ),
    (
        "http-plain",
        |layer| layer.cookie_name("__Http-shop").secure(false),
        "__Http-shop=1; HttpOnly; Path=/",
        "",
    ),
    (
        "host-http-plain",
        |layer| layer.cookie_name("__Host-Http-shop").secure(false),
        "__Host-Http-shop=1; HttpOnly; Path=/",
        "",
    ),
    (
        "host-http-domain",
        |layer| layer.cookie_name("__Host-Http-shop").domain("host-http-domain.test"),
        "__Host-Http-shop=1; HttpOnly; Path=/; Domain=host-http-domain.test; Secure",
        "",
    ),
    (
        "host-http-path",
        |layer| layer.cookie_name("__Host-Http-shop").path("/shop"),
        "__Host-Http-shop=1; HttpOnly; Path=/shop; Secure",
        "",
    ),
    (
        "none-plain",
        |layer| layer.same_site(SameSite::None).secure(false),
        "session=1; SameSite=None; Path=/",
        "",
    ),
    (
        "partitioned-plain",
        |layer| layer.partitioned(true).secure(false),
        "session=1; Path=/; Partitioned",
        "",
    ),
    (
        "domain-empty",
        |layer| layer.domain(""),
        "session=1; Path=/; Domain=; Secure",
        "session www.domain-empty.test /  Secure",
    ),
    (
        "domain-dot",
        |layer| layer.domain(".domain-dot.test"),
        "session=1; Path=/; Domain=.domain-dot.test; Secure",
        "session .domain-dot.test /  Secure",
    ),
    (
        "domain-end",
        |layer| layer.domain("domain-end.test."),
        "session=1; Path=/; Domain=domain-end.test.; Secure",
        "",
    ),
    (
        "domain-port",
        |layer| layer.domain("domain-port.test:443"),
        "session=1; Path=/; Domain=domain-port.test:443; Secure",
        "",
    ),
    (
        "domain-url",
        |layer| layer.domain("https://domain-url.test"),
        "session=1; Path=/; Domain=https://domain-url.test; Secure",
        "",
    ),
    (
        "domain-list",
        |layer| layer.domain("domain-list.test,example.com"),
        "session=1; Path=/; Domain=domain-list.test,example.com; Secure",
        "",
    ),
    (
        "path-start",
        |layer| layer.path("shop"),
        "session=1; Path=shop; Secure",
        "session www.path-start.test /shop  Secure",
    ),
    (
        "path-end",
        |layer| layer.path("/;shop"),
        "session=1; Path=/;shop; Secure",
        "session www.path-end.test /  Secure",
    ),
    (
        "path-space",
        |layer| layer.path("/shop "),
        "session=1; Path=/shop ; Secure",
        "session www.path-space.test /shop  Secure",
    ),
    (
        "path-query",
        |layer| layer.path("/shop/page?"),
        "session=1; Path=/shop/page?; Secure",
        "session www.path-query.test /shop/page?  Secure",
    ),
    (
        "path-latin",
        |layer| layer.path("/caf\u{e9}"),
        "session=1; Path=/caf\u{e9}; Secure",
        "session www.path-latin.test /caf\u{e9}  Secure",
    ),
];

/// The layer's own value with one more attribute, as for a session that is remembered.
const MAX_AGE: (&str, &str) = ("max-age", "; Max-Age=3600");

#[tokio::test]
async fn what_the_builder_accepts_chromium_keeps_and_sends_back() {
    let mut sites = HashMap::new();
    for (site, configure, _) in ACCEPTED {
        let layer = configure(builder()).build().expect(site);
        let max_age = if site == MAX_AGE.0 { MAX_AGE.1 } else { "" };
        let pages = layer.layer(service_fn(page)).map_response(move |mut answer| {
            if let Some(cookie) = answer.headers_mut().get_mut(header::SET_COOKIE) {
                let line = cookie.to_str().expect("ASCII");
                // The cookie that clears has a `Max-Age` of its own.
                if !line.contains("Max-Age") {
                    *cookie = HeaderValue::try_from(format!("{line}{max_age}")).expect("a cookie");
                }
            }
            answer.map(ResponseBody::into_inner)
        });
        sites.insert(site.to_owned(), BoxCloneSyncService::new(pages));
    }
    let flags = serve(sites).await;
    let test = "what_the_builder_accepts_chromium_keeps_and_sends_back";
    in_browser(test, &flags.each_ref().map(String::as_str), |client| async move {
        for (site, _, expected) in ACCEPTED {
            let sent = async |host: &str, path: &str| sent(&client, &format!("https://{host}.{site}.test{path}")).await;
            assert_eq!(sent("www", "/shop/page?set").await, "", "{site}");
            assert_eq!(jar(&client, site).await, [expected], "{site}");
            let name = expected.split(' ').next().unwrap_or_default();
            let has_it = |cookies: String| cookies.starts_with(&format!("{name}="));
            assert!(has_it(sent("www", "/shop/page").await), "{site}");
            assert_eq!(has_it(sent("www", "/").await), expected.contains(" / "), "{site}");
            let elsewhere = has_it(sent("api", "/shop/page").await);
            assert_eq!(elsewhere, expected.contains(" ."), "{site}");
            sent("www", "/shop/page?end").await;
            assert_eq!(
                jar(&client, site).await,
                [""; 0],
                "the clearing cookie is the same one: {site}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn what_the_builder_refuses_chromium_drops_or_changes() {
    let long = |bytes: usize| format!("{}={}; Path=/; Secure", "s".repeat(bytes - 87), "v".repeat(87));
    let mut rows: Vec<_> = REFUSED
        .iter()
        .map(|&(site, configure, cookie, kept)| {
            assert!(configure(builder()).build().is_err(), "{site}");
            (site, cookie.to_owned(), kept.to_owned())
        })
        .collect();
    let path = format!("/{}", "s".repeat(1024));
    assert!(builder().path(path.clone()).build().is_err());
    let cookie = format!("session=1; Path={path}; Secure");
    rows.push((
        "path-long",
        cookie,
        "session www.path-long.test /shop  Secure".to_owned(),
    ));
    // The longest name that the builder takes, and one more.
    let name = "s".repeat(4096 - 87);
    let named = |name: &str| builder().secure(false).cookie_name(name.to_owned()).build();
    assert!(named(&name).is_ok() && named(&format!("{name}s")).is_err());
    rows.push(("longest", long(4096), format!("{name} www.longest.test /  Secure")));
    rows.push(("longer", long(4097), String::new()));

    let sites = rows.iter().map(|(site, cookie, _)| {
        let cookie = HeaderValue::from_bytes(cookie.as_bytes()).expect("a cookie");
        let pages = service_fn(move |request: Request<String>| {
            let mut answer = Response::new(String::new());
            if request.uri().query() == Some("set") {
                answer.headers_mut().insert(header::SET_COOKIE, cookie.clone());
            }
            std::future::ready(Ok(answer))
        });
        ((*site).to_owned(), BoxCloneSyncService::new(pages))
    });
    let flags = serve(sites.collect()).await;
    let test = "what_the_builder_refuses_chromium_drops_or_changes";
    in_browser(test, &flags.each_ref().map(String::as_str), |client| async move {
        for (site, _, kept) in rows {
            sent(&client, &format!("https://www.{site}.test/shop/page?set")).await;
            let expected: &[String] = if kept.is_empty() { &[] } else { &[kept] };
            assert_eq!(jar(&client, site).await, expected, "{site}");
        }
    })
    .await;
}

fn builder() -> SessionLayerBuilder {
    SessionLayer::builder(MemoryStore::default(), keys())
}

async fn page(request: Request<String>) -> Result<Response<String>, Infallible> {
    let session = Session::of(&request).await.expect("a session");
    match request.uri().query() {
        Some("set") => session.insert("username", "admin").expect("a variable"),
        Some("end") => session.end(),
        _ => {}
    }
    let cookies = request.headers().get(header::COOKIE).map(HeaderValue::as_bytes);
    Ok(Response::new(
        String::from_utf8_lossy(cookies.unwrap_or_default()).into_owned(),
    ))
}

/// Serves the pages of NAME at `https://*.NAME.test`. Returns the flags of a browser that finds them.
async fn serve(sites: HashMap<String, Pages>) -> [String; 2] {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("a bound listener");
    let sites = Arc::new(sites);
    let app = Router::new().fallback(async move |request: Request<Body>| {
        let host = request.headers()[header::HOST].to_str().expect("a host");
        let pages = host.split('.').nth(1).and_then(|site| sites.get(site)).expect(host);
        pages.clone().oneshot(request.map(|_| String::new())).await
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    let terminator = Terminator::new().expect("a certificate");
    let port = terminator.start_before(address).await.expect("a free port");
    [
        format!("--host-resolver-rules=MAP *.test:443 127.0.0.1:{port}"),
        "--ignore-certificate-errors".to_owned(),
    ]
}

/// Visits a page, and returns the cookies that it was sent.
async fn sent(client: &Client, url: &str) -> String {
    client.goto(url).await.expect(url);
    let shown = client.execute("return document.body.innerText", Vec::new()).await;
    shown.expect("a page").as_str().unwrap_or_default().to_owned()
}

/// Returns the cookies that Chromium keeps for a site, in the words of the tables.
async fn jar(client: &Client, site: &str) -> Vec<String> {
    let kept = command(client, "Network.getAllCookies", json!({})).await;
    let kept = kept["cookies"].as_array().expect("a list").clone();
    kept.iter()
        .filter(|cookie| text(cookie, "domain").ends_with(&format!(".{site}.test")))
        .map(in_words)
        .collect()
}

fn in_words(cookie: &Value) -> String {
    let words = ["name", "domain", "path", "sameSite"].map(|attribute| text(cookie, attribute));
    let mut words = words.join(" ");
    if cookie["secure"] == true {
        words.push_str(" Secure");
    }
    if cookie["partitionKey"].is_object() {
        words.push_str(" Partitioned");
    }
    if cookie["session"] != true {
        words.push_str(" for 1 h");
    }
    words
}

fn text<'a>(cookie: &'a Value, attribute: &str) -> &'a str {
    cookie[attribute].as_str().unwrap_or_default()
}
