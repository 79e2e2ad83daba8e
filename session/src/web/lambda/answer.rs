//! An answer in the form that its door takes, and how it is fitted to what the door lets through.

use std::any::Any;
use std::borrow::Cow;

use http::header::{Entry, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use lambda_http::{Body, IntoResponse};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::event::Door;
use crate::session::lazy::LazySession;
use crate::web::body::ResponseBody;

/// Fits the headers to what the door lets through.
pub(super) fn fit<B>(response: &mut Response<B>, door: Door) {
    match door {
        Door::V1 | Door::LoadBalancer => {}
        Door::V2 => join(response.headers_mut()),
        Door::SingleValueLoadBalancer | Door::Lattice => {
            join(response.headers_mut());
            keep_one_cookie(response, door);
        }
    }
}

/// Joins the values of each repeated header, because only one of them would be left (RFC 9110, section 5.3). Cookies
/// cannot be joined.
fn join(headers: &mut HeaderMap) {
    if headers.keys_len() == headers.len() {
        return;
    }
    let repeated = |name: &&HeaderName| **name != SET_COOKIE && headers.get_all(*name).iter().nth(1).is_some();
    let names: Vec<_> = headers.keys().filter(repeated).cloned().collect();
    for name in names {
        let values: Vec<_> = headers.get_all(&name).iter().map(HeaderValue::as_bytes).collect();
        if let Ok(joined) = HeaderValue::from_bytes(&values.join(&b", "[..])) {
            headers.insert(name, joined);
        }
    }
}

/// An answer as its door takes it. `lambda_http` converts only the answer to a request that it has made of an event
/// itself.
pub(super) struct Answer {
    pub(super) response: Response<Body>,
    pub(super) door: Door,
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (status, headers, body) = (self.response.status(), self.response.headers(), self.response.body());
        let one_of_each = Entries(|| headers.keys().map(|name| (name.as_str(), text(&headers[name]))));
        let all = Entries(|| headers.keys().map(|name| (name.as_str(), texts(headers, name))));
        let mut answer = serializer.serialize_map(None)?;
        // The longest part is the first, so that the buffer grows in fewer steps.
        match body {
            // SAM warns of an answer that has no body.
            Body::Empty => answer.serialize_entry("body", "")?,
            body => answer.serialize_entry("body", body)?,
        }
        answer.serialize_entry("statusCode", &status.as_u16())?;
        match self.door {
            Door::V2 => {
                // `fit` has joined the values of repeated headers, so each name comes once.
                let others = || headers.iter().filter(|(name, _)| **name != SET_COOKIE);
                let others = Entries(|| others().map(|(name, value)| (name.as_str(), text(value))));
                answer.serialize_entry("headers", &others)?;
                answer.serialize_entry("cookies", &texts(headers, &SET_COOKIE))?;
            }
            // A header that stands in both maps is sent twice.
            Door::V1 => answer.serialize_entry("multiValueHeaders", &all)?,
            // The load balancer reads the one that its target group is set to.
            Door::LoadBalancer | Door::SingleValueLoadBalancer => {
                let reason = status.canonical_reason().unwrap_or_default();
                answer.serialize_entry("statusDescription", &format!("{} {reason}", status.as_u16()))?;
                answer.serialize_entry("headers", &one_of_each)?;
                answer.serialize_entry("multiValueHeaders", &all)?;
            }
            Door::Lattice => answer.serialize_entry("headers", &one_of_each)?,
        }
        answer.serialize_entry("isBase64Encoded", &matches!(body, Body::Binary(_)))?;
        answer.end()
    }
}

/// A map in JSON, from what makes its entries.
struct Entries<F>(F);

impl<K: Serialize, V: Serialize, I: Iterator<Item = (K, V)>, F: Fn() -> I> Serialize for Entries<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map((self.0)())
    }
}

/// The values of a header.
fn texts<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<Cow<'a, str>> {
    headers.get_all(name).iter().map(text).collect()
}

fn text(value: &HeaderValue) -> Cow<'_, str> {
    let value = value.as_bytes();
    // `from_utf8_lossy` alone would look at each byte by itself.
    str::from_utf8(value).map_or_else(|_| String::from_utf8_lossy(value), Cow::from)
}

/// Converts a service's answer to one with a body of `lambda_http`'s. An answer that has one already is left as it is:
/// `lambda_http` would copy its text, and take bytes without a `Content-Type` for text.
pub(super) async fn converted<R: IntoResponse + Send + 'static>(answer: R) -> Response<Body> {
    let mut answer = Some(answer);
    let any: &mut (dyn Any + Send) = &mut answer;
    if let Some(plain) = any.downcast_mut::<Option<Response<Body>>>().and_then(Option::take) {
        return plain;
    }
    if let Some(layered) = any
        .downcast_mut::<Option<Response<ResponseBody<Body>>>>()
        .and_then(Option::take)
    {
        return layered.map(ResponseBody::into_inner);
    }
    match answer {
        Some(answer) => answer.into_response().await,
        None => Response::default(),
    }
}

