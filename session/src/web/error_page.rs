//! The layer that makes the page of every failure and refusal.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::header::{self, ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use tower::Service;

use crate::web::Layered;

/// Makes the page of every failure and refusal in one place.
///
/// The layers, guards and extractors of this crate answer what they cannot do with a short text, and put the
/// [`SessionError`](crate::SessionError) into the response's extensions; so does a handler that returns one. This layer
/// finds the error there, whoever answered, and gives it to a function, together with the request's head. The answer
/// that the function returns takes the place of the text. If it returns `None`, the text stays.
///
/// The page keeps the status and the headers of the answer that it replaces, such as `Retry-After` and
/// `WWW-Authenticate`. A status other than 200 of the page, and its headers, replace those of the answer. The
/// `Set-Cookie` headers of both are sent. The headers that describe the replaced body are dropped: `Content-Length`,
/// `Content-Encoding`, `Content-Range`, `Accept-Ranges` and `ETag`.
///
/// Put it outside of the layers for which it makes pages. A second one, whose function takes another type, makes the
/// pages of the site's own errors, if they put themselves into the extensions of their response.
///
/// ```
/// use axum::response::{Html, IntoResponse as _, Response};
/// use axum::{Router, routing::get};
/// use http::{Request, request::Parts};
/// use lambda_session::{ErrorPageLayer, Refusal, SameOriginLayer, SessionError, SessionErrorKind};
/// use tower::ServiceExt as _;
///
/// fn page(error: &SessionError, request: &Parts) -> Option<Response> {
///     if request.headers.get("accept")? == "application/json" {
///         return None;
///     }
///     let text = match error.kind() {
///         SessionErrorKind::Conflict => "You logged in or out elsewhere. Nothing was saved.",
///         SessionErrorKind::Refused(Refusal::NotLoggedIn) => "Please log in first.",
///         SessionErrorKind::Refused(_) => "That is not allowed.",
///         _ => "That cannot be done at the moment.",
///     };
///     Some(Html(format!("<h1>{text}</h1>")).into_response())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app: Router = Router::new()
///     .route("/", get(async || "home"))
///     .layer(SameOriginLayer::new())
///     .layer(ErrorPageLayer::new(page));
///
/// let theirs = Request::post("/").header("sec-fetch-site", "cross-site").header("accept", "text/html");
/// let answer = app.oneshot(theirs.body(String::new())?).await?;
/// assert_eq!(answer.status(), 403);
/// assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
/// # let body = axum::body::to_bytes(answer.into_body(), 100).await?;
/// # assert_eq!(body, "<h1>That is not allowed.</h1>");
/// # Ok(())
/// # }
/// ```
#[doc(alias = "errorhandler")]
pub struct ErrorPageLayer<E, F> {
    page: Arc<F>,
    error: PhantomData<fn(&E)>,
}

impl<E, F> ErrorPageLayer<E, F> {
    /// Makes the pages of errors of the type `E`, which `page` takes. It returns the body as a `String`, or as the
    /// body of the service inside.
    ///
    /// ```
    /// use http::{Response, request::Parts};
    /// use lambda_session::{ErrorPageLayer, SessionError};
    ///
    /// let pages = ErrorPageLayer::new(|error: &SessionError, _: &Parts| {
    ///     Some(Response::new(format!("Sorry: {error}")))
    /// });
    /// ```
    pub fn new<P>(page: F) -> Self
    where
        F: Fn(&E, &Parts) -> Option<Response<P>>,
    {
        Self {
            page: Arc::new(page),
            error: PhantomData,
        }
    }
}

impl<E, F> Clone for ErrorPageLayer<E, F> {
    fn clone(&self) -> Self {
        Self {
            page: Arc::clone(&self.page),
            error: PhantomData,
        }
    }
}

/// `Debug` omits the function.
impl<E, F> fmt::Debug for ErrorPageLayer<E, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorPageLayer").finish_non_exhaustive()
    }
}

layer!(ErrorPageLayer<E, F>);

/// The service that [`ErrorPageLayer`] makes.
pub type ErrorPageService<E, F, S> = Layered<ErrorPageLayer<E, F>, S>;

impl<E, F, P, S, Q, R> Service<Request<Q>> for ErrorPageService<E, F, S>
where
    E: Send + Sync + 'static,
    F: Fn(&E, &Parts) -> Option<Response<P>> + Send + Sync + 'static,
    S: Service<Request<Q>, Response = Response<R>>,
    S::Future: Send + 'static,
    R: From<P>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let (head, body) = request.into_parts();
        let answer = self.inner.call(Request::from_parts(head.clone(), body));
        let page = Arc::clone(&self.layer.page);
        Box::pin(async move {
            let answer = answer.await?;
            let page = answer.extensions().get().and_then(|error| page(error, &head));
            Ok(match page {
                Some(page) => shown(answer, page.map(R::from)),
                None => answer,
            })
        })
    }
}

