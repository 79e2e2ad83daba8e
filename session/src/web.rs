//! The HTTP side: the layer, axum's extractors, the guards, and Lambda's events.

#[cfg(feature = "axum")]
mod axum;
pub(crate) mod guard;
#[cfg(feature = "lambda")]
pub mod lambda;
pub(crate) mod layer;

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
