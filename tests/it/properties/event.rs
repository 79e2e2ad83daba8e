//! Any event is a request or refused, and what a request says survives its event.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{HeaderValue, Method, Response, header};
use lambda_http::aws_lambda_events::query_map::QueryMap;
use lambda_http::{Adapter, Body, Context, LambdaEvent, Request, RequestExt as _};
use lambda_session::event;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tower::{ServiceExt, service_fn};

use super::{config, runtime, text};
use crate::support::event::Event;

/// JSON of any shape.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        vec(any::<char>(), 0..8).prop_map(|chars| chars.into_iter().collect::<String>().into()),
        text("[a-z:/?#@%<>.0-9\\[\\]]{0,12}").prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        let map = prop::collection::btree_map(text("[a-z]{1,6}"), inner.clone(), 0..4);
        prop_oneof![vec(inner, 0..4).prop_map(Value::from), map.prop_map(|map| json!(map))]
    })
}

/// Where an event can be spoiled.
const POINTERS: [&str; 16] = [
    "/version",
    "/rawPath",
    "/rawQueryString",
    "/headers",
    "/headers/host",
    "/headers/cookie",
    "/headers/content-type",
    "/headers/x-forwarded-proto",
    "/cookies",
    "/body",
    "/isBase64Encoded",
    "/requestContext",
    "/requestContext/stage",
    "/requestContext/domainName",
    "/requestContext/http",
    "/requestContext/http/method",
];

/// What a handler behind the events sees of a request.
type Seen = (Method, String, Vec<u8>, Option<HeaderValue>);

/// Converts an event as the function does. `None` if it is no request.
fn converted(runtime: &Runtime, event: &Value) -> Option<(Value, Option<Seen>)> {
    let payload: event::Event = serde_json::from_str(&event.to_string()).ok()?;
    let seen = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&seen);
    let service = event::service(service_fn(move |request: lambda_http::Request| {
        let cookie = request.headers().get(header::COOKIE).cloned();
        let path = request.raw_http_path().to_owned();
        let body = request.body().to_vec();
        *kept.lock().expect("one thread") = Some((request.method().clone(), path, body, cookie));
        async { Ok::<_, Infallible>(Response::new(Body::Empty)) }
    }));
    let answered = runtime.block_on(service.oneshot(LambdaEvent::new(payload, Context::default())));
    let answer = serde_json::to_value(answered.unwrap_or_else(|never| match never {})).expect("JSON");
    let seen = seen.lock().expect("one thread").take();
    Some((answer, seen))
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_event_is_a_request_or_refused(
        changes in vec((prop::sample::select(&POINTERS[..]), json_value()), 0..4),
        raw in prop::option::weighted(0.1, json_value()),
    ) {
        let mut event = Event::post_form("/login", &[("username", "x")]).into_value();
        for (pointer, value) in changes {
            if let Some(place) = event.pointer_mut(pointer) {
                *place = value;
            } else if let Some((parent, name)) = pointer.rsplit_once('/')
                && let Some(Value::Object(parent)) = event.pointer_mut(parent)
            {
                parent.insert(name.to_owned(), value);
            }
        }
        let event = raw.unwrap_or(event);
        if let Some((answer, seen)) = converted(&runtime(), &event) {
            prop_assert_eq!(&answer["statusCode"], 200);
            prop_assert!(seen.is_some());
        }
    }

    #[test]
    fn a_request_survives_the_event(
        method in text("[A-Z]{1,8}"),
        path in text("/[a-zA-Z0-9/._~%;:@-]{0,20}"),
        body in prop::option::of(vec(any::<u8>(), 0..64)),
        cookies in vec(text("[a-z]{1,4}=[!-+--:<-~]{0,8}"), 0..4),
    ) {
        let mut event = Event::new(&method, &path);
        if let Some(body) = &body {
            event = event.body(body);
        }
        event = cookies.iter().fold(event, |event, cookie| event.cookie(cookie));
        let (_, seen) = converted(&runtime(), &event.into_value()).expect("a request");
        let joined = (!cookies.is_empty()).then(|| HeaderValue::from_str(&cookies.join("; ")).expect("ASCII"));
        let method = Method::from_bytes(method.as_bytes()).expect("a token");
        prop_assert_eq!(seen, Some((method, path, body.unwrap_or_default(), joined)));
    }

    /// The paths are such that a URL has nothing to normalize in them, which only `lambda_http` would.
    #[test]
    fn a_request_is_the_one_that_lambda_http_makes(
        path in text("/[a-z0-9_~;:@-]{1,8}/[a-z]{0,8}"),
        query in text("([a-z]{1,3}(=[a-z0-9%+]{0,4})?(&[a-z]{1,3}=[a-z]{0,3})?)?"),
        cookies in vec(text("[a-z]{1,4}=[!-+--:<-~]{0,8}"), 0..4),
        body in prop::option::of(text("[ -~\u{80}-\u{fff}]{0,16}")),
        header in text("[!-~]([ -~\u{80}-\u{fff}]{0,16}[!-~])?"),
        parameter in prop::option::of(text("[a-z]{1,4}")),
    ) {
        let mut event = Event::new("POST", &path).with("/rawQueryString", query).with("/headers/Sec-CH-UA", header);
        if let Some(body) = body {
            event = event.with("/body", body).with("/isBase64Encoded", false);
        }
        if let Some(parameter) = parameter {
            event = event.with("/pathParameters", json!({ "name": parameter }));
            event = event.with("/stageVariables", json!({ "stage": parameter }));
        }
        let event = cookies.iter().fold(event, |event, cookie| event.cookie(cookie)).into_value().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        let handler = service_fn(move |request: Request| {
            kept.lock().expect("one thread").push(described(&request));
            async { Ok::<_, Infallible>(Response::new(Body::Empty)) }
        });
        let mut context = Context::default();
        context.xray_trace_id = Some("Root=1-69230000-000000000000000000000001;Parent=53995c3f42cd8ad8".to_owned());
        let ours = LambdaEvent::new(serde_json::from_str(&event).expect("an event"), context.clone());
        let theirs = LambdaEvent::new(serde_json::from_str(&event).expect("an event"), context);
        let runtime = runtime();
        let _ = runtime.block_on(event::service(handler.clone()).oneshot(ours));
        let _ = runtime.block_on(Adapter::from(handler).oneshot(theirs));
        let seen = seen.lock().expect("one thread");
        prop_assert_eq!(seen.len(), 2);
        prop_assert_eq!(&seen[0], &seen[1]);
    }
}

/// Everything that a handler can ask of a request. The maps apart, because they have no order.
fn described(request: &Request) -> (String, [QueryMap; 3]) {
    let (method, uri, path) = (request.method(), request.uri(), request.raw_http_path());
    let (headers, body, context) = (request.headers(), request.body(), request.request_context());
    let maps = [
        request.query_string_parameters(),
        request.path_parameters(),
        request.stage_variables(),
    ];
    (format!("{method} {uri} {path} {headers:?} {body:?} {context:?}"), maps)
}
