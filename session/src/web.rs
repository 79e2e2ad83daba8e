//! Requests in, answers out: the layer, axum's extractors, guards, and Lambda's events.

#[cfg(feature = "axum")]
mod axum;
pub(crate) mod guard;
#[cfg(feature = "lambda")]
pub mod lambda;
pub(crate) mod layer;
