//! The pages, in HTML.

use axum::response::{IntoResponse, Response};
use lambda_session::Flash;
use maud::{Markup, html};

use crate::page::{messages, page};

/// The start page: the basket, and who is logged in.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) name: Option<String>,
    pub(crate) basket: Vec<String>,
    pub(crate) flashes: Vec<Flash>,
}

impl IntoResponse for Home {
    fn into_response(self) -> Response {
        let content = html! {
            @match &self.name {
                Some(name) => h1 { "Logged in as " (name) },
                None => h1 { "You are not logged in" },
            }
            (messages(&self.flashes))
            ul { @for item in &self.basket { li { (item) } } }
            form action="/basket" method="post" {
                label for="item" { "Put into the basket" }
                input #item name="item" required maxlength="100" autocomplete="off";
                button.quiet { "Add" }
            }
            nav {
                @if self.name.is_some() {
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

/// The form to log in.
#[derive(Debug, Default)]
pub(crate) struct Login {
    /// The name that was typed before.
    pub(crate) username: String,
    pub(crate) next: String,
    pub(crate) mistake: Option<&'static str>,
}

impl IntoResponse for Login {
    fn into_response(self) -> Response {
        let content = html! {
            h1 { "Log in" }
            form action="/login" method="post" {
                (mistake(self.mistake))
                input type="hidden" name="next" value=(self.next);
                label for="username" { "Username" }
                input #username name="username" value=(self.username) required autofocus[self.mistake.is_none()]
                    autocomplete="username" autocapitalize="none" spellcheck="false";
                label for="password" { "Password" }
                input #password name="password" type="password" required autofocus[self.mistake.is_some()]
                    autocomplete="current-password";
                label.check { input name="remember" type="checkbox"; " Remember me for 30 days" }
                button { "Log in" }
            }
            nav { a href="/signup" { "Sign up" } }
        };
        page("Log in", &content)
    }
}

/// The form to sign up.
#[derive(Debug, Default)]
pub(crate) struct SignUp {
    /// The name that was typed before.
    pub(crate) username: String,
    pub(crate) mistake: Option<&'static str>,
}

impl IntoResponse for SignUp {
    fn into_response(self) -> Response {
        let content = html! {
            h1 { "Sign up" }
            form action="/signup" method="post" {
                (mistake(self.mistake))
                label for="username" { "Username" }
                input #username name="username" value=(self.username) required autofocus
                    autocomplete="username" autocapitalize="none" spellcheck="false";
                label for="password" { "Password, of at least 15 characters" }
                input #password name="password" type="password" required minlength="15" autocomplete="new-password";
                button { "Sign up" }
            }
        };
        page("Sign up", &content)
    }
}

/// The form to change the password.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) flashes: Vec<Flash>,
    pub(crate) mistake: Option<&'static str>,
}

impl IntoResponse for Account {
    fn into_response(self) -> Response {
        let content = html! {
            h1 { "Your account" }
            (messages(&self.flashes))
            form action="/password" method="post" {
                (mistake(self.mistake))
                // Password managers look for this field.
                input type="hidden" name="username" value=(self.name) autocomplete="username";
                label for="current" { "Current password" }
                input #current name="current" type="password" required autocomplete="current-password";
                label for="new" { "New password, of at least 15 characters" }
                input #new name="new" type="password" required minlength="15" autocomplete="new-password";
                button { "Change the password" }
            }
            nav {
                a href="/sessions" { "Your devices" }
                a href="/" { "Back to the start page" }
            }
        };
        page("Your account", &content)
    }
}

/// The form that asks for the password again.
#[derive(Debug, Default)]
pub(crate) struct Confirm {
    pub(crate) next: String,
    pub(crate) mistake: Option<&'static str>,
}

impl IntoResponse for Confirm {
    fn into_response(self) -> Response {
        let content = html! {
            h1 { "Is it still you?" }
            form action="/confirm" method="post" {
                (mistake(self.mistake))
                input type="hidden" name="next" value=(self.next);
                label for="password" { "Password" }
                input #password name="password" type="password" required autofocus autocomplete="current-password";
                button { "Go on" }
            }
        };
        page("Is it still you?", &content)
    }
}

fn mistake(mistake: Option<&str>) -> Markup {
    html! { @if let Some(mistake) = mistake { p.mistake role="alert" { (mistake) } } }
}
