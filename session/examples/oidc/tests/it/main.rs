//! Tests of the OpenID Connect example: with a provider that issues wrong tokens, and in Chromium with a certified one.

#![expect(clippy::disallowed_methods, reason = "tests measure time")]

mod browser;
mod environment;
mod fake;
mod login;
mod logout;
mod proofs;
mod site;
