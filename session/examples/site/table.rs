//! What `passwords`, `passkeys` and `oidc` need for what they keep in DynamoDB, or in memory on your own machine. If
//! you copy one of these examples, copy this file with it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;

use crate::problem::{Problem, UNAVAILABLE};

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Logs DynamoDB's error code, which contains nothing that a visitor sent.
pub(crate) fn unavailable<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Problem {
    let code = error.code().unwrap_or("no answer");
    tracing::error!(event = "table failed", code, "DynamoDB did not do what it was asked to");
    UNAVAILABLE
}
