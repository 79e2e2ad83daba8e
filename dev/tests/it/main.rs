//! The stand-ins for AWS from outside. The tests are one crate, so that what they share is built once.

mod dynamodb_command;
mod embedded_dynamodb;
mod event;
mod local;
mod local_errors;
mod proxy;
mod runtime;
mod support;
