//! The library from outside. The tests are one crate, so that the stand-ins for AWS are built once.

#![expect(clippy::disallowed_methods, reason = "tests measure time and read the environment")]

mod support;

mod account;
mod api;
mod authorizer;
mod bodies;
mod bound;
mod browser_cookies;
mod contract;
mod examples;
mod faults;
mod passwords;
mod permissions;
mod promises;
mod properties;
mod refinement;
mod spans;
mod streaming;
