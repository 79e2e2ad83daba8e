//! The events in `events/`, which `sam local invoke` takes, through the same handler. Each file's name ends in the
//! status of its answer.

use std::fs;
use std::sync::Arc;

use lambda_session::app;
use lambda_session::config::Config;
use lambda_session::session::DynamoDbStore;
use tower::ServiceExt as _;

use crate::embedded::table;
use crate::sdk;
use crate::support::{SECRET_KEY, dynamodb, endpoint};

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
    let service = app::service(&config, Arc::new(store)).expect("an app");

    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/events");
    let mut files: Vec<_> = fs::read_dir(directory)
        .expect("events")
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.sort();
    assert!(files.len() >= 10, "{files:?}");
    for file in files {
        let name = file.file_stem().and_then(|stem| stem.to_str()).expect("a name");
        let expected = name.rsplit('-').next().and_then(|status| status.parse::<u16>().ok());
        let text = fs::read_to_string(&file).expect("text");
        let request = lambda_http::request::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let answer = service.clone().oneshot(request).await.expect("an answer");
        assert_eq!(Some(answer.status().as_u16()), expected, "{name}");
    }
}
