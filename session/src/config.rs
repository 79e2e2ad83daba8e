//! How a layer is configured: by its builder, and from the environment.

pub(crate) mod builder;
pub(crate) mod environment;
