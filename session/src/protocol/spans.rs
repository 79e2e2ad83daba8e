//! What a request's session takes, as `tracing` spans: its load, its save, and each store call in them.
//!
//! They are at level `DEBUG`: where that is off, a span costs a comparison, and no log line grows by its fields. Names follow
//! OpenTelemetry's conventions where there are some. All fields are words of this library's own: no ID, key, cookie, variable or
//! owner.

use tracing::field::Empty;
use tracing::{Instrument as _, Span, debug_span};

use super::error::{SessionError, SessionErrorKind};
use crate::core::record::Stored;
use crate::store::StoreError;
use crate::store::erased::AnyStore;

/// The span of a load that asks the store.
pub(crate) fn load() -> Span {
    debug_span!("session.load", otel.status_code = Empty, error.type = Empty)
}

/// The span of a save that asks the store.
pub(crate) fn save() -> Span {
    debug_span!("session.save", otel.status_code = Empty, error.type = Empty)
}

/// Does `work` in `span`, which tells how it failed.
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

/// The span of a store call, or of so many at once.
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

/// Writes on a store call's span what it came to.
pub(crate) fn answered(span: &Span, result: Result<&'static str, &StoreError>) {
    match result {
        Ok(outcome) => drop(span.record("outcome", outcome)),
        Err(error) => failed(span, &error.clone().into()),
    }
}

/// Writes the kind of a failure on a span. Conflicts between a visitor's own requests and too many logins do not mark it as failed.
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
        SessionErrorKind::Owner => "owner",
    };
    span.record("otel.status_code", "ERROR");
    span.record("error.type", kind);
}

/// What a load of one key found.
pub(crate) fn found(stored: Option<&Stored>) -> &'static str {
    match stored {
        Some(Stored::Record(_)) => "record",
        Some(Stored::Tombstone(_)) => "tombstone",
        Some(Stored::Malformed(_)) => "malformed",
        None => "nothing",
    }
}
