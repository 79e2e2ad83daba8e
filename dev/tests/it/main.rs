//! What stands in for AWS, from outside: one crate, so that what the tests share is built once.

mod dynamodb_command;
mod embedded_dynamodb;
mod event;
mod local;
mod local_errors;
mod proxy;
mod runtime;
mod support;
