//! The app in a real browser: `cargo local`, or the app at `APP_URL`, such as that of `sam local start-api`.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use axum::Router;
use axum::response::Html;
use dev::PATIENCE;
use dev::browser::{in_browser, skip};
use dev::lambda::signal;
use dev::program::example;
use fantoccini::{Client, Locator};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::pages::every_page;
use crate::support::browser::{Look, assert_heading, follow, look};

/// A running `cargo local`. Dropping this value sends it SIGTERM, so that it can end the function that it started.
struct Local(Child);

impl Drop for Local {
    fn drop(&mut self) {
        if let Some(process) = self.0.id() {
            signal(process, "TERM");
        }
    }
}

/// Starts `cargo local`, and returns it with its address. Starts nothing if `APP_URL` is set.
async fn local() -> (Option<Local>, String) {
    if let Ok(address) = std::env::var("APP_URL") {
        return (None, address.trim_end_matches('/').to_owned());
    }
    let mut command = Command::new(example("local"));
    command
        .args(["--port", "0"])
        .env("LOCAL_FUNCTION", env!("CARGO_BIN_EXE_lambda-session-app"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut process = command.spawn().expect("the command");
    let mut printed = BufReader::new(process.stdout.take().expect("a pipe")).lines();
    let local = Local(process);
    let first = timeout(PATIENCE, printed.next_line())
        .await
        .expect("an address in time");
    let address = first.expect("a readable pipe").expect("a line");
    tokio::spawn(async move { while let Ok(Some(_)) = printed.next_line().await {} });
    (Some(local), address)
}

/// Does something in a browser that can reach the app. If no name server knows the name in `APP_URL`, `APP_ADDRESS` is
/// the address and port to connect to; the certificate there may be self-signed.
async fn visit<F>(test: &str, something: impl FnOnce(Client) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut flags = Vec::new();
    if let Ok(answering) = std::env::var("APP_ADDRESS") {
        let url: http::Uri = std::env::var("APP_URL").unwrap_or_default().parse().expect("a URL");
        let name = url.host().expect("a name");
        flags.push(format!("--host-resolver-rules=MAP {name}:443 {answering}"));
        flags.push("--ignore-certificate-errors".to_owned());
    }
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    in_browser(test, &flags, something).await;
}

/// Serves these pages by their paths, on an origin of its own.
async fn serve(pages: HashMap<String, String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound listener");
    let pages = Arc::new(pages);
    let app =
        Router::new().fallback(async move |uri: http::Uri| Html(pages.get(uri.path()).cloned().unwrap_or_default()));
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

async fn type_name(client: &Client, name: &str) {
    let field = client
        .wait()
        .for_element(Locator::Id("username"))
        .await
        .expect("a field");
    field.clear().await.expect("an empty field");
    field.send_keys(name).await.expect("a typed name");
    let button = client.find(Locator::Css("input[type=submit]")).await.expect("a button");
    button.click().await.expect("a click");
}

async fn run(client: &Client, script: &str) -> Value {
    client.execute(script, Vec::new()).await.expect(script)
}

#[tokio::test]
async fn a_visitor_logs_in_and_out_by_clicking() {
    let (_local, address) = local().await;
    visit("a_visitor_logs_in_and_out_by_clicking", |client| async move {
        client.goto(&address).await.expect("the start page");
        assert_heading(&client, "You are not logged in").await;
        follow(&client, "click here to log in").await;
        assert_heading(&client, "Login").await;
        type_name(&client, "admin").await;
        assert_heading(&client, "Logged in as admin").await;
        assert_eq!(client.current_url().await.expect("a URL").path(), "/");
        client
            .refresh()
            .await
            .expect("the same again, without a question about the form");
        assert_heading(&client, "Logged in as admin").await;
        follow(&client, "click here to log out").await;
        assert_heading(&client, "You are not logged in").await;

        // The next person at this computer presses "back", and sees no page from before the logout.
        for _ in 0..3 {
            client.back().await.expect("a page before");
            let seen = client.source().await.expect("a page");
            assert!(!seen.contains("Logged in as"), "{seen}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_mistake_is_explained_and_what_was_typed_is_kept() {
    let (_local, address) = local().await;
    visit(
        "a_mistake_is_explained_and_what_was_typed_is_kept",
        |client| async move {
            client.goto(&format!("{address}/login")).await.expect("the form");
            let focused = run(&client, "return document.activeElement.id").await;
            assert_eq!(focused, "username");
            let styled = run(
                &client,
                "return getComputedStyle(document.querySelector('main')).overflowWrap",
            )
            .await;
            assert_eq!(styled, "anywhere", "the policy lets the style sheet through");

            let typed = format!("\"><i>{}", "x".repeat(65));
            type_name(&client, &typed).await;
            let message = client
                .wait()
                .for_element(Locator::Id("mistake"))
                .await
                .expect("a message");
            assert!(message.text().await.expect("text").contains("longer than 64"));
            let kept = run(&client, "return document.activeElement.value").await;
            assert_eq!(kept, json!(typed));
            let outline = run(&client, "return getComputedStyle(document.activeElement).outlineStyle").await;
            assert_eq!(outline, "solid", "the focus is seen");

            type_name(&client, "admin").await;
            assert_heading(&client, "Logged in as admin").await;
        },
    )
    .await;
}

#[tokio::test]
async fn another_origin_logs_nobody_in_or_out() {
    let (_local, address) = local().await;
    let form = format!(
        "<form action=\"{address}/login\" method=post><input name=username value=mallory>\
         <button>win</button></form><a href=\"{address}/logout\">win more</a><img src=\"{address}/logout\" alt>"
    );
    let foreign = serve([("/".to_owned(), form)].into()).await;
    visit("another_origin_logs_nobody_in_or_out", |client| async move {
        client.goto(&format!("{address}/login")).await.expect("the form");
        type_name(&client, "admin").await;
        assert_heading(&client, "Logged in as admin").await;

        client.goto(&foreign).await.expect("another site");
        client
            .find(Locator::Css("button"))
            .await
            .expect("a button")
            .click()
            .await
            .expect("a click");
        assert_heading(&client, "You were not logged in").await;
        client.goto(&foreign).await.expect("another site");
        follow(&client, "win more").await;
        assert_heading(&client, "You were not logged out").await;
        client.goto(&address).await.expect("the start page");
        assert_heading(&client, "Logged in as admin").await;

        // The page that refused the logout offers a link that works.
        client.goto(&foreign).await.expect("another site");
        follow(&client, "win more").await;
        follow(&client, "click here to log out").await;
        assert_heading(&client, "You are not logged in").await;
    })
    .await;
}

/// The source of axe, a JavaScript library. `.ci/install` installs it and sets `AXE` to its path, and
/// `npm install --prefix target/ci axe-core` puts it where this function looks otherwise.
fn axe() -> Option<String> {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/ci/node_modules/axe-core/axe.min.js");
    let place = std::env::var_os("AXE").map_or(installed, Into::into);
    std::fs::read_to_string(place).ok()
}

/// Checks contrast, names, labels and landmarks by WCAG 2.2, levels A and AA, and that no page scrolls sideways at 320
/// pixels (criterion 1.4.10).
#[tokio::test]
async fn axe_finds_nothing_on_any_page_in_light_and_dark_wide_and_narrow() {
    const NAME: &str = "axe_finds_nothing_on_any_page_in_light_and_dark_wide_and_narrow";
    let Some(axe) = axe() else {
        return skip(NAME, "axe-core is not installed in target/ci");
    };
    let pages: Vec<_> = every_page()
        .await
        .into_iter()
        .map(|(name, page)| (format!("/{}", name.replace(' ', "-")), page))
        .collect();
    let paths: Vec<_> = pages.iter().map(|(path, _)| path.clone()).collect();
    let bad = "<!DOCTYPE html><title>x</title><p style=color:#aaa>pale</p>".to_owned();
    let pages = pages.into_iter().chain([("/bad".to_owned(), bad)]).collect();
    let address = serve(pages).await;
    in_browser(NAME, &[], |client| async move {
        client.goto(&format!("{address}/bad")).await.expect("a page");
        assert!(
            violations(&client, &axe).await.contains("color-contrast"),
            "the check works"
        );
        for (dark, width) in [(false, 1280), (false, 320), (true, 1280), (true, 320)] {
            let as_seen = Look { dark, width };
            look(&client, as_seen).await;
            for path in &paths {
                client.goto(&format!("{address}{path}")).await.expect("a page");
                assert_eq!(violations(&client, &axe).await, "[]", "{path} {as_seen:?}");
                let overflow = run(&client, "return document.documentElement.scrollWidth - innerWidth").await;
                assert!(
                    overflow.as_i64().is_some_and(|pixels| pixels <= 0),
                    "{path} {as_seen:?}: {overflow}"
                );
                let seen_width = run(&client, "return innerWidth").await;
                assert_eq!(seen_width, json!(width), "the page is as wide as asked for");
            }
        }
    })
    .await;
}

async fn violations(client: &Client, axe: &str) -> String {
    const RUN: &str = "
        const done = arguments[0];
        const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
        axe.run(document, { runOnly: tags }).then(
            ({ violations }) => done(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])),
            error => done(String(error)),
        );";
    client.execute(axe, Vec::new()).await.expect("axe");
    client
        .execute_async(RUN, Vec::new())
        .await
        .expect("a result")
        .to_string()
}
