//! Why a request is refused, though nothing has failed.

use http::StatusCode;
use thiserror::Error;

/// The reason why [`SameOriginLayer`](crate::SameOriginLayer), [`RequireLoginLayer`](crate::RequireLoginLayer) or an
/// extractor refused a request. The operator `?` makes a [`SessionError`](crate::SessionError) of it, so a handler can
/// refuse a request in the same way:
///
/// ```
/// use lambda_session::{Refusal, Session, SessionError};
///
/// fn owner(session: &Session) -> Result<String, SessionError> {
///     Ok(session.owner().ok_or(Refusal::NotLoggedIn)?)
/// }
/// assert_eq!(owner(&Session::default()).unwrap_err().status(), 401);
/// ```
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// A page of another origin sent the request (OWASP CSRF Prevention Cheat Sheet, Fetch Metadata). 403.
    #[error("another site sent this request")]
    CrossOrigin,
    /// The browser sent the request ahead of a click that may never come. 403.
    #[error("the browser sent this request ahead of time")]
    Prefetch,
    /// Nobody is logged in, and the request is not a navigation that could go to the login page. 401.
    #[error("nobody is logged in")]
    NotLoggedIn,
    /// Somebody is logged in, who may not do this. 403.
    #[error("you may not do this")]
    NotPermitted,
    /// Whoever is logged in has to prove it again in this way, such as by `"password"`
    /// ([`Session::confirm`](crate::Session::confirm)). 401.
    #[error("please prove again who you are ({0})")]
    NotConfirmed(&'static str),
}

impl Refusal {
    /// The HTTP status of the answer: 401 if a login or a proof is missing, 403 otherwise.
    ///
    /// ```
    /// use lambda_session::Refusal;
    ///
    /// assert_eq!(Refusal::CrossOrigin.status(), 403);
    /// ```
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::CrossOrigin | Self::Prefetch | Self::NotPermitted => StatusCode::FORBIDDEN,
            Self::NotLoggedIn | Self::NotConfirmed(_) => StatusCode::UNAUTHORIZED,
        }
    }
}
