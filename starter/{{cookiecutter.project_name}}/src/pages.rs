//! The pages, in HTML.

use std::sync::LazyLock;

use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

/// The style sheet of every page.
const STYLE: &str = ":root{color-scheme:light dark;font:1.1rem/1.5 system-ui}\
    body{max-width:30rem;margin:2rem auto;padding:0 1rem}input,button{font:inherit}";

/// The `Content-Security-Policy`: the style sheet, which it names by its hash, and nothing else is used, no script
/// runs, forms are sent to this site only, and no other site shows a page in a frame. Extend this for what your pages
/// load.
pub(crate) static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; img-src data:; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).expect("base64 and the fixed text are visible ASCII")
});

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
                style { (PreEscaped(STYLE)) }
            }
            body { h1 { (title) } (content) }
        }
    }
}
