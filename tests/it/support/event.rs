//! Events as a Function URL makes them of HTTP requests: payload format 2.0.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The host name of the function under test.
pub(crate) const HOST: &str = "abcdefghijklmnopqrstuvwxyz012345.lambda-url.eu-central-1.on.aws";

/// A request on its way to become an event.
pub(crate) struct Event(Value);

impl Event {
    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// A browser's submission of a form. The body arrives base64-encoded, as AWS sends every form.
    pub(crate) fn post_form(path: &str, fields: &[(&str, &str)]) -> Self {
        let pairs = fields
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        Self::new("POST", path)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("content-length", &body.len().to_string())
            .header("origin", &format!("https://{HOST}"))
            .header("sec-fetch-site", "same-origin")
            .body(body.as_bytes())
    }

    /// Any method. The path may carry a query.
    pub(crate) fn new(method: &str, path_and_query: &str) -> Self {
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        Self(json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": query,
            "headers": {
                "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                "accept-language": "en-GB,en;q=0.5",
                "host": HOST,
                "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                "x-amzn-tls-cipher-suite": "TLS_AES_128_GCM_SHA256",
                "x-amzn-tls-version": "TLSv1.3",
                "x-amzn-trace-id": "Root=1-68f0a1b2-0123456789abcdef01234567",
                "x-forwarded-for": "203.0.113.7",
                "x-forwarded-port": "443",
                "x-forwarded-proto": "https",
            },
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
                    "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
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

    /// A header, under its name in lower case. A second value of the same name goes behind the first, as AWS joins them.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let header = &mut self.0["headers"][name];
        *header = match header.as_str() {
            Some(first) => json!(format!("{first},{value}")),
            None => json!(value),
        };
        self
    }

    /// A cookie, as `name=value`. AWS takes them out of the headers.
    pub(crate) fn cookie(mut self, pair: &str) -> Self {
        match self.0["cookies"].as_array_mut() {
            Some(cookies) => cookies.push(json!(pair)),
            None => self.0["cookies"] = json!([pair]),
        }
        self
    }

    pub(crate) fn body(mut self, body: &[u8]) -> Self {
        self.0["body"] = json!(STANDARD.encode(body));
        self.0["isBase64Encoded"] = json!(true);
        self
    }

    /// Without a header that was set.
    pub(crate) fn without(mut self, name: &str) -> Self {
        if let Some(headers) = self.0["headers"].as_object_mut() {
            headers.remove(name);
        }
        self
    }

    /// With another value at a JSON pointer.
    pub(crate) fn with(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        self.0.pointer_mut(parent).expect("a parent")[name] = value.into();
        self
    }

    pub(crate) fn into_value(self) -> Value {
        self.0
    }
}

/// As browsers encode a form's names and values.
fn encode(text: &str) -> String {
    let encoded = text.bytes().map(|byte| match byte {
        b' ' => "+".to_owned(),
        b'*' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    encoded.collect()
}
