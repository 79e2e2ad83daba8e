//! The example in Chromium, with virtual authenticators (WebAuthn Level 3, section 11).

use dev::browser::{assert_shown, command, fill, in_browser, press, run};
use dev::program::{Program, Table};
use fantoccini::{Client, Locator};
use serde_json::{Value, json};

use crate::site::{PROGRAM, USERS, users_table};

const NOT_PROVED: &str = "This passkey cannot be used here. Please try again, or with another one.";
const NOT_ALLOWED: &str =
    "That did not work: it was cancelled or took too long, or this device has no fitting passkey.";

/// A device that is plugged in, or built in (`internal`). Its user is there, and does what it asks.
struct Authenticator<'a> {
    client: &'a Client,
    id: String,
}

impl<'a> Authenticator<'a> {
    async fn plug_in(client: &'a Client, transport: &str) -> Self {
        Self::with(client, transport, true, true).await
    }

    async fn with(client: &'a Client, transport: &str, verifies: bool, keeps_keys: bool) -> Self {
        command(client, "WebAuthn.enable", json!({})).await;
        let options = json!({
            "protocol": "ctap2",
            "transport": transport,
            "hasResidentKey": keeps_keys,
            "hasUserVerification": verifies,
            "isUserVerified": verifies,
        });
        let added = command(
            client,
            "WebAuthn.addVirtualAuthenticator",
            json!({ "options": options }),
        )
        .await;
        let id = added["authenticatorId"].as_str().expect("an ID").to_owned();
        Self { client, id }
    }

    async fn credentials(&self) -> Vec<Value> {
        let found = command(
            self.client,
            "WebAuthn.getCredentials",
            json!({ "authenticatorId": self.id }),
        )
        .await;
        found["credentials"].as_array().expect("a list").clone()
    }

    async fn add(&self, credential: Value) {
        let parameters = json!({ "authenticatorId": self.id, "credential": credential });
        command(self.client, "WebAuthn.addCredential", parameters).await;
    }

    async fn verify(&self, is_verified: bool) {
        let parameters = json!({ "authenticatorId": self.id, "isUserVerified": is_verified });
        command(self.client, "WebAuthn.setUserVerified", parameters).await;
    }

    async fn unplug(self) {
        let parameters = json!({ "authenticatorId": self.id });
        command(self.client, "WebAuthn.removeVirtualAuthenticator", parameters).await;
    }
}

/// The address under which a browser makes passkeys: they belong to a host name, which 127.0.0.1 is not.
fn address(site: &Program) -> String {
    site.address().replace("127.0.0.1", "localhost")
}

async fn sign_up(client: &Client, site: &str, name: &str) {
    client.goto(&format!("{site}/signup")).await.expect("a page");
    fill(client, "name", name).await;
    press(client, "Sign up with a passkey").await;
}

async fn log_out(client: &Client, site: &str) {
    client.goto(site).await.expect("the start page");
    press(client, "Log out").await;
    assert_shown(client, "h1", "You are not logged in").await;
}

async fn text(client: &Client, css: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for element in client.find_all(Locator::Css(css)).await.expect(css) {
        texts.push(element.text().await.expect("a text"));
    }
    texts
}

#[tokio::test]
async fn a_person_signs_up_adds_a_device_loses_the_first_and_removes_it() {
    const NAME: &str = "a_person_signs_up_adds_a_device_loses_the_first_and_removes_it";
    let site = Program::server(PROGRAM, None, &[]).await;
    let address = address(&site);
    in_browser(NAME, &[], |first| async move {
        in_browser(NAME, &[], |second| async move { lose(&first, &second, &address).await }).await;
    })
    .await;
}

