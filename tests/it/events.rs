//! The events in `events/`, which `sam local invoke` takes. Each file's name ends in the status of its answer.

use std::fs;

use dev::dynamodb::Embedded;

use crate::support::function;

#[tokio::test]
async fn every_event_is_answered_as_its_name_says() {
    let dynamodb = Embedded::in_memory().await;
    let lambda = function(&dynamodb.endpoint(), &[]).await;
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
        let event = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let answer = lambda
            .invoke(event)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(Some(answer.status), expected, "{name}: {answer:?}");
        if name.starts_with("login-") && answer.status == 303 {
            assert_eq!(answer.cookies.len(), 1, "{name}: {answer:?}");
        }
    }
}
