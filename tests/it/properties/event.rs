//! Any event is a request or refused, and what a request says survives its event.

use std::cell::Cell;
use std::convert::Infallible;
use std::panic::{set_hook, take_hook};
use std::sync::{Arc, Mutex, Once};

use http::{HeaderValue, Method, Response, header};
use lambda_http::request::LambdaRequest;
use lambda_http::{Body, Context, LambdaEvent, RequestExt as _};
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

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// While it lives, a panic on this thread is expected and not worth a backtrace, of which there would be thousands.
struct Quiet;

impl Quiet {
    fn new() -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let others = take_hook();
            set_hook(Box::new(move |panic| {
                if !QUIET.get() {
                    others(panic);
                }
            }));
        });
        QUIET.set(true);
        Self
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        QUIET.set(false);
    }
}

/// Converts an event as the function does. `None` if it is no request.
fn converted(runtime: &Runtime, event: &Value) -> Option<(Value, Option<Seen>)> {
    let payload: LambdaRequest = serde_json::from_str(&event.to_string()).ok()?;
    let _expected = Quiet::new();
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
}
