//! The log: one line for each request, without any text from the request.
//!
//! In JSON, the line of an ordinary view has about 205 bytes. docs/cost.md says what they cost:
//!
//! ```json
//! {"timestamp":"2026-01-01T00:00:00.123456Z","level":"INFO","event":"request","route":"/","method":"GET","status":200,
//!  "store_calls":1,"duration_ms":1.234,"request_id":"8476a536-e9f4-11e8-9739-2dfe598c3fcd"}
//! ```
//!
//! The template's metric filters read these fields, so a new name here needs a new pattern there:
//!
//! - `$.event`: `request`, or what the request did: `login`, `logout`, `refused`;
//! - `$.event = "store failure"`: a separate line at level `ERROR`, which the library writes for each request that
//!   failed because the store was unavailable or rejected a call;
//! - `$.cold`: `true` on the first request's line, absent on the others.
//!
//! The lines of requests are at level `INFO`. If the log level is `WARN` or higher, the filters count only failures.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use lambda_http::tracing::subscriber::filter::{LevelFilter, Targets};
use lambda_http::tracing::subscriber::fmt::MakeWriter;
use lambda_http::tracing::subscriber::fmt::format::Writer;
use lambda_http::tracing::subscriber::fmt::time::{FormatTime as _, SystemTime};
use lambda_http::tracing::subscriber::layer::SubscriberExt as _;
use lambda_http::tracing::subscriber::registry::LookupSpan;
use lambda_http::tracing::subscriber::util::SubscriberInitExt as _;
use lambda_http::tracing::subscriber::{Layer, fmt, registry};
use serde::Serialize;
use serde_json::json;
use tracing::{Level, Subscriber};

use crate::config::Config;
use crate::xray;

/// The log of the requests. Clones share their state.
#[derive(Clone)]
pub(crate) struct Log {
    /// Whether the level lets the lines of requests through.
    shows_requests: bool,
    is_json: bool,
    /// Whether this process has answered a request.
    warm: Arc<AtomicBool>,
}

/// Starts logging to standard output, which Lambda collects, and sending spans if the configuration turns traces on.
/// From then on a panic is a line of the log, too.
///
/// Events of the library and of the app are logged at the configured level. Events of other crates are logged only from
/// `WARN` up, because those below show requests, and with them cookies and credentials.
pub(crate) fn start(config: &Config) -> Log {
    let ours = LevelFilter::from_level(config.log_level);
    let filter = Targets::new()
        .with_default(ours.min(LevelFilter::WARN))
        .with_target("lambda_session", ours)
        .with_target(env!("CARGO_CRATE_NAME"), ours);
    // The filter is set for all layers at once: with a filter of a single layer, `enabled!` would be true in other
    // crates. `try_init` fails only if a subscriber has been set before, and nothing before this line sets one.
    let _ = match config.daemon.and_then(|daemon| xray::layer(daemon).ok()) {
        None => registry()
            .with(filter)
            .with(lines(config.log_json, io::stdout))
            .try_init(),
        Some(spans) => {
            // Spans are at `DEBUG`, whatever the level of the log's lines is.
            let all = filter
                .clone()
                .with_target("lambda_session", ours.max(LevelFilter::DEBUG));
            let lines = lines(config.log_json, io::stdout).with_filter(filter);
            registry().with(all).with(spans).with(lines).try_init()
        }
    };
    panics();
    Log {
        shows_requests: config.log_level >= Level::INFO,
        is_json: config.log_json,
        warm: Arc::default(),
    }
}

impl Log {
    /// Writes the line of a request.
    pub(crate) fn write(&self, line: &Line) {
        let cold = !self.warm.swap(true, Ordering::Relaxed);
        // Do not call `tracing::enabled!` here: without an event after it, a layer's filter drops the next span.
        if self.shows_requests && self.is_json {
            // Like `tracing`, it ignores a line that cannot be written.
            let _ = io::stdout().write_all(&line.to_json(cold));
        } else if self.shows_requests {
            line.trace(cold);
        }
    }
}

fn lines<S, W>(json: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_target(false).with_ansi(false).with_writer(writer);
    if json {
        // An event's fields stand beside its time and level, without the spans around it.
        let lines = lines.json().flatten_event(true);
        lines.with_current_span(false).with_span_list(false).boxed()
    } else {
        lines.boxed()
    }
}

/// Logs why the function does not start. It can be called before [`start`]. If `json`, the line is JSON at level
/// `FATAL`, which Lambda never drops.
pub(crate) fn cannot_start(message: &str, json: bool) {
    if json {
        let line = json!({ "timestamp": timestamp(), "level": "FATAL", "message": message });
        // One string, because `eprintln!` would write the value token by token.
        eprint!("{}", line.to_string() + "\n");
    } else {
        eprintln!("{message}");
    }
}

/// The present time in UTC, as `tracing` writes it.
fn timestamp() -> String {
    let mut timestamp = String::with_capacity("2026-01-01T00:00:00.123456Z".len());
    let _ = SystemTime.format_time(&mut Writer::new(&mut timestamp));
    timestamp
}

/// Logs each panic as an event that names its place in the source. The panic's message is not logged, because it can
/// contain text from a request, and would take several lines.
fn panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(event = "panic", place, "panicked; the message is not shown");
    }));
}

/// What a request did, if CloudWatch counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Somebody logged in.
    Login,
    /// Somebody logged out.
    Logout,
    /// A request to log in or out was refused, because another site sent it or the browser prefetched it.
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

