//! The compiled function, from outside, as Lambda runs it.

use std::io::Write as _;

use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::event::Event;
use crate::support::lambda::{Answer, InvocationError, Lambda};
use crate::support::tls::Terminator;
use crate::support::{SECRET_KEY, dynamodb, endpoint, environment};

async fn function(endpoint: &str) -> Lambda {
    let secret = ("SECRET_KEY".to_owned(), SECRET_KEY.to_owned());
    Lambda::start(environment(endpoint).into_iter().chain([secret])).await
}

async fn visit(lambda: &Lambda, event: Event) -> Answer {
    let event: Value = event.into_value();
    lambda.invoke(event).await.expect("an answer")
}

#[tokio::test]
async fn a_visitor_logs_in_and_out_and_the_old_cookie_is_worth_nothing() {
    let dynamodb = dynamodb().await;
    let mut lambda = function(&endpoint(&dynamodb)).await;

    let start = visit(&lambda, Event::get("/")).await;
    assert_eq!(start.status, 200);
    assert!(start.body.contains("You are not logged in"), "{}", start.body);
    assert!(start.cookies.is_empty(), "{start:?}");

    let form = visit(&lambda, Event::get("/login")).await;
    assert_eq!(form.status, 200);
    assert!(form.body.contains("name=\"username\""), "{}", form.body);

    let login = visit(&lambda, Event::post_form("/login", &[("username", "admin")])).await;
    assert_eq!((login.status, login.headers["location"].as_str()), (303, "/"));
    let cookie = login.cookie();
    assert!(cookie.starts_with("__Host-session="), "{cookie}");

    let inside = visit(&lambda, Event::get("/").cookie(&cookie)).await;
    assert!(inside.body.contains("Logged in as admin"), "{}", inside.body);
    assert!(inside.cookies.is_empty(), "{inside:?}");

    let logout = visit(&lambda, Event::get("/logout").cookie(&cookie)).await;
    assert_eq!((logout.status, logout.headers["location"].as_str()), (303, "/"));
    assert_eq!(logout.cookie(), "__Host-session=");

    let replayed = visit(&lambda, Event::get("/").cookie(&cookie)).await;
    assert_eq!(replayed.status, 200);
    assert!(replayed.body.contains("You are not logged in"), "{}", replayed.body);

    let logged = lambda.kill().await;
    let (id, mac) = cookie
        .trim_start_matches("__Host-session=")
        .split_once('.')
        .expect("an ID and a MAC");
    for secret in [SECRET_KEY, id, mac] {
        assert!(
            !format!("{logged:?}").contains(secret),
            "a secret in the log: {logged:?}"
        );
    }
}

