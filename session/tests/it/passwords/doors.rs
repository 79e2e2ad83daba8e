//! What Lambda's front doors let through of an answer.

use std::sync::Arc;

use dev::lambda::Lambda;
use dev::program::Program;
use dev::runtime;
use dev::visitor::assert_redirect;
use serde_json::{Value, json};

use super::site::{PASSWORD, Site};

/// A login as a load balancer's event, from a target group with or without multi-value headers.
fn login(multiple: bool) -> Value {
    let mut event = json!({
        "requestContext": {
            "elb": { "targetGroupArn": "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/x/y" },
        },
        "httpMethod": "POST", "path": "/login", "queryStringParameters": {}, "isBase64Encoded": false,
        "body": format!("username=alice&password={}", PASSWORD.replace(' ', "+")),
    });
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("host", "lambda-alb-123578498.us-east-1.elb.amazonaws.com"),
        ("sec-fetch-site", "same-origin"),
        ("x-forwarded-for", "203.0.113.7"),
    ];
    for (name, value) in headers {
        if multiple {
            event["multiValueHeaders"][name] = json!([value]);
        } else {
            event["headers"][name] = json!(value);
        }
    }
    event
}

async fn answer(lambda: &Lambda, event: Value) -> Value {
    let outcome = lambda.api().invoke(event.to_string().into_bytes());
    let answer = outcome.await.expect("an outcome").expect("an answer");
    runtime::json(&answer).expect("JSON")
}

/// The same as VPC Lattice's event.
fn login_through_lattice() -> Value {
    json!({
        "version": "2.0", "path": "/login", "method": "POST", "isBase64Encoded": false,
        "headers": {
            "content-type": ["application/x-www-form-urlencoded"],
            "host": ["site.7d67968.vpc-lattice-svcs.us-east-1.on.aws"],
            "sec-fetch-site": ["same-origin"],
            "x-forwarded-for": ["203.0.113.7"],
        },
        "body": format!("username=alice&password={}", PASSWORD.replace(' ', "+")),
        "requestContext": {
            "serviceNetworkArn": "a", "serviceArn": "a", "targetGroupArn": "a", "region": "us-east-1", "timeEpoch": "1",
        },
    })
}

/// The example sets a cookie for the browser, and the session's. A load balancer reads `headers` or
/// `multiValueHeaders`, as its target group is configured.
#[tokio::test]
async fn where_one_cookie_gets_through_it_is_the_sessions_and_the_log_says_which_does_not() {
    let site = Site::new().await;
    let signed_up = site
        .visitor()
        .post("/signup", &[("username", "alice"), ("password", PASSWORD)])
        .await;
    assert_redirect(&signed_up, "/");
    let Some(Program::Function(mut lambda)) = Arc::into_inner(site.function) else {
        panic!("somebody uses the function")
    };
    let both = answer(&lambda, login(true)).await;
    assert_eq!(both["statusCode"], 303, "{both}");
    assert_eq!(
        both["multiValueHeaders"]["set-cookie"].as_array().map(Vec::len),
        Some(2),
        "{both}"
    );
    for event in [login(false), login_through_lattice()] {
        let one = answer(&lambda, event).await;
        let kept = one["headers"]["set-cookie"].as_str().expect("a cookie");
        assert!(kept.starts_with("__Host-session="), "{one}");
    }
    let log = lambda.kill().await;
    let log = format!("{}{}", log.stdout, log.stderr);
    let warnings: Vec<_> = log.lines().filter(|line| line.contains("cookies_dropped")).collect();
    let [load_balancer, lattice] = warnings.as_slice() else {
        panic!("two warnings: {log}")
    };
    assert!(
        load_balancer.contains("lambda.multi_value_headers.enabled"),
        "{load_balancer}"
    );
    assert!(lattice.contains("VPC Lattice takes one cookie"), "{lattice}");
    assert!(
        warnings.iter().all(|warning| warning.contains("device")),
        "{warnings:?}"
    );
}

/// A navigation to the guarded page, behind the stage `prod` of a REST API.
#[tokio::test]
async fn behind_a_stage_a_visitor_is_sent_to_the_stages_login_page_and_back() {
    let site = Site::with(&[("AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH", "true")]).await;
    let Some(Program::Function(lambda)) = Arc::into_inner(site.function) else {
        panic!("somebody uses the function")
    };
    let rest_api = json!({
        "resource": "/{proxy+}", "path": "/account", "httpMethod": "GET", "pathParameters": { "proxy": "account" },
        "headers": { "Host": "api.example", "Sec-Fetch-Mode": "navigate" },
        "multiValueHeaders": { "Host": ["api.example"], "Sec-Fetch-Mode": ["navigate"] },
        "requestContext": {
            "stage": "prod", "resourcePath": "/{proxy+}", "path": "/prod/account", "httpMethod": "GET",
        },
    });
    let sent = answer(&lambda, rest_api).await;
    let location = &sent["multiValueHeaders"]["location"][0];
    assert_eq!(location, "/prod/login?next=/prod/account", "{sent}");
}
