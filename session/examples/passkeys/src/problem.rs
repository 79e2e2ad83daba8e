//! Pages that say why a request was not carried out.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use lambda_session::{Refusal, SessionError, SessionErrorKind};

use crate::pages;

/// The reason why a request was not carried out, in a sentence for the client. `present` makes a page of it.
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
pub(crate) const NOT_BEGUN: Problem = Problem::new(
    StatusCode::BAD_REQUEST,
    "This was not begun here, or took too long, or is done already. Please try again.",
);
pub(crate) const NOT_PROVED: Problem = Problem::new(
    StatusCode::FORBIDDEN,
    "This passkey cannot be used here. Please try again, or with another one.",
);
pub(crate) const NOT_RIGHT: Problem = Problem::new(
    StatusCode::FORBIDDEN,
    "The number of the account is wrong, or what you typed with it.",
);
pub(crate) const BAD_NAME: Problem = Problem::new(StatusCode::BAD_REQUEST, "A name has 1 to 64 characters.");
pub(crate) const NOT_YOURS: Problem = Problem::new(StatusCode::NOT_FOUND, "You have no such passkey.");
pub(crate) const LAST_KEY: Problem = Problem::new(
    StatusCode::CONFLICT,
    "This is your only passkey. Please add another one first.",
);
pub(crate) const TOO_MANY_KEYS: Problem = Problem::new(
    StatusCode::CONFLICT,
    "You have too many passkeys. Please remove one first.",
);

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

/// Makes a page of every failure, wherever it comes from, and sets the headers that every answer carries. The script
/// shows the page's first paragraph if it was the script that asked.
pub(crate) async fn present(State(secure): State<bool>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Some(text) = text(&response) {
        let (parts, body) = pages::problem(response.status(), text).into_response().into_parts();
        *response.body_mut() = body;
        response.headers_mut().remove(header::CONTENT_LENGTH);
        response.headers_mut().extend(parts.headers);
    }
    if response.status() == StatusCode::UNAUTHORIZED {
        // RFC 9110, section 15.5.2 requires a challenge, and no browser opens a dialog for this one.
        let challenge = HeaderValue::from_static("Cookie");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    pages::set_headers(response.headers_mut(), secure);
    response
}

/// The problem with a request, unless its answer has a page already.
fn text(response: &Response) -> Option<&'static str> {
    let extensions = response.extensions();
    if let Some(problem) = extensions.get::<Problem>() {
        return Some(problem.text);
    }
    if let Some(error) = extensions.get::<SessionError>() {
        return Some(match error.kind() {
            SessionErrorKind::Conflict => {
                "Your session ended meanwhile, perhaps in another tab. What you just did may or may not have been \
                 saved."
            }
            SessionErrorKind::Unavailable | SessionErrorKind::Users => UNAVAILABLE.text,
            SessionErrorKind::Refused(Refusal::NotLoggedIn) => "Please log in first.",
            SessionErrorKind::Refused(Refusal::NotConfirmed(_)) => {
                "Please confirm with your passkey first, at your account."
            }
            SessionErrorKind::Refused(_) => "Another site sent this. Nothing has changed.",
            SessionErrorKind::TooManySessions => "You are logged in on too many devices. Please log out on some.",
            _ => BUG.text,
        });
    }
    match response.status() {
        StatusCode::NOT_FOUND => Some("There is nothing at this address."),
        StatusCode::METHOD_NOT_ALLOWED => Some("This address cannot be used that way."),
        StatusCode::PAYLOAD_TOO_LARGE => Some("That is too much for one form."),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Some("Only plain forms are understood here."),
        StatusCode::UNPROCESSABLE_ENTITY => Some("A field is missing or damaged."),
        _ => None,
    }
}
