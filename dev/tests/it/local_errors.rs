//! What `cargo local` prints when it cannot start, and its exit status.

use std::fs;

use dev::PATIENCE;
use tempfile::tempdir;
use tokio::process::Command;
use tokio::time::timeout;

use crate::local::{command, program};

/// Runs the command with these arguments to its end, and returns its status and what it printed to standard error.
async fn fails(arguments: &[&str]) -> (Option<i32>, String) {
    runs_and_fails(&mut command(arguments)).await
}

async fn runs_and_fails(command: &mut Command) -> (Option<i32>, String) {
    let ended = timeout(PATIENCE, command.output())
        .await
        .expect("an end in time")
        .expect("output");
    assert!(ended.stdout.is_empty(), "{ended:?}");
    (ended.status.code(), String::from_utf8(ended.stderr).expect("text"))
}

#[tokio::test]
async fn a_taken_port_is_one_clear_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("a bound listener").port();
    let (status, message) = fails(&["--port", &port.to_string()]).await;
    let expected = format!("error: port {port} on 127.0.0.1 is already taken; choose another with --port\n");
    assert_eq!((status, message), (Some(1), expected));
}

#[tokio::test]
async fn a_wrong_flag_is_a_usage_error() {
    for (arguments, expected) in [
        (&["--prot", "1"][..], "'--prot'"),
        (&["--port"], "'--port'"),
        (&["--port", "70000"], "--port 70000: not a port from 0 to 65535"),
        (&["somewhere"], "\"somewhere\""),
    ] {
        let (status, message) = fails(arguments).await;
        assert_eq!(status, Some(2), "{arguments:?}: {message}");
        assert!(
            message.contains(expected) && message.contains("--help"),
            "{arguments:?}: {message}"
        );
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}

#[tokio::test]
async fn what_cannot_be_used_is_named() {
    let directory = tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let key = path("secret-key");
    let given = directory.path().display().to_string();

    fs::write(path("file"), "").expect("a file");
    let (status, message) = fails(&["--port", "0", "--data-dir", &path("file")]).await;
    assert!(status == Some(1) && message.contains(&path("file")), "{message}");

    fs::write(&key, "too short\n").expect("a file");
    let (status, message) = fails(&["--port", "0", "--data-dir", &given]).await;
    assert!(
        status == Some(1) && message.contains(&key) && message.contains("32"),
        "{message}"
    );
    assert!(!message.contains("too short\n"), "{message}");

    fs::remove_file(&key).expect("the file");
    fs::create_dir(&key).expect("a directory");
    let (status, message) = fails(&["--port", "0", "--data-dir", &given]).await;
    assert!(status == Some(1) && message.contains(&key), "{message}");

    fs::remove_dir(&key).expect("the directory");
    fs::create_dir(path("dynamodb.sqlite")).expect("a directory");
    let (status, message) = fails(&["--port", "0", "--data-dir", &given]).await;
    assert!(
        status == Some(1) && message.contains(&path("dynamodb.sqlite")),
        "{message}"
    );
}

#[tokio::test]
async fn the_command_says_what_cargo_builds_for_it() {
    // Fails, as cargo does when it cannot build the app.
    let (status, message) = runs_and_fails(command(&["--port", "0"]).env("CARGO", "false")).await;
    let building = "Building lambda-session-app, which this command runs";
    assert!(status == Some(1) && message.starts_with(building), "{message}");
    assert!(message.contains("error: cargo did not build"), "{message}");
}

#[tokio::test]
async fn a_configuration_that_the_app_refuses_ends_the_command() {
    let mut command = command(&["--port", "0"]);
    command
        .env("LOCAL_FUNCTION", program().await)
        .env("SECRET_KEY", "too short");
    let ended = timeout(PATIENCE, command.output()).await.expect("an end in time");
    let ended = ended.expect("output");
    let message = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{message}");
    assert!(message.contains("SECRET_KEY"), "{message}");
    assert!(message.contains("error: the app did not start"), "{message}");
    assert!(!String::from_utf8_lossy(&ended.stdout).contains("http://"), "{ended:?}");
}
