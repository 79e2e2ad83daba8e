//! The store's configuration in a Lambda function.

use std::ffi::OsString;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::SharedCredentialsProvider;
use http::Uri;

use crate::config::environment::{EnvironmentError, read};

/// What a store is made of.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) sdk: SdkConfig,
    pub(super) table: String,
    pub(super) endpoint: Option<String>,
}

/// Reads the environment through `variable`, usually [`std::env::var_os`].
pub(super) fn settings<V: Into<OsString>>(variable: impl Fn(&str) -> Option<V>) -> Result<Settings, EnvironmentError> {
    Ok(Settings {
        table: table_name(read(&variable, "TABLE_NAME")?)?,
        endpoint: read(&variable, "DYNAMODB_ENDPOINT")?.map(endpoint).transpose()?,
        sdk: sdk(|name| variable(name)?.into().into_string().ok())?,
    })
}

/// A table's name or ARN: <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_GetItem.html>
fn table_name(value: Option<String>) -> Result<String, EnvironmentError> {
    let name = "TABLE_NAME";
    let value =
        value.ok_or_else(|| EnvironmentError::new(name, "is not set; set it to the name of the sessions table"))?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-:/".contains(&byte);
    if (3..=1024).contains(&value.len()) && value.bytes().all(allowed) {
        Ok(value)
    } else {
        Err(EnvironmentError::new(
            name,
            "is not a DynamoDB table; allowed are 3 or more of a-z A-Z 0-9 _ . - or a table's ARN",
        ))
    }
}

fn endpoint(value: String) -> Result<String, EnvironmentError> {
    let is_url = value
        .parse::<Uri>()
        .is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
    if is_url {
        Ok(value)
    } else {
        Err(EnvironmentError::new(
            "DYNAMODB_ENDPOINT",
            "is not an http:// or https:// address, such as http://127.0.0.1:8000",
        ))
    }
}

