//! Why a request's session could not be loaded, used or saved.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use http::{HeaderValue, Response, StatusCode, header};

use crate::core::value::{Reason, ValueError};
use crate::store::{StoreError, StoreErrorKind, causes};

/// Why a request's session could not be loaded, used or saved.
///
/// Everything in this crate that a handler can fail with becomes one by `?`. Answer with
/// [`into_response`](Self::into_response), as the layer does; an axum handler returns it as it is.
#[derive(Clone)]
pub struct SessionError {
    kind: SessionErrorKind,
    message: Arc<str>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// The kinds of [`SessionError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionErrorKind {
    /// The session ended while the request was being handled: by a logout or a login in another tab, or by its timeout. Nothing was
    /// saved since the last [`save`](crate::Session::save). 409.
    Conflict,
    /// Other requests changed the session each time this one tried to. 503 with `Retry-After`.
    Contention,
    /// The store could not be reached, or did not answer in time. Whether a change was saved is not known: after a login, the
    /// old session may have ended. 503 with `Retry-After`.
    Unavailable,
    /// The store refused in a way that no retry mends: permissions, a missing table. 500.
    Rejected,
    /// The session is larger than the store can hold. 500.
    TooLarge,
    /// A variable is not of the type asked for, or cannot be stored. 500.
    Value,
    /// The operating system gave no random numbers for a session ID. 500.
    Random,
    /// The request did not come through a [`SessionLayer`](crate::SessionLayer). 500.
    NoLayer,
    /// An owner's name or label that cannot be kept, or a store that keeps no lists of owners' sessions. 500.
    Owner,
    /// The owner has too many sessions for one more. 429.
    TooManySessions,
    /// Something was done to the session after it was saved, so it is lost. 500.
    Saved,
}

/// What is wrong where a store that is no [`OwnerStore`](crate::OwnerStore) is asked for a list.
pub(crate) const NO_LISTS: &str = "this store keeps no lists of owners' sessions";

impl SessionError {
    pub(crate) fn new(kind: SessionErrorKind, message: &str) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    pub(crate) fn conflict() -> Self {
        Self::new(
            SessionErrorKind::Conflict,
            "the session ended meanwhile; nothing was saved",
        )
    }

    pub(crate) fn no_layer() -> Self {
        Self::new(
            SessionErrorKind::NoLayer,
            "the request did not come through a SessionLayer: add one around this handler",
        )
    }

    pub(crate) fn unavailable(why: &str) -> Self {
        StoreError::new(StoreErrorKind::Unavailable, why).into()
    }

    pub(crate) fn random(source: &str) -> Self {
        Self {
            source: Some(Arc::from(Box::<dyn Error + Send + Sync>::from(source))),
            ..Self::new(SessionErrorKind::Random, "no random numbers for a session ID")
        }
    }

    /// What kind of failure it is.
    ///
    /// ```
    /// use lambda_session::{Session, SessionError, SessionErrorKind};
    ///
    /// let error: SessionError = Session::default().insert("ratio", f64::NAN).unwrap_err().into();
    /// assert_eq!(error.kind(), SessionErrorKind::Value);
    /// ```
    #[must_use]
    pub fn kind(&self) -> SessionErrorKind {
        self.kind
    }

