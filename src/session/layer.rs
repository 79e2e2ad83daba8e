//! The tower layer: find the ID, call the handler, save the session, answer.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderValue, Request, Response, header};
use thiserror::Error;
use tower::{Layer, Service};

use super::budget::Budget;
use super::cookie::{Keys, SessionCookie};
use super::lazy::LazySession;
use super::record::Timeouts;
use super::save::CookieAction;
use super::store::Store;

/// Tells the time in seconds since 1970-01-01 UTC.
pub type Clock = fn() -> u64;

/// Gives every request a [`LazySession`] and saves what the handler did with it.
///
/// It wraps any `Service<http::Request<_>>`: `lambda_http`'s handlers and axum routers alike. If the session cannot
/// be saved, the handler's response is replaced by
/// [`SessionError::into_response`](super::SessionError::into_response). A service that fails (`Err`)
/// saves nothing; an answer with an error's status is an answer, and saves, as in Flask. axum turns a handler's `Err`
/// into such an answer.
///
/// ```
/// use std::{convert::Infallible, sync::Arc};
///
/// use http::{Request, Response};
/// use lambda_session::session::{Keys, LazySession, SessionLayer, Store};
/// use tower::{Layer, service_fn};
///
/// async fn hello(request: Request<String>) -> Result<Response<String>, Infallible> {
///     Ok(Response::new("hello".to_owned()))
/// }
///
/// fn service(store: Arc<dyn Store>, secret: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
///     let sessions = SessionLayer::builder(store, Keys::new(secret)?).build()?;
///     let service = sessions.layer(service_fn(hello));
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct SessionLayer {
    store: Arc<dyn Store>,
    cookie: Arc<SessionCookie>,
    timeouts: Timeouts,
    clock: Clock,
}

impl SessionLayer {
    /// A layer over `store`, with the defaults: cookie `__Host-session` with `Secure`, 30 minutes idle, 12 hours
    /// in all.
    #[must_use]
    pub fn builder(store: Arc<dyn Store>, keys: Keys) -> SessionLayerBuilder {
        SessionLayerBuilder {
            store,
            keys,
            cookie_name: None,
            secure: true,
            timeouts: Timeouts::default(),
            clock: system_clock,
        }
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService {
            inner,
            layer: self.clone(),
        }
    }
}

/// Builds a [`SessionLayer`].
pub struct SessionLayerBuilder {
    store: Arc<dyn Store>,
    keys: Keys,
    cookie_name: Option<Cow<'static, str>>,
    secure: bool,
    timeouts: Timeouts,
    clock: Clock,
}

/// What a [`SessionLayerBuilder`] refuses.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// A cookie name that is not a token as RFC 6265 wants it.
    #[error("cookie name {0:?} is not a token: letters, digits and !#$%&'*+-.^_`|~ are allowed")]
    CookieName(String),
    /// A cookie name that browsers accept only with `Secure`.
    #[error("cookie name {0:?} is accepted by browsers only with Secure")]
    Prefix(String),
    /// A timeout of no time at all.
    #[error("the {0} must be at least one second")]
    NoTime(&'static str),
}

impl SessionLayerBuilder {
    /// How long sessions live.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// The cookie's name. By default `__Host-session`, or `session` when not secure.
    #[must_use]
    pub fn cookie_name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.cookie_name = Some(name.into());
        self
    }

    /// Whether the cookie is sent over https only. `false` is for plain-http local runs.
    #[must_use]
    pub fn secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// Another clock than the system's, for tests.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The layer.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if the cookie's name is no token or needs `Secure`, or a timeout is zero.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use lambda_session::session::{BuildError, Keys, SessionLayer, Store};
    ///
    /// # fn check(store: Arc<dyn Store>, keys: Keys) {
    /// let refused = SessionLayer::builder(store, keys).cookie_name("my session").build();
    /// assert!(matches!(refused, Err(BuildError::CookieName(_))));
    /// # }
    /// ```
    pub fn build(self) -> Result<SessionLayer, BuildError> {
        let default = if self.secure { "__Host-session" } else { "session" };
        let name = self.cookie_name.unwrap_or(Cow::Borrowed(default));
        if !is_token(&name) {
            return Err(BuildError::CookieName(name.into_owned()));
        }
        if !self.secure && (name.starts_with("__Host-") || name.starts_with("__Secure-")) {
            return Err(BuildError::Prefix(name.into_owned()));
        }
        for (seconds, timeout) in [
            (self.timeouts.idle_seconds, "idle timeout"),
            (self.timeouts.lifetime_seconds, "lifetime"),
        ] {
            if seconds == 0 {
                return Err(BuildError::NoTime(timeout));
            }
        }
        Ok(SessionLayer {
            store: self.store,
            cookie: Arc::new(SessionCookie::new(name, self.secure, self.keys)),
            timeouts: self.timeouts,
            clock: self.clock,
        })
    }
}

/// RFC 9110, section 5.6.2, which RFC 6265, section 4.1.1 takes the cookie's name from.
fn is_token(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(allowed)
}

fn system_clock() -> u64 {
    // A clock before 1970 is broken; at 0 every session is new, which is the best that can be done with it.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}

/// The service that [`SessionLayer`] makes.
#[derive(Clone)]
pub struct SessionService<S> {
    inner: S,
    layer: SessionLayer,
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for SessionService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
    S::Future: Send + 'static,
    S::Error: Send,
    ResponseBody: From<String> + Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        let cookie = Arc::clone(&self.layer.cookie);
        let session = LazySession::new(
            Budget::new(Arc::clone(&self.layer.store)),
            self.layer.timeouts,
            self.layer.clock,
            cookie.read(request.headers()),
        );
        request.extensions_mut().insert(session.clone());
        let response = self.inner.call(request);
        Box::pin(async move {
            let mut response = response.await?;
            match session.save().await {
                Ok(CookieAction::Keep) => {}
                Ok(CookieAction::Issue(id)) => set_cookie(&mut response, cookie.issue(&id)),
                Ok(CookieAction::Clear) => set_cookie(&mut response, cookie.clear()),
                Err(error) => response = error.into_response(),
            }
            if session.is_used() {
                mark_private(&mut response);
            }
            response.extensions_mut().insert(session);
            Ok(response)
        })
    }
}

fn set_cookie<B>(response: &mut Response<B>, value: HeaderValue) {
    response.headers_mut().append(header::SET_COOKIE, value);
}

/// An answer made with a session is one visitor's: no cache gives it to another (RFC 9111, section 4.1; RFC 6265bis,
/// section 8.8), unless the handler knows better. One `Vary` header, because payload format 2.0 keeps one of a name.
fn mark_private<B>(response: &mut Response<B>) {
    let headers = response.headers_mut();
    let mut vary: Vec<_> = headers
        .get_all(header::VARY)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    vary.push(b"Cookie");
    if let Ok(vary) = HeaderValue::from_bytes(&vary.join(&b", "[..])) {
        headers.insert(header::VARY, vary);
    }
    let no_store = HeaderValue::from_static("no-store");
    headers.entry(header::CACHE_CONTROL).or_insert(no_store);
}
