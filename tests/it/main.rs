//! Everything that is tested from outside the library: one crate, so that the machinery in `support` is built once.

#[path = "../../examples/embedded/mod.rs"]
mod embedded;
#[path = "../../examples/local/sdk.rs"]
mod sdk;
mod support;

mod binary;
mod contract;
mod dynamodb_command;
mod embedded_dynamodb;
mod events;
mod examples;
mod faults;
mod local;
mod proxy;
mod structure;
mod template;
