//! The pages, in HTML.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use maud::{PreEscaped, html};
use openidconnect::url::Url;

use crate::page::{hash, page, policy};

/// The start page: the basket, and who is logged in.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) name: Option<String>,
    pub(crate) basket: Vec<String>,
}

impl IntoResponse for Home {
    fn into_response(self) -> Response {
        let content = html! {
            @match &self.name {
                Some(name) => h1 { "Logged in as " (name) },
                None => h1 { "You are not logged in" },
            }
            ul { @for item in &self.basket { li { (item) } } }
            form action="/basket" method="post" {
                label for="item" { "Put into the basket" }
                input #item name="item" required maxlength="100" autocomplete="off";
                button.quiet { "Add" }
            }
            nav {
                @if self.name.is_some() {
                    a.button href="/profile" { "Who you are" }
                    a href="/logout" { "Log out" }
                } @else {
                    form action="/login" method="post" { button { "Log in" } }
                }
            }
        };
        page("Home", &content)
    }
}

/// The page that shows the session's owner.
#[derive(Debug)]
pub(crate) struct Profile(pub(crate) String);

impl IntoResponse for Profile {
    fn into_response(self) -> Response {
        let content = html! {
            h1 { "Who you are" }
            p { (self.0) }
            nav {
                a.button href="/sessions" { "Your devices" }
                a href="/" { "Back to the start page" }
            }
        };
        page("Who you are", &content)
    }
}

/// The page that begins a login, or asks for a proof again.
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) next: String,
    /// Whether somebody is logged in who has to prove it again.
    pub(crate) again: bool,
}

impl IntoResponse for Login {
    fn into_response(self) -> Response {
        let title = if self.again { "Is it still you?" } else { "Log in" };
        let content = html! {
            h1 { (title) }
            p { "The provider will ask you who you are." }
            form action="/login" method="post" {
                input type="hidden" name="next" value=(self.next);
                @if self.again { input type="hidden" name="again" value="true"; }
                button { "Go to the provider" }
            }
        };
        page(title, &content)
    }
}

/// The page that sends the browser to the provider. A redirect would not do: browsers apply `form-action` to the
/// redirect of a form, too.
#[derive(Debug)]
pub(crate) struct ToProvider(pub(crate) Url);

impl IntoResponse for ToProvider {
    fn into_response(self) -> Response {
        let content = html! {
            h1 { "You are going to the provider" }
            nav { a.button href=(self.0) { "Go on" } }
        };
        let mut page = page("Log in", &content);
        let at_once = format!("0;url={}", self.0);
        let at_once = HeaderValue::try_from(at_once).expect("a URL is visible ASCII");
        page.headers_mut().insert(header::REFRESH, at_once);
        page
    }
}

/// The page that posts a form of another site again from this one. It alone may run a script.
#[derive(Debug)]
pub(crate) struct PassOn(pub(crate) Vec<(String, String)>);

impl IntoResponse for PassOn {
    fn into_response(self) -> Response {
        let content = html! {
            h1 { "You are being logged in" }
            form #pass-on action="/callback/posted" method="post" {
                @for (name, value) in &self.0 { input type="hidden" name=(name) value=(value); }
                // For browsers without scripts.
                button { "Go on" }
            }
            script { (PreEscaped(SCRIPT)) }
        };
        let mut page = page("Log in", &content);
        let policy = policy(&format!("; script-src {}", hash(SCRIPT)));
        page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
        page
    }
}

const SCRIPT: &str = "document.getElementById('pass-on').submit()";
