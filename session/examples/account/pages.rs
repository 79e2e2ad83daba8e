//! The pages, in HTML.

use std::time::UNIX_EPOCH;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use lambda_session::{Absence, Flash, ListedSession};
use maud::{Markup, html};

use crate::page::{messages, page};

/// The start page: the form to log in, or who is logged in.
#[derive(Debug, Default)]
pub(crate) struct Home {
    pub(crate) username: Option<String>,
    pub(crate) visits: u64,
    pub(crate) flashes: Vec<Flash>,
    /// The problem with a login, and the name that was typed.
    pub(crate) mistake: Option<(String, &'static str)>,
}

impl Home {
    /// The form again, after a mistake.
    pub(crate) fn again(username: &str, mistake: &'static str) -> Self {
        Self {
            mistake: Some((username.to_owned(), mistake)),
            ..Self::default()
        }
    }
}

impl IntoResponse for Home {
    fn into_response(self) -> Response {
        let Some(username) = &self.username else {
            return self.login();
        };
        let content = html! {
            h1 { "Logged in as " (username) }
            (messages(&self.flashes))
            (visits(self.visits))
            form action="/flash" method="post" {
                label for="text" { "A message to yourself, shown once" }
                div { input #text name="text" required maxlength="200" autocomplete="off"; button { "Send" } }
            }
            nav {
                a.button href="/sessions" { "Your devices" }
                a href="/peek" { "How long am I logged in?" }
                form action="/logout" method="post" { button.quiet { "Log out" } }
            }
        };
        page("Home", &content)
    }
}

impl Home {
    fn login(&self) -> Response {
        let (typed, mistake) = self.mistake.as_ref().map(|(typed, mistake)| (typed, mistake)).unzip();
        let content = html! {
            h1 { "You are not logged in" }
            (messages(&self.flashes))
            form action="/login" method="post" {
                @if let Some(mistake) = mistake {
                    p #mistake .mistake role="alert" { (mistake) }
                }
                label for="username" { "Username" }
                input #username name="username" value=[typed] required autofocus[mistake.is_none()]
                    autocomplete="username" autocapitalize="none" spellcheck="false"
                    aria-invalid=[mistake.map(|_| "true")] aria-describedby=[mistake.map(|_| "mistake")];
                label for="password" { "Password" }
                input #password name="password" type="password" required autofocus[mistake.is_some()]
                    autocomplete="current-password"
                    aria-invalid=[mistake.map(|_| "true")] aria-describedby=[mistake.map(|_| "mistake")];
                label for="label" { "Name of this device " small { "(optional)" } }
                input #label name="label" maxlength="60" autocomplete="off" placeholder="such as “Laptop at home”";
                label.check { input name="remember" type="checkbox"; " Remember me for 30 days" }
                button { "Log in" }
            }
            p.hint {
                "This is a demonstration: log in as " b { "admin" } " or " b { "alice" } ", with the password "
                b { "correct horse battery staple" } "."
            }
            @if mistake.is_none() { (visits(self.visits)) }
        };
        page(if mistake.is_some() { "Error: Log in" } else { "Log in" }, &content)
    }
}

/// The devices that are logged in.
#[derive(Debug)]
pub(crate) struct Devices {
    pub(crate) list: Vec<ListedSession>,
    pub(crate) flashes: Vec<Flash>,
}

impl IntoResponse for Devices {
    fn into_response(self) -> Response {
        let now = UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_secs());
        let content = html! {
            h1 { "Your devices" }
            (messages(&self.flashes))
            ul {
                @for listed in &self.list {
                    @let label = listed.label.as_deref().unwrap_or("Unknown device");
                    li {
                        div {
                            strong { (label) }
                            @if listed.current { " " span.here { "this one" } }
                            p {
                                "Logged in " (ago(now, listed.created_at)) ", seen " (ago(now, listed.last_seen)) br;
                                "Expires in " (duration(listed.expires_at.saturating_sub(now)))
                            }
                        }
                        form action="/sessions/end" method="post" {
                            input type="hidden" name="handle" value=(listed.handle);
                            button.quiet aria-label={ "Log out " (label) } { "Log out" }
                        }
                    }
                }
            }
            nav {
                @if self.list.len() > 1 {
                    form action="/sessions/end-others" method="post" { button { "Log out everywhere else" } }
                }
                form action="/sessions/end-all" method="post" { button.quiet { "Log out everywhere" } }
                a href="/" { "Back to the start page" }
            }
        };
        page("Your devices", &content)
    }
}

/// How long the session still lasts, or why there is no session. The browser loads the page again every half minute,
/// which does not keep the session alive.
#[derive(Debug)]
pub(crate) struct TimeLeft {
    pub(crate) username: Option<String>,
    pub(crate) seconds_left: Option<u64>,
    pub(crate) absence: Option<Absence>,
}

impl IntoResponse for TimeLeft {
    fn into_response(self) -> Response {
        let text = match (&self.username, self.seconds_left, self.absence) {
            (Some(username), Some(seconds), _) => {
                format!("You are logged in as {username} for another {}.", duration(seconds))
            }
            (_, _, Some(Absence::Expired)) => "You were logged out because you were away.".to_owned(),
            (_, _, Some(Absence::Ended | Absence::Replaced)) => "You were logged out.".to_owned(),
            _ => "You are not logged in.".to_owned(),
        };
        let soon = self.seconds_left.is_some_and(|seconds| seconds < 5 * 60);
        let content = html! {
            h1 { "Time left" }
            // WCAG 2.2, 2.2.1: whoever has too little time is warned and can go on.
            p .flash[soon] role=[soon.then_some("alert")] { (text) }
            nav {
                @if self.username.is_some() {
                    a.button href="/" { "Stay logged in" }
                } @else {
                    a.button href="/" { "Log in" }
                }
            }
        };
        let mut page = page("Time left", &content);
        let again = HeaderValue::from_static("30");
        page.headers_mut().insert(header::REFRESH, again);
        page
    }
}

/// The form that asks for the password again.
pub(crate) fn confirmation(mistake: Option<&str>) -> Response {
    let content = html! {
        h1 { "Is it still you?" }
        form action="/confirm" method="post" {
            @if let Some(mistake) = mistake {
                p.mistake role="alert" { (mistake) }
            }
            label for="password" { "Password" }
            input #password name="password" type="password" required autofocus autocomplete="current-password";
            button { "Go on" }
        }
    };
    page("Is it still you?", &content)
}

fn visits(visits: u64) -> Markup {
    html! {
        form.visits action="/visits" method="post" {
            p { "Visits counted: " output { (visits) } }
            button.quiet { "Count one more" }
        }
    }
}

fn ago(now: u64, then: u64) -> String {
    match now.saturating_sub(then) {
        0..60 => "just now".to_owned(),
        seconds => format!("{} ago", duration(seconds)),
    }
}

fn duration(seconds: u64) -> String {
    let (number, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3_600 => (seconds / 60, "minute"),
        3_600..86_400 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}
