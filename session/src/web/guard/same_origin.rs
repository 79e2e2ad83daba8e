//! The same-origin rule, which keeps other sites' pages from acting in the visitor's name.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use tower::Service;

use super::asked::Asked;
use crate::core::refusal::Refusal;
use crate::web::body::ResponseBody;
use crate::web::{Layered, is_prefetch, passed};

static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses requests from another site's page that would change something, which prevents CSRF without tokens.
///
/// It checks every request whose method is not safe (RFC 9110, section 9.2.1: GET, HEAD, OPTIONS and TRACE are safe),
/// and every request to a path that [`also`](Self::also) names, but no request to a path that
/// [`except`](Self::except) names. A refused request is answered by [`Refusal::into_response`]: 403, with a
/// [`SessionError`](crate::SessionError) that contains the [`Refusal`] in the response's extensions.
///
/// The rule is that of Go's `net/http.CrossOriginProtection`. If the browser sends `Sec-Fetch-Site`, that header
/// decides: `same-origin` and `none` (the address bar, a bookmark) pass. Without it, an `Origin` must be our own. A
/// request with neither header passes, because programs send neither. This leaves one gap: Safari before 16.4 sends
/// neither with a GET, so another site's link can log a visitor out where a GET logs out. It cannot log a visitor in,
/// because every browser sends `Origin` with a posted form. A prefetch is refused, too: it would log out a visitor who
/// only hovered over the link.
///
/// The session's cookie is `SameSite=Lax` already. This rule also covers logins, which need no cookie, pages on other
/// hosts of the same site, and GET requests that change something.
///
/// Put it outside [`SessionLayer`](crate::SessionLayer), so that a refused request costs no store call and never
/// touches a session. [`RequireLoginLayer`](crate::RequireLoginLayer) shows all three layers together.
///
/// ```
/// use std::convert::Infallible;
///
/// use http::{Request, Response};
/// use lambda_session::SameOriginLayer;
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// async fn views(request: Request<String>) -> Result<Response<String>, Infallible> {
///     Ok(Response::new("done".to_owned()))
/// }
///
/// let service = SameOriginLayer::new().also("/logout").layer(service_fn(views));
/// let from_elsewhere = Request::get("/logout").header("sec-fetch-site", "cross-site").body(String::new())?;
/// assert_eq!(service.oneshot(from_elsewhere).await?.status(), 403);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct SameOriginLayer {
    over_http: bool,
    also: Arc<Vec<String>>,
    except: Arc<Vec<String>>,
}