/// `DYNAMODB_ENDPOINT` is ours; empty, as the template has it, it must not hide the SDK's own variables.
#[tokio::test]
async fn the_sdks_own_endpoint_variable_works_too() {
    let dynamodb = dynamodb().await;
    let mut variables = environment("");
    variables.push(("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), endpoint(&dynamodb)));
    variables.push(("SECRET_KEY".to_owned(), SECRET_KEY.to_owned()));
    let lambda = Lambda::start(variables).await;
    let login = Event::post_form("/login", &[("username", "admin")]);
    let cookie = visit(&lambda, login).await.cookie();
    let page = visit(&lambda, Event::get("/").cookie(&cookie)).await;
    assert!(page.body.contains("Logged in as admin"), "{}", page.body);
}

/// `SSL_CERT_FILE` takes the place of the machine's certificate authorities.
#[tokio::test]
async fn over_tls_only_a_dynamodb_with_a_trusted_certificate_is_believed() {
    let dynamodb = dynamodb().await;
    let behind = endpoint(&dynamodb).trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let front = format!(
        "https://localhost:{}",
        listener.local_addr().expect("an address").port()
    );
    let terminator = Terminator::new().expect("a certificate");
    let authority = terminator.authority.clone();
    tokio::spawn(terminator.serve(listener, behind));
    let stranger = Terminator::new().expect("another certificate").authority;
    for (trusted_authority, status) in [(&authority, 303), (&stranger, 503)] {
        let mut trusted = tempfile::NamedTempFile::new().expect("a file");
        trusted
            .write_all(trusted_authority.as_bytes())
            .expect("the certificate");
        let file = trusted.path().display().to_string();
        let mut variables = environment(&front);
        variables.push(("SECRET_KEY".to_owned(), SECRET_KEY.to_owned()));
        variables.push(("SSL_CERT_FILE".to_owned(), file));
        let lambda = Lambda::start(variables).await;
        let login = Event::post_form("/login", &[("username", "admin")]);
        assert_eq!(visit(&lambda, login).await.status, status);
    }
}

#[tokio::test]
async fn a_session_outlives_the_sandbox_it_began_in() {
    let dynamodb = dynamodb().await;
    let mut first = function(&endpoint(&dynamodb)).await;
    let cookie = visit(&first, Event::post_form("/login", &[("username", "admin")]))
        .await
        .cookie();
    first.kill().await;

    let second = function(&endpoint(&dynamodb)).await;
    let page = visit(&second, Event::get("/").cookie(&cookie)).await;
    assert!(page.body.contains("Logged in as admin"), "{}", page.body);
}

#[tokio::test]
async fn in_json_the_reason_of_a_failed_start_is_a_line_that_lambda_keeps() {
    let json = ("AWS_LAMBDA_LOG_FORMAT".to_owned(), "JSON".to_owned());
    let mut lambda = Lambda::start(environment("http://127.0.0.1:9").into_iter().chain([json])).await;
    let exit = lambda.exit().await;
    let line: Value = serde_json::from_str(exit.stderr.trim()).expect("one line of JSON");
    assert!(
        line["message"]
            .as_str()
            .is_some_and(|message| message.contains("SECRET_KEY")),
        "{line}"
    );
    assert!(line["level"] == "FATAL" && line["timestamp"].is_string(), "{line}");
}

/// The README's rotation, step by step, as the function's environment sees it.
#[tokio::test]
async fn a_rotated_key_logs_nobody_out_and_the_old_one_is_dropped_after_a_lifetime() {
    let dynamodb = dynamodb().await;
    let endpoint = endpoint(&dynamodb);
    let start = async |key: &str, fallbacks: &str| {
        let keys = [("SECRET_KEY", key), ("SECRET_KEY_FALLBACKS", fallbacks)];
        let keys = keys.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Lambda::start(environment(&endpoint).into_iter().chain(keys)).await
    };
    let new_key = "another key for tests that is longer than thirty-two bytes";
    let home = |cookie: &str| Event::get("/").cookie(cookie);

    let before = start(SECRET_KEY, "").await;
    let login = Event::post_form("/login", &[("username", "admin")]);
    let old = visit(&before, login).await.cookie();

    let rotated = start(new_key, SECRET_KEY).await;
    assert!(visit(&rotated, home(&old)).await.body.contains("Logged in as admin"));
    let login = Event::post_form("/login", &[("username", "other")]);
    let new = visit(&rotated, login).await.cookie();

    let dropped = start(new_key, "").await;
    assert!(visit(&dropped, home(&new)).await.body.contains("Logged in as other"));
    assert!(visit(&dropped, home(&old)).await.body.contains("You are not logged in"));
}

#[tokio::test]
async fn without_a_secret_key_it_says_so_and_serves_nothing() {
    for secret in [
        None,
        Some(""),
        Some("too short"),
        Some("{{resolve:secretsmanager:arn}}"),
    ] {
        let secret = secret.map(|value| ("SECRET_KEY".to_owned(), value.to_owned()));
        let mut lambda = Lambda::start(environment("http://127.0.0.1:9").into_iter().chain(secret.clone())).await;
        let exit = lambda.exit().await;
        assert!(!exit.status.success(), "{secret:?}: {exit:?}");
        assert!(
            format!("{}{}", exit.stdout, exit.stderr).contains("SECRET_KEY"),
            "{secret:?}: {exit:?}"
        );
        let told = lambda.init_error().expect("a report to Lambda");
        let told = told["errorMessage"].as_str().expect("a message");
        assert!(told.contains("SECRET_KEY"), "{secret:?}: {told}");
        assert_eq!(lambda.polls(), 0, "{secret:?}");
    }
}

#[tokio::test]
async fn a_frozen_sandbox_carries_on_when_it_is_thawed() {
    let dynamodb = dynamodb().await;
    let lambda = function(&endpoint(&dynamodb)).await;
    let cookie = visit(&lambda, Event::post_form("/login", &[("username", "admin")]))
        .await
        .cookie();
    lambda.freeze();
    lambda.thaw();
    let page = visit(&lambda, Event::get("/").cookie(&cookie)).await;
    assert!(page.body.contains("Logged in as admin"), "{}", page.body);
}

#[tokio::test]
async fn an_event_that_is_no_request_is_reported_and_the_next_one_served() {
    let dynamodb = dynamodb().await;
    let lambda = function(&endpoint(&dynamodb)).await;
    let reported = lambda.invoke(json!({ "no": "request" })).await.expect_err("an error");
    assert!(
        matches!(&reported, InvocationError::Reported(error) if error["errorMessage"].is_string()),
        "{reported:?}"
    );
    assert_eq!(visit(&lambda, Event::get("/")).await.status, 200);
}

/// A client that is polled in the wrong order looks for its connection before it has been put back.
#[tokio::test]
async fn one_connection_to_lambda_serves_all_events() {
    let dynamodb = dynamodb().await;
    let lambda = function(&endpoint(&dynamodb)).await;
    for _ in 0..20 {
        assert_eq!(visit(&lambda, Event::get("/")).await.status, 200);
    }
    assert_eq!(lambda.connections(), 1);
}
