//! Converts the SDK's errors to the store's, which may be logged.
//!
//! The SDK's texts can show what was sent, session variables included, or what was answered. So of an answer only the
//! status, DynamoDB's code and its request ID are kept, and DynamoDB's sentence only where it is about permissions or
//! capacity. Of everything else only the kind is kept.

use std::error::Error;
use std::io;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::RequestId as _;
use hyper_util::client::legacy;
use tokio::time::error::Elapsed;

use super::DynamoDbStore;
use super::item::{Item, PARTITION_KEY};
use crate::store::{StoreError, StoreErrorKind};

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

/// The errors whose sentence is about permissions or capacity, and says what is missing, such as
/// `dynamodb:UpdateItem`.
const TELLING: [&str; 5] = [
    "AccessDeniedException",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
];

/// The longest sentence that is kept, in bytes. A longer one is left out. IAM's sentences have about 300 bytes.
const MOST_SENTENCE_BYTES: usize = 600;

/// The longest code or request ID that is kept, in bytes. A longer one is left out.
const MOST_WORD_BYTES: usize = 64;

impl DynamoDbStore {
    /// The item that a failed condition found, as far as DynamoDB returns it. Any other error is converted to a
    /// [`StoreError`].
    pub(super) fn refused<E>(&self, error: SdkError<E, HttpResponse>) -> Result<Option<Item>, StoreError>
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
        aws_sdk_dynamodb::Error: From<SdkError<E, HttpResponse>>,
    {
        if error.code() != Some("ConditionalCheckFailedException") {
            return Err(self.failed(&error));
        }
        Ok(match error.into() {
            aws_sdk_dynamodb::Error::ConditionalCheckFailedException(refused) => refused.item,
            _ => None,
        })
    }

    pub(super) fn failed<E>(&self, error: &SdkError<E, HttpResponse>) -> StoreError
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let region = self.client.config().region().map_or("an unknown region", AsRef::as_ref);
        let table = |problem: &str| {
            let needed = format!("a string partition key `{PARTITION_KEY}` and no sort key");
            format!("the table {:?} in {region} {problem}; it needs {needed}", self.table)
        };
        StoreError::new(kind(error), cause(error, table))
    }
}

fn kind<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> StoreErrorKind {
    let passes = |status: u16| status == 429 || status >= 500;
    match (error.code(), error.message(), error.raw_response()) {
        _ if matches!(error, SdkError::ConstructionFailure(_)) => StoreErrorKind::Rejected,
        (Some("ValidationException"), Some(text), _) if text.contains("Item size") => StoreErrorKind::TooLarge,
        (Some(code), _, _) if PASSING.contains(&code) => StoreErrorKind::Unavailable,
        (Some(_), _, Some(answer)) if !passes(answer.status().as_u16()) => StoreErrorKind::Rejected,
        // An answer without an error code is not DynamoDB's.
        _ => StoreErrorKind::Unavailable,
    }
}

/// What went wrong, in words that are safe to log. `table` says what is wrong with the table.
fn cause<E>(error: &SdkError<E, HttpResponse>, table: impl Fn(&str) -> String) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let sentence = error.message().unwrap_or_default();
    let mut cause = match error.code().map(word) {
        Some(Some(code @ "ResourceNotFoundException")) => format!("{code}: {}", table("does not exist")),
        Some(Some(code @ "ValidationException")) if is_about_the_key(sentence) => {
            format!("{code}: {}", table("has another key"))
        }
        Some(Some(code)) if TELLING.contains(&code) && is_short_line(sentence) => format!("{code}: {sentence}"),
        Some(Some(code)) => code.to_owned(),
        Some(None) => "an error with a code that DynamoDB does not have".to_owned(),
        None => uncoded(error),
    };
    if let Some(id) = error.request_id().and_then(word) {
        cause = format!("{cause} (request ID {id})");
    }
    cause
}

/// Whether DynamoDB's sentence says that the table has another key.
fn is_about_the_key(sentence: &str) -> bool {
    let sentences = [
        "key element does not match the schema",
        "Type mismatch for key",
        "Missing the key",
    ];
    sentences.iter().any(|about| sentence.contains(about))
}

fn is_short_line(sentence: &str) -> bool {
    (1..=MOST_SENTENCE_BYTES).contains(&sentence.len()) && !sentence.contains(char::is_control)
}

/// The text, if it is one word.
fn word(text: &str) -> Option<&str> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=".contains(&byte);
    ((1..=MOST_WORD_BYTES).contains(&text.len()) && text.bytes().all(is_word)).then_some(text)
}

/// What went wrong with a call that has no error code of DynamoDB.
fn uncoded<E: Error + 'static>(error: &SdkError<E, HttpResponse>) -> String {
    let status = error.raw_response().map(|answer| answer.status().as_u16());
    match (error, status) {
        (SdkError::ConstructionFailure(_), _) => "the call could not be made".to_owned(),
        (SdkError::TimeoutError(_), _) => "no answer in time".to_owned(),
        (SdkError::DispatchFailure(_), _) => format!("no answer: {}", unanswered(error)),
        (_, Some(status)) if (200..300).contains(&status) => {
            format!("an answer with status {status} that cannot be read")
        }
        (_, Some(status)) => format!("an answer with status {status} and without DynamoDB's error code"),
        _ => "no answer".to_owned(),
    }
}

