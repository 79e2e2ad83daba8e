//! The error of a request whose session could not be loaded, used or saved.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use http::{HeaderValue, Response, StatusCode, header};

use crate::core::refusal::Refusal;
use crate::core::value::{Reason, ValueError};
use crate::store::{StoreError, StoreErrorKind, causes};

/// Why a request's session could not be loaded, used or saved, or why the request was refused.
///
/// The operator `?` converts [`StoreError`], [`ValueError`] and [`Refusal`] into this error. Answer with
/// [`into_response`](Self::into_response), as the layer does; an axum handler can return the error itself. One
/// [`ErrorPageLayer`](crate::ErrorPageLayer) makes pages of all of them.
#[derive(Clone)]
pub struct SessionError {
    kind: SessionErrorKind,
    message: Arc<str>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// The kinds of [`SessionError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionErrorKind {
    /// The session ended while the request was being handled: by a logout or a login in another tab, or by its timeout.
    /// The kind is the same if the session is bound to a device from which the request does not come, or if the request
    /// carries the cookies of several live sessions. Changes since the last [`save`](crate::Session::save) were not
    /// saved. The status is 409.
    Conflict,
    /// Other requests changed the session each time this one tried to, or so many did that it is unknown whether this
    /// request's change was saved. The status is 503 with `Retry-After`.
    Contention,
    /// The store could not be reached, or did not answer in time. It is unknown whether a change was saved: a login
    /// that fails may have ended the old session. The status is 503 with `Retry-After`.
    Unavailable,
    /// The store rejected the request, and a retry does not help: a permission or the table is missing. The status is
    /// 500.
    Rejected,
    /// The session is larger than the store can hold, or than [`max_bytes`](crate::SessionLayerBuilder::max_bytes)
    /// allows. The status is 500.
    TooLarge,
    /// A variable is not of the type asked for, or cannot be stored. The status is 500.
    Value,
    /// The operating system gave no random numbers for a session ID or for encryption. The status is 500.
    Random,
    /// The request did not come through a [`SessionLayer`](crate::SessionLayer). The status is 500.
    NoLayer,
    /// An owner's name is empty or too long, or the store keeps no lists of owners' sessions. The
    /// status is 500.
    Owner,
    /// The owner has too many sessions for another login. The status is 429.
    TooManySessions,
    /// The site's `Users` could not find a user, or not say what the user may do. The status is 503 with `Retry-After`.
    Users,
    /// The handler changed the session after it was saved, so the change is lost. The status is 500.
    Saved,
    /// A guard, an extractor or the handler refused the request. The status is 401 or 403, as
    /// [`Refusal::status`] says.
    Refused(Refusal),
}

/// The error text for a store that is asked for a list and is not an [`OwnerStore`](crate::OwnerStore).
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

    #[cfg(feature = "axum")]
    pub(crate) fn users(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::caused(SessionErrorKind::Users, "it cannot be found out who you are", source)
    }

    pub(crate) fn random(source: &str) -> Self {
        let message = "the operating system gave no random numbers";
        Self::caused(SessionErrorKind::Random, message, source)
    }

    fn caused(kind: SessionErrorKind, message: &str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            source: Some(Arc::from(source.into())),
            ..Self::new(kind, message)
        }
    }

    /// Returns the kind of this error.
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

    /// Returns the HTTP status for this error: 409 for a conflict, 503 where a retry helps, 429 for too many sessions,
    /// that of a [`Refusal`], and 500 otherwise.
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
            SessionErrorKind::Contention | SessionErrorKind::Unavailable | SessionErrorKind::Users => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            SessionErrorKind::TooManySessions => StatusCode::TOO_MANY_REQUESTS,
            SessionErrorKind::Refused(refusal) => refusal.status(),
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Converts the error into an answer for the visitor: a short text with the [`status`](Self::status), and
    /// `Retry-After` where a retry helps (RFC 9110, section 10.2.3). The response's extensions contain the error, so
    /// that an [`ErrorPageLayer`](crate::ErrorPageLayer) can replace the text by a page.
    ///
    /// A 401 carries `WWW-Authenticate: Cookie`, because RFC 9110 (section 15.5.2) requires a challenge and no
    /// registered scheme describes a login form. Browsers show no dialog for a scheme they do not know. If a proof is
    /// missing, the header `WWW-Confirm` says which, such as `password`.
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
            // Visitors do not see why the function failed; the log has the details.
            "something went wrong\n".to_owned()
        } else {
            format!("{self}\n")
        };
        if let SessionErrorKind::Value | SessionErrorKind::NoLayer | SessionErrorKind::Owner | SessionErrorKind::Users =
            self.kind
        {
            // A refusal is not a failure, so it is not logged. Failed loads and saves were logged when they failed.
            self.log();
        }
        let mut response = short_answer(status, text);
        let headers = response.headers_mut();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Cookie"));
        }
        if let SessionErrorKind::Refused(Refusal::NotConfirmed(how)) = self.kind
            && let Ok(how) = HeaderValue::from_str(how)
        {
            headers.insert("www-confirm", how);
        }
        response.extensions_mut().insert(self);
        response
    }

    /// Logs the error. The log has the causes, which visitors do not see, except for a conflict or a contention.
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

/// An answer with a short text and `Cache-Control: no-store`.
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
        Self::caused(SessionErrorKind::Value, &error.to_string(), error)
    }
}

impl From<Refusal> for SessionError {
    fn from(refusal: Refusal) -> Self {
        Self::new(SessionErrorKind::Refused(refusal), &refusal.to_string())
    }
}

impl Refusal {
    /// Converts the refusal into a [`SessionError`], and that into an answer for the visitor, as
    /// [`SessionError::into_response`] does. The response's extensions contain the error, so that an
    /// [`ErrorPageLayer`](crate::ErrorPageLayer) can replace the short text by a page.
    ///
    /// ```
    /// use http::Response;
    /// use lambda_session::Refusal;
    ///
    /// let response: Response<String> = Refusal::CrossOrigin.into_response();
    /// assert_eq!((response.status().as_u16(), response.body().as_str()), (403, "another site sent this request\n"));
    /// ```
    #[must_use]
    pub fn into_response<B: From<String>>(self) -> Response<B> {
        SessionError::from(self).into_response()
    }
}

/// Converts the reason why a login was refused.
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
    use lambda_http::tracing::subscriber::fmt;

    use super::*;

    /// The alarm for store failures counts the events of that name.
    #[test]
    fn the_log_tells_contention_from_a_store_failure() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let writer = std::sync::Mutex::new(file.reopen().unwrap());
        let log = fmt().with_ansi(false).with_writer(writer).finish();
        tracing::subscriber::with_default(log, || {
            SessionError::new(SessionErrorKind::Contention, "too many at once").log();
            SessionError::unavailable("no answer").log();
        });
        let logged = std::fs::read_to_string(file).unwrap();
        let [contention, failure] = logged.lines().collect::<Vec<_>>()[..] else {
            panic!("{logged}");
        };
        assert!(
            contention.contains(" WARN ") && contention.contains(r#"event="contention""#),
            "{logged}"
        );
        assert!(
            failure.contains("ERROR ") && failure.contains(r#"event="store failure""#),
            "{logged}"
        );
    }

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
