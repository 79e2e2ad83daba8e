//! Chromium without a screen, driven by chromedriver.

use std::future::Future;
use std::io::Write;
use std::panic::resume_unwind;
use std::process::Stdio;

use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::tempdir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::PATIENCE;

const FLAGS: [&str; 8] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// Does something in a browser of its own, started with these flags too, which is closed afterwards whatever happens. Without
/// chromedriver it is skipped, or fails if `REQUIRE_BROWSER` is set.
///
/// # Panics
///
/// What is done panics, or the browser does not start.
pub async fn in_browser<F>(test: &str, flags: &[&str], something: impl FnOnce(Client) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let Some((mut driver, address)) = driver().await else {
        return skip(test, "there is no chromedriver");
    };
    let profile = tempdir().expect("a directory");
    let profile_flag = format!("--user-data-dir={}", profile.path().display());
    let flags: Vec<_> = FLAGS
        .iter()
        .chain(flags)
        .copied()
        .chain([profile_flag.as_str()])
        .collect();
    let options = json!({ "goog:chromeOptions": { "args": flags } });
    let capabilities: Capabilities = serde_json::from_value(options).expect("a map");
    let mut client = ClientBuilder::new(HttpConnector::new());
    let client = client.capabilities(capabilities).connect(&address);
    let client = client.await.expect("a browser");
    let done = tokio::spawn(something(client.clone())).await;
    client.close().await.expect("an end of the browser");
    driver.kill().await.expect("an end of the driver");
    if let Err(failed) = done {
        resume_unwind(failed.into_panic());
    }
}

/// Says that a test was skipped, where `cargo test` shows it, or fails.
///
/// # Panics
///
/// `REQUIRE_BROWSER` is set.
pub fn skip(test: &str, reason: &str) {
    let required = std::env::var_os("REQUIRE_BROWSER").is_some_and(|value| !value.is_empty());
    assert!(!required, "{test}: {reason}");
    // Straight to the stream: what a test prints by macro is only shown when it fails.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {reason}");
}

/// Starts a driver. It takes a port that is free for one version of IP and ends if somebody has it for the other, so there are several
/// attempts.
async fn driver() -> Option<(Child, String)> {
    for _ in 0..5 {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .ok()?;
        let mut printed = BufReader::new(driver.stdout.take().expect("a pipe")).lines();
        let started = async {
            while let Some(line) = printed.next_line().await.expect("a readable pipe") {
                // "ChromeDriver was started successfully on port 41373."
                if let Some((_, port)) = line.split_once("successfully on port ") {
                    return Some(port.trim_end_matches('.').to_owned());
                }
            }
            None
        };
        if let Some(port) = timeout(PATIENCE, started).await.expect("a port in time") {
            tokio::spawn(async move { while let Ok(Some(_)) = printed.next_line().await {} });
            return Some((driver, format!("http://127.0.0.1:{port}")));
        }
    }
    panic!("chromedriver ended");
}

/// Gives a command of Chromium's own, which `WebDriver` does not have, and returns its result.
///
/// # Panics
///
/// Chromium refuses it.
pub async fn command(client: &Client, name: &'static str, parameters: Value) -> Value {
    client.issue_cmd(DevTools { name, parameters }).await.expect(name)
}

#[derive(Debug)]
struct DevTools {
    name: &'static str,
    parameters: Value,
}

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (Method, Option<String>) {
        let body = json!({ "cmd": self.name, "params": self.parameters });
        (Method::POST, Some(body.to_string()))
    }
}
