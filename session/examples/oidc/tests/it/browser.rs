//! The example with a certified provider, in Chromium.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use dev::PATIENCE;
use dev::browser::{assert_shown, fill, in_browser, press, skip};
use dev::program::{Program, Table};
use fantoccini::{Client, Locator};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::site::PROGRAM;

/// npm's `oidc-provider`. The process ends when the value is dropped.
struct Provider {
    issuer: String,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Provider {
    /// Starts the provider where `.ci/install` has put it, or `npm install --prefix target/ci oidc-provider`: it is
    /// JavaScript and not a crate. Returns `None` if it is not installed.
    async fn start() -> Option<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let installed = here.join("../../../target/ci/node_modules/oidc-provider");
        let package = std::env::var_os("OIDC_PROVIDER").map_or(installed, PathBuf::from);
        if !package.exists() {
            return None;
        }
        let script = here.join("tests/it/provider.mjs");
        let mut process = Command::new("node")
            .arg(script)
            .env("OIDC_PROVIDER", package)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("node");
        let mut output = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        Some(Self {
            issuer: line(&mut output).await,
            input: process.stdin.take().expect("a pipe"),
            output,
            _process: process,
        })
    }

    /// Tells the provider the address of the site.
    async fn serve(&mut self, site: &str) {
        let told = self.input.write_all(format!("{site}\n").as_bytes()).await;
        told.expect("a running provider");
        assert_eq!(line(&mut self.output).await, "ready");
    }
}

async fn line(output: &mut Lines<BufReader<ChildStdout>>) -> String {
    let line = timeout(PATIENCE, output.next_line()).await.expect("a line in time");
    line.expect("a readable pipe").expect("a running provider")
}

/// Walks through the example with this response mode.
async fn walk_with(test: &str, response_mode: &'static str) {
    let Some(mut provider) = Provider::start().await else {
        return skip(test, "oidc-provider is not installed in target/ci");
    };
    let table = Arc::new(Table::new().await);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let base_url = format!("http://{}", listener.local_addr().expect("a bound listener"));
    let environment = [
        ("OIDC_ISSUER", provider.issuer.as_str()),
        ("OIDC_CLIENT_ID", "shop"),
        ("OIDC_CLIENT_SECRET", "a secret of the shop and the provider"),
        ("OIDC_RESPONSE_MODE", response_mode),
        ("BASE_URL", base_url.as_str()),
    ];
    let site = Program::server(PROGRAM, Some(&table), &environment).await;
    let address = site.address().trim_start_matches("http://").to_owned();
    let _front = tokio::spawn(forward(listener, address));
    provider.serve(&base_url).await;
    let issuer = provider.issuer.clone();
    in_browser(test, &[], |client| async move {
        walk(&client, &base_url, &issuer, &table).await;
    })
    .await;
}

/// Forwards everything to a server, from a port that was known before the server had one.
async fn forward(listener: TcpListener, address: String) {
    while let Ok((mut visitor, _)) = listener.accept().await {
        let address = address.clone();
        tokio::spawn(async move {
            let mut server = TcpStream::connect(address).await.expect("a running server");
            // An error is that of a browser that has gone.
            let _ = copy_bidirectional(&mut visitor, &mut server).await;
        });
    }
}

#[tokio::test]
async fn a_person_logs_in_at_a_certified_provider_and_out_again() {
    walk_with("a_person_logs_in_at_a_certified_provider_and_out_again", "").await;
}

#[tokio::test]
async fn a_person_logs_in_by_a_form_that_the_provider_posts() {
    walk_with("a_person_logs_in_by_a_form_that_the_provider_posts", "form_post").await;
}

/// Logs in at the provider, which accepts any name.
async fn log_in_at_provider(client: &Client, name: &str) {
    for (field, text) in [("login", name), ("password", "any")] {
        let field = format!("input[name={field}]");
        let field = client.wait().at_most(PATIENCE).for_element(Locator::Css(&field)).await;
        field.expect("a field").send_keys(text).await.expect("a field");
    }
    press(client, "Sign-in").await;
}

async fn log_in(client: &Client, name: &str) {
    log_in_at_provider(client, name).await;
    press(client, "Continue").await;
    assert_shown(client, "h1", &format!("Logged in as {name}")).await;
}

async fn walk(client: &Client, site: &str, issuer: &str, table: &Table) {
    client.goto(site).await.expect("the start page");
    fill(client, "item", "tea").await;
    press(client, "Add").await;
    assert_shown(client, "li", "tea").await;

    // A visitor who does not consent comes back to a page that says so, and still has the basket.
    press(client, "Log in").await;
    log_in_at_provider(client, "alice").await;
    // The page before this one has such a button, too.
    assert_shown(client, "button", "Continue").await;
    press(client, "[ Cancel ]").await;
    assert_shown(client, "p", "The login was cancelled. You can log in again.").await;
    press(client, "Go to the start page").await;
    assert_shown(client, "li", "tea").await;

    // The provider has identified the visitor by now, and asks for the consent only.
    press(client, "Log in").await;
    press(client, "Continue").await;
    assert_shown(client, "h1", "Logged in as alice").await;
    assert_shown(client, "li", "tea").await;
    assert_eq!(client.current_url().await.expect("an address").query(), None);
    press(client, "Who you are").await;
    assert_shown(client, "p", &format!("{issuer} alice")).await;

    // Who has just logged in at the provider is not asked again. After ten minutes, the provider asks.
    press(client, "Your devices").await;
    assert_shown(client, "p", "You are logged in on 1 device.").await;
    table.age_proofs(600);
    client.refresh().await.expect("a page");
    assert_shown(client, "h1", "Is it still you?").await;
    press(client, "Go to the provider").await;
    log_in_at_provider(client, "alice").await;
    assert_shown(client, "p", "You are logged in on 1 device.").await;
    press(client, "Back to the start page").await;
    assert_shown(client, "li", "tea").await;

    press(client, "Log out").await;
    press(client, "Yes, sign me out").await;
    assert_shown(client, "h1", "You are not logged in").await;
    assert!(
        client
            .current_url()
            .await
            .expect("an address")
            .as_str()
            .starts_with(site)
    );

    // The provider asks again, because the logout ended its session, too. The login goes on to the requested page.
    client.goto(&format!("{site}/profile")).await.expect("a page");
    press(client, "Go to the provider").await;
    log_in_at_provider(client, "bob").await;
    press(client, "Continue").await;
    assert_shown(client, "p", &format!("{issuer} bob")).await;

    // A logout at the provider alone ends the session here.
    client.goto(&format!("{issuer}/session/end")).await.expect("a page");
    press(client, "Yes, sign me out").await;
    assert_shown(client, "h1", "Sign-out Success").await;
    client.goto(site).await.expect("the start page");
    assert_shown(client, "h1", "You are not logged in").await;
    press(client, "Log in").await;
    log_in(client, "carol").await;
}
