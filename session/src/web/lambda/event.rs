//! Makes a request of Lambda's event.
//!
//! `lambda_http` has the types of the events, and its own conversion panics on what strangers can send: a host or a
//! query that cannot be in a URL, a body that is not base64. It also loses repeated headers, and parts of a path that
//! an HTTP API has decoded. So this module converts events itself. If an event cannot be converted, [`Read::request`]
//! is `None`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::str::FromStr as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{COOKIE, HOST};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use lambda_http::aws_lambda_events::alb::AlbTargetGroupRequest;
use lambda_http::aws_lambda_events::apigw::{ApiGatewayProxyRequest, ApiGatewayV2httpRequest};
use lambda_http::aws_lambda_events::query_map::QueryMap;
use lambda_http::aws_lambda_events::vpc_lattice::VpcLatticeRequestV2;
use lambda_http::request::RequestContext;
use lambda_http::{Body, RequestExt as _};
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use super::path::{self, encoded};

/// If this is set, `lambda_http` leaves the stage out of a request's path.
pub(super) const IGNORE_STAGE: &str = "AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH";

static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// A length in bytes. A header map panics if it gets more entries than it can hold. A shorter event cannot have that
/// many headers, so they are not counted.
const SHORT: usize = 100_000;

/// More headers than any of AWS's services lets through.
const MOST_HEADERS: usize = 10_000;

/// The service that sent an event, which decides the form of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// A Function URL, or an HTTP API with payload format 2.0.
    V2,
    /// A REST API, or an HTTP API with payload format 1.0.
    V1,
    /// A load balancer whose target group has multi-value headers.
    LoadBalancer,
    /// A load balancer that sends and takes one value of each header.
    SingleValueLoadBalancer,
    Lattice,
}

/// An event that was read: the service that takes its answer, and its request unless the event cannot be converted.
pub(super) struct Read {
    pub(super) door: Door,
    pub(super) request: Option<Request<Body>>,
}

/// Reads an event.
pub(super) fn read(event: &str, ignores_stage: bool) -> Read {
    let read = if event.len() > SHORT && has_a_crowd(event) {
        None
    } else {
        parse(event, ignores_stage).or_else(|| parse(&with_clean_cookies(event)?, ignores_stage))
    };
    read.unwrap_or(Read {
        door: Door::V2,
        request: None,
    })
}

/// Reads an HTTP event. Most events are those of a Function URL or an HTTP API, and only these have the method in
/// `requestContext.http`; so they are tried first, and read once.
fn parse(event: &str, ignores_stage: bool) -> Option<Read> {
    let (door, request) = if let Ok(event) = serde_json::from_str::<ApiGatewayV2httpRequest>(event) {
        (Door::V2, v2(event, ignores_stage))
    } else if let Ok(event) = serde_json::from_str::<ApiGatewayProxyRequest>(event) {
        (Door::V1, v1(event, ignores_stage))
    } else if let Ok(event) = serde_json::from_str::<AlbTargetGroupRequest>(event) {
        if event.multi_value_headers.is_empty() {
            (Door::SingleValueLoadBalancer, load_balancer(event))
        } else {
            (Door::LoadBalancer, load_balancer(event))
        }
    } else {
        (Door::Lattice, lattice(serde_json::from_str(event).ok()?))
    };
    Some(Read { door, request })
}

/// Whether an event has more headers than a map holds, which panics, or headers that cannot be counted.
fn has_a_crowd(event: &str) -> bool {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Headers {
        headers: Value,
        multi_value_headers: Value,
    }
    let Ok(event) = serde_json::from_str::<Headers>(event) else {
        return true;
    };
    [event.headers, event.multi_value_headers].iter().any(|headers| {
        let values = headers.as_object().into_iter().flat_map(Map::values);
        values.map(|value| value.as_array().map_or(1, Vec::len)).sum::<usize>() > MOST_HEADERS
    })
}

/// The event without the cookies that no header can carry, because they have a control character. Otherwise such a
/// cookie, which another site of the same domain may have set, would make the whole request unreadable.
fn with_clean_cookies(event: &str) -> Option<String> {
    let mut event: Value = serde_json::from_str(event).ok()?;
    for headers in ["headers", "multiValueHeaders"] {
        let headers = event.get_mut(headers).and_then(Value::as_object_mut);
        for (_, cookies) in headers
            .into_iter()
            .flatten()
            .filter(|(name, _)| name.eq_ignore_ascii_case("cookie"))
        {
            match cookies {
                Value::String(cookies) => *cookies = clean(cookies),
                Value::Array(lines) => lines.iter_mut().for_each(|line| {
                    if let Value::String(cookies) = line {
                        *cookies = clean(cookies);
                    }
                }),
                _ => {}
            }
        }
    }
    Some(event.to_string())
}

