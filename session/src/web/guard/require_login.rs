//! The layer that sends visitors who are not logged in to the login page.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use percent_encoding::utf8_percent_encode;
use tower::{Layer, Service};

use super::next::{RESERVED, local_path};
use super::{Refusal, raw_path};
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
/// axum removes a nested router's prefix from the URIs that its layers see. Add this layer to the outer router, after
/// `nest`; otherwise `next` lacks the prefix.
#[derive(Clone)]
pub struct RequireLoginLayer {
    login: Arc<str>,
    logged_in: LoggedIn,
}

impl RequireLoginLayer {
    /// Sends visitors who are not logged in to `login`, the path of the login page as the browser sees it, with or
    /// without a query.
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
        let login = login.into();
        assert!(
            local_path(&login).is_some() && !login.contains('#'),
            "the login page has to be a path of this site, and {login:?} is not"
        );
        Self {
            login: login.into(),
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

    fn is_login_page<B>(&self, request: &Request<B>) -> bool {
        let path = request.uri().path();
        // A plain handler routes by the raw path, which has no stage. To it, `/admin/../login` is not the login page.
        let routed = raw_path(request).is_none_or(|raw| path.ends_with(raw));
        routed && self.login.split('?').next() == Some(path)
    }

    /// The redirect to the login page, if the request is a navigation.
    fn to_login<B, R: From<String>>(&self, request: &Request<B>) -> Option<Response<R>> {
        if !is_navigation(request.method(), request.headers()) {
            return None;
        }
        let asked = request.uri().path_and_query().map(http::uri::PathAndQuery::as_str);
        let location = match asked.and_then(local_path) {
            Some(next) => {
                let separator = if self.login.contains('?') { '&' } else { '?' };
                format!("{}{separator}next={}", self.login, utf8_percent_encode(next, RESERVED))
            }
            None => self.login.as_ref().to_owned(),
        };
        let answer = Response::builder()
            .status(StatusCode::SEE_OTHER)
            .header(header::LOCATION, location)
            .header(header::CACHE_CONTROL, "no-store");
        answer.body(String::new().into()).ok()
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

/// Whether the browser will show the answer as a page.
fn is_navigation(method: &Method, headers: &HeaderMap) -> bool {
    if *method != Method::GET && *method != Method::HEAD {
        return false;
    }
    match headers.get("sec-fetch-mode") {
        Some(mode) => mode == "navigate",
        None => headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|accept| accept.to_str().ok())
            .flat_map(|accept| accept.split(','))
            .filter_map(|range| range.split(';').next())
            .any(|range| range.trim().eq_ignore_ascii_case("text/html")),
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
        if self.layer.is_login_page(&request) {
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
                Ok(false) => {
                    let refused = || Refusal::NotLoggedIn.into_response();
                    Ok(layer.to_login(&request).unwrap_or_else(refused))
                }
                Err(error) => Ok(error.into_response()),
            }
        })
    }
}

#[cfg(test)]
mod tests;
