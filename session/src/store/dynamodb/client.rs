//! The SDK's client, configured for a visitor who waits.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_runtime::request_info::RequestInfoInterceptor;
use aws_runtime::retries::classifiers::THROTTLING_ERRORS;
use aws_runtime::user_agent::UserAgentInterceptor;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeSerializationInterceptorContextRef, InterceptorContext,
};
use aws_sdk_dynamodb::config::retry::{ClassifyRetry, RetryAction, RetryConfig, RetryPartition, TokenBucket};
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{Builder, ConfigBag, Intercept, RuntimeComponents, StalledStreamProtectionConfig};
use aws_sdk_dynamodb::error::{BoxError, ProvideErrorMetadata as _};
use aws_sdk_dynamodb::operation::get_item::GetItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_smithy_runtime_api::client::connection::CaptureSmithyConnection;
use aws_smithy_runtime_api::client::interceptors::context::Error;
use aws_smithy_runtime_api::client::interceptors::{disable_interceptor, dyn_dispatch_hint};

use super::failure::PASSING;
use super::http_client::{self, CONNECT_TIMEOUT};

/// DynamoDB answers in single-digit milliseconds. An attempt that took a second is lost, and the next one on a new
/// connection is faster than waiting for it. Four attempts fit into the time of a request's store calls.
pub(super) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);
const ATTEMPTS: u32 = 4;
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LONGEST_BACKOFF: Duration = Duration::from_millis(400);

pub(super) fn new(sdk: &SdkConfig, endpoint: Option<&str>) -> Client {
    let mut config = Builder::from(sdk)
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                .build(),
        )
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(ATTEMPTS)
                .with_initial_backoff(FIRST_BACKOFF)
                .with_max_backoff(LONGEST_BACKOFF),
        )
        .interceptor(Exchange)
        .retry_classifier(Passing)
        // A long outage would use up the SDK's own retry quota, which each success refills by one. For hundreds of
        // requests afterwards, a single lost attempt would be an error. The attempts are bounded anyway.
        .retry_partition(
            RetryPartition::custom("session store")
                .token_bucket(TokenBucket::unlimited())
                .build(),
        )
        // Answers are small and whole attempts are timed; watching the stream costs time on every call.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    if sdk.http_client().is_none() {
        config.set_http_client(Some(http_client::new(endpoint)));
    }
    // Set last, to take precedence over the SDK's `AWS_ENDPOINT_URL_DYNAMODB` and `AWS_ENDPOINT_URL`, which are set by
    // now.
    if let Some(endpoint) = endpoint {
        config.set_endpoint_url(Some(endpoint.to_owned()));
    }
    Client::from_conf(config.build())
}

/// Leaves headers out of the requests that the SDK sends, and rejects empty answers.
#[derive(Debug)]
struct Exchange;

#[dyn_dispatch_hint]
impl Intercept for Exchange {
    fn name(&self) -> &'static str {
        "Exchange"
    }

    /// Switches off what DynamoDB does not need: the SDK's own `User-Agent`, which is two headers that describe the
    /// machine and the client, and a header with the number of the attempt. Our own HTTP client sends a shorter
    /// `User-Agent`.
    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        const CAUSE: &str = "its headers cost more than they are worth";
        let state = config.interceptor_state();
        state.store_put(disable_interceptor::<UserAgentInterceptor>(CAUSE));
        state.store_put(disable_interceptor::<RequestInfoInterceptor>(CAUSE));
        Ok(())
    }

    /// Fails an attempt whose answer is empty and reports success, because DynamoDB always sends JSON, at least `{}`.
    /// The SDK would take it for a write that was made, or for an item that does not exist.
    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // The body is in memory by now. A body that could not be read is an error already.
        let empty = context.response().body().bytes().is_some_and(<[u8]>::is_empty);
        if !empty || context.output_or_error().is_err() {
            return Ok(());
        }
        // The SDK closes connections only after errors that it has found itself.
        let connection = config.load::<CaptureSmithyConnection>();
        if let Some(connection) = connection.and_then(CaptureSmithyConnection::get) {
            connection.poison();
        }
        Err("an empty answer".into())
    }
}

/// Retries some errors that the SDK treats as final.
#[derive(Debug)]
struct Passing;

impl ClassifyRetry for Passing {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(Err(error)) = context.output_or_error() else {
            return RetryAction::NoActionIndicated;
        };
        let response = context.response();
        match error.as_operation_error().and_then(code) {
            // An answer that reports success and cannot be read counts as lost, whatever sent it.
            _ if response.is_some_and(|response| response.status().is_success()) => RetryAction::transient_error(),
            // A write that collided with a transaction or with another region's write. The connection works and stays
            // open; a transient error would close it. The SDK itself retries throttled calls, after the time that
            // DynamoDB asks for.
            Some(code) if PASSING.contains(&code) && !THROTTLING_ERRORS.contains(&code) => RetryAction::server_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "transient errors"
    }
}

/// The code of an error of the store's operations.
fn code(error: &Error) -> Option<&str> {
    let of_a_read = || error.downcast_ref::<GetItemError>()?.code();
    let of_a_put = || error.downcast_ref::<PutItemError>()?.code();
    let of_an_update = || error.downcast_ref::<UpdateItemError>()?.code();
    of_a_read().or_else(of_a_put).or_else(of_an_update)
}
