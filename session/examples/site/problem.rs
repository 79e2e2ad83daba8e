//! What `account`, `passwords`, `passkeys` and `oidc` answer if they do not carry out a request. If you copy one of
//! these examples, copy this file with it.

use std::error::Error as _;

use axum::Router;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::map_response_with_state;
use axum::response::{IntoResponse, Response};
use lambda_session::{ErrorPageLayer, Refusal, SessionError, SessionErrorKind, ValueError, ValueErrorKind};
use maud::html;

use crate::page::{page, set_headers};

/// The reason why a request was not carried out, in a sentence for the client. [`present`] makes a page of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    title: &'static str,
    pub(crate) text: &'static str,
    /// In seconds.
    retry_after: Option<u64>,
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
const ENDED: Problem = Problem {
    title: "Session ended",
    ..Problem::new(
        StatusCode::CONFLICT,
        "Your session ended meanwhile, perhaps in another tab. What you just did may or may not have been saved.",
    )
};

impl Problem {
    pub(crate) const fn new(status: StatusCode, text: &'static str) -> Self {
        let title = match status.as_u16() {
            401 => "Who are you?",
            403 => "That was refused",
            404 => "Not found",
            429 => "Too many attempts",
            503 => "Please try again",
            500.. => "Something went wrong",
            _ => "That does not work",
        };
        Self {
            status,
            title,
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

    /// What the library could not do, or refused.
    fn of(error: &SessionError) -> Self {
        let value = error.source().and_then(|source| source.downcast_ref::<ValueError>());
        let text = match error.kind() {
            SessionErrorKind::Conflict => return ENDED,
            SessionErrorKind::TooManySessions => "You are logged in on too many devices. Please log out on some.",
            SessionErrorKind::Refused(Refusal::NotLoggedIn) => "Please log in first.",
            SessionErrorKind::Refused(Refusal::NotConfirmed("passkey")) => {
                "Please confirm with your passkey first, at your account."
            }
            SessionErrorKind::Refused(Refusal::NotConfirmed(_)) => "Please prove first that it is still you.",
            SessionErrorKind::Refused(Refusal::CrossOrigin) => "Another site sent this. Nothing has changed.",
            SessionErrorKind::Refused(_) => "You may not do this.",
            _ if error.status() == UNAVAILABLE.status => UNAVAILABLE.text,
            _ if value.is_some_and(|error| error.kind() == ValueErrorKind::TooLarge) => {
                "Your session cannot hold that much."
            }
            _ => BUG.text,
        };
        Self::new(error.status(), text)
    }

    fn page(&self) -> Response {
        let content = html! {
            h1 { (self.title) }
            p { (self.text) }
            nav { a.button href="/" { "Go to the start page" } }
        };
        page(self.title, &content)
    }
}

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

/// Makes a page of every failure, wherever in the site it comes from, and sets the headers that every answer carries.
/// Call it after all other layers, because each of them has failures of its own.
pub(crate) fn present<S: Clone + Send + Sync + 'static>(site: Router<S>, secure: bool) -> Router<S> {
    site.layer(ErrorPageLayer::new(|error: &SessionError, _: &Parts| {
        Some(Problem::of(error).into_response())
    }))
    .layer(map_response_with_state(secure, finish))
    .layer(ErrorPageLayer::new(|problem: &Problem, _: &Parts| Some(problem.page())))
}

/// Says what is wrong where axum has answered with a status or a line of text, and sets the headers.
async fn finish(State(secure): State<bool>, mut response: Response) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_page = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let text = match response.status() {
        _ if is_page => "",
        StatusCode::NOT_FOUND => "There is nothing at this address.",
        StatusCode::METHOD_NOT_ALLOWED => "This address cannot be used that way.",
        StatusCode::PAYLOAD_TOO_LARGE => "That is too much for one form.",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "Only plain forms are understood here.",
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => "A field is missing or damaged.",
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
    set_headers(response.headers_mut(), secure);
    response
}
