//! Chromium without a screen, driven by chromedriver.

use std::io::Write;
use std::panic::resume_unwind;
use std::process::Stdio;

use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::tempdir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use dev::PATIENCE;

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

/// Does something in a browser of its own, which is closed afterwards whatever happens. Without chromedriver it is
/// skipped, or fails if `REQUIRE_BROWSER` is set.
pub(crate) async fn in_browser<F>(test: &str, something: impl FnOnce(Client) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let Some((mut driver, address)) = driver().await else {
        return skip(test, "there is no chromedriver");
    };
    let profile = tempdir().expect("a directory");
    let profile_flag = format!("--user-data-dir={}", profile.path().display());
    let flags: Vec<_> = FLAGS.into_iter().chain([profile_flag.as_str()]).collect();
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
pub(crate) fn skip(test: &str, reason: &str) {
    let required = std::env::var_os("REQUIRE_BROWSER").is_some_and(|value| !value.is_empty());
    assert!(!required, "{test}: {reason}");
    // Straight to the stream: what a test prints by macro is only shown when it fails.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {reason}");
}

async fn driver() -> Option<(Child, String)> {
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
                return port.trim_end_matches('.').to_owned();
            }
        }
        panic!("chromedriver ended");
    };
    let port = timeout(PATIENCE, started).await.expect("a port in time");
    tokio::spawn(async move { while let Ok(Some(_)) = printed.next_line().await {} });
    Some((driver, format!("http://127.0.0.1:{port}")))
}

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) dark: bool,
    pub(crate) width: u32,
}

pub(crate) async fn look(client: &Client, look: Look) {
    let scheme = if look.dark { "dark" } else { "light" };
    let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
    command(client, "Emulation.setEmulatedMedia", media).await;
    let size = json!({ "width": look.width, "height": 640, "deviceScaleFactor": 1, "mobile": false });
    command(client, "Emulation.setDeviceMetricsOverride", size).await;
}

async fn command(client: &Client, name: &'static str, parameters: Value) {
    client.issue_cmd(DevTools { name, parameters }).await.expect(name);
}

/// A command of Chromium's own, which `WebDriver` does not have.
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

/// Clicks on the link with this text.
pub(crate) async fn follow(client: &Client, text: &str) {
    let link = client.wait().for_element(Locator::LinkText(text)).await.expect(text);
    link.click().await.expect(text);
}

/// The main heading, once it is this.
pub(crate) async fn assert_heading(client: &Client, text: &str) {
    let path = format!("//h1[normalize-space()='{text}']");
    let found = client.wait().at_most(PATIENCE).for_element(Locator::XPath(&path)).await;
    assert!(found.is_ok(), "no {text:?} in {:?}", client.source().await);
}
