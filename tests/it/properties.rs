//! What holds for any bytes: cookies, forms and events are decoded without a panic, and only as their formats say.

use proptest::prelude::*;
use proptest::string::string_regex;
use tokio::runtime::{Builder, Runtime};

mod cookie;
mod event;
mod form;

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 10_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Texts that match a pattern, which is parsed once: a plain string as a strategy is parsed for every case.
fn text(pattern: &str) -> impl Strategy<Value = String> + use<> {
    string_regex(pattern).expect("a pattern")
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().expect("a runtime")
}
