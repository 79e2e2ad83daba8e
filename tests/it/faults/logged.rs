//! What the compiled function answers and logs when its store fails it.

use super::{AT_ONCE, World, timed};
use crate::support::SECRET_KEY;
use crate::support::environment;
use crate::support::event::Event;
use crate::support::lambda::{Answer, Lambda};
use crate::support::own_table::string;
use crate::support::proxy::{Ending, Fault};

type Spoil = fn() -> Fault;

async fn function(world: &World) -> Lambda {
    let settings = [("SECRET_KEY", SECRET_KEY), ("AWS_LAMBDA_LOG_FORMAT", "JSON")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Lambda::start(environment(&world.proxy.endpoint()).into_iter().chain(settings)).await
}

async fn visit(lambda: &Lambda, event: Event) -> Answer {
    lambda.invoke(event.into_value()).await.expect("an answer")
}

async fn login(lambda: &Lambda) -> String {
    let login = Event::post_form("/login", &[("username", "admin")]);
    visit(lambda, login).await.cookie()
}

/// The log's lines at this level.
async fn logged(lambda: &mut Lambda, level: &str) -> Vec<String> {
    let log = lambda.kill().await.stdout;
    let level = format!("\"level\":\"{level}\"");
    log.lines()
        .filter(|line| line.contains(&level))
        .map(str::to_owned)
        .collect()
}

#[track_caller]
fn assert_unavailable(answer: &Answer) {
    assert_eq!((answer.status, answer.cookies.len()), (503, 0), "{answer:?}");
    assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
    for secret in ["Exception", "injected", "DynamoDB", "dynamodb"] {
        assert!(!answer.body.contains(secret), "{answer:?}");
    }
}

#[tokio::test]
async fn a_failed_store_is_a_503_with_retry_after_and_an_error_with_its_cause() {
    let faults: [(Spoil, &str); 6] = [
        (
            || Fault::Error(400, "AccessDeniedException"),
            "AccessDeniedException: injected",
        ),
        (
            || Fault::Error(400, "ResourceNotFoundException"),
            "ResourceNotFoundException: injected",
        ),
        (
            || Fault::Error(400, "ValidationException"),
            "ValidationException: injected",
        ),
        (
            || Fault::Error(400, "ThrottlingException"),
            "ThrottlingException: injected",
        ),
        (
            || Fault::Error(500, "InternalServerError"),
            "InternalServerError: injected",
        ),
        (|| Fault::DropCall, "connection"),
    ];
    let world = World::new().await;
    for (fault, cause) in faults {
        let mut lambda = function(&world).await;
        let cookie = login(&lambda).await;
        world.proxy.rule(move |_| fault());
        assert_unavailable(&visit(&lambda, Event::get("/").cookie(&cookie)).await);
        assert_unavailable(&visit(&lambda, Event::get("/logout").cookie(&cookie)).await);
        let login = Event::post_form("/login", &[("username", "admin")]);
        assert_unavailable(&visit(&lambda, login.cookie(&cookie)).await);
        // What needs no store keeps working.
        assert_eq!(
            visit(&lambda, Event::get("/").cookie("__Host-session=forged"))
                .await
                .status,
            200
        );
        assert_eq!(visit(&lambda, Event::get("/login").cookie(&cookie)).await.status, 200);
        world.proxy.pass_everything();
        let page = visit(&lambda, Event::get("/").cookie(&cookie)).await;
        assert!(page.body.contains("Logged in as admin"), "{page:?}");

        let errors = logged(&mut lambda, "ERROR").await;
        assert_eq!(errors.len(), 3, "once a request: {errors:?}");
        assert!(errors.iter().all(|line| line.contains(cause)), "{cause}: {errors:?}");
    }
}

#[tokio::test]
async fn a_malformed_record_is_anonymous_with_one_warning_and_stays_as_it_is() {
    let world = World::new().await;
    for (attribute, value) in [
        ("expires_at", Some(string("4102444800"))),
        ("data", None),
        ("revision", None),
    ] {
        let world_before = world.table.items().await.len();
        let mut lambda = function(&world).await;
        let cookie = login(&lambda).await;
        let call = world.proxy.calls().pop().expect("the create");
        let id = call.request["Item"]["id"].clone();
        let mut items = world.table.items().await.into_iter();
        let mut item = items
            .find(|item| id["S"] == item["id"].as_s().expect("a key").as_str())
            .expect("a record");
        item.remove(attribute);
        item.extend(value.map(|value| (attribute.to_owned(), value)));
        world.table.put(item.clone()).await;

        let page = visit(&lambda, Event::get("/").cookie(&cookie)).await;
        assert_eq!((page.status, page.cookies.len()), (200, 0), "{page:?}");
        assert!(page.body.contains("You are not logged in"), "{page:?}");
        assert!(world.table.items().await.contains(&item), "{attribute}");

        let warnings = logged(&mut lambda, "WARN").await;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            warnings[0].contains(attribute) && warnings[0].contains("malformed"),
            "{warnings:?}"
        );
        assert_eq!(world.table.items().await.len(), world_before + 1);
    }
}

#[tokio::test]
async fn a_sandbox_whose_connections_were_closed_while_it_was_frozen_answers_at_once() {
    for ending in [Ending::Close, Ending::Reset] {
        let world = World::new().await;
        let lambda = function(&world).await;
        let cookie = login(&lambda).await;
        lambda.freeze();
        world.proxy.close_idle(ending).await;
        lambda.thaw();
        let (page, time) = timed(visit(&lambda, Event::get("/").cookie(&cookie))).await;
        assert!(page.body.contains("Logged in as admin"), "{page:?}");
        assert!(time < AT_ONCE, "{ending:?}: {time:?}");
    }
}

#[tokio::test]
async fn one_lost_attempt_goes_unnoticed_and_unlogged() {
    let world = World::new().await;
    let mut lambda = function(&world).await;
    let cookie = login(&lambda).await;
    world.proxy.once("GetItem", Fault::Hang);
    let page = visit(&lambda, Event::get("/").cookie(&cookie)).await;
    assert!(page.body.contains("Logged in as admin"), "{page:?}");
    world.proxy.once("UpdateItem", Fault::DropReply);
    assert_eq!(visit(&lambda, Event::get("/logout").cookie(&cookie)).await.status, 303);
    let log = lambda.kill().await.stdout;
    assert!(!log.contains("\"ERROR\"") && !log.contains("\"WARN\""), "{log}");
}
