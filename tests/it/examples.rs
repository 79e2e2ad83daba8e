//! The examples that are Lambda functions, run as such.

use serde_json::Value;

use crate::support::event::Event;
use crate::support::lambda::{Answer, Lambda};
use crate::support::{SECRET_KEY, dynamodb, endpoint, environment, example};

async fn start(name: &str, endpoint: &str) -> Lambda {
    let secret = ("SECRET_KEY".to_owned(), SECRET_KEY.to_owned());
    Lambda::start_program(example(name, &[]), environment(endpoint).into_iter().chain([secret])).await
}

async fn visit(lambda: &Lambda, event: Event) -> Answer {
    let event: Value = event.into_value();
    lambda.invoke(event).await.expect("an answer")
}

#[tokio::test]
async fn counter_counts_each_visitor_for_himself() {
    let dynamodb = dynamodb().await;
    let lambda = start("counter", &endpoint(&dynamodb)).await;

    let first = visit(&lambda, Event::get("/")).await;
    assert_eq!((first.status, first.body.as_str()), (200, "Visit number 1"));
    let cookie = first.cookie();
    let headers = |answer: &Answer| ["vary", "cache-control"].map(|name| answer.headers.get(name).cloned());
    let private = ["Cookie", "no-store"].map(|value| Some(value.to_owned()));
    assert_eq!(headers(&first), private, "no cache gives one visitor's page to another");
    for number in 2..5 {
        let next = visit(&lambda, Event::get("/").cookie(&cookie)).await;
        assert_eq!(next.body, format!("Visit number {number}"));
        assert!(next.cookies.is_empty(), "{next:?}");
    }
    assert_eq!(visit(&lambda, Event::get("/")).await.body, "Visit number 1");
    let about = visit(&lambda, Event::get("/about").cookie(&cookie)).await;
    assert_eq!(about.body, "Counts your visits.");
    assert_eq!(headers(&about), [None, None], "a page without a session is everybody's");
}

#[tokio::test]
async fn own_views_keep_a_note_and_forget_it() {
    let dynamodb = dynamodb().await;
    let lambda = start("own_views", &endpoint(&dynamodb)).await;

    let kept = visit(&lambda, Event::new("POST", "/note").body(b"buy tea")).await;
    assert_eq!((kept.status, kept.body.as_str()), (200, "kept"));
    let cookie = kept.cookie();
    let note = || visit(&lambda, Event::get("/note").cookie(&cookie));
    assert_eq!(note().await.body, "buy tea");
    let forgotten = visit(&lambda, Event::new("POST", "/forget").cookie(&cookie)).await;
    assert_eq!(forgotten.cookie(), "__Host-session=");
    assert_eq!(note().await.body, "");
    assert_eq!(visit(&lambda, Event::get("/elsewhere")).await.status, 404);
}
