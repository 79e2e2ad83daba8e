//! The library from outside: one crate, so that what stands in for the world is built once.

#![expect(
    clippy::disallowed_methods,
    reason = "tests measure time and read where a DynamoDB is"
)]

mod support;

mod account;
mod browser_cookies;
mod contract;
mod examples;
mod faults;
mod passwords;
mod promises;
mod properties;
mod refinement;
mod spans;
