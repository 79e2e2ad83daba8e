//! Everything that is tested from outside the library: one crate, so that the machinery in `support` is built once.

#[path = "../../examples/embedded/mod.rs"]
mod embedded;
#[path = "../../examples/local/sdk.rs"]
mod sdk;
mod support;

mod binary;
mod browser;
mod contract;
mod cookies;
mod dynamodb_command;
mod embedded_dynamodb;
mod events;
mod examples;
mod faults;
mod forms;
mod headers;
mod history;
mod local;
mod logs;
mod model;
mod pages;
mod properties;
mod proxy;
mod requests;
mod routing;
mod structure;
mod template;
