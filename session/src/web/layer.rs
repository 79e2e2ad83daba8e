//! The tower layer, which finds the session ID, calls the handler, saves the session and sets the cookie.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::{BoxFuture, FutureExt as _};
use http::{Request, Response};
use tower::Service;

use crate::protocol::settings::Settings;
use crate::session::lazy::LazySession;
use crate::session::sessions::Sessions;
use crate::session::state::Outcome;
use crate::web::body::ResponseBody;
#[cfg(feature = "bound")]
use crate::web::bound::Bound;
use crate::web::{Layered, passed};

/// Gives every request a [`LazySession`] and saves the handler's changes to it.
///
/// It wraps any `Service<http::Request<_>>`, such as `lambda_http`'s handlers and axum routers. If the session cannot
/// be saved, [`SessionError::into_response`](crate::SessionError::into_response) replaces the handler's response. If
/// the service fails (`Err`), nothing is saved. A response with an error status is saved like any other, as in Flask;
/// axum turns a handler's `Err` into such a response.
///
/// Inside another layer for the same cookie, this layer does nothing: the handler gets the outer layer's session.
/// Layers for cookies of different names are independent, and a handler gets the session of the inner one.
///
/// ```
/// use std::convert::Infallible;
///
/// use http::{Request, Response};
/// use lambda_session::{Keys, MemoryStore, SessionLayer};
/// use tower::{Layer, service_fn};
///
/// async fn hello(request: Request<String>) -> Result<Response<String>, Infallible> {
///     Ok(Response::new("hello".to_owned()))
/// }
///
/// let keys = Keys::new(b"a long and random secret of at least 32 bytes")?;
/// let sessions = SessionLayer::builder(MemoryStore::default(), keys).build()?;
/// let service = sessions.layer(service_fn(hello));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SessionLayer {
    pub(crate) settings: Arc<Settings>,
    #[cfg(feature = "bound")]
    pub(crate) bound: Option<Arc<Bound>>,
}

impl SessionLayer {
    /// Gives access to the sessions of this layer's store by their owners, for a program that serves no requests, such
    /// as an administrator's tool. A handler uses [`Sessions::of`] with its request, which keeps to the request's
    /// deadline.
    ///
    /// ```
    /// # use lambda_session::{Keys, MemoryStore, SessionError, SessionLayer};
    /// # async fn suspend(layer: SessionLayer) -> Result<(), SessionError> {
    /// layer.sessions().end_all("user-4711").await
    /// # }
    /// ```
    #[must_use]
    pub fn sessions(&self) -> Sessions {
        Sessions {
            settings: Arc::clone(&self.settings),
            current: None,
        }
    }
}

layer!(SessionLayer);

/// The service that [`SessionLayer`] makes.
pub type SessionService<S> = Layered<SessionLayer, S>;

