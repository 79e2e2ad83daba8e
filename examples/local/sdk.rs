//! The SDK's configuration for the embedded DynamoDB, which checks that a request is signed but not by whom.
//!
//! Written out rather than loaded, so that the AWS settings of whoever runs it (profiles, endpoints, single sign-on) change
//! nothing.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};

/// Any region, and keys that open nothing.
pub(crate) fn config() -> SdkConfig {
    let keys = Credentials::new("local", "local", None, None, "local");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .build()
}
