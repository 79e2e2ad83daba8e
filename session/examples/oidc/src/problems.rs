//! Why a login cannot be carried out, or a logout at the provider.

use axum::http::StatusCode;

use crate::problem::Problem;

pub(crate) const NOT_BEGUN: Problem = Problem::new(
    StatusCode::BAD_REQUEST,
    "This login was not begun here, or took too long, or is done already. Please log in again.",
);
pub(crate) const REFUSED: Problem = Problem::new(
    StatusCode::BAD_REQUEST,
    "What the provider said about this login cannot be trusted. Please log in again.",
);
pub(crate) const PROVIDER: Problem = Problem::new(
    StatusCode::SERVICE_UNAVAILABLE,
    "The provider cannot be reached at the moment. Please try again in a few seconds.",
)
.after(5);
pub(crate) const NOT_ASKED: Problem = Problem::new(
    StatusCode::FORBIDDEN,
    "The provider did not ask you again who you are, and the last time is too long ago. Nothing has changed.",
);
pub(crate) const SOMEBODY_ELSE: Problem = Problem::new(
    StatusCode::FORBIDDEN,
    "Somebody else has logged in at the provider. You are still logged in here as before; log out to change that.",
);
pub(crate) const BAD_TOKEN: Problem =
    Problem::new(StatusCode::BAD_REQUEST, "That is not a logout token for this site.");

/// What the provider's error means to the visitor (RFC 6749, section 4.1.2.1, and OpenID Connect Core 1.0, section
/// 3.1.2.6). The error's description is not shown, because anybody can write one into a link.
pub(crate) fn of_provider(error: &str) -> Problem {
    match error {
        "access_denied" => Problem::new(StatusCode::FORBIDDEN, "The login was cancelled. You can log in again."),
        "login_required" | "interaction_required" | "consent_required" | "account_selection_required" => Problem::new(
            StatusCode::FORBIDDEN,
            "The provider wants to ask you something. Please log in again.",
        ),
        "temporarily_unavailable" | "server_error" => PROVIDER,
        _ => Problem::new(
            StatusCode::BAD_GATEWAY,
            "The provider refused this login, through no fault of yours.",
        ),
    }
}