/// The cookies that a header can carry.
pub(super) fn clean(cookies: &str) -> String {
    let pairs = cookies.split(';').filter(|pair| HeaderValue::from_str(pair).is_ok());
    pairs.collect::<Vec<_>>().join(";")
}

/// What a request is made of.
struct Parts {
    method: Method,
    /// The path of the request's URI, encoded.
    path: String,
    query: String,
    headers: HeaderMap,
    /// The host, if no header names one.
    domain: Option<String>,
    /// What `lambda_http` tells handlers, among it the event's own path, encoded, by which plain handlers route. It has
    /// the stage only if the event's path has it.
    extensions: Extensions,
    body: Option<String>,
    is_base64: bool,
}

fn v2(event: ApiGatewayV2httpRequest, ignores_stage: bool) -> Option<Request<Body>> {
    let raw_path = encoded(event.raw_path.as_deref().unwrap_or_default()).into_owned();
    let query = event.raw_query_string.unwrap_or_default();
    let mut headers = event.headers;
    if let Some(cookies) = event.cookies {
        let line = cookies.join("; ");
        // Nearly all cookies are clean.
        let value = HeaderValue::from_str(&line).or_else(|_| HeaderValue::from_str(clean(&line).trim_start()));
        headers.insert(COOKIE, value.ok()?);
    }
    let stage = event.request_context.stage.as_deref().filter(|_| !ignores_stage);
    Parts {
        method: event.request_context.http.method.clone(),
        path: path::with_stage(stage, &raw_path),
        headers,
        domain: event.request_context.domain_name.clone(),
        extensions: Extensions::new()
            .with_raw_http_path(raw_path)
            // These come from the raw query, because `queryStringParameters` joins repeated values with commas.
            .with_query_string_parameters(QueryMap::from_str(&query).unwrap_or_default())
            .with_path_parameters(event.path_parameters)
            .with_stage_variables(event.stage_variables)
            .with_request_context(RequestContext::ApiGatewayV2(event.request_context)),
        query,
        body: event.body,
        is_base64: event.is_base64_encoded,
    }
    .into_request()
}

fn v1(event: ApiGatewayProxyRequest, ignores_stage: bool) -> Option<Request<Body>> {
    let raw_path = encoded(event.path.as_deref().unwrap_or_default()).into_owned();
    let parameters = either(
        &event.multi_value_query_string_parameters,
        &event.query_string_parameters,
    );
    let sent = path::sent(&event.request_context, &raw_path).into_owned();
    Parts {
        method: event.http_method,
        path: if ignores_stage { raw_path.clone() } else { sent },
        query: parameters.to_query_string(),
        headers: all_values(event.multi_value_headers, event.headers),
        domain: event.request_context.domain_name.clone(),
        extensions: Extensions::new()
            .with_raw_http_path(raw_path)
            .with_query_string_parameters(parameters)
            .with_path_parameters(event.path_parameters)
            .with_stage_variables(event.stage_variables)
            .with_request_context(RequestContext::ApiGatewayV1(event.request_context)),
        body: event.body,
        is_base64: event.is_base64_encoded,
    }
    .into_request()
}

fn load_balancer(event: AlbTargetGroupRequest) -> Option<Request<Body>> {
    let parameters = either(
        &event.multi_value_query_string_parameters,
        &event.query_string_parameters,
    );
    let headers = all_values(event.multi_value_headers, event.headers);
    let context = RequestContext::Alb(event.request_context);
    let body = (event.body, event.is_base64_encoded);
    undecoded(event.http_method, event.path, &parameters, headers, context, body).into_request()
}

fn lattice(event: VpcLatticeRequestV2) -> Option<Request<Body>> {
    let parameters = with_values(&event.query_string_parameters);
    let context = RequestContext::VpcLattice(event.request_context);
    let body = (event.body, event.is_base64_encoded);
    undecoded(event.method?, event.path, &parameters, event.headers, context, body).into_request()
}

