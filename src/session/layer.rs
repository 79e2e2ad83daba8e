//! The tower layer: find the ID, call the handler, save the session, answer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderValue, Request, Response, header};
use tower::{Layer, Service};

use super::budget::Budget;
use super::cookie::SessionCookie;
use super::lazy::LazySession;
use super::record::{Clock, Timeouts};
use super::save::CookieAction;
use super::store::Store;

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
    pub(super) store: Arc<dyn Store>,
    pub(super) cookie: Arc<SessionCookie>,
    pub(super) timeouts: Timeouts,
    pub(super) clock: Clock,
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
    let cookie = HeaderValue::from_static("Cookie");
    if headers.contains_key(header::VARY) {
        headers.append(header::VARY, cookie);
        let values: Vec<_> = headers
            .get_all(header::VARY)
            .iter()
            .map(HeaderValue::as_bytes)
            .collect();
        if let Ok(vary) = HeaderValue::from_bytes(&values.join(&b", "[..])) {
            headers.insert(header::VARY, vary);
        }
    } else {
        headers.insert(header::VARY, cookie);
    }
    let no_store = HeaderValue::from_static("no-store");
    headers.entry(header::CACHE_CONTROL).or_insert(no_store);
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::Ready;
    use std::task::Waker;

    use tower::{ServiceExt as _, service_fn};

    use super::*;
    use crate::session::{DynamoDbStore, Keys};

    /// Never ready.
    struct Busy;

    impl Service<Request<String>> for Busy {
        type Response = Response<String>;
        type Error = Infallible;
        type Future = Ready<Result<Self::Response, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Pending
        }

        fn call(&mut self, _: Request<String>) -> Self::Future {
            unreachable!("it is not ready")
        }
    }

    /// Nobody here has a session, so the store is not called.
    fn sessions() -> SessionLayer {
        let keys = Keys::new(b"a long and random secret of at least 32 bytes").unwrap();
        let store = Arc::new(DynamoDbStore::on_lambda("sessions", None));
        SessionLayer::builder(store, keys).build().unwrap()
    }

    #[test]
    fn it_is_not_ready_before_the_service_inside_is() {
        let ready = sessions()
            .layer(Busy)
            .poll_ready(&mut Context::from_waker(Waker::noop()));
        assert!(ready.is_pending());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn only_what_was_made_with_a_session_is_private() {
        let pages = sessions().layer(service_fn(async |request: Request<String>| {
            let session = LazySession::of(&request).unwrap();
            match request.uri().path() {
                "/view" => drop(session.load().await.unwrap()),
                "/logout" => session.end(),
                _ => {}
            }
            Ok::<_, Infallible>(Response::new(String::new()))
        }));
        for (path, private) in [("/view", true), ("/logout", true), ("/about", false)] {
            let request = Request::builder().uri(path).body(String::new()).unwrap();
            let answer = pages.clone().oneshot(request).await.unwrap();
            let names = [header::VARY, header::CACHE_CONTROL];
            assert_eq!(
                names.map(|name| answer.headers().contains_key(name)),
                [private; 2],
                "{path}"
            );
        }
    }
}
