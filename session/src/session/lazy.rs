//! A request's session before it is loaded.

use std::fmt;
use std::sync::Arc;

use http::{Extensions, Request};

use super::Session;
use super::found::Absence;
use super::request::RequestSession;
use crate::protocol::budget::Budget;
use crate::protocol::error::SessionError;

/// A request's session that is not loaded yet. [`SessionLayer`](crate::SessionLayer) puts it into the request's
/// extensions. A request that neither loads nor ends it makes no store call.
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
    /// Returns the session of `request`.
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

    /// Loads the session without keeping it alive, for a request that the page sends without its visitor, such as
    /// polling for news or asking for the time that is left. A change keeps it alive all the same, and so do
    /// [`RequireLoginLayer`](crate::RequireLoginLayer) and the extractors, which load the session: behind them, name
    /// the path by [`polling`](crate::SessionLayerBuilder::polling) instead.
    ///
    /// # Errors
    ///
    /// The store failed.
    ///
    /// ```
    /// # use http::{Request, Response};
    /// # use lambda_session::{LazySession, SessionError};
    /// async fn ends_at(request: Request<()>) -> Result<Response<String>, SessionError> {
    ///     let session = LazySession::of(&request)?.peek().await?;
    ///     Ok(Response::new(session.expires_at().unwrap_or_default().to_string()))
    /// }
    /// ```
    pub async fn peek(&self) -> Result<Session, SessionError> {
        self.0.read().await?;
        Ok(Session(Arc::clone(&self.0)))
    }

    /// Returns why the request came without a session, for a page that says "you were logged out because you were
    /// away"; `None` if it came with one, or if the handler ended the session before it was loaded. Loads the session
    /// without keeping it alive. What the handler does to the session later does not change the answer.
    ///
    /// # Errors
    ///
    /// The store failed.
    ///
    /// ```
    /// # use http::Request;
    /// # use lambda_session::{Absence, LazySession, SessionError};
    /// # async fn login_page(request: Request<()>) -> Result<&'static str, SessionError> {
    /// Ok(match LazySession::of(&request)?.absence().await? {
    ///     Some(Absence::Expired) => "You were logged out because you were away.",
    ///     Some(Absence::Ended | Absence::Replaced) => "You were logged out.",
    ///     _ => "Welcome.",
    /// })
    /// # }
    /// ```
    pub async fn absence(&self) -> Result<Option<Absence>, SessionError> {
        self.0.read().await?;
        Ok(self.0.state().found.absence)
    }

    /// Ends the session, as [`Session::end`] does. A session that is not loaded is not read for this.
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

    /// Returns the number of store calls that the request has made.
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
        self.0.budget.as_ref().map_or(0, Budget::calls)
    }

    /// The name of the layer's cookie.
    pub(crate) fn cookie_name(&self) -> Option<&str> {
        self.0.budget.as_ref().map(|budget| &*budget.settings.cookie.name)
    }
}

impl Session {
    /// Returns the session of `request`. The first call makes one consistent read of the store if the request has a
    /// cookie that verifies. Later calls, and requests without such a cookie, make no read. A visitor without a session
    /// gets an empty one, which is stored only if you put something into it.
    ///
    /// # Errors
    ///
    /// The store failed, or the request did not come through a [`SessionLayer`](crate::SessionLayer).
    ///
    /// ```
    /// use http::{Request, Response};
    /// use lambda_session::{Session, SessionError};
    ///
    /// async fn greet(request: Request<String>) -> Result<Response<String>, SessionError> {
    ///     let name: Option<String> = Session::of(&request).await?.get("username")?;
    ///     Ok(Response::new(format!("Hello {}", name.as_deref().unwrap_or("stranger"))))
    /// }
    /// ```
    pub fn of<B>(request: &Request<B>) -> impl Future<Output = Result<Self, SessionError>> + Send + use<B> {
        // The future holds no reference to the request, whose body may not be `Sync`, as axum's.
        let lazy = LazySession::of(request);
        async { lazy?.load().await }
    }
}

impl fmt::Debug for LazySession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let read = self.0.state().found.read_at.is_some();
        f.debug_struct("LazySession")
            .field("read", &read)
            .finish_non_exhaustive()
    }
}
