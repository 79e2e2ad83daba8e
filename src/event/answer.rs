//! A response as its answer: version 2.0 of the payload.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>
//!
//! Unlike `lambda_http`'s, it has all values of a header, a value that is no UTF-8 does not cost the whole answer, and a body
//! is text or bytes as its type says, whatever the headers do.

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue, header};
use lambda_http::{Body, Response};
use serde::ser::{SerializeMap as _, SerializeStruct as _};
use serde::{Serialize, Serializer};

/// Written straight from the response, without a copy of it between.
pub(super) struct Answer(pub(super) Response<Body>);

impl Serialize for Answer {
    fn serialize<S>(&self, serializer: S) -> Result<S::Ok, S::Error>
    where
        S: Serializer,
    {
        let Self(response) = self;
        // A browser takes cookies in one header for one cookie (RFC 6265, section 3), so they have a place of their own.
        let cookies = response.headers().get_all(header::SET_COOKIE);
        let mut answer = serializer.serialize_struct("Answer", 5)?;
        // First what is longest: what it is written to grows less often.
        match response.body() {
            Body::Empty => answer.serialize_field("body", "")?,
            body => answer.serialize_field("body", body)?,
        }
        answer.serialize_field("statusCode", &response.status().as_u16())?;
        answer.serialize_field("headers", &Headers(response.headers()))?;
        answer.serialize_field("cookies", &cookies.iter().map(text).collect::<Vec<_>>())?;
        answer.serialize_field("isBase64Encoded", &matches!(response.body(), Body::Binary(_)))?;
        answer.end()
    }
}

/// All but the cookies. Several values of one header are a list (RFC 9110, section 5.3).
struct Headers<'a>(&'a HeaderMap);

impl Serialize for Headers<'_> {
    fn serialize<S>(&self, serializer: S) -> Result<S::Ok, S::Error>
    where
        S: Serializer,
    {
        let mut headers = serializer.serialize_map(None)?;
        let others = self.0.iter().filter(|(name, _)| *name != header::SET_COOKIE);
        // The values of one header come one after another.
        let mut values = others.peekable();
        while let Some((name, value)) = values.next() {
            let mut list = text(value);
            while let Some((_, value)) = values.next_if(|(next, _)| *next == name) {
                list += ", ";
                list += text(value);
            }
            headers.serialize_entry(name.as_str(), &list)?;
        }
        headers.end()
    }
}

fn text(value: &HeaderValue) -> Cow<'_, str> {
    // Twice as fast as the second alone, for what is UTF-8.
    str::from_utf8(value.as_bytes()).map_or_else(|_| String::from_utf8_lossy(value.as_bytes()), Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_value_of_a_header_has_its_place() {
        let response = Response::builder()
            .header("vary", "Origin")
            .header("set-cookie", "a=1; Path=/")
            .header("vary", "Cookie")
            .header("set-cookie", &b"b=\xfc"[..])
            .header("x-name", &b"J\xfcrgen"[..])
            .body(Body::Empty)
            .unwrap();
        let answer = serde_json::to_value(Answer(response)).unwrap();
        let headers = json!({ "vary": "Origin, Cookie", "x-name": "J\u{fffd}rgen" });
        assert_eq!(
            (&answer["headers"], &answer["cookies"]),
            (&headers, &json!(["a=1; Path=/", "b=\u{fffd}"]))
        );
    }
}