/// What is logged about a request.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) event: Option<Event>,
    /// The route's name, which is never text from the request.
    pub(crate) route: &'static str,
    /// `None` if the event is not an HTTP request, or its request cannot be read.
    pub(crate) method: Option<Method>,
    pub(crate) status: StatusCode,
    pub(crate) store_calls: u32,
    /// The time from the event to the answer.
    pub(crate) duration: Duration,
    /// Lambda's ID of the invocation, which Lambda's own log lines have, too.
    pub(crate) request_id: Option<String>,
}

impl Line {
    /// The line in JSON: the bytes that [`trace`](Self::trace) makes `tracing` write, for fewer than half as many
    /// instructions.
    fn to_json(&self, cold: bool) -> Vec<u8> {
        #[derive(Serialize)]
        struct Json<'a> {
            timestamp: String,
            level: &'static str,
            event: &'static str,
            route: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            method: Option<&'a str>,
            status: u16,
            store_calls: u32,
            duration_ms: f64,
            #[serde(skip_serializing_if = "Option::is_none")]
            request_id: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            cold: Option<bool>,
        }
        let line = Json {
            timestamp: timestamp(),
            level: "INFO",
            event: self.event.map_or("request", Event::name),
            route: self.route,
            method: self.method.as_ref().map(standard),
            status: self.status.as_u16(),
            store_calls: self.store_calls,
            duration_ms: milliseconds(self.duration),
            request_id: self.request_id.as_deref(),
            cold: cold.then_some(true),
        };
        // Nearly all lines are shorter than this.
        let mut json = Vec::with_capacity(256);
        serde_json::to_writer(&mut json, &line).expect("text and numbers have a form in JSON");
        json.push(b'\n');
        json
    }

    /// Sends the line to `tracing`.
    fn trace(&self, cold: bool) {
        tracing::info!(
            event = self.event.map_or("request", Event::name),
            route = self.route,
            method = self.method.as_ref().map(standard),
            status = self.status.as_u16(),
            store_calls = self.store_calls,
            duration_ms = milliseconds(self.duration),
            request_id = self.request_id,
            cold = cold.then_some(true),
        );
    }
}

/// Rounds to three decimal places, because CloudWatch bills the log by its bytes.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}

/// The method's name if it is a standard one, else `other`: a client may send any token as a method.
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

    use serde_json::Value;

    use super::*;

    /// The lines that are logged in JSON while `something` runs.
    fn logged(something: impl FnOnce()) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        let lines = Mutex::new(file.reopen().unwrap());
        tracing::subscriber::with_default(registry().with(super::lines(true, lines)), something);
        fs::read_to_string(file).unwrap()
    }

    #[test]
    fn a_panic_is_logged_by_its_place_and_without_its_message() {
        // From here on, what other tests log is printed.
        start(&Config::from_env(|_| None::<String>).unwrap());
        let line = logged(|| {
            let panicked = catch_unwind(|| panic!("from outside"));
            // From here on, panics of other tests are printed again.
            drop(take_hook());
            panicked.unwrap_err();
        });
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&value["event"], &value["level"]), (&json!("panic"), &json!("ERROR")));
        assert!(value["place"].as_str().unwrap().starts_with("src/log.rs:"), "{line}");
        assert!(!line.contains("from outside"), "{line}");
    }

    #[test]
    fn a_cold_line_says_so_and_only_known_methods_have_a_name() {
        let line = |method: &[u8], event| Line {
            event,
            route: "/login",
            method: Some(Method::from_bytes(method).unwrap()),
            status: StatusCode::SEE_OTHER,
            store_calls: 3,
            duration: Duration::from_nanos(1_234_567),
            request_id: Some("an \"ID\"\n".to_owned()),
        };
        let text = [
            line(b"POST", Some(Event::Login)).to_json(true),
            line(b"BREW", None).to_json(false),
        ];
        let text = String::from_utf8(text.concat()).unwrap();
        let [first, second] = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .collect::<Vec<_>>()
            .try_into()
            .unwrap();
        assert_eq!((&first["cold"], second.get("cold")), (&json!(true), None));
        assert_eq!(
            (&first["event"], &second["event"]),
            (&json!("login"), &json!("request"))
        );
        assert_eq!((&first["method"], &second["method"]), (&json!("POST"), &json!("other")));
        assert_eq!(first["duration_ms"], 1.235);
        assert_eq!((&first["status"], &first["store_calls"]), (&json!(303), &json!(3)));
        assert_eq!(first["request_id"], "an \"ID\"\n");
        assert_eq!(first.get("message"), None);
    }

    #[test]
    fn a_line_in_json_is_as_tracing_would_write_it() {
        let lines = [Some(Event::Logout), None].map(|event| Line {
            event,
            route: "/logout",
            method: event.map(|_| Method::GET),
            status: StatusCode::BAD_REQUEST,
            store_calls: 0,
            duration: Duration::from_millis(2),
            request_id: event.map(|_| "an \"ID\"\n".to_owned()),
        });
        for (line, cold) in lines.iter().zip([true, false]) {
            let ours = String::from_utf8(line.to_json(cold)).unwrap();
            let [ours, theirs] = [ours, logged(|| line.trace(cold))].map(|text| {
                let value: Value = serde_json::from_str(&text).unwrap();
                let time = value["timestamp"].as_str().unwrap();
                text.replace(time, &time.replace(|digit: char| digit.is_ascii_digit(), "0"))
            });
            assert_eq!(ours, theirs);
        }
    }
}