async fn lose(client: &Client, finder: &Client, site: &str) {
    let phone = Authenticator::plug_in(client, "internal").await;
    sign_up(client, site, "Alice").await;
    assert_shown(client, "h1", "Logged in as Alice").await;
    let inline = "const script = document.createElement('script'); script.textContent = 'window.ran = true'; \
                  document.body.append(script); return window.ran === undefined";
    assert_eq!(
        run(client, inline).await,
        true,
        "the policy lets no script through but the site's file"
    );
    let styled = run(client, "return getComputedStyle(document.body).overflowWrap").await;
    assert_eq!(styled, "anywhere", "the policy lets the style sheet through");

    // A device that has a passkey of the account makes no second one.
    press(client, "Your account").await;
    fill(client, "label", "the same").await;
    press(client, "Add a passkey").await;
    assert_shown(client, "p", "This device has a passkey of this account already.").await;
    let lost = phone.credentials().await.remove(0);
    phone.unplug().await;
    let key = Authenticator::plug_in(client, "usb").await;
    fill(client, "label", "a key").await;
    press(client, "Add a passkey").await;
    assert_shown(client, "p", "Your passkey is added.").await;

    // Whoever finds the phone, and its PIN, logs in with it.
    let phone = Authenticator::plug_in(finder, "internal").await;
    finder.goto(&format!("{site}/login")).await.expect("a page");
    phone.add(lost).await;
    press(finder, "Log in with a passkey").await;
    assert_shown(finder, "h1", "Logged in as Alice").await;

    press(client, "Remove The device of your sign-up").await;
    assert_shown(
        client,
        "p",
        "The passkey is removed, and all other devices are logged out.",
    )
    .await;
    finder.refresh().await.expect("a page");
    assert_shown(finder, "h1", "You are not logged in").await;
    press(finder, "Log in").await;
    press(finder, "Log in with a passkey").await;
    assert_shown(finder, "p", NOT_PROVED).await;
    press(client, "Remove a key").await;
    assert_shown(client, "p", "This is your only passkey. Please add another one first.").await;

    log_out(client, site).await;
    client.goto(&format!("{site}/account")).await.expect("a page");
    press(client, "Log in with a passkey").await;
    assert_shown(client, "h1", "Your account").await;
    assert_eq!(key.credentials().await.len(), 1);
}

#[tokio::test]
async fn a_password_begins_a_session_and_a_passkey_opens_the_account() {
    const NAME: &str = "a_password_begins_a_session_and_a_passkey_opens_the_account";
    let table = Table::new().await;
    users_table(&table).await;
    let site = Program::server(PROGRAM, Some(&table), &[("USERS_TABLE_NAME", USERS)]).await;
    let address = address(&site);
    in_browser(NAME, &[], |client| async move { step_up(&client, &address).await }).await;
}

async fn step_up(client: &Client, site: &str) {
    let [number, password] = ["number", "correct horse battery staple"];
    let phone = Authenticator::plug_in(client, "internal").await;
    sign_up(client, site, "Alice").await;
    press(client, "Your account").await;
    let account = text(client, "#account").await.remove(0);
    fill(client, "new", password).await;
    press(client, "Set the password").await;
    assert_shown(
        client,
        "p",
        "Your password is set, and all other devices are logged out.",
    )
    .await;
    press(client, "Make new codes").await;
    assert_shown(client, "h1", "Your recovery codes").await;
    let codes = text(client, "li code").await;
    assert_eq!(codes.len(), 8);
    log_out(client, site).await;

    // Another person has a passkey on the same device, and the browser does not offer it to Alice.
    sign_up(client, site, "Bob").await;
    assert_shown(client, "h1", "Logged in as Bob").await;
    log_out(client, site).await;

    press(client, "Log in").await;
    fill(client, number, &account).await;
    fill(client, "password", password).await;
    press(client, "Log in with the password").await;
    assert_shown(client, "h1", "Logged in as Alice").await;
    press(client, "Your account").await;
    assert_shown(client, "h1", "Is it you?").await;
    // Whoever has the password and the phone, and not its PIN, goes no further.
    phone.verify(false).await;
    press(client, "Confirm with a passkey").await;
    assert_shown(client, "p", NOT_ALLOWED).await;
    phone.verify(true).await;
    press(client, "Confirm with a passkey").await;
    assert_shown(client, "h1", "Your account").await;
    log_out(client, site).await;

    // Without the phone, a code lets Alice in.
    phone.unplug().await;
    press(client, "Log in").await;
    fill(client, "lost-number", &account).await;
    fill(client, "code", &codes[0]).await;
    press(client, "Log in with the code").await;
    assert_shown(client, "p", "You have 7 codes left.").await;
    let _key = Authenticator::plug_in(client, "usb").await;
    fill(client, "label", "a key").await;
    press(client, "Add a passkey").await;
    assert_shown(client, "p", "Your passkey is added.").await;
}

