//! The example's pages, as two people with Chromium see them.

use dev::browser::{assert_shown, command, fill, in_browser, press, run};
use fantoccini::Client;
use serde_json::json;

use super::site::{PASSWORD, Site};

/// Saves a picture of the page in the folder that `SCREENSHOTS` names.
async fn picture(client: &Client, name: &str) {
    if let Some(folder) = std::env::var_os("SCREENSHOTS") {
        let png = client.screenshot().await.expect("a picture");
        std::fs::write(std::path::Path::new(&folder).join(format!("account-{name}.png")), png).expect("a file");
    }
}

/// Makes the page dark and narrow: WCAG 2.2, 1.4.10, names a width of 320 pixels.
async fn be_a_phone(client: &Client) {
    let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] });
    command(client, "Emulation.setEmulatedMedia", media).await;
    let size = json!({ "width": 320, "height": 900, "deviceScaleFactor": 1, "mobile": false });
    command(client, "Emulation.setDeviceMetricsOverride", size).await;
}

/// Checks that the page need not be scrolled sideways.
async fn assert_fits(client: &Client, name: &str) {
    picture(client, name).await;
    let overflow = run(client, "return document.documentElement.scrollWidth - innerWidth").await;
    assert!(
        overflow.as_i64().is_some_and(|pixels| pixels <= 0),
        "{name}: {overflow}"
    );
}

async fn log_in(client: &Client, address: &str, label: &str) {
    client.goto(address).await.expect("the start page");
    fill(client, "username", "alice").await;
    fill(client, "password", PASSWORD).await;
    fill(client, "label", label).await;
    press(client, "Log in").await;
    assert_shown(client, "h1", "Logged in as alice").await;
}

#[tokio::test]
async fn one_browser_logs_the_other_out() {
    const NAME: &str = "one_browser_logs_the_other_out";
    let site = Site::server(None).await;
    let address = site.address().to_owned();
    let large = ["--window-size=1000,1100"];
    in_browser(NAME, &large, |first| async move {
        in_browser(
            NAME,
            &large,
            |second| async move { walk(&first, &second, &address).await },
        )
        .await;
    })
    .await;
}

async fn walk(first: &Client, second: &Client, address: &str) {
    first.goto(address).await.expect("the start page");
    assert_shown(first, "h1", "You are not logged in").await;
    let styled = run(
        first,
        "return getComputedStyle(document.querySelector('main')).overflowWrap",
    )
    .await;
    assert_eq!(styled, "anywhere", "the policy lets the style sheet through");
    picture(first, "login").await;

    // What was counted before the login is still there after it.
    press(first, "Count one more").await;
    assert_shown(first, "output", "1").await;
    fill(first, "username", "alice").await;
    fill(first, "password", "wrong").await;
    press(first, "Log in").await;
    assert_shown(first, "p", "The username or the password is wrong.").await;
    let kept = "return [document.activeElement.id, document.activeElement.value, username.value]";
    assert_eq!(run(first, kept).await, json!(["password", "", "alice"]));
    picture(first, "mistake").await;
    log_in(first, address, "").await;
    assert_shown(first, "output", "1").await;
    press(first, "Count one more").await;
    assert_shown(first, "output", "2").await;

    fill(first, "text", "Remember the milk").await;
    press(first, "Send").await;
    assert_shown(first, "p", "Remember the milk").await;
    picture(first, "home").await;
    first.refresh().await.expect("the same page");
    assert_shown(first, "output", "2").await;
    assert!(!first.source().await.expect("a page").contains("milk"));

    be_a_phone(second).await;
    log_in(second, address, "Phone").await;
    assert_fits(second, "phone").await;
    press(second, "Your devices").await;
    assert_shown(second, "h1", "Your devices").await;
    assert_fits(second, "phone-devices").await;
    press(first, "Your devices").await;
    assert_shown(first, "h1", "Your devices").await;
    assert_shown(first, "strong", "Chrome on Linux").await;
    assert_shown(first, "strong", "Phone").await;
    picture(first, "devices").await;
    press(first, "Log out Phone").await;
    assert_shown(first, "p", "That device is logged out.").await;
    assert!(!first.source().await.expect("a page").contains("Phone"));
    picture(first, "ended").await;

    // The second browser has been logged out, so the page that it has open can do nothing.
    press(second, "Log out Chrome on Linux").await;
    assert_shown(second, "p", "Please log in first.").await;
    assert_shown(first, "h1", "Your devices").await;
    second.goto(address).await.expect("the start page");
    second.refresh().await.expect("the same page");
    assert_shown(second, "h1", "You are not logged in").await;
    assert_fits(second, "phone-login").await;
    first.goto(&format!("{address}/elsewhere")).await.expect("a page");
    assert_shown(first, "h1", "Not found").await;
    picture(first, "problem").await;
    press(first, "Go to the start page").await;
    assert_shown(first, "h1", "Logged in as alice").await;
    press(first, "Log out").await;
    assert_shown(first, "h1", "You are not logged in").await;
}