/// The parts of an event whose query parameters are as the browser sent them.
fn undecoded(
    method: Method,
    path: Option<String>,
    parameters: &QueryMap,
    headers: HeaderMap,
    context: RequestContext,
    (body, is_base64): (Option<String>, bool),
) -> Parts {
    let pairs: Vec<_> = parameters
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let parameters = QueryMap::from_str(&pairs.join("&")).unwrap_or_default();
    // A service network may leave the query in the path.
    let path = path.unwrap_or_default();
    let path = encoded(path.split('?').next().unwrap_or_default()).into_owned();
    Parts {
        method,
        query: parameters.to_query_string(),
        headers,
        domain: None,
        extensions: Extensions::new()
            .with_raw_http_path(path.as_str())
            .with_query_string_parameters(parameters)
            .with_request_context(context),
        path,
        body,
        is_base64,
    }
}

/// The parameters of either map, of which the first may be empty.
fn either(first: &QueryMap, second: &QueryMap) -> QueryMap {
    let first = with_values(first);
    if first.is_empty() { with_values(second) } else { first }
}

/// The parameters that have a value. Looking through a map panics at one that has none.
fn with_values(parameters: &QueryMap) -> QueryMap {
    if parameters.is_empty() {
        return QueryMap::default();
    }
    let values = serde_json::to_value(parameters).and_then(serde_json::from_value);
    let mut values: HashMap<String, Vec<String>> = values.unwrap_or_default();
    values.retain(|_, values| !values.is_empty());
    values.into()
}

/// An event may hold a repeated header twice: all values in one map, and the last one in the other.
fn all_values(mut multiple: HeaderMap, single: HeaderMap) -> HeaderMap {
    for (name, value) in &single {
        multiple.entry(name).or_insert_with(|| value.clone());
    }
    multiple
}

impl Parts {
    fn into_request(self) -> Option<Request<Body>> {
        let uri = self.uri()?;
        let body = match (self.body, self.is_base64) {
            (None, _) => Body::Empty,
            (Some(text), false) => Body::Text(text),
            (Some(text), true) => Body::Binary(STANDARD.decode(text).ok()?),
        };
        let mut request = Request::new(body);
        *request.method_mut() = self.method;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers;
        *request.extensions_mut() = self.extensions;
        Some(request)
    }

    /// The URI, with dot segments resolved as `lambda_http` resolves them.
    fn uri(&self) -> Option<Uri> {
        // A path that begins otherwise, such as `*`, must not become a part of the host.
        let path = if self.path.starts_with('/') {
            Cow::Borrowed(&*self.path)
        } else {
            Cow::Owned(format!("/{}", self.path))
        };
        let header = |name: &HeaderName| self.headers.get(name).map(HeaderValue::to_str).transpose();
        let host = header(&HOST).ok()?.or(self.domain.as_deref());
        let scheme = if matches!(header(&X_FORWARDED_PROTO), Ok(Some("http"))) {
            "http"
        } else {
            "https"
        };
        let in_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:[]".contains(&byte);
        // After an empty host, a URL parser takes the path's first segment for it.
        if host.is_some_and(|host| host.is_empty() || !host.bytes().all(in_host)) {
            return None;
        }
        // A query with a `#` ends there in a URL. No client can have sent it, and the rest would be lost.
        if self.query.contains('#') {
            return None;
        }
        let url = format!("{scheme}://{}{path}", host.unwrap_or("localhost"));
        let mut uri = match host {
            Some(host) if is_canonical(host, &path) => url,
            Some(_) => Url::parse(&url).ok()?.into(),
            None => Url::parse(&url).ok()?.path().to_owned(),
        };
        if !self.query.is_empty() {
            uri.push('?');
            uri.push_str(&self.query);
        }
        uri.parse().ok()
    }
}

/// Whether a URL parser would leave this host and this path as they are. Parsing takes 4,000 instructions, and only
/// resolves dot segments, and rewrites numbers, capitals and international names in the host.
fn is_canonical(host: &str, path: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    let in_path = |byte: u8| is_plain(byte) || byte.is_ascii_uppercase() || b"_~/".contains(&byte);
    let top = host.rsplit('.').next().unwrap_or_default();
    top.starts_with(|first: char| first.is_ascii_lowercase())
        && host.bytes().all(is_plain)
        && !host.contains("xn--")
        && path.bytes().all(in_path)
        && !path.contains("/.")
}

#[cfg(test)]
mod tests;
