//! Pages that say why a request was not carried out.

use std::error::Error as _;
use std::sync::{Arc, OnceLock};

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use lambda_session::{Refusal, SessionError, SessionErrorKind, ValueError, ValueErrorKind};

use crate::pages;

/// The reason why a request was not carried out, in a sentence for the client. `page` makes a page of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    text: &'static str,
    /// In seconds.
    retry_after: Option<u64>,
}

impl Problem {
    pub(crate) const fn new(status: StatusCode, text: &'static str) -> Self {
        Self {
            status,
            text,
            retry_after: None,
        }
    }

    pub(crate) const fn after(self, seconds: u64) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }
}

pub(crate) const BUG: Problem = Problem::new(
    StatusCode::INTERNAL_SERVER_ERROR,
    "That is a fault of this site and not of yours.",
);
pub(crate) const UNAVAILABLE: Problem = Problem::new(
    StatusCode::SERVICE_UNAVAILABLE,
    "That cannot be done at the moment, and what you just did may not have been saved. Please try again in a few \
     seconds.",
)
.after(5);
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

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// A problem that a view notes for the case that the session's layer replaces its answer, because a save has failed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Note(Arc<OnceLock<Problem>>);

impl Note {
    pub(crate) fn write(&self, problem: Problem) {
        let _ = self.0.set(problem);
    }
}

impl Problem {
    /// What the library could not do, or refused.
    pub(crate) fn of(error: &SessionError) -> Self {
        let value = error.source().and_then(|source| source.downcast_ref::<ValueError>());
        let text = match error.kind() {
            SessionErrorKind::Conflict => {
                "Your session ended meanwhile, perhaps in another tab. What you just did may or may not have been \
                 saved."
            }
            SessionErrorKind::Unavailable => UNAVAILABLE.text,
            SessionErrorKind::Refused(Refusal::NotLoggedIn) => "Please log in first.",
            SessionErrorKind::Refused(Refusal::NotConfirmed(_)) => "Please prove first that it is still you.",
            SessionErrorKind::Refused(_) => "Another site sent this. Nothing has changed.",
            SessionErrorKind::TooManySessions => "You are logged in on too many devices. Please log out on some.",
            _ if value.is_some_and(|error| error.kind() == ValueErrorKind::TooLarge) => "The basket is full.",
            _ => BUG.text,
        };
        Self::new(error.status(), text)
    }

    pub(crate) fn page(&self) -> Response {
        pages::problem(self.status, self.text).into_response()
    }
}

/// Says what is wrong where axum has answered with a status alone, and sets the headers that every answer carries.
pub(crate) async fn finish(State(secure): State<bool>, mut request: Request, next: Next) -> Response {
    let note = Note::default();
    request.extensions_mut().insert(note.clone());
    let mut response = next.run(request).await;
    if let Some(problem) = note.0.get() {
        response = problem.into_response();
    }
    let text = match response.status() {
        StatusCode::NOT_FOUND => "There is nothing at this address.",
        StatusCode::METHOD_NOT_ALLOWED => "This address cannot be used that way.",
        StatusCode::PAYLOAD_TOO_LARGE => "That is too much for one form.",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "Only plain forms are understood here.",
        StatusCode::UNPROCESSABLE_ENTITY => "A field is missing or damaged.",
        _ => "",
    };
    if !text.is_empty() {
        let problem = Problem::new(response.status(), text);
        response.extensions_mut().get_or_insert(problem);
    }
    if response.status() == StatusCode::UNAUTHORIZED {
        // RFC 9110, section 15.5.2 requires a challenge, and no browser opens a dialog for this one.
        let challenge = HeaderValue::from_static("Cookie");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    pages::set_headers(response.headers_mut(), secure);
    response
}
