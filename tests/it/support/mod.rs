//! The compiled function, the requests of a visitor, and the pages.

use std::path::PathBuf;

use dev::dynamodb::table;
use dev::lambda::Lambda;

pub(crate) mod app;
pub(crate) mod browser;
pub(crate) mod forge;
pub(crate) mod html;

/// A secret key that the function accepts.
pub(crate) const SECRET_KEY: &str = "a key for tests that is longer than thirty-two bytes";

/// The function under test: the one that cargo built for the tests, or `LAMBDA_BINARY`, for example the one that
/// `sam build` made.
pub(crate) fn binary() -> PathBuf {
    let built = || env!("CARGO_BIN_EXE_lambda-session-app").into();
    std::env::var_os("LAMBDA_BINARY").map_or_else(built, PathBuf::from)
}

/// The required environment variables except the secret key.
pub(crate) fn environment(endpoint: &str) -> Vec<(String, String)> {
    [("TABLE_NAME", table::NAME), ("DYNAMODB_ENDPOINT", endpoint)]
        .map(|(name, value)| (name.into(), value.into()))
        .into()
}

/// The function with the DynamoDB at `endpoint`, and with these variables in addition to the required ones.
pub(crate) async fn function(endpoint: &str, variables: &[(&str, &str)]) -> Lambda {
    let secret = [("SECRET_KEY", SECRET_KEY)];
    let given = secret.iter().chain(variables);
    let given = given.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Lambda::start(binary(), environment(endpoint).into_iter().chain(given)).await
}

/// A client that accesses the table directly, with the SDK's defaults.
pub(crate) fn client(endpoint: &str) -> aws_sdk_dynamodb::Client {
    use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, Region};
    use aws_smithy_http_client::Builder;
    use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
    let tls = Provider::Rustls(CryptoMode::Ring);
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "local"))
        .http_client(Builder::new().tls_provider(tls).build_https())
        .endpoint_url(endpoint);
    aws_sdk_dynamodb::Client::from_conf(config.build())
}
