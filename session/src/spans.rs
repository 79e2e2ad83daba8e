//! What a request's session takes, as `tracing` spans: its load, its save, and each store call in them.
//!
//! They are at level `DEBUG`: where that is off, a span costs a comparison, and no log line grows by its fields. Names follow
//! OpenTelemetry's conventions where there are some. All fields are words of this library's own: no ID, key, cookie, variable or
//! owner.

use tracing::field::Empty;
use tracing::{Instrument as _, Span, debug_span};

use crate::error::{SessionError, SessionErrorKind};
use crate::store::{Load, OwnerList, Store, StoreError, StoreErrorKind, WriteOutcome};

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
pub(crate) fn call(store: &dyn Store, name: &'static str, calls: usize) -> Span {
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
pub(crate) fn answered<T: Outcome>(span: &Span, result: &Result<T, StoreError>) {
    match result {
        Ok(answer) => {
            span.record("outcome", answer.outcome());
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

/// The kind of a failure. That a visitor's own requests overtook each other is none, nor that somebody has logged in too often.
fn failure(kind: SessionErrorKind) -> Option<&'static str> {
    match kind {
        SessionErrorKind::Conflict | SessionErrorKind::TooManySessions => None,
        SessionErrorKind::Unavailable => Some("unavailable"),
        SessionErrorKind::Rejected => Some("rejected"),
        SessionErrorKind::TooLarge => Some("too large"),
        SessionErrorKind::Value => Some("value"),
        SessionErrorKind::Random => Some("random"),
        SessionErrorKind::NoLayer => Some("no layer"),
        SessionErrorKind::Owner => Some("owner"),
    }
}

/// What a store call that has not failed came to, in a word.
pub(crate) trait Outcome {
    fn outcome(&self) -> &'static str;
}

impl Outcome for Load {
    fn outcome(&self) -> &'static str {
        match self {
            Self::Live(_) => "live",
            Self::Replaced(_) => "replaced",
            Self::Ended(_) => "ended",
            Self::Expired => "expired",
            Self::Absent => "absent",
            Self::Malformed(_) => "malformed",
        }
    }
}

impl Outcome for WriteOutcome {
    fn outcome(&self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::ConditionFailed => "condition failed",
        }
    }
}

impl Outcome for OwnerList {
    fn outcome(&self) -> &'static str {
        "read"
    }
}

impl Outcome for () {
    fn outcome(&self) -> &'static str {
        "applied"
    }
}

/// Several calls at once.
impl<T> Outcome for Vec<T> {
    fn outcome(&self) -> &'static str {
        "done"
    }
}
