//! The app's form, headers and pages. All functions here are pure: they use no clock, no environment and no store.

pub(crate) mod form;
pub(crate) mod headers;
pub(crate) mod pages;

#[cfg(test)]
mod properties;
