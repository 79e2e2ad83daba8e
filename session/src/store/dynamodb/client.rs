//! The SDK's client, configured for one visitor who waits.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::InterceptorContext;
use aws_sdk_dynamodb::config::retry::{ClassifyRetry, RetryAction, RetryConfig, RetryPartition, TokenBucket};
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{Builder, StalledStreamProtectionConfig};

use super::http_client;
use super::user_agent::UserAgent;

/// DynamoDB answers in single-digit milliseconds; an attempt that took a second is lost, and the next one on a new
/// connection is faster than waiting for it. Four attempts fit a request's deadline.
pub(super) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);
const CONNECT_TIMEOUT: Duration = Duration::from_millis(800);
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
        .retry_classifier(Garbled)
        // The SDK's own quota of retries would be used up by a long outage and fill up again by one per success: for
        // hundreds of requests after it, one lost attempt would be an error. The attempts are bounded anyway.
        .retry_partition(
            RetryPartition::custom("session store")
                .token_bucket(TokenBucket::unlimited())
                .build(),
        )
        // Answers are small and whole attempts are timed; watching the stream costs time on every call.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .interceptor(UserAgent);
    if sdk.http_client().is_none() {
        config.set_http_client(Some(http_client::new(endpoint)));
    }
    // Only then: the SDK has found its own `AWS_ENDPOINT_URL_DYNAMODB` and `AWS_ENDPOINT_URL` by now.
    if let Some(endpoint) = endpoint {
        config.set_endpoint_url(Some(endpoint.to_owned()));
    }
    Client::from_conf(config.build())
}

/// Retries an answer that reports success and cannot be read: whatever sent it, it is as lost as none at all. The SDK
/// would give up.
#[derive(Debug)]
struct Garbled;

impl ClassifyRetry for Garbled {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let failed = matches!(context.output_or_error(), Some(Err(_)));
        let success = context
            .response()
            .is_some_and(|response| response.status().is_success());
        if failed && success {
            RetryAction::transient_error()
        } else {
            RetryAction::NoActionIndicated
        }
    }

    fn name(&self) -> &'static str {
        "garbled answers"
    }
}
