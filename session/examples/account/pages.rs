//! The pages, in HTML, and the headers that go with them.

use std::sync::LazyLock;
use std::time::UNIX_EPOCH;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambda_session::{Absence, Flash, ListedSession};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

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
            form.row action="/flash" method="post" {
                label for="text" { "A message to yourself, shown once" }
                div { input #text name="text" required maxlength="200" autocomplete="off"; button { "Send" } }
            }
            nav.next {
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
            form.login action="/login" method="post" {
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
            ul.devices {
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
            nav.next {
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
            nav.next {
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
        form.login action="/confirm" method="post" {
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

/// The page of a failure: the problem, and a link to the start page.
pub(crate) fn problem(status: StatusCode, text: &str) -> Response {
    let title = match status {
        StatusCode::UNAUTHORIZED => "You are not logged in",
        StatusCode::FORBIDDEN => "That was refused",
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::CONFLICT => "Session ended",
        StatusCode::SERVICE_UNAVAILABLE => "Please try again",
        status if status.is_server_error() => "Something went wrong",
        _ => "That does not work",
    };
    let content = html! {
        h1 { (title) }
        p { (text) }
        nav.next { a.button href="/" { "Go to the start page" } }
    };
    page(title, &content)
}

fn messages(flashes: &[Flash]) -> Markup {
    html! { @for flash in flashes { p.flash .(flash.level) role="status" { (flash) } } }
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

fn page(title: &str, content: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " – account" }
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
:root{color-scheme:light dark;-webkit-text-size-adjust:100%;--back:#f3f4f7;--card:#fff;--lead:#2456c7;--line:#7b8496;\
--faint:#5a6272;--tint:#e6edfc;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--back:#101216;--card:#1b1e25;--lead:#8fb2ff;--faint:#a3abba;--tint:#26304a;\
--bad:#ffb4ab}}
*{box-sizing:border-box}
body{display:grid;min-height:100svh;margin:0;padding:1rem;background:var(--back);\
font:1.0625rem/1.5 system-ui,sans-serif}
main{width:min(100%,30rem);margin:auto;padding:clamp(1.25rem,7vw,2.5rem);border-radius:1rem;background:var(--card);\
box-shadow:0 8px 32px #0002;overflow-wrap:anywhere}
main::before{content:'λ'/'';display:block;width:2.5rem;margin-bottom:1.5rem;border-radius:.75rem;\
background:var(--lead);color:var(--card);font:600 1.375rem/2.5rem serif;text-align:center}
h1{margin:0;font-size:clamp(1.3rem,6vw,1.5rem);line-height:1.25}
p{margin:.75rem 0 0}
label{display:block;margin:1rem 0 .4rem;font-weight:600}
small,.hint,li p{color:var(--faint);font-size:.9375rem;font-weight:400}
input,button,.button{width:100%;padding:.6rem 1rem;border:1px solid var(--line);border-radius:.6rem;background:none;\
color:inherit;font:inherit}
button,.button{display:block;border-color:#0000;background:var(--lead);color:var(--card);font-weight:600;\
text-align:center;text-decoration:none;cursor:pointer}
button:hover,.button:hover{opacity:.9}
.quiet{border-color:var(--line);background:none;color:inherit}
.login,.next,.row{margin-top:1.75rem}
.login button{margin-top:1.5rem}
.check{display:flex;gap:.6rem;align-items:center;font-weight:400}
.check input{width:1.15rem;height:1.15rem;margin:0;accent-color:var(--lead)}
.next{display:grid;gap:.75rem}
.next>a:not(.button){padding:.4rem;color:var(--lead);text-align:center}
.flash{margin-top:1.25rem;padding:.6rem 1rem;border-radius:.6rem;background:var(--tint)}
.flash.warning,.flash.error{background:none;border:1px solid var(--bad)}
.mistake{margin:0;color:var(--bad)}
[aria-invalid]{border-color:var(--bad)}
.visits,.row>div,li{display:flex;gap:.75rem;align-items:center;justify-content:space-between}
.visits{margin-top:1.75rem;padding-top:1.25rem;border-top:1px solid color-mix(in srgb,var(--line) 30%,#0000)}
.visits p{margin:0;white-space:nowrap}
output{font-weight:600}
.visits button,.row button,li button{width:auto;white-space:nowrap}
ul{margin:1.25rem 0 0;padding:0;list-style:none}
li{padding:1rem 0;border-top:1px solid color-mix(in srgb,var(--line) 30%,#0000)}
.visits,li{flex-wrap:wrap}
li>div{flex:1 1 13rem}
li:first-child{border-top:0}
li p{margin-top:.15rem}
.here{padding:.1rem .55rem;border-radius:1rem;background:var(--tint);font-size:.8125rem;white-space:nowrap}
:focus-visible{outline:3px solid var(--lead);outline-offset:2px}
";