impl<S, Q, R> Service<Request<Q>> for SessionService<S>
where
    S: Service<Request<Q>, Response = Response<R>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    R: Send + 'static,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Q>) -> Self::Future {
        let outer = request.extensions().get::<LazySession>();
        if outer.is_some_and(|session| session.cookie_name() == Some(self.layer.cookie_name())) {
            return passed(self.inner.call(request));
        }
        let opened = self.layer.open_request(&request);
        #[cfg(feature = "bound")]
        if let Some(answer) = opened.own_answer() {
            return Box::pin(async move { Ok(answer.await.map(ResponseBody::from)) });
        }
        request.extensions_mut().insert(opened.session().clone());
        // An `async` block that awaited the handler's future would keep room for it twice.
        Box::pin(self.inner.call(request).then(|response| async move {
            let mut response = ResponseBody::of(response?);
            let Outcome { cookie, failed } = opened.session().0.finish().await;
            if let Some(error) = failed {
                response = error.into_response();
            }
            response.extensions_mut().insert(opened.session().clone());
            opened.set_headers(&cookie, &mut response);
            Ok(response)
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::{HeaderValue, header};
    use tower::{Layer as _, ServiceExt as _, service_fn};

    use super::*;
    use crate::{Keys, MemoryStore};

    fn sessions() -> SessionLayer {
        let keys = Keys::new(b"a long and random secret of at least 32 bytes").unwrap();
        SessionLayer::builder(MemoryStore::default(), keys).build().unwrap()
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

    #[tokio::test(flavor = "current_thread")]
    async fn an_answer_that_sets_or_clears_the_cookie_is_not_stored_whatever_the_handler_says() {
        let pages = sessions().layer(service_fn(async |request: Request<String>| {
            let session = LazySession::of(&request).unwrap();
            if request.uri().path() == "/logout" {
                session.end();
            } else {
                session.load().await.unwrap().insert("visits", 1).unwrap();
            }
            let response = Response::builder().header("cache-control", "public, max-age=600");
            Ok::<_, Infallible>(response.body(String::new()).unwrap())
        }));
        for path in ["/", "/logout"] {
            let request = Request::builder().uri(path).body(String::new()).unwrap();
            let answer = pages.clone().oneshot(request).await.unwrap();
            assert!(answer.headers().contains_key(header::SET_COOKIE), "{path}");
            let caching: Vec<_> = answer.headers().get_all(header::CACHE_CONTROL).iter().collect();
            assert_eq!(caching, ["no-store"], "{path}");
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_layer_within_another_for_the_same_cookie_leaves_the_session_to_it() {
        async fn count(request: Request<String>) -> Result<Response<String>, Infallible> {
            let visits = crate::Session::of(&request).await.unwrap().increment("visits", 1);
            Ok(Response::new(visits.unwrap().to_string()))
        }
        type Site = tower::util::BoxCloneService<Request<String>, Response<Body>, Infallible>;
        type Body = ResponseBody<ResponseBody<String>>;
        let visit = async |service: Site, cookie: &str| {
            let request = Request::builder().header(header::COOKIE, cookie);
            let answer = service.oneshot(request.body(String::new()).unwrap()).await.unwrap();
            let cookies = answer.headers().get_all(header::SET_COOKIE).iter();
            let cookies: Vec<_> = cookies.map(|value| value.to_str().unwrap().to_owned()).collect();
            (answer.into_body().into_inner().into_inner(), cookies)
        };
        let inner = sessions();
        let within = inner.layer(service_fn(count));
        let between = service_fn(move |request: Request<String>| {
            let within = within.clone();
            async move {
                let session = crate::Session::of(&request).await.unwrap();
                session.increment("visits", 1).unwrap();
                within.oneshot(request).await
            }
        });
        let twice = tower::util::BoxCloneService::new(inner.layer(between));
        let (body, cookies) = visit(twice.clone(), "").await;
        assert_eq!((body.as_str(), cookies.len()), ("2", 1));
        assert_eq!(visit(twice, cookies[0].split(';').next().unwrap()).await.0, "4");

        let keys = Keys::new(b"a long and random secret of at least 32 bytes").unwrap();
        let other = SessionLayer::builder(MemoryStore::default(), keys).cookie_name("__Host-other");
        let two = tower::util::BoxCloneService::new(other.build().unwrap().layer(inner.layer(service_fn(count))));
        let (body, cookies) = visit(two.clone(), "").await;
        assert_eq!((body.as_str(), cookies.len()), ("1", 1));
        assert!(cookies[0].starts_with("__Host-session="), "{cookies:?}");
        assert_eq!(visit(two, cookies[0].split(';').next().unwrap()).await.0, "2");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn vary_names_the_cookie_once_and_keeps_what_the_handler_named() {
        let table: [(&'static [&'static str], &str); 10] = [
            (&[], "Cookie"),
            (&["Accept-Encoding"], "Accept-Encoding, Cookie"),
            (&["accept-encoding", "Origin"], "accept-encoding, Origin, Cookie"),
            (&["Accept-Encoding, cookie"], "Accept-Encoding, cookie"),
            (&["Cookie", "Accept"], "Cookie, Accept"),
            (&["*"], "*"),
            (&["Accept", "Origin, *"], "*"),
            (&["X-Cookie"], "X-Cookie, Cookie"),
            (&[""], "Cookie"),
            (&["", "Accept"], "Accept, Cookie"),
        ];
        for (theirs, vary) in table {
            let views = service_fn(move |request: Request<String>| async move {
                LazySession::of(&request).unwrap().load().await.unwrap();
                let mut response = Response::new(String::new());
                for value in theirs {
                    response
                        .headers_mut()
                        .append(header::VARY, HeaderValue::from_static(value));
                }
                Ok::<_, Infallible>(response)
            });
            let answer = sessions().layer(views).oneshot(Request::default()).await.unwrap();
            let all: Vec<_> = answer.headers().get_all(header::VARY).iter().collect();
            assert_eq!(all, [vary], "{theirs:?}");
        }
    }
}
