//! The session in axum: extractors, and errors that are responses.

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;

use crate::core::value::ValueError;
use crate::protocol::error::SessionError;
use crate::session::Session;
use crate::session::lazy::LazySession;
use crate::session::sessions::Sessions;

/// Loads the session with one read of the store, unless it is loaded already or the request has no valid cookie.
impl<S: Send + Sync> FromRequestParts<S> for Session {
    type Rejection = SessionError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SessionError> {
        let lazy = LazySession::in_extensions(&parts.extensions)?;
        lazy.load().await
    }
}

/// Reads nothing from the store.
impl<S: Send + Sync> FromRequestParts<S> for LazySession {
    type Rejection = SessionError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SessionError> {
        Self::in_extensions(&parts.extensions)
    }
}

/// Keeps to the request's deadline.
impl<S: Send + Sync> FromRequestParts<S> for Sessions {
    type Rejection = SessionError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SessionError> {
        Self::from_lazy(&LazySession::in_extensions(&parts.extensions)?)
    }
}

impl IntoResponse for SessionError {
    fn into_response(self) -> Response {
        SessionError::into_response(self)
    }
}

/// Gives the response of the [`SessionError`] that `?` makes of the error.
impl IntoResponse for ValueError {
    fn into_response(self) -> Response {
        SessionError::from(self).into_response()
    }
}
