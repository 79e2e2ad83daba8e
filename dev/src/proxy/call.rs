//! A call of DynamoDB, read from its HTTP request.

use std::time::Instant;

use http::HeaderMap;
use serde_json::Value;

/// A call as it arrived.
#[derive(Clone, Debug)]
pub struct Call {
    /// The name of the operation, such as `GetItem`.
    pub operation: String,
    /// The parameters.
    pub request: Value,
    /// The SDK's name for the operation, the same for all its attempts.
    pub invocation: String,
    /// The number of the attempt among the calls that are kept, from 1.
    pub attempt: usize,
    /// The headers that DynamoDB does not need.
    pub needless: Vec<String>,
    /// How many calls of this operation have arrived, this one included.
    pub nth: usize,
    /// The connection of the call, numbered from 0.
    pub connection: usize,
    /// When the call arrived.
    pub arrived: Instant,
    /// The HTTP status with which DynamoDB answered, if it has.
    pub status: Option<u16>,
}

impl Call {
    /// Reads everything but `attempt` and `nth`, which depend on the calls before.
    pub(super) fn read(connection: usize, headers: &HeaderMap, body: &[u8]) -> Self {
        let header = |name: &str| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default()
        };
        Self {
            operation: header("x-amz-target").rsplit('.').next().unwrap_or_default().to_owned(),
            request: serde_json::from_slice(body).unwrap_or_default(),
            invocation: header("amz-sdk-invocation-id").to_owned(),
            attempt: 0,
            needless: ["user-agent", "x-amz-user-agent", "amz-sdk-request"]
                .map(header)
                .map(str::to_owned)
                .into(),
            nth: 0,
            connection,
            arrived: Instant::now(),
            status: None,
        }
    }
}
