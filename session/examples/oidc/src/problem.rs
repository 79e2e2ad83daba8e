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
}

const fn problem(status: StatusCode, text: &'static str) -> Problem {
    Problem { status, text }
}

pub(crate) const NOT_BEGUN: Problem = problem(
    StatusCode::BAD_REQUEST,
    "This login was not begun here, or took too long, or is done already. Please log in again.",
);
pub(crate) const REFUSED: Problem = problem(
    StatusCode::BAD_REQUEST,
    "What the provider said about this login cannot be trusted. Please log in again.",
);
pub(crate) const PROVIDER: Problem = problem(
    StatusCode::SERVICE_UNAVAILABLE,
    "The provider cannot be reached at the moment. Please try again in a few seconds.",
);
pub(crate) const UNAVAILABLE: Problem = problem(
    StatusCode::SERVICE_UNAVAILABLE,
    "That cannot be done at the moment. Please try again in a few seconds.",
);
pub(crate) const NOT_ASKED: Problem = problem(
    StatusCode::FORBIDDEN,
    "The provider did not ask you again who you are, and the last time is too long ago. Nothing has changed.",
);
pub(crate) const SOMEBODY_ELSE: Problem = problem(
    StatusCode::FORBIDDEN,
    "Somebody else has logged in at the provider. You are still logged in here as before; log out to change that.",
);
pub(crate) const BAD_TOKEN: Problem = problem(StatusCode::BAD_REQUEST, "That is not a logout token for this site.");

/// What the provider's error means to the visitor (RFC 6749, section 4.1.2.1, and OpenID Connect Core 1.0, section
/// 3.1.2.6). The error's description is not shown, because anybody can write one into a link.
pub(crate) fn of_provider(error: &str) -> Problem {
    match error {
        "access_denied" => problem(StatusCode::FORBIDDEN, "The login was cancelled. You can log in again."),
        "login_required" | "interaction_required" | "consent_required" | "account_selection_required" => problem(
            StatusCode::FORBIDDEN,
            "The provider wants to ask you something. Please log in again.",
        ),
        "temporarily_unavailable" | "server_error" => PROVIDER,
        _ => problem(
            StatusCode::BAD_GATEWAY,
            "The provider refused this login, through no fault of yours.",
        ),
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Makes a page of every failure, wherever it comes from, and sets the headers that every answer carries.
pub(crate) async fn present(State(secure): State<bool>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Some(text) = text(&response) {
        let (parts, body) = pages::problem(response.status(), text).into_response().into_parts();
        *response.body_mut() = body;
        response.headers_mut().remove(header::CONTENT_LENGTH);
        response.headers_mut().extend(parts.headers);
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
                "Your session ended while this was being done, perhaps in another tab. Nothing was saved."
            }
            SessionErrorKind::Unavailable => UNAVAILABLE.text,
            SessionErrorKind::Refused(Refusal::NotConfirmed(_)) => "Please prove first that it is still you.",
            SessionErrorKind::Refused(_) => "Another site sent this. Nothing has changed.",
            SessionErrorKind::TooManySessions => "You are logged in on too many devices. Please log out on some.",
            _ => "That is a fault of this site and not of yours.",
        });
    }
    match response.status() {
        StatusCode::NOT_FOUND => Some("There is nothing at this address."),
        StatusCode::METHOD_NOT_ALLOWED => Some("This address cannot be used that way."),
        StatusCode::PAYLOAD_TOO_LARGE => Some("That is too much for one form."),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Some("Only plain forms are understood here."),
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Some("A field is missing or damaged."),
        _ => None,
    }
}
