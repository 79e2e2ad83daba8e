//! Stand-ins for the world around the library: DynamoDB, and visitors with cookies. The parts that other packages'
//! tests need as well are in `dev`.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_http_client::Builder as HttpClient;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

pub(crate) mod clock;
pub(crate) mod device;
pub(crate) mod forge;
pub(crate) mod own_table;
pub(crate) mod site;
pub(crate) mod slow;

pub(crate) use dev::program::{SECRET_KEY, example};

/// A store that random sequences compare with `MemoryStore`.
pub(crate) use own_table::Table as Compared;

/// Returns the stores to compare, by name: over the embedded DynamoDB, and over the one that `DYNAMODB_TEST_ENDPOINT`
/// names.
pub(crate) async fn compared() -> Vec<(&'static str, Compared)> {
    let mut tables = vec![("embedded", Compared::embedded().await)];
    if let Some(given) = Compared::given().await {
        tables.push(("given", given));
    }
    tables
}

/// The SDK's configuration for a DynamoDB that checks that a request is signed, but not by whom: any region, and keys
/// that open nothing. It is written out, so that the AWS settings of the tester change nothing.
pub(crate) fn sdk() -> SdkConfig {
    let keys = Credentials::new("local", "local", None, None, "local");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .build()
}

/// The configuration of a client that bypasses the store: the SDK's defaults. The store has its own.
pub(crate) fn sdk_at(endpoint: impl Into<String>) -> aws_sdk_dynamodb::config::Builder {
    let tls = Provider::Rustls(CryptoMode::Ring);
    aws_sdk_dynamodb::config::Builder::from(&sdk())
        .http_client(HttpClient::new().tls_provider(tls).build_https())
        .endpoint_url(endpoint)
}
