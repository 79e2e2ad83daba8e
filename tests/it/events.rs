//! Events and their answers.

use std::convert::Infallible;
use std::fs;
use std::future::ready;
use std::sync::Arc;

use http::Response;
use lambda_http::{Adapter, Body, Context, LambdaEvent, Request};
use lambda_session::config::Config;
use lambda_session::session::DynamoDbStore;
use lambda_session::{app, event};
use tower::{Service as _, ServiceExt as _, service_fn};

use crate::embedded::table;
use crate::sdk;
use crate::support::{SECRET_KEY, dynamodb, endpoint};

/// The events in `events/`, which `sam local invoke` takes. Each file's name ends in the status of its answer.
#[tokio::test]
async fn every_event_is_answered_as_its_name_says() {
    let dynamodb = dynamodb().await;
    let config = Config::from_env(|name| match name {
        "SECRET_KEY" => Some(SECRET_KEY),
        "TABLE_NAME" => Some(table::NAME),
        _ => None,
    })
    .expect("a configuration");
    let store = DynamoDbStore::new(&sdk::config(), table::NAME, Some(&endpoint(&dynamodb)));
    let application = app::service(&config, Arc::new(store)).expect("an app");
    let mut function = event::service(application);

    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/events");
    let mut files: Vec<_> = fs::read_dir(directory)
        .expect("events")
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.sort();
    assert!(files.len() >= 10, "{files:?}");
    for file in files {
        let name = file.file_stem().and_then(|stem| stem.to_str()).expect("a name");
        let expected = name.rsplit('-').next().and_then(|status| status.parse::<u64>().ok());
        let text = fs::read_to_string(&file).expect("text");
        let event = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let Ok(answer) = function.call(LambdaEvent::new(event, Context::default())).await;
        let answer = serde_json::to_value(&answer).expect("an answer");
        assert_eq!(answer["statusCode"].as_u64(), expected, "{name}");
    }
}

/// For text, bytes and nothing, with and without cookies.
#[tokio::test]
async fn an_answer_is_the_one_that_lambda_http_makes() {
    let event = fs::read("events/home-200.json").expect("an event");
    let response = |body| {
        let response = Response::builder().status(201).header("content-type", "text/html");
        let response = response.header("set-cookie", "a=1; Path=/").header("set-cookie", "b=2");
        response.body(body).expect("a response")
    };
    let bytes = Response::builder().header("content-type", "image/png");
    for expected in [
        response(Body::Empty),
        response(Body::from("<h1>\u{fc}\"")),
        bytes.body(Body::from(&b"\x89PNG"[..])).expect("a response"),
        Response::new(Body::from("bare")),
    ] {
        let ours = expected.clone();
        let ours = event::service(service_fn(move |_: Request| ready(Ok::<_, Infallible>(ours.clone()))));
        let theirs = Adapter::from(service_fn(|_: Request| ready(Ok::<_, Infallible>(expected.clone()))));
        let payload = serde_json::from_slice(&event).expect("an event");
        let ours = ours.oneshot(LambdaEvent::new(payload, Context::default())).await;
        let payload = serde_json::from_slice(&event).expect("an event");
        let theirs = theirs.oneshot(LambdaEvent::new(payload, Context::default())).await;
        let (Ok(ours), Ok(theirs)) = (ours, theirs);
        let [Ok(ours), Ok(mut theirs)] = [serde_json::to_value(&ours), serde_json::to_value(&theirs)] else {
            panic!("{expected:?}")
        };
        // A field of version 1.0.
        theirs.as_object_mut().expect("an object").remove("multiValueHeaders");
        assert_eq!(ours, theirs, "{expected:?}");
    }
}
