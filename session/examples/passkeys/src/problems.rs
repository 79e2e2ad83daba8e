//! Why a ceremony, a login or a change of the account cannot be carried out.

use axum::http::StatusCode;

use crate::problem::Problem;

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
