//! Why a request's session could not be loaded or saved.

use std::error::Error;

use http::{HeaderValue, Response, StatusCode, header};

use super::store::{StoreError, StoreErrorKind};

/// Why a request's session could not be loaded or saved.
///
/// Answer with [`into_response`](Self::into_response), as the layer does.
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

    /// The answer to the visitor: a short text with the [`status`](Self::status), `Retry-After` where trying again
    /// helps (RFC 9110, section 10.2.3), and the error itself in the extensions, where a middleware finds it that
    /// has a page for it.
    ///
    /// ```
    /// use http::Response;
    /// use lambda_session::session::SessionError;
    ///
    /// let response: Response<String> = SessionError::Gone.into_response();
    /// assert_eq!(response.status(), 409);
    /// assert_eq!(response.body(), "the session ended meanwhile; nothing was saved\n");
    /// ```
    #[must_use]
    pub fn into_response<B: From<String>>(self) -> Response<B> {
        let mut response = Response::new(B::from(format!("{self}\n")));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, text);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response.extensions_mut().insert(self);
        response
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