#[tokio::test]
async fn a_device_that_cannot_verify_its_user_or_keep_a_passkey_makes_no_account() {
    const NAME: &str = "a_device_that_cannot_verify_its_user_or_keep_a_passkey_makes_no_account";
    let site = Program::server(PROGRAM, None, &[]).await;
    let address = address(&site);
    in_browser(NAME, &[], |client| async move { unable(&client, &address).await }).await;
}

async fn unable(client: &Client, site: &str) {
    client.goto(site).await.expect("the start page");
    for (verifies, keeps_keys) in [(false, true), (true, false)] {
        let weak = Authenticator::with(client, "usb", verifies, keeps_keys).await;
        sign_up(client, site, "Alice").await;
        assert_shown(client, "p", NOT_ALLOWED).await;
        assert!(weak.credentials().await.is_empty());
        weak.unplug().await;
        client.goto(site).await.expect("the start page");
        assert_shown(client, "h1", "You are not logged in").await;
    }

    // A user who does not type the PIN at the sign-up, and one who does not at the login.
    let phone = Authenticator::plug_in(client, "internal").await;
    phone.verify(false).await;
    sign_up(client, site, "Alice").await;
    assert_shown(client, "p", NOT_ALLOWED).await;
    phone.verify(true).await;
    press(client, "Sign up with a passkey").await;
    assert_shown(client, "h1", "Logged in as Alice").await;
    log_out(client, site).await;
    phone.verify(false).await;
    press(client, "Log in").await;
    press(client, "Log in with a passkey").await;
    assert_shown(client, "p", NOT_ALLOWED).await;
    phone.verify(true).await;
    press(client, "Log in with a passkey").await;
    assert_shown(client, "h1", "Logged in as Alice").await;
}

#[tokio::test]
async fn a_copy_of_a_passkey_is_refused_once_the_passkey_was_used() {
    const NAME: &str = "a_copy_of_a_passkey_is_refused_once_the_passkey_was_used";
    let site = Program::server(PROGRAM, None, &[]).await;
    let address = address(&site);
    in_browser(NAME, &[], |first| async move {
        in_browser(NAME, &[], |second| async move { copy(&first, &second, &address).await }).await;
    })
    .await;
}

async fn copy(client: &Client, thief: &Client, site: &str) {
    let key = Authenticator::plug_in(client, "usb").await;
    sign_up(client, site, "Alice").await;
    assert_shown(client, "h1", "Logged in as Alice").await;
    let copied = key.credentials().await.remove(0);
    log_out(client, site).await;
    press(client, "Log in").await;
    press(client, "Log in with a passkey").await;
    assert_shown(client, "h1", "Logged in as Alice").await;

    let copy = Authenticator::plug_in(thief, "usb").await;
    thief.goto(&format!("{site}/login")).await.expect("a page");
    copy.add(copied).await;
    press(thief, "Log in with a passkey").await;
    assert_shown(thief, "p", NOT_PROVED).await;
    thief.goto(site).await.expect("the start page");
    assert_shown(thief, "h1", "You are not logged in").await;
}