/// Why a call was not answered, from the first of the causes that is known.
fn unanswered(error: &(dyn Error + 'static)) -> String {
    let mut reason = "the connection was closed, or the answer is not HTTP";
    let mut next = Some(error);
    while let Some(cause) = next {
        next = cause.source();
        if cause.is::<Elapsed>() {
            return "opening the connection took too long".to_owned();
        }
        if cause.downcast_ref().is_some_and(legacy::Error::is_connect) {
            reason = "the connection could not be opened";
        }
        match cause.downcast_ref() {
            Some(rustls::Error::InvalidCertificate(_)) => return "the server's certificate is not trusted".to_owned(),
            Some(_) => return "TLS failed".to_owned(),
            None => {}
        }
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            // An error within an I/O error is not among its sources.
            match io.get_ref() {
                Some(inner) => next = Some(inner),
                None => return io.kind().to_string(),
            }
        }
    }
    reason.to_owned()
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::error::ErrorMetadata;
    use aws_sdk_dynamodb::operation::get_item::GetItemError;

    use super::*;

    fn answered(status: u16, code: Option<&str>, message: Option<&str>) -> SdkError<GetItemError, HttpResponse> {
        let response = HttpResponse::new(status.try_into().unwrap(), "".into());
        let mut metadata = ErrorMetadata::builder();
        if let Some(code) = code {
            metadata = metadata.code(code);
        }
        if let Some(message) = message {
            metadata = metadata.message(message);
        }
        SdkError::service_error(GetItemError::generic(metadata.build()), response)
    }

    #[test]
    fn a_name_or_a_status_tells_passing_trouble_from_a_mistake() {
        use StoreErrorKind::{Rejected, TooLarge, Unavailable};
        for (status, code, message, expected) in [
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
            let found = kind(&answered(status, code, message));
            assert_eq!(found, expected, "{status} {code:?} {message:?}");
        }
        let unsent = SdkError::<GetItemError, _>::construction_failure("no such table name");
        assert_eq!(kind(&unsent), Rejected);
        let unanswered = SdkError::<GetItemError, _>::timeout_error("too late");
        assert_eq!(kind(&unanswered), Unavailable);
    }

    #[test]
    fn a_call_without_an_answer_is_told_by_the_kind_of_its_cause() {
        use aws_sdk_dynamodb::error::ConnectorError;
        let unanswered = |inner: Box<dyn Error + Send + Sync>| {
            let error = SdkError::<GetItemError, HttpResponse>::dispatch_failure(ConnectorError::io(inner));
            cause(&error, |_| unreachable!("no table is named"))
        };
        let untrusted = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        for (inner, expected) in [
            (
                io::Error::from(io::ErrorKind::ConnectionRefused).into(),
                "no answer: connection refused",
            ),
            (
                io::Error::other(untrusted).into(),
                "no answer: the server's certificate is not trusted",
            ),
            (
                io::Error::other(rustls::Error::DecryptError).into(),
                "no answer: TLS failed",
            ),
            (io::Error::other("a value").into(), UNKNOWN),
            ("a value".into(), UNKNOWN),
        ] {
            assert_eq!(unanswered(inner), expected);
        }
    }

    const UNKNOWN: &str = "no answer: the connection was closed, or the answer is not HTTP";

    #[test]
    fn a_cause_has_dynamodbs_code_and_its_sentence_about_permissions_and_capacity_alone() {
        let long = "x".repeat(MOST_SENTENCE_BYTES + 1);
        for (code, sentence, expected) in [
            ("ThrottlingException", None, "ThrottlingException"),
            (
                "ThrottlingException",
                Some("slow down"),
                "ThrottlingException: slow down",
            ),
            (
                "AccessDeniedException",
                Some("not authorized to perform: dynamodb:GetItem"),
                "AccessDeniedException: not authorized to perform: dynamodb:GetItem",
            ),
            ("AccessDeniedException", Some(long.as_str()), "AccessDeniedException"),
            ("AccessDeniedException", Some("two\nlines"), "AccessDeniedException"),
            ("InternalServerError", Some("a value"), "InternalServerError"),
            (
                "ValidationException",
                Some("a value is not a number"),
                "ValidationException",
            ),
            (
                "ValidationException",
                Some("The provided key element does not match the schema"),
                "ValidationException: the table has another key",
            ),
            (
                "ResourceNotFoundException",
                Some("Requested resource not found"),
                "ResourceNotFoundException: the table does not exist",
            ),
            ("a value", None, "an error with a code that DynamoDB does not have"),
        ] {
            let error = answered(400, Some(code), sentence);
            assert_eq!(cause(&error, |problem| format!("the table {problem}")), expected);
        }
    }
}
