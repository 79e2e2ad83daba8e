//! The pages, in HTML. The start page and the form have the visible texts of the tutorial that the app follows.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, StatusCode};
use lambda_session::Refusal;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

/// The style sheet without line breaks and indentation, which would be sent with every page. So a line of pages.css may
/// end only where CSS needs no space.
static STYLE: LazyLock<String> = LazyLock::new(|| include_str!("pages.css").lines().map(str::trim).collect());

/// Allows the app's style sheet (by its hash), images in `data:` URLs and forms to the app itself, and nothing else
/// (CSP Level 3; OWASP CSP Cheat Sheet).
pub(crate) static CONTENT_SECURITY_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(&*STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).expect("base64 and the fixed text are visible ASCII")
});

/// The start page.
pub(crate) fn home(username: Option<&str>) -> Markup {
    match username {
        Some(username) => page(
            "Home",
            &html! {
                h1 { "Logged in as " (username) }
                p.next { (log_out_link()) }
            },
        ),
        None => page(
            "Home",
            &html! {
                h1 { "You are not logged in" }
                p.next { (log_in_link()) }
            },
        ),
    }
}

/// The login form. After a `mistake`, it shows what is wrong and what the visitor typed.
pub(crate) fn login(mistake: Option<(&str, &str)>) -> Markup {
    let (message, typed) = mistake.unzip();
    page(
        if message.is_some() { "Error: Login" } else { "Login" },
        &html! {
            h1 { "Login" }
            form action="/login" method="post" {
                label for="username" { "Username" }
                // No `maxlength`: browsers count UTF-16 units, and truncate pasted text silently.
                input #username name="username" type="text" value=[typed] required
                    autocomplete="username" autocapitalize="none" spellcheck="false" autofocus
                    aria-invalid=[message.map(|_| "true")] aria-describedby=[message.map(|_| "mistake")];
                @if let Some(message) = message {
                    p #mistake .mistake role="alert" { (message) }
                }
                p.next { input type="submit" value="Login"; }
            }
        },
    )
}

/// A page that says what went wrong and what to do next.
pub(crate) fn problem(status: StatusCode) -> Markup {
    let (title, advice) = match status {
        StatusCode::BAD_REQUEST => (
            "Request not understood",
            "What arrived here was damaged, perhaps by a broken link. Please start again.",
        ),
        StatusCode::NOT_FOUND => (
            "Page not found",
            "There is nothing at this address. Please check it, or go on from the start page.",
        ),
        StatusCode::METHOD_NOT_ALLOWED => (
            "Method not allowed",
            "This page cannot be used that way. Please go on from the start page.",
        ),
        StatusCode::CONFLICT => (
            "Session ended",
            "Your session ended while this was being done, perhaps in another tab. Nothing was saved. \
             Please start again.",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => ("Form too large", "The form you sent is too large. Please send less."),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => (
            "Form not understood",
            "What you sent is not a plain form. Please use the login page.",
        ),
        StatusCode::SERVICE_UNAVAILABLE => (
            "Please try again",
            "Your session cannot be reached at the moment, and what you just did may not have been saved. \
             Please try again in a few seconds.",
        ),
        _ => (
            "Something went wrong",
            "That failed because of a fault of this site. You did nothing wrong. Trying again will not help before the \
             fault is fixed.",
        ),
    };
    page(
        title,
        &html! {
            h1 { (title) }
            p { (advice) }
            p.next {
                @if matches!(status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNSUPPORTED_MEDIA_TYPE) {
                    (log_in_link())
                } @else {
                    a href="/" { b { "go to the start page" } }
                }
            }
        },
    )
}

/// The page for a login that another site sent. It links to the form, in case the person wants to log in.
pub(crate) fn refused_login() -> Markup {
    page(
        "You were not logged in",
        &html! {
            h1 { "You were not logged in" }
            p { "Another site tried to log you in. Nothing has changed. If you want to log in, do it here:" }
            p.next { (log_in_link()) }
        },
    )
}

/// The page for a logout that was refused. It links to the logout, in case the person wants to log out.
pub(crate) fn refused_logout(refusal: Refusal) -> Markup {
    let reason = match refusal {
        Refusal::Prefetch => "Your browser opened this page ahead of time.",
        _ => "Another site tried to log you out.",
    };
    page(
        "You were not logged out",
        &html! {
            h1 { "You were not logged out" }
            p { (reason) " Nothing has changed. If you want to log out, do it here:" }
            p.next { (log_out_link()) }
        },
    )
}

fn log_in_link() -> Markup {
    html! { a href="/login" { b { "click here to log in" } } }
}

fn log_out_link() -> Markup {
    html! { a.quiet href="/logout" { b { "click here to log out" } } }
}

fn page(title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " – lambda-session" }
                // Without this line, browsers would request /favicon.ico, which invokes the function once more.
                link rel="icon" href="data:,";
                style { (PreEscaped(&*STYLE)) }
            }
            body { main { (content) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shown_as_text_whatever_it_is() {
        let page = home(Some("</h1><script>&amp;")).into_string();
        assert!(
            page.contains("<h1>Logged in as &lt;/h1&gt;&lt;script&gt;&amp;amp;</h1>"),
            "{page}"
        );
        let again = login(Some(("Please shorten it.", "\"><i>"))).into_string();
        assert!(again.contains("value=\"&quot;&gt;&lt;i&gt;\""), "{again}");
        assert!(again.contains("Please shorten it."), "{again}");
    }

    /// The hash in the policy is that of `STYLE`, so the page has to contain exactly these bytes.
    #[test]
    fn the_style_sheet_is_one_line_that_cannot_end_its_element() {
        assert!(!STYLE.contains(['\n', '<']), "{}", &*STYLE);
    }
}
