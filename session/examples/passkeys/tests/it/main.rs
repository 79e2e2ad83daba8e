//! Tests of the passkeys example: with authenticators in software that lie, over a table that fails, and in Chromium
//! with virtual authenticators.

mod attacks;
mod authenticator;
mod browser;
mod environment;
mod faults;
mod recovery;
mod site;
