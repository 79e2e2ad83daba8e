//! What the SDK's errors mean to the session.

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use std::error::Error;

use super::item::Item;
use crate::store::{StoreError, StoreErrorKind, causes};

/// The errors that are DynamoDB's passing trouble, though their status says that the request was wrong.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>
pub(super) const PASSING: [&str; 6] = [
    "ProvisionedThroughputExceededException",
    "ReplicatedWriteConflictException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "TransactionConflictException",
    "TransactionInProgressException",
];

/// The error of a write that may be refused because something else stands there.
pub(super) trait Refused: ProvideErrorMetadata + Error + Send + Sync + 'static {
    /// What stands there, if DynamoDB says it.
    fn item(self) -> Option<Item>;
}

impl Refused for PutItemError {
    fn item(self) -> Option<Item> {
        match self {
            Self::ConditionalCheckFailedException(refused) => refused.item,
            _ => None,
        }
    }
}

impl Refused for UpdateItemError {
    fn item(self) -> Option<Item> {
        match self {
            Self::ConditionalCheckFailedException(refused) => refused.item,
            _ => None,
        }
    }
}

/// What stands there, as far as DynamoDB says it, if a condition did not hold, which is an answer and not an error.
pub(super) fn refused<E: Refused>(error: SdkError<E, HttpResponse>) -> Result<Option<Item>, StoreError> {
    match error {
        SdkError::ServiceError(service) if service.err().code() == Some("ConditionalCheckFailedException") => {
            Ok(service.into_err().item())
        }
        error => Err(failed(error)),
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

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::error::ErrorMetadata;
    use aws_sdk_dynamodb::operation::get_item::GetItemError;

    use super::*;

    fn answered(status: u16, code: Option<&str>, message: Option<&str>) -> StoreError {
        let response = HttpResponse::new(status.try_into().unwrap(), "".into());
        let mut metadata = ErrorMetadata::builder();
        if let Some(code) = code {
            metadata = metadata.code(code);
        }
        if let Some(message) = message {
            metadata = metadata.message(message);
        }
        failed(SdkError::service_error(
            GetItemError::generic(metadata.build()),
            response,
        ))
    }

    #[test]
    fn a_name_or_a_status_tells_passing_trouble_from_a_mistake() {
        use StoreErrorKind::{Rejected, TooLarge, Unavailable};
        for (status, code, message, kind) in [
            (400, Some("ThrottlingException"), None, Unavailable),
            (400, Some("RequestLimitExceeded"), None, Unavailable),
            (500, Some("InternalServerError"), None, Unavailable),
            (503, Some("NeverHeardOf"), None, Unavailable),
            (429, Some("NeverHeardOf"), None, Unavailable),
            (200, None, None, Unavailable),
            (403, None, None, Unavailable),
            (400, Some("AccessDeniedException"), None, Rejected),
            (400, Some("ValidationException"), Some("One or more values"), Rejected),
            (
                400,
                Some("ValidationException"),
                Some("Item size has exceeded"),
                TooLarge,
            ),
        ] {
            assert_eq!(
                answered(status, code, message).kind(),
                kind,
                "{status} {code:?} {message:?}"
            );
        }
        let unsent = SdkError::<GetItemError, _>::construction_failure("no such table name");
        assert_eq!(failed(unsent).kind(), Rejected);
        let unanswered = SdkError::<GetItemError, _>::timeout_error("too late");
        assert_eq!(failed(unanswered).kind(), Unavailable);
    }

    #[test]
    fn a_cause_is_dynamodbs_name_and_message_as_far_as_there_are_any() {
        let cause = |message| causes(&answered(400, Some("ThrottlingException"), message));
        assert_eq!(cause(None), "ThrottlingException");
        assert_eq!(cause(Some("slow down")), "ThrottlingException: slow down");
    }
}
