//! A request's session before anybody has asked for it.

use std::fmt;
use std::sync::Arc;

use http::{Extensions, Request};

use crate::core::cookie::SessionCookie;
use crate::error::SessionError;
use crate::request::RequestSession;
use crate::session::Session;

/// A request's session, not loaded yet. [`SessionLayer`](crate::SessionLayer) puts it into the request's
/// extensions; a request that never loads it costs no store call.
///
/// ```
/// use http::{Request, Response};
/// use lambda_session::{LazySession, SessionError};
///
/// async fn page(request: Request<String>) -> Result<Response<String>, SessionError> {
///     let session = LazySession::of(&request)?;
///     if request.uri().path() == "/about" {
///         return Ok(Response::new("a page that needs no session".to_owned()));
///     }
///     let name: Option<String> = session.load().await?.get("username")?;
///     Ok(Response::new(format!("Hello {}", name.as_deref().unwrap_or("stranger"))))
/// }
/// ```
#[derive(Clone)]
pub struct LazySession(pub(crate) Arc<RequestSession>);

impl LazySession {
    /// The session of `request`.
    ///
    /// # Errors
    ///
    /// The request did not come through a [`SessionLayer`](crate::SessionLayer).
    ///
    /// ```
    /// use http::Request;
    /// use lambda_session::{LazySession, SessionErrorKind};
    ///
    /// let error = LazySession::of(&Request::new(())).unwrap_err();
    /// assert_eq!(error.kind(), SessionErrorKind::NoLayer);
    /// ```
    pub fn of<B>(request: &Request<B>) -> Result<Self, SessionError> {
        Self::in_extensions(request.extensions())
    }

    pub(crate) fn in_extensions(extensions: &Extensions) -> Result<Self, SessionError> {
        extensions.get().cloned().ok_or_else(SessionError::no_layer)
    }

    /// Loads the session, as [`Session::of`] does.
    ///
    /// # Errors
    ///
    /// The store failed.
    ///
    /// ```
    /// # use http::Request;
    /// # use lambda_session::{LazySession, SessionError};
    /// # async fn view(request: Request<()>) -> Result<(), SessionError> {
    /// let session = LazySession::of(&request)?.load().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn load(&self) -> Result<Session, SessionError> {
        self.0.load().await?;
        Ok(Session(Arc::clone(&self.0)))
    }

    /// Ends the session, as [`Session::end`] does, but without the read if it is not loaded.
    ///
    /// ```
    /// # use http::Request;
    /// # use lambda_session::{LazySession, SessionError};
    /// # fn logout(request: &Request<()>) -> Result<(), SessionError> {
    /// LazySession::of(request)?.end();
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "logout")]
    pub fn end(&self) {
        self.0.state().end();
    }

    /// How many store calls the request has made.
    ///
    /// ```
    /// # use http::Response;
    /// # use lambda_session::LazySession;
    /// # fn log(response: &Response<String>) {
    /// // The layer leaves the session in the response, too.
    /// let calls = response.extensions().get().map_or(0, LazySession::store_calls);
    /// # }
    /// ```
    #[must_use]
    pub fn store_calls(&self) -> u32 {
        self.0.request().map_or(0, |request| request.records.budget.calls())
    }

    /// Whether a layer for this cookie made it.
    pub(crate) fn is_of(&self, cookie: &SessionCookie) -> bool {
        self.0
            .request()
            .is_some_and(|request| request.cookie.name() == cookie.name())
    }
}

impl fmt::Debug for LazySession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let read = self.0.state().is_read();
        f.debug_struct("LazySession")
            .field("read", &read)
            .finish_non_exhaustive()
    }
}