impl SameOriginLayer {
    /// Checks unsafe methods on every path.
    ///
    /// ```
    /// use lambda_session::SameOriginLayer;
    ///
    /// let same_origin = SameOriginLayer::new();
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks every method on `path`, where a GET changes something: a link to `/logout`, for example.
    ///
    /// `path` is compared before decoding, and written [as in
    /// `RequireLoginLayer`](crate::RequireLoginLayer#stages-base-paths-and-nested-routers). The layer also checks a
    /// request if `path` is the path of the URI that the layer gets, from which a nested router has removed its prefix,
    /// or in which `..` is already resolved.
    ///
    /// # Panics
    ///
    /// Panics if `path` does not begin with `/`, because no request has such a path.
    ///
    /// ```
    /// # use lambda_session::SameOriginLayer;
    /// let same_origin = SameOriginLayer::new().also("/logout");
    /// ```
    #[must_use]
    #[track_caller]
    pub fn also(mut self, path: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.also).push(checked(path.into()));
        self
    }

    /// Checks nothing on `path`, even if [`also`](Self::also) names it: for a webhook, or for the page to which an
    /// identity provider sends its form (`response_mode=form_post`). The handler must authenticate the sender itself,
    /// by a signature or a `state`.
    ///
    /// `path` is written as in [`also`](Self::also). For a route of a nested router, it must include the router's
    /// prefix: unlike in `also`, the path without the prefix does not match.
    ///
    /// # Panics
    ///
    /// Panics if `path` does not begin with `/`, because no request has such a path.
    ///
    /// ```
    /// # use lambda_session::SameOriginLayer;
    /// let same_origin = SameOriginLayer::new().except("/webhooks/payment");
    /// ```
    #[must_use]
    #[track_caller]
    pub fn except(mut self, path: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.except).push(checked(path.into()));
        self
    }

    /// Sets whether our own origin is an https one: `true` unless set. `false` is for local runs over plain http.
    ///
    /// ```
    /// # use lambda_session::SameOriginLayer;
    /// let local = SameOriginLayer::new().secure(false);
    /// ```
    #[must_use]
    pub fn secure(mut self, secure: bool) -> Self {
        self.over_http = !secure;
        self
    }

    /// Applies the rule to `request`, whatever its method and path: for a view that renders its own refusal.
    ///
    /// # Errors
    ///
    /// Returns a [`Refusal`] that says why the request must not be carried out.
    ///
    /// ```
    /// use http::Request;
    /// use lambda_session::{Refusal, SameOriginLayer};
    ///
    /// let same_origin = SameOriginLayer::new();
    /// let ours = Request::get("/logout").header("sec-fetch-site", "same-origin").body(())?;
    /// assert_eq!(same_origin.check(&ours), Ok(()));
    /// let theirs = Request::get("/logout").header("sec-fetch-site", "cross-site").body(())?;
    /// assert_eq!(same_origin.check(&theirs), Err(Refusal::CrossOrigin));
    /// # Ok::<(), http::Error>(())
    /// ```
    pub fn check<B>(&self, request: &Request<B>) -> Result<(), Refusal> {
        let headers = request.headers();
        if is_prefetch(headers) {
            return Err(Refusal::Prefetch);
        }
        let ours = match single(headers, &SEC_FETCH_SITE)? {
            Some(site) => site == "same-origin" || site == "none",
            None => match single(headers, &header::ORIGIN)? {
                Some(origin) => host(request)?.is_some_and(|host| self.is_own(origin, host)),
                None => true,
            },
        };
        if ours { Ok(()) } else { Err(Refusal::CrossOrigin) }
    }

    /// Whether the layer checks this request.
    fn guards<B>(&self, request: &Request<B>) -> bool {
        let asked = Asked::of(request);
        let routed = request.uri().path();
        let checked = |path: &String| asked.is_for(path) || routed == path || routed == asked.outside(path);
        let exempt = self.except.iter().any(|path| asked.is_for(path));
        !exempt && (!request.method().is_safe() || self.also.iter().any(checked))
    }

    /// Whether `origin` is the origin to which the request was sent. Browsers serialize an origin as scheme, host and
    /// port, without a default port (RFC 6454, section 6.2).
    fn is_own(&self, origin: &str, host: &str) -> bool {
        let (scheme, default_port) = if self.over_http {
            ("http://", ":80")
        } else {
            ("https://", ":443")
        };
        let host = host.strip_suffix(default_port).unwrap_or(host);
        !host.is_empty()
            && origin
                .strip_prefix(scheme)
                .is_some_and(|ours| ours.eq_ignore_ascii_case(host))
    }
}

/// Panics on a path that no request has, because the intended path would stay unguarded.
#[track_caller]
fn checked(path: String) -> String {
    assert!(path.starts_with('/'), "a path begins with `/`, and {path:?} does not");
    path
}

/// The header's value, if there is one. A repeated header, or one that is not text, cannot be trusted and is refused.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next().map(HeaderValue::to_str), values.next()) {
        (None, _) => Ok(None),
        (Some(Ok(value)), None) => Ok(Some(value)),
        _ => Err(Refusal::CrossOrigin),
    }
}

/// The host and port to which the request was sent. With HTTP/2 they are in the URI, mostly without a `Host` header.
fn host<B>(request: &Request<B>) -> Result<Option<&str>, Refusal> {
    let authority = || request.uri().authority().map(http::uri::Authority::as_str);
    Ok(single(request.headers(), &header::HOST)?.or_else(authority))
}

layer!(SameOriginLayer);

/// The service that [`SameOriginLayer`] makes.
pub type SameOriginService<S> = Layered<SameOriginLayer, S>;

impl<S, Q, R> Service<Request<Q>> for SameOriginService<S>
where
    S: Service<Request<Q>, Response = Response<R>>,
    S::Future: Send + 'static,
    S::Error: Send,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        if self.layer.guards(&request)
            && let Err(refusal) = self.layer.check(&request)
        {
            tracing::info!(event = "refused", "{refusal}");
            return Box::pin(async move { Ok(refusal.into_response()) });
        }
        passed(self.inner.call(request))
    }
}

#[cfg(test)]
mod tests;
