//! The example's pages, as a person with two browsers sees them.

use dev::browser::{assert_shown, fill, in_browser, press, run};
use dev::program::Program;
use fantoccini::Client;

use super::site::{ANOTHER, PASSWORD, WRONG};
use crate::support::example;

#[tokio::test]
async fn a_person_signs_up_and_a_change_of_password_logs_the_other_browser_out() {
    const NAME: &str = "a_person_signs_up_and_a_change_of_password_logs_the_other_browser_out";
    let site = Program::server(example("passwords"), None, &[]).await;
    let address = site.address().to_owned();
    in_browser(NAME, &[], |first| async move {
        in_browser(NAME, &[], |second| async move { walk(&first, &second, &address).await }).await;
    })
    .await;
}

async fn log_in(client: &Client, password: &str) {
    fill(client, "username", "alice").await;
    fill(client, "password", password).await;
    press(client, "Log in").await;
}

async fn walk(first: &Client, second: &Client, address: &str) {
    first.goto(address).await.expect("the start page");
    let styled = "return getComputedStyle(document.querySelector('main')).overflowWrap";
    let styled = run(first, styled).await;
    assert_eq!(styled, "anywhere", "the policy lets the style sheet through");
    fill(first, "item", "tea").await;
    press(first, "Add").await;
    assert_shown(first, "li", "tea").await;
    press(first, "Sign up").await;
    fill(first, "username", "Alice").await;
    fill(first, "password", PASSWORD).await;
    press(first, "Sign up").await;
    assert_shown(first, "h1", "Logged in as alice").await;
    assert_shown(first, "li", "tea").await;

    second.goto(&format!("{address}/account")).await.expect("a page");
    assert_shown(second, "h1", "Log in").await;
    log_in(second, WRONG).await;
    assert_shown(second, "p", "The username or the password is wrong.").await;
    log_in(second, PASSWORD).await;
    assert_shown(second, "h1", "Your account").await;

    press(first, "Your account").await;
    fill(first, "current", PASSWORD).await;
    fill(first, "new", ANOTHER).await;
    press(first, "Change the password").await;
    assert_shown(
        first,
        "p",
        "Your password is changed, and all other devices are logged out.",
    )
    .await;
    second.refresh().await.expect("the same page");
    assert_shown(second, "h1", "Log in").await;
    log_in(second, PASSWORD).await;
    assert_shown(second, "p", "The username or the password is wrong.").await;

    log_in(second, ANOTHER).await;
    assert_shown(second, "h1", "Your account").await;
    press(first, "Your devices").await;
    press(first, "Log out everywhere else").await;
    assert_shown(first, "p", "All other devices are logged out.").await;
    second.refresh().await.expect("the same page");
    assert_shown(second, "h1", "Log in").await;
    // The form that asks for the password again.
    first
        .goto(&format!("{address}/confirm?next=/sessions"))
        .await
        .expect("a page");
    fill(first, "password", WRONG).await;
    press(first, "Go on").await;
    assert_shown(first, "p", "The password is wrong.").await;
    fill(first, "password", ANOTHER).await;
    press(first, "Go on").await;
    assert_shown(first, "p", "You are logged in on 1 device.").await;

    press(first, "Back to the start page").await;
    assert_shown(first, "li", "tea").await;
    press(first, "Log out").await;
    assert_shown(first, "h1", "You are not logged in").await;
}
