//! The body of an answer that a layer lets through or gives itself.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// The body of an answer that came through a layer of this crate: the service's own body `B`, or the layer's short
    /// text in its place.
    ///
    /// So the layers take services with any body. axum, `lambda_http` and tower-http's layers take this body wherever
    /// they take `B`. Where a type names `B`, such as tower's `BoxCloneService`, [`into_inner`](Self::into_inner)
    /// converts it:
    ///
    /// ```
    /// use std::convert::Infallible;
    ///
    /// use lambda_http::{Body, Request, Response};
    /// use lambda_session::{ResponseBody, SameOriginLayer, lambda};
    /// use tower::util::{BoxCloneService, ServiceExt as _};
    /// use tower::Layer as _;
    ///
    /// let views = lambda::handler(async |_: Request| Ok("done"));
    /// let guarded = SameOriginLayer::new().layer(views);
    /// let guarded = guarded.map_response(|response| response.map(ResponseBody::into_inner));
    /// let service: BoxCloneService<Request, Response<Body>, Infallible> = BoxCloneService::new(guarded);
    /// ```
    #[derive(Clone, Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        inner: Option<B>,
        // The layer's text, if there is no inner body.
        text: String,
    }
}

impl<B> ResponseBody<B> {
    /// The answer of the service inside.
    pub(crate) fn of(response: Response<B>) -> Response<Self> {
        response.map(|inner| Self {
            inner: Some(inner),
            text: String::new(),
        })
    }

    /// Returns the service's body, or makes one of the layer's text.
    #[must_use]
    pub fn into_inner(self) -> B
    where
        B: From<String>,
    {
        self.inner.unwrap_or_else(|| self.text.into())
    }
}

/// An empty body, as tower-http's layers use it for answers of their own.
impl<B> Default for ResponseBody<B> {
    fn default() -> Self {
        Self::from(String::new())
    }
}

impl<B> From<String> for ResponseBody<B> {
    fn from(text: String) -> Self {
        Self { inner: None, text }
    }
}

impl<B: Body<Data: From<<String as Body>::Data>>> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        match this.inner.as_pin_mut() {
            Some(inner) => inner.poll_frame(context),
            None => Pin::new(this.text).poll_frame(context).map(|frame| {
                let Ok(frame) = frame?;
                Some(Ok(frame.map_data(Self::Data::from)))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Some(inner) => inner.is_end_stream(),
            None => self.text.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Some(inner) => inner.size_hint(),
            None => self.text.size_hint(),
        }
    }
}
