//! Stand-ins for AWS on this machine, for the local commands, the tests and the bench.
//!
//! The crate depends on neither the library nor the app: the app is a program that it starts.
//!
//! # Layout
//!
//! - [`dynamodb`]: DynamoDB's HTTP API over a database in this process.
//! - [`event`]: an HTTP request as the event Lambda makes of it, and the answer back as an HTTP response.
//! - [`runtime`]: the Runtime API, where a function asks for invocations.
//! - [`http1`]: the HTTP server of all of them.
//! - [`lambda`]: a sandbox, which is a compiled function as a process behind the Runtime API.
//! - [`app`]: builds the app's own program.
//! - [`proxy`] (feature `proxy`): stands in front of DynamoDB, records calls and makes them fail.
//! - [`program`] (feature `proxy`): an example of the library as a function or a server, with a table behind a proxy.
//! - [`visitor`] (feature `proxy`): asks such a program for pages, and keeps its cookies.
//! - [`tls`] (feature `tls`): TLS in front of the embedded DynamoDB, or of any server.
//! - [`browser`] (feature `browser`): Chromium, for the tests that need a real browser.
//! - [`command`]: what `cargo local` and `cargo dynamodb` have in common.

use std::time::Duration;

pub mod app;
#[cfg(feature = "browser")]
pub mod browser;
pub mod command;
pub mod dynamodb;
pub mod event;
pub mod http1;
pub mod lambda;
#[cfg(feature = "proxy")]
pub mod program;
#[cfg(feature = "proxy")]
pub mod proxy;
pub mod runtime;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(feature = "proxy")]
pub mod visitor;

/// Longer than any wait here takes. A test that would hang fails instead.
pub const PATIENCE: Duration = Duration::from_secs(30);
