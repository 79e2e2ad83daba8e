//! What the app knows about HTTP and HTML. Everything in here is pure: no clock, no environment, no store.

pub(crate) mod form;
pub(crate) mod headers;
pub(crate) mod pages;

#[cfg(test)]
mod properties;
