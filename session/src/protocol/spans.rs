//! What a request's session takes, as `tracing` spans: its load, its save, and each store call in them.
//!
//! They are at level `DEBUG`: where that is off, a span costs a comparison, and no log line grows by its fields. Names follow
//! OpenTelemetry's conventions where there are some. All fields are words of this library's own: no ID, key, cookie, variable or
//! owner.

use tracing::field::Empty;
use tracing::{Instrument as _, Span, debug_span};

use super::error::{SessionError, SessionErrorKind};
use crate::core::record::{Stored, Tombstone};
use crate::store::erased::AnyStore;
use crate::store::{OwnerList, StoreError, StoreErrorKind, Swap};

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
    if let Err(error) = &result
        && let Some(kind) = failure(error.kind())
    {
        failed(&span, kind);
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
pub(crate) fn answered<T: Word>(span: &Span, result: &Result<T, StoreError>) {
    match result {
        Ok(answer) => {
            span.record("outcome", answer.word());
        }
        Err(error) => failed(
            span,
            match error.kind() {
                StoreErrorKind::Unavailable => "unavailable",
                StoreErrorKind::Rejected => "rejected",
                StoreErrorKind::TooLarge => "too large",
            },
        ),
    }
}

fn failed(span: &Span, kind: &'static str) {
    span.record("otel.status_code", "ERROR");
    span.record("error.type", kind);
}

/// The kind of a failure. Conflicts between a visitor's own requests and too many logins do not mark the span as failed.
fn failure(kind: SessionErrorKind) -> Option<&'static str> {
    match kind {
        SessionErrorKind::Conflict | SessionErrorKind::TooManySessions => None,
        SessionErrorKind::Contention => Some("contention"),
        SessionErrorKind::Saved => Some("saved"),
        SessionErrorKind::Unavailable => Some("unavailable"),
        SessionErrorKind::Rejected => Some("rejected"),
        SessionErrorKind::TooLarge => Some("too large"),
        SessionErrorKind::Value => Some("value"),
        SessionErrorKind::Random => Some("random"),
        SessionErrorKind::NoLayer => Some("no layer"),
        SessionErrorKind::Owner => Some("owner"),
    }
}

/// What a store call that has not failed came to.
pub(crate) trait Word {
    fn word(&self) -> &'static str;
}

impl Word for Option<Stored> {
    fn word(&self) -> &'static str {
        match self {
            Some(Stored::Record(_)) => "record",
            Some(Stored::Tombstone(_)) => "tombstone",
            Some(Stored::Malformed(_)) => "malformed",
            None => "nothing",
        }
    }
}

impl Word for Swap {
    fn word(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Found(_) => "found something else",
        }
    }
}

impl Word for Tombstone {
    fn word(&self) -> &'static str {
        "done"
    }
}

impl Word for OwnerList {
    fn word(&self) -> &'static str {
        "read"
    }
}

impl Word for () {
    fn word(&self) -> &'static str {
        "done"
    }
}

/// One call, or several at once.
impl<T: Word> Word for Vec<T> {
    fn word(&self) -> &'static str {
        match &self[..] {
            [one] => one.word(),
            _ => "done",
        }
    }
}
