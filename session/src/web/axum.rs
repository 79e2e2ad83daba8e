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
///
/// axum runs this before an extractor takes the body. On Lambda the body is there by then. On a server of its own, the
/// session is read before a slow upload has arrived, and may be changed or ended by other requests meanwhile: take
/// [`LazySession`] there, and load it in the handler.
impl<S: Send + Sync> FromRequestParts<S> for Session {
    type Rejection = SessionError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SessionError> {
        LazySession::in_extensions(&parts.extensions)?.load().await
    }
}

/// Reads nothing from the store, so a handler can load the session when the request's body has arrived.
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

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::extract::Request;
    use axum::middleware::{Next, from_fn};
    use axum::routing::get;

    use super::*;
    use crate::testing::Browser;
    use crate::{Keys, MemoryStore, SessionErrorKind, SessionLayer};

    #[test]
    fn a_value_that_is_refused_is_answered_as_the_error_that_it_becomes() {
        let refused = Session::default().insert("ratio", f64::NAN).unwrap_err();
        let answer = IntoResponse::into_response(refused.clone());
        let error: &SessionError = answer.extensions().get().unwrap();
        assert_eq!(
            (answer.status(), error.kind()),
            (error.status(), SessionErrorKind::Value)
        );
        assert_eq!(error.to_string(), refused.to_string());
    }

    async fn session(request: Request) -> Result<String, SessionError> {
        Ok(Session::of(&request).await?.increment("visits", 1)?.to_string())
    }

    async fn lazy(request: Request) -> Result<String, SessionError> {
        Ok(LazySession::of(&request)?
            .load()
            .await?
            .increment("visits", 1)?
            .to_string())
    }

    async fn peeked(request: Request) -> Result<String, SessionError> {
        let lazy = LazySession::of(&request)?;
        let visits = lazy.peek().await?.increment("visits", 1)?;
        assert_eq!(lazy.absence().await?, None);
        Ok(visits.to_string())
    }

    async fn listed(request: Request) -> Result<String, SessionError> {
        let session = Session::of(&request).await?;
        assert_eq!(Sessions::of(&request)?.list("admin").await?.len(), 0);
        session.save().await?;
        Ok(session.increment("visits", 1)?.to_string())
    }

    async fn middleware(request: Request, next: Next) -> Result<Response, SessionError> {
        Session::of(&request).await?.increment("visits", 1)?;
        LazySession::of(&request)?.load().await?.increment("visits", 1)?;
        Ok(next.run(request).await)
    }

    /// axum's body is not `Sync`, so a future that holds a reference to the request is no handler's.
    #[tokio::test(flavor = "current_thread")]
    async fn a_handler_and_a_middleware_that_take_axums_request_await_its_session() {
        let keys = Keys::new(b"a long and random secret of at least 32 bytes").unwrap();
        let sessions = SessionLayer::builder(MemoryStore::default(), keys).build().unwrap();
        let app: Router = Router::new()
            .route("/session", get(session))
            .route("/lazy", get(lazy))
            .route("/peeked", get(peeked))
            .route("/listed", get(listed))
            .layer(from_fn(middleware))
            .layer(sessions);
        let mut browser = Browser::new(app);
        for (path, visits) in [("/session", "3"), ("/lazy", "6"), ("/peeked", "9"), ("/listed", "12")] {
            assert_eq!(browser.get(path).await.body, visits, "{path}");
        }
    }
}
