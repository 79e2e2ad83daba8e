//! Converts the SDK's errors to the store's.

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use std::error::Error;

use super::item::Item;
use crate::store::{StoreError, StoreErrorKind, causes};

/// DynamoDB's transient errors whose status says that the request was wrong.
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

/// The item that a failed condition found, as far as DynamoDB returns it. Any other error is converted to a
/// [`StoreError`].
pub(super) fn refused<E>(error: SdkError<E, HttpResponse>) -> Result<Option<Item>, StoreError>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    aws_sdk_dynamodb::Error: From<SdkError<E, HttpResponse>>,
{
    if error.code() != Some("ConditionalCheckFailedException") {
        return Err(failed(error));
    }
    Ok(match error.into() {
        aws_sdk_dynamodb::Error::ConditionalCheckFailedException(refused) => refused.item,
        _ => None,
    })
}

pub(super) fn failed<E>(error: SdkError<E, HttpResponse>) -> StoreError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let passes = |status: u16| status == 429 || status >= 500;
    let kind = match (error.code(), error.message(), error.raw_response()) {
        _ if matches!(error, SdkError::ConstructionFailure(_)) => StoreErrorKind::Rejected,
        (Some("ValidationException"), Some(text), _) if text.contains("Item size") => StoreErrorKind::TooLarge,
        (Some(code), _, _) if PASSING.contains(&code) => StoreErrorKind::Unavailable,
        (Some(_), _, Some(answer)) if !passes(answer.status().as_u16()) => StoreErrorKind::Rejected,
        // An answer without an error code is not DynamoDB's.
        _ => StoreErrorKind::Unavailable,
    };
    // The code and message of DynamoDB's error or, without a code, the chain of causes. `Debug` would show whole
    // requests and responses.
    let cause = match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        _ => format!("{error}: {}", causes(&error)),
    };
    StoreError::new(kind, cause)
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
