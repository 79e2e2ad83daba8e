//! An event as its request: version 2.0 of the payload, which Function URLs and HTTP APIs share.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>
//!
//! Only what the format documents is read. Unlike `lambda_http`'s, the address is https always, has its path as it was sent
//! and no stage before it.

use std::collections::HashMap;
use std::{fmt, mem};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{HeaderValue, header};
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequestContext;
use lambda_http::aws_lambda_events::query_map::QueryMap;
use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt as _};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::headers::Headers;

/// A request as Lambda hands it over.
///
/// ```
/// use lambda_session::event::Event;
/// use serde_json::json;
///
/// let event = json!({ "rawPath": "/", "requestContext": { "http": { "method": "GET" } } });
/// assert!(serde_json::from_str::<Event>(&event.to_string()).is_ok());
/// assert!(serde_json::from_value::<Event>(event).is_ok());
/// assert!(serde_json::from_value::<Event>(json!({ "Records": [] })).is_err());
/// ```
pub struct Event(Payload);

/// What a request is made of, of all that there is in the payload.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    raw_path: Option<String>,
    raw_query_string: Option<String>,
    cookies: Option<Vec<String>>,
    headers: Option<Headers>,
    request_context: ApiGatewayV2httpRequestContext,
    path_parameters: Option<HashMap<String, String>>,
    stage_variables: Option<HashMap<String, String>>,
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// Nothing of the request, which holds cookies.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").finish_non_exhaustive()
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        // Lambda's runtime keeps the path of every value it reads, for errors; within a raw value it has nothing to keep.
        let event = <Box<RawValue>>::deserialize(deserializer)?;
        serde_json::from_str(event.get()).map(Self).map_err(|_| {
            // Lambda's runtime logs it; what is wrong with it can be something from outside.
            D::Error::custom("this is no request of a Function URL or an HTTP API (payload format 2.0)")
        })
    }
}

/// What may not stand in the path of a URL (RFC 3986, section 3.3). `rawPath` may have been decoded on its way.
const NO_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

impl Event {
    /// The request, with what [`RequestExt`](lambda_http::RequestExt) reads of it. One that cannot be read has no path.
    pub(super) fn into_request(self) -> Request {
        let Self(mut payload) = self;
        let context = mem::take(&mut payload.request_context);
        let mut request = readable(payload, context.domain_name.as_deref()).unwrap_or_default();
        *request.method_mut() = context.http.method.clone();
        request.with_request_context(RequestContext::ApiGatewayV2(context))
    }
}

fn readable(payload: Payload, domain: Option<&str>) -> Option<Request> {
    let mut headers = payload.headers.unwrap_or_default().0?;
    if let Some(mut cookies) = payload.cookies {
        // One that is none to HTTP does not cost the others.
        cookies.retain(|cookie| HeaderValue::from_str(cookie).is_ok());
        let cookies = HeaderValue::try_from(cookies.join("; ")).ok()?;
        headers.try_insert(header::COOKIE, cookies).ok()?;
    }
    let path = payload.raw_path.filter(|path| !path.is_empty())?;
    // A fragment would not be in the URL.
    let query = payload.raw_query_string.unwrap_or_default();
    if query.contains('#') {
        return None;
    }
    let mut target = String::from(if path.starts_with('/') { "" } else { "/" });
    target.extend(utf8_percent_encode(&path, NO_PATH));
    if !query.is_empty() {
        target.push('?');
        target.push_str(&query);
    }
    let mut uri = http::uri::Parts::default();
    uri.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    if let Some(host) = headers
        .get(header::HOST)
        .map(HeaderValue::as_bytes)
        .or(domain.map(str::as_bytes))
    {
        uri.scheme = Some(Scheme::HTTPS);
        uri.authority = Some(authority(host)?);
    }
    let body = match payload.body {
        None => Body::Empty,
        Some(text) if payload.is_base64_encoded => Body::Binary(STANDARD.decode(text).ok()?),
        Some(text) => Body::Text(text),
    };

    let mut request = Request::new(body).with_raw_http_path(path);
    *request.uri_mut() = Uri::from_parts(uri).ok()?;
    *request.headers_mut() = headers;
    if !query.is_empty() {
        request = request.with_query_string_parameters(query.parse::<QueryMap>().unwrap_or_default());
    }
    if let Some(parameters) = payload.path_parameters {
        request = request.with_path_parameters(parameters);
    }
    if let Some(variables) = payload.stage_variables {
        request = request.with_stage_variables(variables);
    }
    Some(request)
}

/// A host and perhaps its port (RFC 9110, section 7.2); a URL could name a user there as well.
fn authority(host: &[u8]) -> Option<Authority> {
    let authority = Authority::try_from(host.strip_suffix(b":").unwrap_or(host)).ok()?;
    let port = authority.port().map_or(0, |port| 1 + port.as_str().len());
    let whole = !authority.host().is_empty() && authority.as_str().len() == authority.host().len() + port;
    whole.then_some(authority)
}
