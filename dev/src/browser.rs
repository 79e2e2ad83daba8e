//! Chromium without a screen, driven by chromedriver, and what a person does with a page there.

use std::future::Future;
use std::io::Write;
use std::panic::resume_unwind;
use std::path::Path;
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

/// The flag of a browser that binds sessions to its device, with keys that it keeps in software, and refreshes them as
/// often as it needs to.
const BINDING: &str = "--enable-features=DeviceBoundSessions:RefreshQuota/false,\
    EnableBoundSessionCredentialsSoftwareKeysForManualTesting";

/// Returns the flags of a browser that binds sessions, and finds the hosts `*.test` at this port of this machine. It
/// believes the certificate with this [`pin`](crate::tls::Terminator::pin), because it binds nothing where it ignores
/// that a certificate is wrong.
pub fn that_binds(port: u16, pin: &str) -> Vec<String> {
    vec![
        BINDING.to_owned(),
        format!("--host-resolver-rules=MAP *.test:443 127.0.0.1:{port}"),
        format!("--ignore-certificate-errors-spki-list={pin}"),
    ]
}

/// Runs something in a browser of its own, with these flags added. The browser is closed afterwards in any case.
/// Without chromedriver the test is skipped, or fails if `REQUIRE_BROWSER` is set.
///
/// # Panics
///
/// The given function panics, or the browser does not start.
pub async fn in_browser<F>(test: &str, flags: &[&str], something: impl FnOnce(Client) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let profile = tempdir().expect("a directory");
    in_profile(test, flags, profile.path(), something).await;
}

/// Does the same in a browser whose profile stays in this directory, for the next browser.
///
/// # Panics
///
/// The given function panics, or the browser does not start.
pub async fn in_profile<F>(test: &str, flags: &[&str], profile: &Path, something: impl FnOnce(Client) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let Some((mut driver, address)) = driver().await else {
        return skip(test, "there is no chromedriver");
    };
    let profile_flag = format!("--user-data-dir={}", profile.display());
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
    // Written to standard error itself, because the macros' output is shown only when a test fails.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {reason}");
}

/// Starts a driver. It takes a port that is free for one version of IP, and ends if another process has that port for
/// the other version, so there are several attempts.
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

/// Sends a command of Chromium's own, which `WebDriver` does not have, and returns its result.
///
/// # Panics
///
/// Chromium refuses the command.
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

/// Runs a script in the page, and returns its result.
///
/// # Panics
///
/// The script throws.
pub async fn run(client: &Client, script: &str) -> Value {
    client.execute(script, Vec::new()).await.expect(script)
}

/// Waits until the page shows an element of this kind with this text.
///
/// # Panics
///
/// The page does not show such an element in time.
pub async fn assert_shown(client: &Client, element: &str, text: &str) {
    let path = format!("//{element}[normalize-space()='{text}']");
    let found = client.wait().at_most(PATIENCE).for_element(Locator::XPath(&path)).await;
    assert!(found.is_ok(), "no {path} in {:?}", client.source().await);
}

/// Clicks on the button or link with this text or label, once it is there.
///
/// # Panics
///
/// The page does not show it in time, or it cannot be clicked on.
pub async fn press(client: &Client, name: &str) {
    let path = format!("//*[self::button or self::a][normalize-space()='{name}' or @aria-label='{name}']");
    loop {
        let found = client.wait().at_most(PATIENCE).for_element(Locator::XPath(&path)).await;
        match found.expect(name).click().await {
            // The page was replaced by the next one, which may have an element of that name as well.
            Err(error) if error.is_stale_element_reference() => {}
            pressed => return pressed.expect(name),
        }
    }
}

/// Types into the field with this ID, replacing its text.
///
/// # Panics
///
/// The page has no such field.
pub async fn fill(client: &Client, id: &str, text: &str) {
    let field = client.wait().for_element(Locator::Id(id)).await.expect(id);
    field.clear().await.expect(id);
    field.send_keys(text).await.expect(id);
}
