//! Methods, paths and events that the compiled function gets. `LAMBDA_BINARY` names another function than cargo built.

use serde_json::{Map, Value, json};

use crate::doors::event;
use crate::support::app::is_admin;
use crate::support::function;
use dev::dynamodb::Embedded;
use dev::event::{Event, HOST};
use dev::lambda::{Answer, InvocationError, Lambda};

async fn started() -> (Lambda, Embedded) {
    let dynamodb = Embedded::in_memory().await;
    (function(&dynamodb.endpoint(), &[]).await, dynamodb)
}

async fn visit(lambda: &Lambda, event: Event) -> Answer {
    lambda.invoke(event.into_value()).await.expect("an answer")
}

#[tokio::test]
async fn another_method_is_405_and_says_which_are_allowed() {
    let (lambda, _dynamodb) = started().await;
    let cookie = visit(&lambda, Event::post_form("/login", &[("username", "admin")]))
        .await
        .cookie();
    for (path, allowed) in [("/", "GET, HEAD"), ("/login", "GET, HEAD, POST"), ("/logout", "GET")] {
        for method in [
            "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "X-ANY",
        ] {
            let one = allowed.split(", ").any(|one| one == method);
            if one && (path, method) != ("/", "HEAD") {
                continue;
            }
            let answer = visit(&lambda, Event::new(method, path).cookie(&cookie)).await;
            let expected = if one { 200 } else { 405 };
            assert_eq!(answer.status, expected, "{method} {path}: {answer:?}");
            let said = answer.headers.get("allow").map(String::as_str);
            assert_eq!(said, (!one).then_some(allowed), "{method} {path}");
            assert!(answer.cookies.is_empty(), "{method} {path}: {answer:?}");
        }
    }
    assert!(is_admin(&visit(&lambda, Event::get("/").cookie(&cookie)).await));
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let (lambda, _dynamodb) = started().await;
    let cookie = visit(&lambda, Event::post_form("/login", &[("username", "admin")]))
        .await
        .cookie();
    for path in ["/", "/login"] {
        let get = visit(&lambda, Event::get(path).cookie(&cookie)).await;
        let head = visit(&lambda, Event::new("HEAD", path).cookie(&cookie)).await;
        assert_eq!((head.status, &head.headers), (get.status, &get.headers), "{path}");
        assert_eq!((head.body.as_str(), head.cookies.len()), ("", 0), "{path}");
        assert!(!get.body.is_empty());
    }
    let missing = visit(&lambda, Event::new("HEAD", "/nothing")).await;
    assert_eq!((missing.status, missing.body.as_str()), (404, ""));
}

#[tokio::test]
async fn a_path_is_one_of_three_or_404_and_never_a_redirect() {
    let (lambda, _dynamodb) = started().await;
    for path in [
        "//",
        "//evil.example",
        "//evil.example/",
        "//login",
        "/login/",
        "/login//",
        "/logout/",
        "/%6cogin",
        "/login%2f",
        "/login%00",
        "/%2e%2e/login",
        "/../login",
        "/./login",
        "/login/..",
        "/a/../login",
        "/login;a=b",
        "/;/login",
        "/login;jsessionid=1",
        "/Login",
        "/LOGIN",
        "/LogOut",
        "/login.html",
        "/login ",
        "/login%20",
        "/login\t",
        "/\\evil.example",
        "/\\login",
        "/login\u{fc}",
        "/favicon.ico",
        "/robots.txt",
        "/.well-known/change-password",
        "/index.html",
        "/login:",
        "/login*",
        "/http://evil.example/",
        "/$default/login",
        "*",
        "login",
        "/\u{202e}login",
    ] {
        for method in ["GET", "POST", "HEAD"] {
            let answer = visit(&lambda, Event::new(method, path)).await;
            assert_eq!(answer.status, 404, "{method} {path:?}: {answer:?}");
            assert!(
                !answer.headers.contains_key("location"),
                "{method} {path:?}: {answer:?}"
            );
        }
    }
    for (path, status) in [
        ("/?next=//evil.example", 200),
        ("/login?next=//evil.example", 200),
        ("/logout?x", 303),
    ] {
        let answer = visit(&lambda, Event::get(path)).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(
            answer.headers.get("location").map_or("/", String::as_str),
            "/",
            "{path}"
        );
    }
}

/// `lambda_http` puts the name of an HTTP API's stage before the path; the app's routes are compared with `rawPath`,
/// the path as it was sent. The app's links are absolute, so the app has to be at the root of its domain.
#[tokio::test]
async fn a_stage_is_not_part_of_a_route() {
    let (lambda, _dynamodb) = started().await;
    for (stage, path, status) in [
        ("$default", "/login", 200),
        ("prod", "/login", 200),
        ("login", "/login", 200),
        ("login", "/", 200),
        ("prod", "/prod/login", 404),
        ("prod", "/prod", 404),
        ("../login", "/nothing", 404),
        ("a b?c#d", "/login", 200),
    ] {
        let event = Event::get(path).with("/requestContext/stage", stage);
        assert_eq!(visit(&lambda, event).await.status, status, "{stage} {path}");
    }
}

