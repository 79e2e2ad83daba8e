//! The pages, in HTML.

use maud::{DOCTYPE, Markup, html};

/// The start page of a visitor.
pub(crate) fn welcome() -> Markup {
    page(
        "Welcome",
        &html! {
            p { "You are not logged in." }
            p { a href="/login" { "Log in" } }
        },
    )
}

/// The start page of somebody who is logged in.
pub(crate) fn home(name: &str, visits: i64) -> Markup {
    page(
        "Home",
        &html! {
            p { "Logged in as " b { (name) } ". Visit number " (visits) "." }
            form action="/logout" method="post" { button { "Log out" } }
        },
    )
}

/// The login form, with a message if the name was refused.
pub(crate) fn login(mistake: Option<&str>) -> Markup {
    page(
        "Login",
        &html! {
            form action="/login" method="post" {
                label { "Username " input name="username" required autofocus autocomplete="username"; }
                @if let Some(mistake) = mistake { p role="alert" { (mistake) } }
                button { "Log in" }
            }
            p { "This demonstration trusts any name: there is no password." }
        },
    )
}

fn page(title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { (title) }
                // Without this, every page would call the function a second time, for /favicon.ico.
                link rel="icon" href="data:,";
                style {
                    ":root{color-scheme:light dark;font:1.1rem/1.5 system-ui}\
                     body{max-width:30rem;margin:2rem auto;padding:0 1rem}input,button{font:inherit}"
                }
            }
            body { h1 { (title) } (content) }
        }
    }
}
