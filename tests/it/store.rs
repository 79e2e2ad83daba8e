//! The store calls of the compiled function, and its answers and log when the store fails.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use dev::dynamodb::{Embedded, table};
use dev::event::Event;
use dev::lambda::{Answer, Lambda};
use dev::proxy::{Ending, Fault};

use crate::support::app::{App, COOKIE};
use crate::support::{client, function};

/// Shorter than the timeout of one attempt of a store call.
const AT_ONCE: Duration = Duration::from_millis(900);

type Spoil = fn() -> Fault;

async fn visit(lambda: &Lambda, event: Event) -> Answer {
    lambda.invoke(event.into_value()).await.expect("an answer")
}

fn login(name: &str) -> Event {
    Event::post_form("/login", &[("username", name)])
}

/// A function that logs in JSON, with the store of `app`.
async fn logging(app: &App) -> Lambda {
    function(&app.proxy.endpoint(), &[("AWS_LAMBDA_LOG_FORMAT", "JSON")]).await
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

#[tokio::test]
async fn a_failed_store_is_answered_by_what_helps_and_logged_once_with_its_cause() {
    let faults: [(Spoil, u16, &str); 6] = [
        (
            || Fault::Error(400, "AccessDeniedException"),
            500,
            "AccessDeniedException: injected (request ID INJECTED)",
        ),
        (
            || Fault::Error(400, "ResourceNotFoundException"),
            500,
            "ResourceNotFoundException: the table \\\"SessionsTable\\\" in eu-central-1 does not exist; it needs a \
             string partition key `id` and no sort key (request ID INJECTED)",
        ),
        (
            || Fault::Error(400, "ValidationException"),
            500,
            "ValidationException (request ID INJECTED)",
        ),
        (
            || Fault::Error(400, "ThrottlingException"),
            503,
            "ThrottlingException: injected",
        ),
        (
            || Fault::Error(500, "InternalServerError"),
            503,
            "InternalServerError (request ID INJECTED)",
        ),
        (|| Fault::DropCall, 503, "connection"),
    ];
    let app = App::start().await;
    for (fault, status, cause) in faults {
        let mut lambda = logging(&app).await;
        let cookie = visit(&lambda, login("admin")).await.cookie();
        app.proxy.rule(move |_| fault());
        for event in [Event::get("/"), Event::get("/logout"), login("admin")] {
            let answer = visit(&lambda, event.cookie(&cookie)).await;
            assert_eq!((answer.status, answer.cookies.len()), (status, 0), "{answer:?}");
            assert_eq!(answer.headers.contains_key("retry-after"), status == 503, "{answer:?}");
            for secret in ["Exception", "injected", "DynamoDB", "dynamodb"] {
                assert!(!answer.body.contains(secret), "{answer:?}");
            }
        }
        // Requests that need no store call still work.
        let forged = format!("{COOKIE}forged");
        for (path, cookie) in [("/", forged.as_str()), ("/login", cookie.as_str())] {
            assert_eq!(visit(&lambda, Event::get(path).cookie(cookie)).await.status, 200);
        }
        app.proxy.pass_everything();
        let page = visit(&lambda, Event::get("/").cookie(&cookie)).await;
        assert!(page.body.contains("Logged in as admin"), "{page:?}");

        let errors = logged(&mut lambda, "ERROR").await;
        assert_eq!(errors.len(), 3, "one error for each request: {errors:?}");
        assert!(errors.iter().all(|line| line.contains(cause)), "{cause}: {errors:?}");
    }
}

/// The line stands in the log before the first visitor comes, and the function answers nevertheless.
#[tokio::test]
async fn a_table_that_is_missing_or_has_another_key_is_named_at_the_warm_up() {
    use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
    let dynamodb = Embedded::in_memory().await;
    let client = client(&dynamodb.endpoint());
    let (string, number) = (ScalarAttributeType::S, ScalarAttributeType::N);
    for (table, keys, problem) in [
        (
            "missing",
            &[][..],
            "ResourceNotFoundException: the table \"missing\" in eu-central-1 does not exist",
        ),
        (
            "other",
            &[("pk", &string)][..],
            "ValidationException: the table \"other\" in eu-central-1 has another key",
        ),
        (
            "sorted",
            &[("id", &string), ("at", &number)],
            "the table \"sorted\" in eu-central-1 has another key",
        ),
        (
            "numbers",
            &[("id", &number)],
            "the table \"numbers\" in eu-central-1 has another key",
        ),
    ] {
        if !keys.is_empty() {
            let mut create = client
                .create_table()
                .table_name(table)
                .billing_mode(BillingMode::PayPerRequest);
            for ((name, kind), role) in keys.iter().zip([KeyType::Hash, KeyType::Range]) {
                let attribute = AttributeDefinition::builder()
                    .attribute_name(*name)
                    .attribute_type((*kind).clone());
                let key = KeySchemaElement::builder().attribute_name(*name).key_type(role);
                create = create
                    .attribute_definitions(attribute.build().expect("a definition"))
                    .key_schema(key.build().expect("a key"));
            }
            create.send().await.expect("a table");
        }
        let variables = [("TABLE_NAME", table), ("AWS_LAMBDA_LOG_FORMAT", "JSON")];
        let mut lambda = function(&dynamodb.endpoint(), &variables).await;
        assert_eq!(visit(&lambda, Event::get("/")).await.status, 200);
        let lines = logged(&mut lambda, "ERROR").await;
        assert_eq!(lines.len(), 1, "{lines:?}");
        let line: serde_json::Value = serde_json::from_str(&lines[0]).expect("JSON");
        assert_eq!(line["event"], "warm-up failed");
        let cause = line["cause"].as_str().expect("a cause");
        assert!(cause.contains(problem), "{cause}");
        assert!(
            cause.contains("it needs a string partition key `id` and no sort key"),
            "{cause}"
        );
    }
}

#[tokio::test]
async fn a_malformed_record_is_anonymous_with_one_warning() {
    let app = App::start().await;
    let client = client(&app.dynamodb.endpoint());
    for (attribute, edit) in [
        ("expires_at", "SET expires_at = :wrong"),
        ("data", "SET #data = :wrong"),
        ("revision", "SET revision = :wrong"),
    ] {
        let mut lambda = logging(&app).await;
        let cookie = visit(&lambda, login("admin")).await.cookie();
        let created = app.proxy.calls().pop().expect("the create");
        let id = created.request["Item"]["id"]["S"].as_str().expect("a key").to_owned();
        let broken = client
            .update_item()
            .table_name(table::NAME)
            .key("id", AttributeValue::S(id));
        let broken = broken.update_expression(edit);
        let broken = broken.expression_attribute_values(":wrong", AttributeValue::S("4102444800".into()));
        let broken = match attribute {
            "data" => broken.expression_attribute_names("#data", "data"),
            _ => broken,
        };
        broken.send().await.expect("a broken record");

        let page = visit(&lambda, Event::get("/").cookie(&cookie)).await;
        assert_eq!((page.status, page.cookies.len()), (200, 0), "{page:?}");
        assert!(page.body.contains("You are not logged in"), "{page:?}");
        let warnings = logged(&mut lambda, "WARN").await;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            warnings[0].contains(attribute) && warnings[0].contains("malformed"),
            "{warnings:?}"
        );
    }
}

