//! A plain HTTP request as the event a Function URL would make of it.
//!
//! It then goes through `lambda_http`'s conversion, whose requests are those that the handler sees on Lambda (a test
//! compares them): joined headers, decoded body.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, header, request};
use lambda_http::{Context, Request, RequestExt};
use serde_json::{Value, json};

/// What a Lambda function is given before it is stopped: the template's timeout.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why a request never reaches the handler: Lambda's front would have refused it as well.
pub(crate) struct NotAnEvent;

/// Converts a request, whose body was read before, for the handler.
pub(crate) fn to_lambda(parts: &request::Parts, body: &[u8], own_host: &str) -> Result<Request, NotAnEvent> {
    let event = event(parts, body, own_host).ok_or(NotAnEvent)?;
    let request = lambda_http::request::from_str(&event.to_string()).map_err(|_| NotAnEvent)?;
    Ok(request.with_lambda_context(context()))
}

/// The payload, version 2.0. `None` for a `Host` or path that no URL can have.
fn event(parts: &request::Parts, body: &[u8], own_host: &str) -> Option<Value> {
    let mut headers = join(&parts.headers)?;
    let host = headers
        .entry("host".to_owned())
        .or_insert_with(|| own_host.to_owned())
        .clone();
    let path = parts.uri.path();
    let url: http::Uri = format!("http://{host}{path}").parse().ok()?;
    if !is_plain(url.authority()?) {
        return None;
    }
    headers.insert("x-forwarded-proto".to_owned(), "http".to_owned());
    let cookies: Vec<_> = headers
        .remove(header::COOKIE.as_str())
        .map(|line| line.split("; ").map(str::to_owned).collect())
        .unwrap_or_default();
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": parts.uri.query().unwrap_or_default(),
        "headers": headers,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "local",
            "domainName": host,
            "http": {
                "method": parts.method.as_str(),
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
            },
            "routeKey": "$default",
            "stage": "$default",
        },
        "isBase64Encoded": !body.is_empty(),
    });
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    if !body.is_empty() {
        event["body"] = json!(STANDARD.encode(body));
    }
    Some(event)
}

/// Whether this is a host that the URL parser behind `lambda_http` takes, which panics on any other. On Lambda it never
/// sees one: the front only lets the function's own name through.
fn is_plain(host: &Authority) -> bool {
    let name = host.host();
    let port_is_number = host
        .as_str()
        .rsplit_once(':')
        .is_none_or(|_| host.port_u16().is_some() || name.ends_with(']'));
    let last_label = name.rsplit('.').next().unwrap_or_default();
    let name_is_plain = if let Some(address) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        address.parse::<Ipv6Addr>().is_ok()
    } else if last_label.starts_with(|first: char| first.is_ascii_digit()) {
        name.parse::<Ipv4Addr>().is_ok()
    } else {
        !last_label.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
            && !name.split('.').any(|label| label.starts_with("xn--"))
    };
    port_is_number && name_is_plain
}

/// One value per name, as payload 2.0 has it. Values that are no text cannot be part of an event.
fn join(headers: &HeaderMap) -> Option<BTreeMap<String, String>> {
    let separator = |name: &HeaderName| if name == header::COOKIE { "; " } else { "," };
    let joined = headers.keys().map(|name| {
        let values: Result<Vec<_>, _> = headers.get_all(name).iter().map(|value| value.to_str()).collect();
        Some((name.to_string(), values.ok()?.join(separator(name))))
    });
    joined.collect()
}

fn context() -> Context {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut context = Context::default();
    context.deadline = u64::try_from((now + TIMEOUT).as_millis()).unwrap_or(u64::MAX);
    context
}
