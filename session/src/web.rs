//! The HTTP side: the layer, axum's extractors, the guards, and Lambda's events.

use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, Response};

/// Implements tower's `Layer`: a service holds a clone of the layer, and the service inside.
macro_rules! layer {
    ($layer:ident $(<$($of:ident),+>)?) => {
        impl<$($($of,)+)? S> tower::Layer<S> for $layer$(<$($of),+>)? {
            type Service = $crate::web::Layered<Self, S>;

            fn layer(&self, inner: S) -> Self::Service {
                $crate::web::Layered { layer: self.clone(), inner }
            }
        }
    };
}

#[cfg(feature = "axum")]
mod axum;
pub(crate) mod body;
#[cfg(feature = "bound")]
pub(crate) mod bound;
pub(crate) mod error_page;
pub(crate) mod guard;
#[cfg(feature = "lambda")]
pub mod lambda;
pub(crate) mod layer;
pub(crate) mod open;
#[cfg(feature = "axum")]
pub(crate) mod users;

use body::ResponseBody;

/// The headers by which browsers mark a prefetch: the Fetch Standard's, and its predecessors.
static PREFETCH: [HeaderName; 3] = [
    HeaderName::from_static("sec-purpose"),
    HeaderName::from_static("purpose"),
    HeaderName::from_static("x-moz"),
];

fn is_prefetch(headers: &HeaderMap) -> bool {
    PREFETCH
        .iter()
        .flat_map(|name| headers.get_all(name))
        .any(|purpose| purpose.as_bytes().to_ascii_lowercase().starts_with(b"prefetch"))
}

/// The answer of the service inside, which the layer lets through.
fn passed<B, E>(
    answer: impl Future<Output = Result<Response<B>, E>> + Send + 'static,
) -> BoxFuture<'static, Result<Response<ResponseBody<B>>, E>> {
    Box::pin(async move { Ok(ResponseBody::of(answer.await?)) })
}

/// A service with a layer around it.
#[derive(Clone, Debug)]
pub struct Layered<L, S> {
    layer: L,
    inner: S,
}