/// Shows the page in place of the answer.
fn shown<B>(answer: Response<B>, page: Response<B>) -> Response<B> {
    let (mut parts, _) = answer.into_parts();
    let (page, body) = page.into_parts();
    if page.status != StatusCode::OK {
        parts.status = page.status;
    }
    // These describe the body of before, which a layer may have compressed.
    for name in [CONTENT_LENGTH, CONTENT_ENCODING, CONTENT_RANGE, ACCEPT_RANGES, ETAG] {
        parts.headers.remove(name);
    }
    for name in page.headers.keys().filter(|name| **name != header::SET_COOKIE) {
        parts.headers.remove(name);
    }
    for (name, value) in &page.headers {
        parts.headers.append(name.clone(), value.clone());
    }
    parts.extensions.extend(page.extensions);
    Response::from_parts(parts, body)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tower::{Layer as _, ServiceExt as _, service_fn};

    use super::*;
    use crate::SessionError;
    use crate::core::refusal::Refusal;

    /// The answer of a service behind `page`, which fails, or does what `answer` says.
    async fn shown_by(
        page: fn(&SessionError, &Parts) -> Option<Response<String>>,
        answer: fn() -> Response<String>,
    ) -> Response<String> {
        let site =
            ErrorPageLayer::new(page).layer(service_fn(move |_| std::future::ready(Ok::<_, Infallible>(answer()))));
        let request = Request::get("/orders").body(()).unwrap();
        site.oneshot(request).await.unwrap()
    }

    fn failed() -> Response<String> {
        let mut response = SessionError::unavailable("no answer").into_response();
        for (name, value) in [
            (header::SET_COOKIE, "session=x"),
            (header::CONTENT_LENGTH, "33"),
            (header::CONTENT_ENCODING, "gzip"),
            (header::ETAG, "\"33\""),
            (header::LINK, "</a>"),
            (header::LINK, "</b>"),
        ] {
            response.headers_mut().append(name, value.parse().unwrap());
        }
        response
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_page_has_the_status_and_the_headers_of_the_answer_and_its_own() {
        let answer = shown_by(
            |error, request| {
                let mut page = Response::new(format!("{}: {error}", request.uri.path()));
                for (name, value) in [
                    (header::SET_COOKIE, "seen=1"),
                    (header::CONTENT_TYPE, "text/html"),
                    (header::LINK, "</c>"),
                ] {
                    page.headers_mut().insert(name, value.parse().unwrap());
                }
                page.extensions_mut().insert(7_u8);
                Some(page)
            },
            failed,
        )
        .await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.body(), "/orders: the session store is unavailable");
        let headers = |name| answer.headers().get_all(name).iter().collect::<Vec<_>>();
        assert_eq!(headers(header::SET_COOKIE), ["session=x", "seen=1"]);
        assert_eq!(headers(header::CONTENT_TYPE), ["text/html"]);
        assert_eq!(headers(header::LINK), ["</c>"]);
        assert_eq!(headers(header::RETRY_AFTER), ["5"]);
        assert_eq!(headers(header::CACHE_CONTROL), ["no-store"]);
        for name in [header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::ETAG] {
            assert_eq!(headers(name).len(), 0);
        }
        assert!(
            answer.extensions().get::<SessionError>().is_some(),
            "a log may want to know"
        );
        assert_eq!(answer.extensions().get(), Some(&7_u8));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_page_may_have_another_status_and_there_may_be_none() {
        let elsewhere = |_: &SessionError, _: &Parts| {
            let mut page = Response::new(String::new());
            *page.status_mut() = StatusCode::SEE_OTHER;
            Some(page)
        };
        let refused = || Refusal::NotLoggedIn.into_response();
        assert_eq!(shown_by(elsewhere, refused).await.status(), StatusCode::SEE_OTHER);
        let kept = shown_by(|_, _| None, refused).await;
        assert_eq!(
            (kept.status().as_u16(), kept.body().as_str()),
            (401, "nobody is logged in\n")
        );
    }

    #[test]
    fn debug_shows_no_function() {
        let layer = ErrorPageLayer::new(|_: &SessionError, _: &Parts| None::<Response<String>>);
        assert_eq!(format!("{layer:?}"), "ErrorPageLayer { .. }");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn an_answer_without_an_error_stays_whatever_its_status() {
        let page = |_: &SessionError, _: &Parts| Some(Response::new("sorry".to_owned()));
        let own = || {
            let mut own = Response::new("our own page".to_owned());
            *own.status_mut() = StatusCode::CONFLICT;
            own
        };
        assert_eq!(shown_by(page, own).await.body(), "our own page");
    }
}
