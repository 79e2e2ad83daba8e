//! The `tracing` spans of a request's session: one for its load, one for its save, and one for each store call in them.
//!
//! The spans have the level `DEBUG`. Where that level is off, a span costs one comparison and adds no fields to log
//! lines. Names follow OpenTelemetry's conventions where they exist. No field holds an ID, a key, a cookie, a variable
//! or an owner: all texts are constants.

use tracing::field::Empty;
use tracing::{Instrument as _, Span, debug_span};

use super::error::{SessionError, SessionErrorKind};
use crate::core::record::Stored;
use crate::store::StoreError;
use crate::store::erased::AnyStore;

/// Creates the span of a load that asks the store.
pub(crate) fn load() -> Span {
    debug_span!("session.load", otel.status_code = Empty, error.type = Empty)
}

/// Creates the span of a save that asks the store.
pub(crate) fn save() -> Span {
    debug_span!("session.save", otel.status_code = Empty, error.type = Empty)
}

/// Runs `work` in `span`, and records a failure on the span.
pub(crate) async fn within<T>(
    span: Span,
    work: impl Future<Output = Result<T, SessionError>>,
) -> Result<T, SessionError> {
    let result = work.instrument(span.clone()).await;
    if let Err(error) = &result {
        failed(&span, error);
    }
    result
}

/// Creates the span of a store call, or of several calls at once.
pub(crate) fn call(store: &dyn AnyStore, name: &'static str, calls: usize) -> Span {
    let system = store.system();
    debug_span!(
        "session.store",
        otel.name = name,
        otel.kind = if system.is_some() { "client" } else { "internal" },
        db.system.name = system,
        db.operation.batch.size = (calls > 1).then_some(calls),
        outcome = Empty,
        otel.status_code = Empty,
        error.type = Empty,
    )
}

/// Records the result of a store call on its span.
pub(crate) fn answered(span: &Span, result: Result<&'static str, &StoreError>) {
    match result {
        Ok(outcome) => drop(span.record("outcome", outcome)),
        Err(error) => failed(span, &error.clone().into()),
    }
}

/// Records the kind of a failure on a span. A conflict and a login that is refused with 429 do not mark the span as
/// failed.
fn failed(span: &Span, error: &SessionError) {
    let kind = match error.kind() {
        SessionErrorKind::Conflict | SessionErrorKind::TooManySessions => return,
        SessionErrorKind::Contention => "contention",
        SessionErrorKind::Saved => "saved",
        SessionErrorKind::Unavailable => "unavailable",
        SessionErrorKind::Rejected => "rejected",
        SessionErrorKind::TooLarge => "too large",
        SessionErrorKind::Value => "value",
        SessionErrorKind::Random => "random",
        SessionErrorKind::NoLayer => "no layer",
        SessionErrorKind::Users => "users",
        SessionErrorKind::Owner => "owner",
        SessionErrorKind::Refused(_) => "refused",
    };
    span.record("otel.status_code", "ERROR");
    span.record("error.type", kind);
}

/// Names what the load of one key found.
pub(crate) fn found(stored: Option<&Stored>) -> &'static str {
    match stored {
        Some(Stored::Record(_)) => "record",
        Some(Stored::Tombstone(_)) => "tombstone",
        Some(Stored::Malformed(_)) => "malformed",
        None => "nothing",
    }
}
