//! Why a change of password cannot be carried out.

use std::sync::{Arc, OnceLock};

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::problem::Problem;

pub(crate) const NOT_ENDED: Problem = Problem::new(
    StatusCode::SERVICE_UNAVAILABLE,
    "Your password is changed. Other devices may still be logged in: please change it once more, with the new one as \
     the current.",
)
.after(5);
pub(crate) const MAYBE_CHANGED: Problem = Problem::new(
    StatusCode::SERVICE_UNAVAILABLE,
    "Your password may or may not have been changed, and other devices may still be logged in. Please change it once \
     more: the current one is the new one or, if that is wrong, the old one.",
)
.after(5);

/// A problem that a view notes for the case that the session's layer replaces its answer, because a save has failed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Note(Arc<OnceLock<Problem>>);

impl Note {
    pub(crate) fn write(&self, problem: Problem) {
        let _ = self.0.set(problem);
    }
}

/// Gives the view a note, and answers with the problem that it has written there.
pub(crate) async fn answer_noted(mut request: Request, next: Next) -> Response {
    let note = Note::default();
    request.extensions_mut().insert(note.clone());
    let response = next.run(request).await;
    match note.0.get() {
        Some(problem) => problem.into_response(),
        None => response,
    }
}