#[tokio::test]
async fn a_hostile_event_gets_an_error_and_the_next_one_is_served() {
    let (mut lambda, _dynamodb) = started().await;
    let polls = lambda.polls();
    let mut served = 0;
    for event in hostile_requests().into_iter().chain(no_requests()) {
        let answer = lambda.invoke(event.clone()).await;
        let answer = answer.unwrap_or_else(|error| panic!("{event}: {error:?}"));
        assert_eq!(answer.status, 400, "{event}: {answer:?}");
        assert_eq!(answer.headers["cache-control"], "no-store", "{answer:?}");
        assert!(
            answer.body.contains("go to the start page") && answer.cookies.is_empty(),
            "{answer:?}"
        );
        assert_eq!(visit(&lambda, Event::get("/")).await.status, 200, "after {event}");
        served += 2;
    }
    for event in no_json() {
        let error = lambda.invoke_raw(event.clone()).await;
        let event = String::from_utf8_lossy(&event).into_owned();
        assert!(
            matches!(error, Err(InvocationError::Reported(_))),
            "{event:.99}: {error:?}"
        );
        assert_eq!(visit(&lambda, Event::get("/")).await.status, 200, "after {event:.99}");
        served += 2;
    }
    // An event nested so deeply that a recursive parser would overflow any stack.
    let nested = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    assert_eq!(lambda.invoke_raw(nested).await.expect("an answer").status, 400);
    assert!(lambda.polls() >= polls + served, "one process served them all");
    let exit = lambda.kill().await;
    assert!(!exit.stderr.contains("panicked at"), "{exit:?}");
}

/// Requests that the function cannot read. The visitor gets a page, rather than the bare 502 of a function that failed.
fn hostile_requests() -> Vec<Value> {
    let hosts = ["", " ", "a b", "[", "a:b:c", "%", "a@b:c", "host:99999"];
    let queries = ["<script>", "a b", "a=\"b\"#c", "a=b#c", "\u{0}", "\n", "a=\u{7f}", "<>"];
    let headers = [("x", "a\nb"), ("x", "\u{7f}"), ("a b", "c"), ("", "c"), ("\u{e9}", "c")];
    let bodies = ["%", "a", "dXNl\n", "\u{fc}"];
    let hosts = hosts.map(|host| Event::get("/").with("/headers/host", host));
    let queries = queries.map(|query| Event::get("/").with("/rawQueryString", query));
    let headers = headers.map(|(name, value)| Event::get("/").with(&format!("/headers/{name}"), value));
    let crowd: Map<String, Value> = (0..25_000).map(|n| (format!("x-{n}"), json!("y"))).collect();
    let bodies = bodies.map(|body| {
        let form = Event::post_form("/login", &[]).with("/body", body);
        form.with("/isBase64Encoded", true)
    });
    let rest = [Event::get(""), Event::get("/").with("/headers", Value::Object(crowd))];
    // As a REST API, a load balancer and VPC Lattice send the same.
    let others = ["rest-api-", "alb-", "alb-multi-value-", "lattice-"]
        .into_iter()
        .flat_map(|door| {
            let event = event(&format!("home-{door}200"));
            let mut host = event.clone();
            let mut body = event;
            for headers in ["headers", "multiValueHeaders"] {
                if let Some(headers) = host.get_mut(headers).and_then(Value::as_object_mut) {
                    headers.retain(|name, _| !name.eq_ignore_ascii_case("host"));
                    let value = if door == "alb-" { json!("a b") } else { json!(["a b"]) };
                    headers.insert("host".to_owned(), value);
                }
            }
            if door == "rest-api-" {
                host["headers"]["host"] = json!("a b");
            }
            body["body"] = json!("%");
            body["isBase64Encoded"] = json!(true);
            [host, body]
        });
    let events = hosts
        .into_iter()
        .chain(queries)
        .chain(headers)
        .chain(bodies)
        .chain(rest);
    events.map(Event::into_value).chain(others).collect()
}

/// Events of other services, and requests with parts of a wrong type.
fn no_requests() -> Vec<Value> {
    let values = [
        json!(null),
        json!([]),
        json!("GET / HTTP/1.1"),
        json!(0),
        json!({}),
        json!({ "Records": [{ "eventSource": "aws:sqs", "body": "x" }] }),
        json!({ "source": "aws.events", "detail-type": "Scheduled Event" }),
        Event::get("/").with("/requestContext", json!(null)).into_value(),
        Event::get("/").with("/requestContext/http", json!({})).into_value(),
        Event::get("/").with("/requestContext/http/method", "G T").into_value(),
        Event::get("/")
            .with("/requestContext/http/method", json!(null))
            .into_value(),
        Event::get("/").with("/headers/host", json!({ "a": HOST })).into_value(),
        Event::get("/").with("/headers", json!(["host"])).into_value(),
        Event::get("/").with("/cookies", "a=b").into_value(),
        Event::get("/").with("/body", json!({})).into_value(),
        Event::get("/").with("/isBase64Encoded", "yes").into_value(),
        Event::get("/").with("/rawPath", 1).into_value(),
    ];
    values.into()
}

/// Bytes that Lambda never sends.
fn no_json() -> Vec<Vec<u8>> {
    let bytes = [
        &b"{"[..],
        b"",
        b"\xff\xfe",
        b"{\"a\":\"\xff\"}",
        b"GET / HTTP/1.1\r\n\r\n",
    ];
    bytes.map(<[u8]>::to_vec).into()
}

#[tokio::test]
async fn null_or_missing_parts_of_an_event_do_not_fail_it() {
    let (lambda, _dynamodb) = started().await;
    let empty = [
        "/body",
        "/cookies",
        "/rawQueryString",
        "/stageVariables",
        "/pathParameters",
        "/queryStringParameters",
    ];
    for pointer in empty {
        let event = Event::get("/").with(pointer, json!(null));
        assert_eq!(visit(&lambda, event).await.status, 200, "{pointer}");
    }
    for name in ["host", "x-forwarded-proto", "user-agent"] {
        assert_eq!(
            visit(&lambda, Event::get("/").without(name)).await.status,
            200,
            "{name}"
        );
    }
    let bare = json!({ "version": "2.0", "rawPath": "/", "requestContext": { "http": { "method": "GET" } } });
    assert_eq!(lambda.invoke(bare).await.expect("an answer").status, 200);
}
