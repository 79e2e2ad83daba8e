//! A plain log, for a program that sets no subscriber.

use std::{env, io};

use lambda_http::tracing::subscriber::filter::{LevelFilter, Targets, filter_fn};
use lambda_http::tracing::subscriber::layer::SubscriberExt as _;
use lambda_http::tracing::subscriber::util::SubscriberInitExt as _;
use lambda_http::tracing::subscriber::{Layer as _, fmt, registry};
use tracing::dispatcher;
use tracing::subscriber::NoSubscriber;

/// Writes `tracing` events to standard output, which Lambda collects, in the level and the format that
/// `AWS_LAMBDA_LOG_LEVEL` and `AWS_LAMBDA_LOG_FORMAT` ask for ([Lambda's logging controls][controls]). Does nothing if
/// there is a subscriber already, for the program or for this thread. [`run`](super::run),
/// [`run_streaming`](super::run_streaming) and [`serve`](super::serve) call it; call it yourself to log what happens
/// before them.
///
/// Below `INFO`, it writes only the events of this library, not even those of the program itself, because other crates
/// show requests there: at `TRACE`, `lambda_runtime` logs each event with its passwords and cookies, and the SDK logs
/// what is sent to DynamoDB. A program that sets a subscriber of its own has to leave such events out, too.
///
/// [controls]: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-advanced.html
///
/// ```standalone_crate
/// # let of_thread = lambda_http::tracing::subscriber::registry();
/// # tracing::subscriber::with_default(of_thread, lambda_session::lambda::start_log);
/// # assert!(!tracing::enabled!(tracing::Level::ERROR), "the thread had a subscriber");
/// lambda_session::lambda::start_log();
/// # assert!(tracing::enabled!(tracing::Level::ERROR), "the thread has none any more");
/// ```
pub fn start_log() {
    // Building a subscriber takes 32 KB and time, even if it is then dropped.
    if !dispatcher::get_default(tracing::Dispatch::is::<NoSubscriber>) {
        return;
    }
    let set = |name| env::var(name).unwrap_or_default().to_ascii_uppercase();
    let level = level(&set("AWS_LAMBDA_LOG_LEVEL"));
    let shown = Targets::new()
        .with_default(level.min(LevelFilter::INFO))
        .with_target("lambda_session", level);
    let lines = fmt::layer().with_target(false).with_ansi(false).with_writer(io::stdout);
    let is_json = set("AWS_LAMBDA_LOG_FORMAT") == "JSON";
    let lines = if is_json {
        let lines = lines.json().flatten_event(true);
        lines.with_current_span(false).with_span_list(false).boxed()
    } else {
        lines.boxed()
    };
    // A line in JSON has no spans, so the runtime need not make one for each invocation.
    let spans = filter_fn(move |it| !(is_json && it.is_span() && it.target().starts_with("lambda_runtime")));
    // Fails if another thread has set a subscriber meanwhile.
    let _ = registry().with(shown).with(spans).with(lines).try_init();
}

fn level(set: &str) -> LevelFilter {
    match set {
        "TRACE" => LevelFilter::TRACE,
        "DEBUG" => LevelFilter::DEBUG,
        "WARN" => LevelFilter::WARN,
        "ERROR" | "FATAL" => LevelFilter::ERROR,
        _ => LevelFilter::INFO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_of_lambda_is_one_of_tracing() {
        for (set, expected) in [
            ("TRACE", LevelFilter::TRACE),
            ("DEBUG", LevelFilter::DEBUG),
            ("INFO", LevelFilter::INFO),
            ("WARN", LevelFilter::WARN),
            ("ERROR", LevelFilter::ERROR),
            ("FATAL", LevelFilter::ERROR),
            ("", LevelFilter::INFO),
        ] {
            assert_eq!(level(set), expected, "{set}");
        }
    }
}
