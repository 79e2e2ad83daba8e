//! The HTTP side: the layer, axum's extractors, the guards, and Lambda's events.

use http::HeaderMap;

#[cfg(feature = "axum")]
mod axum;
#[cfg(feature = "bound")]
pub(crate) mod bound;
pub(crate) mod guard;
#[cfg(feature = "lambda")]
pub mod lambda;
pub(crate) mod layer;
pub(crate) mod open;
#[cfg(feature = "axum")]
pub(crate) mod users;

/// The headers by which browsers mark a prefetch: the Fetch Standard's, and its predecessors.
const PREFETCH: [&str; 3] = ["sec-purpose", "purpose", "x-moz"];

fn is_prefetch(headers: &HeaderMap) -> bool {
    PREFETCH
        .iter()
        .flat_map(|name| headers.get_all(*name))
        .any(|purpose| purpose.as_bytes().to_ascii_lowercase().starts_with(b"prefetch"))
}

/// A service with a layer around it.
#[derive(Clone, Debug)]
pub struct Layered<L, S> {
    layer: L,
    inner: S,
}

impl<L: Clone, S> Layered<L, S> {
    fn new(layer: &L, inner: S) -> Self {
        let layer = layer.clone();
        Self { layer, inner }
    }
}
