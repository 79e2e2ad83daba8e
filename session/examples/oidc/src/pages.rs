//! The pages, in HTML, and the headers that go with them.

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

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
                    a.button href="/login" { "Log in" }
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
            nav { a href="/" { "Back to the start page" } }
        };
        page("Who you are", &content)
    }
}

/// The page that posts a form of another site again from this one.
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
        page("Log in", &content)
    }
}

/// The page of a failure: the problem, and a link to the start page.
pub(crate) fn problem(status: StatusCode, text: &str) -> Response {
    let title = match status {
        StatusCode::FORBIDDEN => "You are not logged in",
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::CONFLICT => "Session ended",
        StatusCode::SERVICE_UNAVAILABLE => "Please try again",
        status if status.is_server_error() => "Something went wrong",
        _ => "That does not work",
    };
    let content = html! {
        h1 { (title) }
        p { (text) }
        nav { a.button href="/" { "Go to the start page" } }
    };
    page(title, &content)
}

fn page(title: &str, content: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " – oidc" }
                // Without this, every view would also ask for /favicon.ico.
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body { main { (content) } }
        }
    };
    Html(page.into_string()).into_response()
}

/// The headers of every answer.
pub(crate) fn set_headers(headers: &mut HeaderMap, secure: bool) {
    let fixed = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // `no-referrer` would make browsers send `Origin: null` with our own forms.
        (header::REFERRER_POLICY, "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    if secure {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
}

/// Allows our one style sheet and our one script by their hashes, images in the page, and forms to this site; nothing
/// else.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let [style, script] = [STYLE, SCRIPT].map(|text| STANDARD.encode(Sha256::digest(text)));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; img-src data:; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).expect("base64 and the fixed text are visible ASCII")
});

const SCRIPT: &str = "document.getElementById('pass-on').submit()";

const STYLE: &str = "
:root{color-scheme:light dark}
*{box-sizing:border-box}
body{max-width:30rem;margin:2rem auto;padding:0 1rem;font:1.0625rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
label{display:block;margin:1rem 0 .3rem}
input,button,.button{width:100%;padding:.6rem 1rem;border:1px solid #888;border-radius:.5rem;background:none;\
color:inherit;font:inherit}
button,.button{display:block;margin-top:1rem;border-color:#0000;background:#2456c7;color:#fff;text-align:center;\
text-decoration:none;cursor:pointer}
.quiet{border-color:#888;background:none;color:inherit}
nav{margin-top:2rem;text-align:center}
:focus-visible{outline:3px solid #2456c7;outline-offset:2px}
";
