//! The pages, in HTML.

use std::sync::LazyLock;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use lambda_session::Flash;
use maud::{Markup, html};

use crate::ceremonies::encode;
use crate::page::{self, messages};
use crate::users::User;

/// The start page.
pub(crate) struct Home {
    pub(crate) user: Option<User>,
    pub(crate) flashes: Vec<Flash>,
}

impl IntoResponse for Home {
    fn into_response(self) -> Response {
        let content = html! {
            @match &self.user {
                Some(user) => h1 { "Logged in as " (user.name) },
                None => h1 { "You are not logged in" },
            }
            (messages(&self.flashes))
            nav {
                @if self.user.is_some() {
                    a.button href="/account" { "Your account" }
                    form action="/logout" method="post" { button.quiet { "Log out" } }
                } @else {
                    a.button href="/login" { "Log in" }
                    a href="/signup" { "Sign up" }
                }
            }
        };
        page("Home", &content)
    }
}

/// The forms to log in: by passkey, which asks for no name, and below by what a user types.
pub(crate) struct Login {
    pub(crate) next: String,
}

impl IntoResponse for Login {
    fn into_response(self) -> Response {
        let next = html! { input type="hidden" name="next" value=(self.next); };
        let content = html! {
            h1 { "Log in" }
            form action="/login" method="post" data-ceremony="get" data-begin="/login/begin" {
                (next)
                (ceremony("Log in with a passkey"))
            }
            h2 { "With a password" }
            form action="/login/password" method="post" {
                (next)
                label for="number" { "Number of the account" }
                input #number name="account" required autocomplete="username" autocapitalize="none" spellcheck="false";
                label for="password" { "Password" }
                input #password name="secret" type="password" required autocomplete="current-password";
                button.quiet { "Log in with the password" }
            }
            h2 { "With a recovery code" }
            form action="/login/recovery" method="post" {
                label for="lost-number" { "Number of the account" }
                input #lost-number name="account" required autocomplete="off" autocapitalize="none" spellcheck="false";
                label for="code" { "Recovery code" }
                input #code name="secret" required autocomplete="off" autocapitalize="none" spellcheck="false";
                button.quiet { "Log in with the code" }
            }
            nav { a href="/signup" { "Sign up" } }
        };
        page("Log in", &content)
    }
}

/// The form to sign up.
pub(crate) struct SignUp;

impl IntoResponse for SignUp {
    fn into_response(self) -> Response {
        let content = html! {
            h1 { "Sign up" }
            form action="/signup" method="post" data-ceremony="create" data-begin="/signup/begin" {
                label for="name" { "What shall we call you?" }
                input #name name="name" required maxlength="64" autofocus autocomplete="name";
                (ceremony("Sign up with a passkey"))
            }
        };
        page("Sign up", &content)
    }
}

/// The form of a user who is logged in to prove it again.
pub(crate) struct Confirm {
    pub(crate) next: String,
}

impl IntoResponse for Confirm {
    fn into_response(self) -> Response {
        let content = html! {
            h1 { "Is it you?" }
            form action="/confirm" method="post" data-ceremony="get" data-begin="/confirm/begin" {
                input type="hidden" name="next" value=(self.next);
                (ceremony("Confirm with a passkey"))
            }
            nav { a href="/" { "Back to the start page" } }
        };
        page("Is it you?", &content)
    }
}

/// All ways in which the user logs in.
pub(crate) struct Account {
    pub(crate) user: User,
    pub(crate) flashes: Vec<Flash>,
}

impl IntoResponse for Account {
    fn into_response(self) -> Response {
        let user = &self.user;
        let content = html! {
            h1 { "Your account" }
            (messages(&self.flashes))
            p { "The number of your account is " code #account { (user.id) } }
            h2 { "Passkeys" }
            ul {
                @for key in &user.keys {
                    li {
                        (key.label)
                        form action="/passkeys/remove" method="post" {
                            input type="hidden" name="id" value=(encode(key.passkey.cred_id()));
                            button.quiet aria-label=(format!("Remove {}", key.label)) { "Remove" }
                        }
                    }
                }
            }
            form action="/passkeys" method="post" data-ceremony="create" data-begin="/passkeys/begin" {
                label for="label" { "Name of another device" }
                input #label name="label" required maxlength="64" autocomplete="off";
                (ceremony("Add a passkey"))
            }
            h2 { "Recovery codes" }
            p { "You have " (user.codes.len()) " codes left." }
            form action="/codes" method="post" { button.quiet { "Make new codes" } }
            h2 { "Password" }
            form action="/password" method="post" {
                // Password managers look for this field.
                input type="hidden" name="username" value=(user.id) autocomplete="username";
                label for="new" { "New password, of at least 15 characters" }
                input #new name="password" type="password" required minlength="15" autocomplete="new-password";
                button.quiet { "Set the password" }
            }
            nav { a href="/" { "Back to the start page" } }
        };
        page("Your account", &content)
    }
}

/// New recovery codes, which no other page shows.
pub(crate) struct Codes {
    pub(crate) user: User,
    pub(crate) codes: Vec<String>,
}

impl IntoResponse for Codes {
    fn into_response(self) -> Response {
        let content = html! {
            h1 { "Your recovery codes" }
            p { "Print this page. If you lose every passkey, each code lets you in once, together with the number of \
                 your account: " code { (self.user.id) } }
            ul { @for code in &self.codes { li { code { (code) } } } }
            nav { a.button href="/account" { "Your account" } }
        };
        page("Your recovery codes", &content)
    }
}

/// What each form with a ceremony has: the field that the script fills in, the place for a problem, and the button.
fn ceremony(button: &str) -> Markup {
    html! {
        input type="hidden" name="credential";
        p.mistake role="alert" hidden {}
        noscript { p { "Passkeys need JavaScript." } }
        button { (button) }
    }
}

fn page(title: &str, content: &Markup) -> Response {
    let content = html! { (content) script src="/passkeys.js" defer {} };
    let mut page = page::page(title, &content);
    let headers = page.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    page
}

/// The one script of the site.
pub(crate) async fn script() -> Response {
    let kind = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")];
    (kind, include_str!("passkeys.js")).into_response()
}

/// Allows our one script, too, and what it fetches.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| page::policy("; script-src 'self'; connect-src 'self'"));