    /// The HTTP status that says so: 409 for a conflict, 503 where trying again helps, 429 for too many
    /// sessions, 500 otherwise.
    ///
    /// ```
    /// # use lambda_session::{Session, SessionError};
    /// let error: SessionError = Session::default().insert("ratio", f64::NAN).unwrap_err().into();
    /// assert_eq!(error.status(), 500);
    /// ```
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self.kind {
            SessionErrorKind::Conflict => StatusCode::CONFLICT,
            SessionErrorKind::Contention | SessionErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            SessionErrorKind::TooManySessions => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The answer to the visitor: a short text with the [`status`](Self::status), `Retry-After` where trying again
    /// helps (RFC 9110, section 10.2.3), and the error itself in the extensions, where a middleware finds it that
    /// has a page for it.
    ///
    /// ```
    /// use http::{Request, Response};
    /// use lambda_session::LazySession;
    ///
    /// let error = LazySession::of(&Request::new(())).unwrap_err();
    /// let response: Response<String> = error.into_response();
    /// assert_eq!(response.status(), 500);
    /// ```
    #[must_use]
    pub fn into_response<B: From<String>>(self) -> Response<B> {
        let status = self.status();
        let text = if status == StatusCode::INTERNAL_SERVER_ERROR && self.kind != SessionErrorKind::NoLayer {
            // What else is wrong with the function is not its visitors' to know; the log says it.
            "something went wrong\n".to_owned()
        } else {
            format!("{self}\n")
        };
        if let SessionErrorKind::Value | SessionErrorKind::NoLayer | SessionErrorKind::Owner = self.kind {
            // The others were logged when the session was loaded or saved.
            self.log();
        }
        let mut response = short_answer(status, text);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response.extensions_mut().insert(self);
        response
    }

    /// One event, with the causes that the visitor is not shown.
    pub(crate) fn log(&self) {
        let cause = causes(self);
        match self.kind {
            SessionErrorKind::Conflict => tracing::info!(event = "conflict", "{self}"),
            SessionErrorKind::Contention => tracing::warn!(event = "contention", "{self}"),
            SessionErrorKind::Unavailable | SessionErrorKind::Rejected => {
                tracing::error!(event = "store failure", cause, "{self}");
            }
            _ => tracing::error!(event = "session failure", cause, "{self}"),
        }
    }
}

/// A short text that no cache keeps.
pub(crate) fn short_answer<B: From<String>>(status: StatusCode, text: String) -> Response<B> {
    let mut response = Response::new(B::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, plain);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl From<StoreError> for SessionError {
    fn from(error: StoreError) -> Self {
        let kind = match error.kind() {
            StoreErrorKind::Unavailable => SessionErrorKind::Unavailable,
            StoreErrorKind::Rejected => SessionErrorKind::Rejected,
            StoreErrorKind::TooLarge => SessionErrorKind::TooLarge,
        };
        Self {
            kind,
            message: error.to_string().into(),
            source: Some(error.source),
        }
    }
}

impl From<ValueError> for SessionError {
    fn from(error: ValueError) -> Self {
        Self {
            kind: SessionErrorKind::Value,
            message: error.to_string().into(),
            source: Some(Arc::new(error)),
        }
    }
}

/// Why nobody can be logged in.
impl From<Reason> for SessionError {
    fn from(reason: Reason) -> Self {
        Self::new(SessionErrorKind::Value, &reason.to_string())
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionError({:?}: {self}; {})", self.kind, causes(self))
    }
}

impl Error for SessionError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_its_status_and_text() {
        let store = |kind| SessionError::from(StoreError::new(kind, "cause"));
        for (error, status, text) in [
            (
                SessionError::conflict(),
                409,
                "the session ended meanwhile; nothing was saved\n",
            ),
            (
                store(StoreErrorKind::Unavailable),
                503,
                "the session store is unavailable\n",
            ),
            (store(StoreErrorKind::Rejected), 500, "something went wrong\n"),
            (store(StoreErrorKind::TooLarge), 500, "something went wrong\n"),
            (
                SessionError::no_layer(),
                500,
                "the request did not come through a SessionLayer: add one around this handler\n",
            ),
        ] {
            let response: Response<String> = error.into_response();
            assert_eq!((response.status().as_u16(), response.body().as_str()), (status, text));
            assert_eq!(response.headers().contains_key(header::RETRY_AFTER), status == 503);
        }
    }

    #[test]
    fn the_log_has_the_causes_and_the_text_has_not() {
        let error = SessionError::from(StoreError::new(StoreErrorKind::Rejected, "no such table"));
        assert_eq!(error.to_string(), "the session store rejected the request");
        assert_eq!(causes(&error), "no such table");
    }
}
