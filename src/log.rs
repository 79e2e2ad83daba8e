//! The log: JSON where Lambda asks for it, one line a request, and nothing that came from outside.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Method, Response};
use lambda_http::tracing::subscriber::filter::{LevelFilter, Targets};
use lambda_http::tracing::subscriber::layer::SubscriberExt as _;
use lambda_http::tracing::subscriber::util::SubscriberInitExt as _;
use lambda_http::tracing::subscriber::{fmt, registry};
use serde_json::json;
use time::OffsetDateTime;

use crate::config::Config;
use crate::metrics;
use crate::session::LazySession;

/// Starts logging to standard output, where Lambda collects it.
///
/// Our own events at the configured level; the libraries' only from warnings up, because below they show requests,
/// and with them cookies and credentials.
///
/// ```
/// # use lambda_session::config::Config;
/// # let config = Config::from_env(|name| match name {
/// #     "SECRET_KEY" => Some("a secret key of at least 32 bytes"),
/// #     "TABLE_NAME" => Some("sessions"),
/// #     _ => None,
/// # })?;
/// lambda_session::log::start(&config);
/// # Ok::<(), lambda_session::config::ConfigError>(())
/// ```
pub fn start(config: &Config) {
    let ours = LevelFilter::from_level(config.log_level.events);
    let filter = Targets::new()
        .with_default(ours.min(LevelFilter::WARN))
        .with_target(env!("CARGO_CRATE_NAME"), ours);
    let lines = fmt::layer().with_target(false).with_ansi(false);
    let registry = registry().with(filter);
    // An error means that a program around us logs already.
    let _ = if config.log_json {
        registry.with(lines.json().flatten_event(true)).try_init()
    } else {
        registry.with(lines).try_init()
    };
}

/// Logs why the function does not start, before [`start`] could: `json` if Lambda asked for it, at the one level that it
/// never drops.
///
/// ```
/// lambda_session::log::cannot_start("SECRET_KEY is not set", true);
/// ```
pub fn cannot_start(message: &str, json: bool) {
    if json {
        let timestamp = metrics::timestamp(OffsetDateTime::now_utc());
        let line = json!({ "timestamp": timestamp, "level": "FATAL", "message": message });
        // In one piece: `eprintln!` would write it token by token.
        eprint!("{}", line.to_string() + "\n");
    } else {
        eprintln!("{message}");
    }
}

/// Logs a panic as an event, by its place: its message can hold what came from outside, and would be several lines.
///
/// ```
/// lambda_session::log::panics();
/// ```
pub fn panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(event = "panic", place, "panicked; the message is not shown");
    }));
}

/// What a request did that a person watching would want to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody logged in.
    Login,
    /// Somebody logged out.
    Logout,
    /// Another site's request to log in or out was refused.
    Refused,
}

impl Event {
    fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Logout => "logout",
            Self::Refused => "refused",
        }
    }
}

/// Notes on a response what it is, for its line. A response that is replaced because the session could not be saved
/// loses the note: what failed did not happen.
///
/// ```
/// use http::Response;
/// use lambda_session::log::{self, Event};
///
/// let response = log::event(Event::Login, Response::new("welcome"));
/// assert_eq!(response.extensions().get(), Some(&Event::Login));
/// ```
#[must_use]
pub fn event<B>(event: Event, mut response: Response<B>) -> Response<B> {
    response.extensions_mut().insert(event);
    response
}

/// What a request's line says of the request; the rest is in its response.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// The page, by a name of ours.
    pub route: &'static str,
    /// Its method.
    pub method: &'a Method,
    /// Lambda's ID of the invocation, which its own lines carry too.
    pub request_id: Option<&'a str>,
    /// From the event to the answer.
    pub duration: Duration,
}

/// Writes a line for each request: in JSON with its metrics, whatever the level; otherwise as an event like others.
#[derive(Debug)]
pub struct RequestLog {
    json: bool,
    level: &'static str,
    function: String,
    /// Whether a request has been answered by this process.
    warm: AtomicBool,
}

impl RequestLog {
    /// A log as `config` wants it.
    ///
    /// ```
    /// # use lambda_session::config::Config;
    /// # let config = Config::from_env(|name| match name {
    /// #     "SECRET_KEY" => Some("a secret key of at least 32 bytes"),
    /// #     "TABLE_NAME" => Some("sessions"),
    /// #     _ => None,
    /// # })?;
    /// let lines = lambda_session::log::RequestLog::new(&config);
    /// # Ok::<(), lambda_session::config::ConfigError>(())
    /// ```
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            json: config.log_json,
            level: config.log_level.requests,
            function: config.function_name.clone().unwrap_or_default(),
            warm: AtomicBool::new(false),
        }
    }

    /// Writes a request's line.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use http::{Method, Response};
    /// # use lambda_session::log::{Line, RequestLog};
    /// # use lambda_session::config::Config;
    /// # let config = Config::from_env(|name| match name {
    /// #     "SECRET_KEY" => Some("a secret key of at least 32 bytes"),
    /// #     "TABLE_NAME" => Some("sessions"),
    /// #     _ => None,
    /// # })?;
    /// let line = Line { route: "/", method: &Method::GET, request_id: None, duration: Duration::from_millis(1) };
    /// RequestLog::new(&config).write(&line, &mut Response::new(()));
    /// # Ok::<(), lambda_session::config::ConfigError>(())
    /// ```
    pub fn write<B>(&self, line: &Line<'_>, response: &mut Response<B>) {
        let event = response.extensions_mut().remove::<Event>();
        let session = response.extensions_mut().remove::<LazySession>();
        let request = metrics::Answered {
            event: event.map_or("request", Event::name),
            route: line.route,
            method: standard(line.method),
            status: response.status().as_u16(),
            store_calls: session.map_or(0, |session| session.store_calls()),
            duration_ms: line.duration.as_secs_f64() * 1_000.0,
            request_id: line.request_id,
        };
        let cold = !self.warm.swap(true, Ordering::Relaxed);
        if self.json {
            let line = metrics::line(&request, self.level, &self.function, cold, OffsetDateTime::now_utc());
            // Without a standard output there is nowhere to say so.
            let _ = std::io::stdout().write_all(&line);
        } else {
            tracing::info!(
                event = request.event,
                route = request.route,
                method = request.method,
                status = request.status,
                store_calls = request.store_calls,
                duration_ms = request.duration_ms,
                request_id = request.request_id,
                "answered"
            );
        }
    }
}

/// Clients may send any token as a method; only the known ones are worth a name.
fn standard(method: &Method) -> &str {
    const KNOWN: [Method; 7] = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
        Method::PATCH,
    ];
    if KNOWN.contains(method) {
        method.as_str()
    } else {
        "other"
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::panic::{catch_unwind, take_hook};
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_panic_is_logged_by_its_place_and_without_its_message() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let lines = Mutex::new(file.reopen().unwrap());
        let subscriber = fmt().json().flatten_event(true).with_writer(lines).finish();
        tracing::subscriber::with_default(subscriber, || {
            panics();
            let panicked = catch_unwind(|| panic!("from outside"));
            // The other tests' panics are to be seen.
            drop(take_hook());
            panicked.unwrap_err();
        });
        let line = fs::read_to_string(file).unwrap();
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&line["event"], &line["level"]), (&json!("panic"), &json!("ERROR")));
        assert!(line["place"].as_str().unwrap().starts_with("src/log.rs:"), "{line}");
        assert!(!line.to_string().contains("from outside"), "{line}");
    }
}
