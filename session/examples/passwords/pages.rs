//! The pages, in HTML, and the headers that go with them.

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambda_session::Flash;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

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
            nav { a href="/" { "Back to the start page" } }
        };
        page("Your account", &content)
    }
}

/// The page of a failure: the problem, and a link to the start page.
pub(crate) fn problem(status: StatusCode, text: &str) -> Response {
    let title = match status {
        StatusCode::UNAUTHORIZED => "You are not logged in",
        StatusCode::FORBIDDEN => "That was refused",
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::CONFLICT => "Session ended",
        StatusCode::TOO_MANY_REQUESTS => "Too many attempts",
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

fn messages(flashes: &[Flash]) -> Markup {
    html! { @for flash in flashes { p.flash .(flash.level) role="status" { (flash) } } }
}

fn mistake(mistake: Option<&str>) -> Markup {
    html! { @if let Some(mistake) = mistake { p.mistake role="alert" { (mistake) } } }
}

fn page(title: &str, content: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " – passwords" }
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

/// Allows our one style sheet by its hash, images in the page, and forms to this site; nothing else.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).expect("base64 and the fixed text are visible ASCII")
});

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
.check input{width:auto}
nav{margin-top:2rem;text-align:center}
.flash,.mistake{padding:.6rem 1rem;border:1px solid}
:focus-visible{outline:3px solid #2456c7;outline-offset:2px}
";
