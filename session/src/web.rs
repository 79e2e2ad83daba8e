//! Requests in, answers out: the layer, axum's extractors, guards, and Lambda's events.

#[cfg(feature = "axum")]
mod axum;
pub(crate) mod guard;
#[cfg(feature = "lambda")]
pub mod lambda;
pub(crate) mod layer;

/// A layer around the service inside.
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