/// Keeps the session's cookie, or the first one if the session sets none.
fn keep_one_cookie<B>(response: &mut Response<B>, door: Door) {
    let session = response
        .extensions()
        .get::<LazySession>()
        .and_then(LazySession::cookie_name);
    let session = session.map(str::to_owned);
    let Entry::Occupied(cookies) = response.headers_mut().entry(SET_COOKIE) else {
        return;
    };
    let mut cookies: Vec<_> = cookies.remove_entry_mult().1.collect();
    let ours = cookies
        .iter()
        .position(|cookie| Some(name(cookie)) == session.as_deref());
    let kept = cookies.remove(ours.unwrap_or_default());
    if !cookies.is_empty() {
        let dropped: Vec<_> = cookies.iter().map(name).collect();
        let mends = match door {
            Door::Lattice => "VPC Lattice takes one cookie of each answer",
            _ => "set `lambda.multi_value_headers.enabled` on the load balancer's target group",
        };
        tracing::warn!(event = "cookies_dropped", ?dropped, "{mends}");
    }
    response.headers_mut().insert(SET_COOKIE, kept);
}

/// The name of the cookie that a `Set-Cookie` header sets.
fn name(cookie: &HeaderValue) -> &str {
    let name = cookie.as_bytes().split(|&byte| byte == b'=').next();
    name.and_then(|name| str::from_utf8(name).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use http::header::{ACCEPT, LINK, VARY, WWW_AUTHENTICATE};
    use serde_json::json;

    use super::*;

    fn fitted(door: Door) -> Response<()> {
        let mut response = Response::new(());
        for (name, value) in [
            (VARY, "accept-encoding"),
            (VARY, "Cookie"),
            (LINK, "</a>; rel=next"),
            (SET_COOKIE, "theme=dark"),
            (SET_COOKIE, "session=x"),
            (WWW_AUTHENTICATE, "Cookie"),
            (WWW_AUTHENTICATE, "Basic"),
        ] {
            response.headers_mut().append(name, HeaderValue::from_static(value));
        }
        fit(&mut response, door);
        response
    }

    #[test]
    fn a_repeated_header_is_one_where_the_door_lets_only_one_through() {
        for (door, is_joined) in [
            (Door::V1, false),
            (Door::LoadBalancer, false),
            (Door::V2, true),
            (Door::SingleValueLoadBalancer, true),
            (Door::Lattice, true),
        ] {
            let response = fitted(door);
            let values = |name| response.headers().get_all(name).iter().collect::<Vec<_>>();
            let expected: &[&str] = if is_joined {
                &["accept-encoding, Cookie"]
            } else {
                &["accept-encoding", "Cookie"]
            };
            assert_eq!(values(VARY), expected, "{door:?}");
            assert_eq!(values(WWW_AUTHENTICATE).len(), expected.len(), "{door:?}");
            assert_eq!((values(LINK).len(), values(ACCEPT).len()), (1, 0), "{door:?}");
        }
    }

    #[test]
    fn an_answer_has_the_form_of_its_door() {
        let made = |door| {
            let page = Response::builder()
                .status(520)
                .header(SET_COOKIE, "a=\u{e9}")
                .header(LINK, "</a>")
                .header("not-utf-8", HeaderValue::from_bytes(b"\xe9").unwrap());
            let response = page.body(Body::Empty).unwrap();
            serde_json::to_value(Answer { response, door }).unwrap()
        };
        let all = json!({ "set-cookie": ["a=é"], "link": ["</a>"], "not-utf-8": ["\u{fffd}"] });
        let answer = made(Door::V2);
        assert_eq!(
            (&answer["cookies"], &answer["headers"]),
            (&json!(["a=é"]), &json!({ "link": "</a>", "not-utf-8": "\u{fffd}" }))
        );
        let answer = made(Door::V1);
        assert_eq!((answer.get("headers"), &answer["multiValueHeaders"]), (None, &all));
        for door in [Door::LoadBalancer, Door::SingleValueLoadBalancer] {
            let answer = made(door);
            assert_eq!(answer["statusDescription"], "520 ");
            assert_eq!(
                (&answer["headers"]["link"], &answer["multiValueHeaders"]),
                (&json!("</a>"), &all)
            );
        }
        assert_eq!(made(Door::Lattice)["headers"]["link"], "</a>");
        for door in [Door::V1, Door::V2, Door::LoadBalancer, Door::Lattice] {
            let answer = made(door);
            let expected = (&json!(520), &json!(""), &json!(false));
            assert_eq!(
                (&answer["statusCode"], &answer["body"], &answer["isBase64Encoded"]),
                expected,
                "{door:?}"
            );
        }
    }

    #[test]
    fn where_one_cookie_gets_through_it_is_the_first_if_none_is_the_sessions() {
        let cookies = |door| fitted(door).headers().get_all(SET_COOKIE).iter().count();
        assert_eq!([Door::V1, Door::V2, Door::LoadBalancer].map(cookies), [2; 3]);
        for door in [Door::SingleValueLoadBalancer, Door::Lattice] {
            let response = fitted(door);
            let left: Vec<_> = response.headers().get_all(SET_COOKIE).iter().collect();
            assert_eq!(left, ["theme=dark"], "{door:?}");
        }
    }
}
