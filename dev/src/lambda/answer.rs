//! The result of an invocation, as tests see it.

use std::collections::HashMap;

use http::header::SET_COOKIE;
use serde_json::Value;

use crate::event;

/// The function's answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers, by names in lower case. The last value of a repeated name counts.
    pub headers: HashMap<String, String>,
    /// The values of `Set-Cookie`.
    pub cookies: Vec<String>,
    /// The body.
    pub body: String,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum InvocationError {
    /// The function reported an error (or a panic), in Lambda's form.
    Reported(Value),
    /// The process ended, or took longer than a test waits.
    NoAnswer,
}

impl Answer {
    /// Reads the function's answer as Lambda does.
    ///
    /// # Panics
    ///
    /// Lambda could not read the answer, or the body is not text.
    #[track_caller]
    pub fn new(value: &Value) -> Self {
        let Some(response) = event::response(value) else {
            panic!("a malformed answer: {value}")
        };
        let (parts, body) = response.into_parts();
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = parts.headers.iter().filter(|(name, _)| *name != SET_COOKIE);
        Self {
            status: parts.status.as_u16(),
            headers: headers.map(|(name, value)| (name.to_string(), text(value))).collect(),
            cookies: parts.headers.get_all(SET_COOKIE).iter().map(text).collect(),
            body: String::from_utf8(body.to_vec()).expect("a page is text"),
        }
    }

    /// Returns the cookie that a browser would send back, as `name=value`.
    ///
    /// # Panics
    ///
    /// The answer does not set exactly one cookie.
    #[track_caller]
    pub fn cookie(&self) -> String {
        let [cookie] = self.cookies.as_slice() else {
            panic!("not one cookie: {self:?}")
        };
        cookie.split(';').next().unwrap_or_default().to_owned()
    }
}
