//! Converts an HTTP request to the event that a Function URL makes of it (payload format 2.0), and the function's
//! answer to the HTTP response that the Function URL makes of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Response, StatusCode, request};
use hyper::body::Bytes;
use serde_json::{Value, json};

/// The host name of the function under test.
pub const HOST: &str = "abcdefghijklmnopqrstuvwxyz012345.lambda-url.eu-central-1.on.aws";

/// An event that is being built from a request.
#[derive(Clone, Debug)]
pub struct Event(Value);

/// A header that is not text, which an event cannot carry.
#[derive(Clone, Copy, Debug)]
pub struct NotAnEvent;

impl Event {
    /// Converts a request that came over plain HTTP, whose body was read before.
    ///
    /// `own_host` is the host of a request that names no host.
    ///
    /// # Errors
    ///
    /// A header's value is not UTF-8.
    pub fn from_request(parts: &request::Parts, body: &[u8], own_host: &str) -> Result<Self, NotAnEvent> {
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let mut event = Self::bare(parts.method.as_str(), target);
        for (name, value) in &parts.headers {
            let value = str::from_utf8(value.as_bytes()).map_err(|_| NotAnEvent)?;
            event = event.header(name.as_str(), value);
        }
        let host = event.0["headers"]["host"].as_str().unwrap_or(own_host).to_owned();
        let event = event
            .with("/headers/host", host.as_str())
            .with("/headers/x-forwarded-proto", "http")
            .with("/headers/x-forwarded-for", "127.0.0.1")
            .with("/requestContext/domainName", host)
            .with("/requestContext/http/sourceIp", "127.0.0.1");
        Ok(if body.is_empty() { event } else { event.body(body) })
    }

    /// Returns a browser's visit.
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// Returns a browser's submission of a form. The body is base64-encoded, as AWS sends every form.
    pub fn post_form(path: &str, fields: &[(&str, &str)]) -> Self {
        let body = form(fields);
        Self::new("POST", path)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("content-length", &body.len().to_string())
            .header("origin", &format!("https://{HOST}"))
            .header("sec-fetch-site", "same-origin")
            .body(body.as_bytes())
    }

    /// Returns a browser's request with any method. The path may have a query.
    pub fn new(method: &str, path_and_query: &str) -> Self {
        let browser = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        let headers = json!({
            "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "accept-language": "en-GB,en;q=0.5",
            "host": HOST,
            "user-agent": browser,
            "x-amzn-tls-cipher-suite": "TLS_AES_128_GCM_SHA256",
            "x-amzn-tls-version": "TLSv1.3",
            "x-amzn-trace-id": "Root=1-68f0a1b2-0123456789abcdef01234567",
            "x-forwarded-for": "203.0.113.7",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
        });
        Self::bare(method, path_and_query)
            .with("/headers", headers)
            .with("/requestContext/http/userAgent", browser)
    }

    /// Returns a request with any method and without headers.
    fn bare(method: &str, path_and_query: &str) -> Self {
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        Self(json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": query,
            "headers": {},
            "requestContext": {
                "accountId": "anonymous",
                "apiId": "abcdefghijklmnopqrstuvwxyz012345",
                "domainName": HOST,
                "domainPrefix": "abcdefghijklmnopqrstuvwxyz012345",
                "http": {
                    "method": method,
                    "path": path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": "203.0.113.7",
                },
                "requestId": "0f7e4a52-7d1c-4f0a-9a3b-5c6d7e8f9a0b",
                "routeKey": "$default",
                "stage": "$default",
                "time": "16/Oct/2026:08:00:00 +0000",
                "timeEpoch": 1_792_137_600_000_u64,
            },
            "isBase64Encoded": false,
        }))
    }

    /// Adds a header, under its name in lower case. A second value of the same name is appended to the first, as AWS
    /// joins them; a `cookie` header becomes cookies.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if name == "cookie" {
            return value.split("; ").fold(self, Self::cookie);
        }
        let header = &mut self.0["headers"][name];
        *header = match header.as_str() {
            Some(first) => json!(format!("{first},{value}")),
            None => json!(value),
        };
        self
    }

    /// Adds a cookie, as `name=value`. AWS moves cookies out of the headers.
    #[must_use]
    pub fn cookie(mut self, pair: &str) -> Self {
        match self.0["cookies"].as_array_mut() {
            Some(cookies) => cookies.push(json!(pair)),
            None => self.0["cookies"] = json!([pair]),
        }
        self
    }

    /// Sets the body, encoded as base64.
    #[must_use]
    pub fn body(mut self, body: &[u8]) -> Self {
        self.0["body"] = json!(STANDARD.encode(body));
        self.0["isBase64Encoded"] = json!(true);
        self
    }

    /// Removes a header.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        if let Some(headers) = self.0["headers"].as_object_mut() {
            headers.remove(name);
        }
        self
    }

    /// Sets another value at a JSON pointer.
    ///
    /// # Panics
    ///
    /// No object there can hold the value.
    #[must_use]
    #[track_caller]
    pub fn with(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        self.0.pointer_mut(parent).expect("a parent")[name] = value.into();
        self
    }

    /// Returns the event as it is sent.
    pub fn into_value(self) -> Value {
        self.0
    }
}

/// Encodes a form's fields as browsers do.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish()
}

/// Returns the HTTP response that Lambda makes of an answer, or `None` if the answer is malformed. The client then gets
/// status 502.
///
/// Reads the payload formats 1.0 (`multiValueHeaders`) and 2.0 (`cookies`).
pub fn response(answer: &Value) -> Option<Response<Bytes>> {
    let status = u16::try_from(answer["statusCode"].as_u64()?).ok()?;
    let body = answer["body"].as_str().unwrap_or_default();
    let body = match answer["isBase64Encoded"].as_bool() {
        Some(true) => STANDARD.decode(body).ok()?.into(),
        _ => Bytes::copy_from_slice(body.as_bytes()),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).ok()?;
    let headers = response.headers_mut();
    for (name, value) in answer["headers"].as_object().into_iter().flatten() {
        headers.insert(header_name(name)?, header_value(value)?);
    }
    for (name, values) in answer["multiValueHeaders"].as_object().into_iter().flatten() {
        let name = header_name(name)?;
        headers.remove(&name);
        for value in values.as_array()? {
            headers.append(name.clone(), header_value(value)?);
        }
    }
    for cookie in answer["cookies"].as_array().into_iter().flatten() {
        headers.append(http::header::SET_COOKIE, header_value(cookie)?);
    }
    // These headers belong to the connection, which is not the function's.
    for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    Some(response)
}

fn header_name(name: &str) -> Option<HeaderName> {
    name.parse().ok()
}

fn header_value(value: &Value) -> Option<HeaderValue> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(_) | Value::Bool(_) => value.to_string().parse().ok(),
        _ => None,
    }
}