/// What Lambda sets, and where DynamoDB is, under the names that the SDK's own loader knows.
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>
///
/// The loader also looks for profiles, containers, instances and web identities, none of which a function has. Without it
/// the program is a quarter smaller (ARCHITECTURE.md).
fn sdk(variable: impl Fn(&str) -> Option<String>) -> Result<SdkConfig, EnvironmentError> {
    // Empty counts as unset, because SAM cannot leave a variable out.
    let variable = |name| variable(name).filter(|value| !value.is_empty());
    let flag = |name| variable(name).map(|value| value.eq_ignore_ascii_case("true"));
    let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
    let region = region.ok_or_else(|| {
        EnvironmentError::new(
            "AWS_REGION",
            "is not set; set it, or AWS_DEFAULT_REGION, to the table's region, such as eu-central-1",
        )
    })?;
    if variable("AWS_ACCESS_KEY_ID").is_none() || variable("AWS_SECRET_ACCESS_KEY").is_none() {
        return Err(EnvironmentError::new(
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            "are not set; Lambda sets them for every function, and a local DynamoDB takes any",
        ));
    }
    let mut sdk = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .credentials_provider(SharedCredentialsProvider::new(
            EnvironmentVariableCredentialsProvider::new(),
        ));
    sdk.set_endpoint_url(variable("AWS_ENDPOINT_URL_DYNAMODB").or_else(|| variable("AWS_ENDPOINT_URL")));
    sdk.set_use_fips(flag("AWS_USE_FIPS_ENDPOINT"));
    sdk.set_use_dual_stack(flag("AWS_USE_DUALSTACK_ENDPOINT"));
    Ok(sdk.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "local"), ("AWS_SECRET_ACCESS_KEY", "local")];

    const TABLE: (&str, &str) = ("TABLE_NAME", "sessions");

    fn try_in(environment: &[(&str, &str)]) -> Result<Settings, EnvironmentError> {
        settings(|name| {
            let mut all = environment.iter().chain([&TABLE]);
            all.find(|(set, _)| *set == name).map(|(_, value)| *value)
        })
    }

    fn settings_in(environment: &[(&str, &str)]) -> Settings {
        try_in(&[environment, &KEYS, &[("AWS_REGION", "eu-central-1")]].concat()).unwrap()
    }

    fn sdk_in(environment: &[(&str, &str)]) -> SdkConfig {
        settings_in(environment).sdk
    }

    #[test]
    fn what_is_missing_is_named_with_what_to_do() {
        let region =
            "AWS_REGION is not set; set it, or AWS_DEFAULT_REGION, to the table's region, such as eu-central-1";
        let keys = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set; Lambda sets them for every function, and a \
                    local DynamoDB takes any";
        for (environment, expected) in [
            (
                &[("TABLE_NAME", "")][..],
                "TABLE_NAME is not set; set it to the name of the sessions table",
            ),
            (&KEYS, region),
            (&[("AWS_REGION", "")], region),
            (&[("AWS_REGION", "eu-central-1"), KEYS[0]], keys),
            (&[("AWS_REGION", "eu-central-1"), KEYS[1]], keys),
        ] {
            let error = try_in(environment).unwrap_err().to_string();
            assert_eq!(error, expected, "{environment:?}");
        }
    }

    #[test]
    fn the_table_and_the_endpoint_are_taken() {
        let arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/sessions";
        assert_eq!(settings_in(&[("TABLE_NAME", arn)]).table, arn);
        let endpoint = |value| settings_in(&[("DYNAMODB_ENDPOINT", value)]).endpoint;
        assert_eq!(
            endpoint("http://127.0.0.1:8000").as_deref(),
            Some("http://127.0.0.1:8000")
        );
        assert_eq!(endpoint(""), None);
    }

    #[test]
    fn what_can_be_no_table_and_no_endpoint_is_refused_with_what_is_allowed() {
        let endpoint = "is not an http:// or https:// address, such as http://127.0.0.1:8000";
        let table = "is not a DynamoDB table; allowed are 3 or more of a-z A-Z 0-9 _ . - or a table's ARN";
        for (variable, value, message) in [
            ("TABLE_NAME", "my table", table),
            ("TABLE_NAME", "my", table),
            ("DYNAMODB_ENDPOINT", "localhost:8000", endpoint),
            ("DYNAMODB_ENDPOINT", "ftp://x", endpoint),
            ("DYNAMODB_ENDPOINT", "http://", endpoint),
            ("DYNAMODB_ENDPOINT", "/x", endpoint),
        ] {
            let error = try_in(&[(variable, value)]).unwrap_err().to_string();
            assert_eq!(error, format!("{variable} {message}"), "for {value:?}");
        }
    }

    #[test]
    fn a_function_is_in_the_region_that_lambda_says() {
        let region = |environment: &[_]| sdk_in(environment).region().map(ToString::to_string);
        assert_eq!(
            region(&[("AWS_REGION", "eu-central-1"), ("AWS_DEFAULT_REGION", "x")]).as_deref(),
            Some("eu-central-1")
        );
        assert_eq!(
            region(&[("AWS_REGION", ""), ("AWS_DEFAULT_REGION", "eu-west-1")]).as_deref(),
            Some("eu-west-1")
        );
    }

    #[test]
    fn the_services_own_endpoint_comes_before_that_of_all_services() {
        let endpoint = |environment: &[_]| sdk_in(environment).endpoint_url().map(str::to_owned);
        let (own, all) = (
            ("AWS_ENDPOINT_URL_DYNAMODB", "http://own"),
            ("AWS_ENDPOINT_URL", "http://all"),
        );
        assert_eq!(endpoint(&[own, all]).as_deref(), Some("http://own"));
        assert_eq!(
            endpoint(&[("AWS_ENDPOINT_URL_DYNAMODB", ""), all]).as_deref(),
            Some("http://all")
        );
        assert_eq!(endpoint(&[("AWS_ENDPOINT_URL", "")]), None);
    }

    #[test]
    fn fips_and_dual_stack_endpoints_can_be_asked_for() {
        let asked = sdk_in(&[
            ("AWS_USE_FIPS_ENDPOINT", "TRUE"),
            ("AWS_USE_DUALSTACK_ENDPOINT", "false"),
        ]);
        assert_eq!((asked.use_fips(), asked.use_dual_stack()), (Some(true), Some(false)));
        assert_eq!((sdk_in(&[]).use_fips(), sdk_in(&[]).use_dual_stack()), (None, None));
    }
}