#[tokio::test]
async fn a_sandbox_whose_connections_were_closed_while_it_was_frozen_answers_at_once() {
    for ending in [Ending::Close, Ending::Reset] {
        let app = App::start().await;
        let cookie = app.login("admin").await;
        app.lambda.freeze();
        app.proxy.close_idle(ending).await;
        app.lambda.thaw();
        let start = Instant::now();
        assert!(app.is_admin(&cookie).await);
        assert!(start.elapsed() < AT_ONCE, "{ending:?}: {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn one_lost_attempt_goes_unnoticed_and_unlogged() {
    let app = App::start().await;
    let mut lambda = logging(&app).await;
    let cookie = visit(&lambda, login("admin")).await.cookie();
    app.proxy.once("GetItem", Fault::Hang);
    let page = visit(&lambda, Event::get("/").cookie(&cookie)).await;
    assert!(page.body.contains("Logged in as admin"), "{page:?}");
    app.proxy.once("UpdateItem", Fault::DropReply);
    assert_eq!(visit(&lambda, Event::get("/logout").cookie(&cookie)).await.status, 303);
    let log = lambda.kill().await.stdout;
    assert!(!log.contains("\"ERROR\"") && !log.contains("\"WARN\""), "{log}");
}

#[tokio::test]
async fn each_request_makes_as_many_calls_as_the_budget_says() {
    let app = App::start().await;
    assert_eq!(app.proxy.operations(), ["GetItem"], "the warm-up");
    let costs = async |event: Event, expected: &[&str]| {
        let (answer, calls) = app.counted(event).await;
        assert_eq!(calls, expected, "{answer:?}");
        answer
    };
    costs(Event::get("/"), &[]).await;
    costs(Event::new("HEAD", "/"), &[]).await;
    costs(Event::get("/login"), &[]).await;
    costs(Event::get("/elsewhere"), &[]).await;
    costs(Event::get("/logout"), &[]).await;
    let forged = format!("{COOKIE}{}.{}", "A".repeat(43), "A".repeat(43));
    for path in ["/", "/login", "/logout"] {
        costs(Event::get(path).cookie(&forged), &[]).await;
    }
    let first = costs(login("admin").cookie(&forged), &["PutItem"]).await.cookie();
    costs(Event::get("/").cookie(&first), &["GetItem"]).await;
    costs(Event::new("HEAD", "/").cookie(&first), &["GetItem"]).await;
    costs(Event::get("/login").cookie(&first), &[]).await;
    let over = ["GetItem", "PutItem", "UpdateItem"];
    let second = costs(login("admin").cookie(&first), &over).await.cookie();
    let third = costs(login("other").cookie(&second), &over).await.cookie();
    costs(Event::get("/").cookie(&first), &["GetItem"]).await;
    costs(Event::get("/logout").cookie(&third), &["UpdateItem"]).await;
    costs(login("admin").cookie(&first), &["GetItem", "PutItem"]).await;
}
