//! The layer that sends visitors who are not logged in to the login page.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use tower::{Layer, Service};

use super::asked::Asked;
use super::login_page::LoginPage;
use crate::protocol::error::SessionError;
use crate::session::Session;
use crate::session::lazy::LazySession;
use crate::web::Layered;

type LoggedIn = Arc<dyn Fn(&Session) -> bool + Send + Sync>;

/// Lets a request pass if the visitor is logged in.
///
/// Otherwise it answers a navigation with a 303 to the login page. A navigation is a GET or HEAD with `Sec-Fetch-Mode:
/// navigate` or, without that header, with an `Accept` that names `text/html`. The redirect carries the requested page
/// as `next`, if [`local_path`](crate::local_path) accepts it. Any other request, such as a script's or a form, is
/// answered with 401 by [`Refusal::into_response`](crate::Refusal::into_response). Both answers carry `Cache-Control:
/// no-store`. The login page itself passes for everybody.
///
/// The layer goes inside a [`SessionLayer`](crate::SessionLayer). It loads the session with one read of the store,
/// which the handler then need not repeat. If the store fails, or there is no `SessionLayer`, the answer is that of
/// [`SessionError::into_response`](crate::SessionError::into_response).
///
/// # Order
///
/// A request goes through [`SameOriginLayer`](crate::SameOriginLayer), then `SessionLayer`, then this layer. In axum,
/// the layer that is added last is the outermost; in a `tower::ServiceBuilder`, the first one is. Keep pages outside
/// this layer that visitors need without a login, such as `/logout`: the login page would send the visitor back there
/// as `next`, and so log the visitor out again.
///
/// ```
/// use axum::Router;
/// use axum::routing::get;
/// use http::Request;
/// use lambda_session::{Keys, MemoryStore, RequireLoginLayer, SameOriginLayer, SessionLayer};
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let keys = Keys::new(b"a long and random secret of at least 32 bytes")?;
/// let members = Router::new()
///     .route("/orders", get(async || "your orders"))
///     .layer(RequireLoginLayer::new("/login"));
/// let app: Router = Router::new()
///     .route("/login", get(async || "the form"))
///     .merge(members)
///     .layer(SessionLayer::builder(MemoryStore::default(), keys).build()?)
///     .layer(SameOriginLayer::new().also("/logout"));
///
/// let visit = Request::get("/orders?page=2").header("sec-fetch-mode", "navigate").body(String::new())?;
/// let answer = app.oneshot(visit).await?;
/// assert_eq!(answer.status(), 303);
/// assert_eq!(answer.headers()["location"], "/login?next=/orders%3Fpage%3D2");
/// # Ok(())
/// # }
/// ```
///
/// # Stages, base paths and nested routers
///
/// Write a path as the whole site's routes have it, with the prefixes of nested routers and without an API Gateway's
/// stage or a custom domain's base path. Each visitor is sent to it, and back, through the stage or base path by
/// which the request came.
///
/// A path with that stage or base path means the same page. An HTTP API's payload format 2.0 [does not name a custom
/// domain's API
/// mapping](https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html); if
/// the mapping has a path, choose payload format 1.0.
#[derive(Clone)]
pub struct RequireLoginLayer {
    login: LoginPage,
    logged_in: LoggedIn,
}

impl RequireLoginLayer {
    /// Sends visitors who are not logged in to `login`, the path of the login page as the site's routes have it, with
    /// or without a query.
    ///
    /// # Panics
    ///
    /// Panics if `login` is not a path that [`local_path`](crate::local_path) accepts, or has a fragment.
    ///
    /// ```
    /// use lambda_session::RequireLoginLayer;
    ///
    /// let require_login = RequireLoginLayer::new("/login");
    /// ```
    #[must_use]
    #[track_caller]
    pub fn new(login: impl Into<String>) -> Self {
        Self {
            login: LoginPage::new(login.into()),
            logged_in: Arc::new(|session| session.owner().is_some() || session.contains_key("username")),
        }
    }

    /// Sets the function that decides whether the visitor is logged in. By default, a visitor is logged in if the
    /// session has an [owner](Session::owner) or a `username`.
    ///
    /// ```
    /// # use lambda_session::RequireLoginLayer;
    /// let admins = RequireLoginLayer::new("/login")
    ///     .logged_in_if(|session| session.get::<String>("role").is_ok_and(|role| role.as_deref() == Some("admin")));
    /// ```
    #[must_use]
    pub fn logged_in_if(mut self, logged_in: impl Fn(&Session) -> bool + Send + Sync + 'static) -> Self {
        self.logged_in = Arc::new(logged_in);
        self
    }
}

/// `Debug` omits the predicate.
impl fmt::Debug for RequireLoginLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireLoginLayer")
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for RequireLoginLayer {
    type Service = RequireLoginService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Layered::new(self, inner)
    }
}

/// The service that [`RequireLoginLayer`] makes.
pub type RequireLoginService<S> = Layered<RequireLoginLayer, S>;

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for RequireLoginService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send,
    RequestBody: Send + 'static,
    ResponseBody: From<String> + Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        if self.layer.login.is(&Asked::of(&request)) {
            return Box::pin(self.inner.call(request));
        }
        let session = LazySession::of(&request);
        let layer = self.layer.clone();
        // `inner` is ready and is called; its clone, which may not be ready, takes its place (tower's `Service::call`).
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let logged_in = async { Ok::<_, SessionError>((layer.logged_in)(&session?.load().await?)) };
            match logged_in.await {
                Ok(true) => inner.call(request).await,
                Ok(false) => Ok(layer.login.answer(&Asked::of(&request))),
                Err(error) => Ok(error.into_response()),
            }
        })
    }
}

#[cfg(test)]
mod tests;
