//! Requests become events, and answers become responses, as on Lambda.

use dev::event::{self, Event};
use http::header::SET_COOKIE;
use http::{Request, StatusCode};
use serde_json::json;

fn event(request: http::request::Builder, body: &[u8]) -> serde_json::Value {
    let (parts, ()) = request.body(()).expect("a request").into_parts();
    let event = Event::from_request(&parts, body, "127.0.0.1:3000").expect("an event");
    event.into_value()
}

#[test]
fn repeated_headers_are_joined_and_cookies_are_apart() {
    let request = Request::get("/a%20b?x=1&x=%zz")
        .header("Host", "localhost:3000")
        .header("Accept", "text/html")
        .header("Accept", "text/plain")
        .header("Cookie", "a=1; b=2")
        .header("Cookie", "c=3");
    let event = event(request, b"");
    assert_eq!(event["rawPath"], "/a%20b");
    assert_eq!(event["rawQueryString"], "x=1&x=%zz");
    assert_eq!(event["headers"]["accept"], "text/html,text/plain");
    assert_eq!(event["headers"]["host"], "localhost:3000");
    assert_eq!(event["headers"]["x-forwarded-proto"], "http");
    assert_eq!(event["cookies"], json!(["a=1", "b=2", "c=3"]));
    assert!(
        event["headers"]["cookie"].is_null() && event["body"].is_null(),
        "{event}"
    );
    assert_eq!(event["requestContext"]["domainName"], "localhost:3000");
}

#[test]
fn a_body_is_base64_and_a_missing_host_is_our_own() {
    let event = event(Request::post("/login"), b"username=admin");
    assert_eq!(event["body"], "dXNlcm5hbWU9YWRtaW4=");
    assert_eq!(event["isBase64Encoded"], true);
    assert_eq!(event["headers"]["host"], "127.0.0.1:3000");
    assert_eq!(event["requestContext"]["http"]["method"], "POST");
}

#[test]
fn an_answer_becomes_a_response_in_either_format() {
    for cookies in [
        json!({ "cookies": ["a=1", "b=2"], "headers": { "x-one": "1" } }),
        json!({ "multiValueHeaders": { "set-cookie": ["a=1", "b=2"], "x-one": ["1"] }, "headers": { "x-one": "1" } }),
    ] {
        let mut answer = json!({ "statusCode": 201, "body": "aGk=", "isBase64Encoded": true });
        answer
            .as_object_mut()
            .expect("an object")
            .extend(cookies.as_object().expect("an object").clone());
        let response = event::response(&answer).expect("a response");
        assert_eq!(response.status(), StatusCode::CREATED);
        assert_eq!(
            response.headers().get_all(SET_COOKIE).iter().collect::<Vec<_>>(),
            ["a=1", "b=2"]
        );
        assert_eq!(response.headers().get_all("x-one").iter().collect::<Vec<_>>(), ["1"]);
        assert_eq!(response.body(), "hi");
    }
}

#[test]
fn a_malformed_answer_is_no_response() {
    for answer in [
        json!(null),
        json!({ "statusCode": 1 }),
        json!({ "statusCode": "200" }),
        json!({ "statusCode": 200, "headers": { "x": "a\nb" } }),
        json!({ "statusCode": 200, "body": "%", "isBase64Encoded": true }),
    ] {
        assert!(event::response(&answer).is_none(), "{answer}");
    }
}
