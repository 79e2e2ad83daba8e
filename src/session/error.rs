//! Why a request's session could not be loaded or saved.

use std::error::Error;

use http::StatusCode;

use super::store::{StoreError, StoreErrorKind};

/// Why a request's session could not be loaded or saved.
///
/// The layer answers with its [`status`](Self::status) and puts the error into the response's extensions, where a
/// middleware around the layer finds it to render a page of its own.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The session ended while the request was being handled, so its change was not saved.
    #[error("the session ended meanwhile; nothing was saved")]
    Gone,
    /// The store failed. Whether a change was saved is not known.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The operating system gave no random numbers for a session ID.
    #[error("no random numbers for a session ID")]
    Random(#[source] getrandom::Error),
    /// The request did not come through a [`SessionLayer`](super::SessionLayer).
    #[error("the request did not come through a SessionLayer")]
    NoLayer,
}

impl SessionError {
    /// The HTTP status that says so: 409 for [`Gone`](Self::Gone), 503 for a store that failed, 500 otherwise.
    ///
    /// ```
    /// use lambda_session::session::SessionError;
    /// assert_eq!(SessionError::Gone.status(), 409);
    /// ```
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Gone => StatusCode::CONFLICT,
            Self::Store(error) if error.kind() == StoreErrorKind::TooLarge => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Random(_) | Self::NoLayer => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// One event, with the causes that the visitor is not shown.
    pub(crate) fn log(&self) {
        if let Self::Gone = self {
            tracing::info!(event = "conflict", "{self}");
        } else {
            tracing::error!(event = "store failure", cause = causes(self), "{self}");
        }
    }
}

/// The causes of `error`, without itself.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_its_status_and_text() {
        let store = |kind| SessionError::from(StoreError::new(kind, "cause"));
        for (error, status, text) in [
            (
                SessionError::Gone,
                409,
                "the session ended meanwhile; nothing was saved",
            ),
            (
                store(StoreErrorKind::Unavailable),
                503,
                "the session store is unavailable",
            ),
            (
                store(StoreErrorKind::Rejected),
                503,
                "the session store rejected the request",
            ),
            (
                store(StoreErrorKind::TooLarge),
                500,
                "the session is larger than the 400 KB that fit a DynamoDB item",
            ),
            (
                SessionError::NoLayer,
                500,
                "the request did not come through a SessionLayer",
            ),
        ] {
            assert_eq!(error.status(), status);
            assert_eq!(error.to_string(), text);
        }
    }
}
