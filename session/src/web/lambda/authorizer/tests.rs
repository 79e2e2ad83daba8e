use lambda_http::Context;

use super::*;
use crate::testing::visitor;
use crate::{Keys, MemoryStore, SessionLayer};

const HTTP_API: &str = "arn:aws:execute-api:eu-central-1:123456789012:abcdef123/$default/GET/orders/4711";
const REST_API: &str = "arn:aws:execute-api:eu-central-1:123456789012:abcdef123/prod/GET/orders";
const CONNECT: &str = "arn:aws:execute-api:eu-central-1:123456789012:abcdef123/prod/$connect";

fn sessions() -> SessionLayer {
    let keys = Keys::new(b"a long and random secret of at least 32 bytes").unwrap();
    SessionLayer::builder(MemoryStore::default(), keys).build().unwrap()
}

async fn ask(authorizer: &Authorizer, event: &Value) -> Result<Value, Diagnostic> {
    let payload = RawValue::from_string(event.to_string()).unwrap();
    authorizer.answer(LambdaEvent::new(payload, Context::default())).await
}

fn http_api(cookie: &str) -> Value {
    json!({ "version": "2.0", "type": "REQUEST", "routeArn": HTTP_API, "cookies": [cookie], "headers": {} })
}

#[test]
fn the_cookies_of_each_kind_of_event_are_read() {
    for (event, cookies, is_simple) in [
        (
            json!({ "routeArn": HTTP_API, "cookies": ["a=1", "b=2"] }),
            "a=1;b=2",
            true,
        ),
        (
            json!({ "routeArn": HTTP_API, "headers": { "cookie": "a=1; b=2" } }),
            "a=1; b=2",
            true,
        ),
        (
            json!({ "routeArn": HTTP_API, "cookies": ["a=1"], "headers": { "cookie": "a=1" } }),
            "a=1",
            true,
        ),
        (
            json!({ "routeArn": HTTP_API, "cookies": [], "headers": { "Cookie": "a=1" } }),
            "a=1",
            true,
        ),
        (json!({ "routeArn": HTTP_API }), "", true),
        (
            json!({ "methodArn": REST_API, "headers": { "Cookie": "a=1" } }),
            "a=1",
            false,
        ),
        (
            json!({
                "methodArn": REST_API,
                "headers": { "cookie": "b=2" },
                "multiValueHeaders": { "cookie": ["a=1", "b=2"], "Cookie": ["c=3"] },
            }),
            "c=3;a=1;b=2",
            false,
        ),
        (
            json!({ "methodArn": CONNECT, "headers": null, "multiValueHeaders": { "Cookie": [null, "a=1"] } }),
            "a=1",
            false,
        ),
        // A neighbour's cookie that no header can carry.
        (
            json!({ "routeArn": HTTP_API, "cookies": ["theme=a\u{1}b", "a=1"] }),
            "a=1",
            true,
        ),
        (
            json!({ "methodArn": REST_API, "headers": { "Cookie": "x=\n; a=1" } }),
            " a=1",
            false,
        ),
    ] {
        let mut event = event;
        event["type"] = json!("REQUEST");
        let asked = Asked::read(&event.to_string()).unwrap();
        assert_eq!(
            (asked.cookies.to_str().unwrap(), asked.may_be_simple),
            (cookies, is_simple),
            "{event}"
        );
    }
}

#[test]
fn a_policy_is_for_the_whole_stage_and_as_short_whatever_the_path() {
    let api = "arn:aws:execute-api:eu-central-1:123456789012:abcdef123";
    let long = format!("{REST_API}/{}", "x".repeat(2_000));
    for (arn, stage) in [
        (HTTP_API, "$default"),
        (REST_API, "prod"),
        (CONNECT, "prod"),
        (&long, "prod"),
    ] {
        assert_eq!(whole_stage(arn).unwrap(), format!("{api}/{stage}/*"), "{arn}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn an_event_that_is_not_an_authorizers_fails_and_says_why() {
    let authorizer = authorizer(sessions());
    for (event, why) in [
        (json!(null), "not that of an authorizer"),
        (json!([]), "not that of an authorizer"),
        (json!({}), "of the type REQUEST"),
        (
            json!({ "type": "TOKEN", "methodArn": REST_API, "authorizationToken": "secret" }),
            "of the type REQUEST",
        ),
        (
            json!({ "version": "2.0", "rawPath": "/secret", "requestContext": {} }),
            "of the type REQUEST",
        ),
        (
            json!({ "type": "REQUEST", "cookies": ["secret"] }),
            "neither a routeArn nor a methodArn",
        ),
        (json!({ "type": "REQUEST", "routeArn": "secret" }), "names no stage"),
        (
            json!({ "type": "REQUEST", "methodArn": "arn/secret" }),
            "names no stage",
        ),
        (
            json!({ "type": "REQUEST", "routeArn": HTTP_API, "cookies": "secret" }),
            "not that of an authorizer",
        ),
        (
            json!({ "type": "REQUEST", "routeArn": HTTP_API, "headers": "secret" }),
            "not that of an authorizer",
        ),
    ] {
        let failed = ask(&authorizer, &event).await.unwrap_err();
        assert_eq!(failed.error_type, "NotAnAuthorizersEvent", "{event}");
        assert!(failed.error_message.contains(why), "{event}: {failed:?}");
        assert!(!failed.error_message.contains("secret"), "{event}: {failed:?}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn an_http_api_gets_a_policy_if_the_program_says_so() {
    let sessions = sessions();
    let cookie = visitor(&sessions, |session| session.login("alice")).await.unwrap();
    let simple = authorizer(sessions);
    let policies = simple.clone().policies();
    for (cookie, effect) in [(cookie.as_str(), "Allow"), ("", "Deny")] {
        let answer = ask(&simple, &http_api(cookie)).await.unwrap();
        assert_eq!(answer["isAuthorized"], effect == "Allow", "{answer}");
        let answer = ask(&policies, &http_api(cookie)).await.unwrap();
        assert!(answer.get("isAuthorized").is_none(), "{answer}");
        assert_eq!(answer["policyDocument"]["Statement"][0]["Effect"], effect, "{answer}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_guard_says_who_passes() {
    let sessions = sessions();
    let member = visitor(&sessions, |session| Ok(session.insert("member", true)?))
        .await
        .unwrap();
    let named = visitor(&sessions, |session| Ok(session.insert("username", "bob")?))
        .await
        .unwrap();
    let is_member = RequireLoginLayer::new("/login").logged_in_if(|session| session.contains_key("member"));
    for (authorizer, passes) in [
        (authorizer(sessions.clone()), [false, true]),
        (authorizer(sessions).guard(is_member), [true, false]),
    ] {
        for (cookie, passes) in [&member, &named].into_iter().zip(passes) {
            let answer = ask(&authorizer, &http_api(cookie)).await.unwrap();
            assert_eq!(answer["isAuthorized"], passes, "{answer}");
            if passes {
                assert_eq!(
                    answer["context"].as_object().unwrap().keys().collect::<Vec<_>>(),
                    ["handle"]
                );
            }
        }
    }
}
