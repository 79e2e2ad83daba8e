//! What the SDK's errors mean to the session.

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use std::error::Error;

use crate::session::error::causes;
use crate::session::store::{StoreError, StoreErrorKind, Written};

/// The names of errors that are DynamoDB's passing trouble, not our mistake.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>
const PASSING: [&str; 6] = [
    "InternalServerError",
    "ItemCollectionSizeLimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "TransactionConflictException",
];

pub(super) trait Outcome {
    /// A condition that did not hold is an answer, not an error.
    fn written(self) -> Result<Written, StoreError>;
}

impl<T, E> Outcome for Result<T, SdkError<E, HttpResponse>>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    fn written(self) -> Result<Written, StoreError> {
        match self {
            Ok(_) => Ok(Written::Done),
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(Written::Refused),
            Err(error) => Err(failed(error)),
        }
    }
}

pub(super) fn failed<E>(error: SdkError<E, HttpResponse>) -> StoreError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let kind = match &error {
        SdkError::ServiceError(service) => {
            let status = service.raw().status();
            match error.code() {
                Some("ValidationException") if error.message().is_some_and(|text| text.contains("Item size")) => {
                    StoreErrorKind::TooLarge
                }
                Some(code) if PASSING.contains(&code) => StoreErrorKind::Unavailable,
                _ if status.is_server_error() || status.as_u16() == 429 => StoreErrorKind::Unavailable,
                // An answer without an error's name is not DynamoDB's.
                None => StoreErrorKind::Unavailable,
                Some(_) => StoreErrorKind::Rejected,
            }
        }
        SdkError::ConstructionFailure(_) => StoreErrorKind::Rejected,
        _ => StoreErrorKind::Unavailable,
    };
    StoreError::new(kind, cause(&error))
}

/// Name and message of DynamoDB's error, or the chain of what went wrong before there was one. Not `Debug`, which
/// shows whole requests and responses.
fn cause<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        _ => format!("{error}: {}", causes(error)),
    }
}
