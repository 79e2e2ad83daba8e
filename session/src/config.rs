//! The configuration of a layer: its builder, and the environment.

pub(crate) mod builder;
pub(crate) mod environment;
