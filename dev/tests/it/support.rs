//! What the tests share: the SDK's client, the two commands, and plain HTTP.

use std::process::Stdio;

use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Credentials, Region};
use aws_smithy_http_client::Builder as HttpClient;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use tokio::process::Command;

/// Returns the configuration of a client with the SDK's defaults.
pub(crate) fn sdk_at(endpoint: impl Into<String>) -> Builder {
    let tls = Provider::Rustls(CryptoMode::Ring);
    Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "local"))
        .http_client(HttpClient::new().tls_provider(tls).build_https())
        .endpoint_url(endpoint)
}

/// Returns one of the commands.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Returns a file's permissions.
#[track_caller]
pub(crate) fn mode(file: &std::path::Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).expect("a file").permissions().mode() & 0o777
}
