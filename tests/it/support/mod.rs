//! What stands in for the world around the function: Lambda, DynamoDB, the network between them, and a visitor.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use aws_smithy_http_client::Builder as HttpClient;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use tokio::net::TcpListener;

use crate::embedded::{Embedded, table};
use crate::sdk;

pub(crate) mod app;
pub(crate) mod browser;
pub(crate) mod event;
pub(crate) mod forge;
pub(crate) mod html;
pub(crate) mod lambda;
pub(crate) mod memory;
pub(crate) mod own_table;
pub(crate) mod policy;
pub(crate) mod proxy;
mod runtime;
pub(crate) mod site;
pub(crate) mod tls;

/// Longer than anything here takes. It turns a test that would hang into one that fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// An empty DynamoDB of the test's own, with the sessions table. It ends with the value.
pub(crate) async fn dynamodb() -> Embedded {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    Embedded::start([listener], table::NAME, None).expect("an embedded DynamoDB")
}

/// Where that DynamoDB listens.
pub(crate) fn endpoint(dynamodb: &Embedded) -> String {
    dynamodb.endpoints().next().expect("one listener")
}

/// The configuration of a client past the store, which has its own: the SDK's defaults.
pub(crate) fn sdk_at(endpoint: impl Into<String>) -> aws_sdk_dynamodb::config::Builder {
    let tls = Provider::Rustls(CryptoMode::Ring);
    aws_sdk_dynamodb::config::Builder::from(&sdk::config())
        .http_client(HttpClient::new().tls_provider(tls).build_https())
        .endpoint_url(endpoint)
}

/// The variables the template gives the function, but for the secret key.
pub(crate) fn environment(endpoint: &str) -> Vec<(String, String)> {
    [("TABLE_NAME", table::NAME), ("DYNAMODB_ENDPOINT", endpoint)]
        .map(|(name, value)| (name.into(), value.into()))
        .into()
}

/// A key the function accepts.
pub(crate) const SECRET_KEY: &str = "a key for tests that is longer than thirty-two bytes";

/// One of the commands in `examples`, which `cargo test` builds beside the tests.
#[track_caller]
pub(crate) fn example(name: &str, arguments: &[&str]) -> tokio::process::Command {
    let test = std::env::current_exe().expect("this test's own path");
    let build: PathBuf = test.ancestors().nth(2).expect("a build directory").to_owned();
    let example = build
        .join("examples")
        .join(name)
        .with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        example.exists(),
        "{} is missing: `cargo build --examples` makes it",
        example.display()
    );
    let mut command = tokio::process::Command::new(example);
    command.args(arguments).kill_on_drop(true);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Sends a process a signal, by its name without `SIG`.
#[track_caller]
pub(crate) fn signal(process: u32, name: &str) {
    let kill = format!("kill -{name} {process}");
    let sent = Command::new("sh").args(["-c", &kill]).status().expect("a shell");
    assert!(sent.success(), "{kill}: {sent}");
}
