//! Reads and validates the store's environment variables.

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::SharedCredentialsProvider;
use http::Uri;

use crate::config::environment::{EnvironmentError, Variables, read};

/// The SDK's configuration and the table's name.
pub(super) fn settings(variables: Variables<'_>) -> Result<(SdkConfig, String), EnvironmentError> {
    let table = read(variables, "TABLE_NAME", table)?;
    let table = table
        .ok_or_else(|| EnvironmentError::new("TABLE_NAME", "is not set; set it to the name of the sessions table"))?;
    Ok((sdk(variables, read(variables, "DYNAMODB_ENDPOINT", endpoint)?)?, table))
}

/// A table's name or ARN: <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_GetItem.html>
fn table(value: String) -> Result<String, &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-:/".contains(&byte);
    let is_table = (3..=1024).contains(&value.len()) && value.bytes().all(allowed);
    let problem = "is not a DynamoDB table; use 3 or more of a-z A-Z 0-9 _ . - or a table's ARN";
    is_table.then_some(value).ok_or(problem)
}

fn endpoint(value: String) -> Result<String, &'static str> {
    let is_url = |uri: Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
    let problem = "is not an http:// or https:// address, such as http://127.0.0.1:8000";
    value.parse().is_ok_and(is_url).then_some(value).ok_or(problem)
}

/// The SDK's configuration, from the variables that Lambda sets and that the SDK's own loader reads. `endpoint` takes
/// precedence over the endpoint in them.
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>
///
/// The loader also looks for profiles, containers, instances and web identities, which a function does not have.
/// Without it the program is a quarter smaller (ARCHITECTURE.md).
fn sdk(variables: Variables<'_>, endpoint: Option<String>) -> Result<SdkConfig, EnvironmentError> {
    // Empty counts as unset, because SAM cannot leave a variable out.
    let set = |name| variables(name)?.into_string().ok().filter(|value| !value.is_empty());
    let flag = |name| set(name).map(|value| value.eq_ignore_ascii_case("true"));
    let Some(region) = set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION")) else {
        let problem = "is not set; set it, or AWS_DEFAULT_REGION, to the table's region, such as eu-central-1";
        return Err(EnvironmentError::new("AWS_REGION", problem));
    };
    if set("AWS_ACCESS_KEY_ID").is_none() || set("AWS_SECRET_ACCESS_KEY").is_none() {
        let problem = "are not set; Lambda sets them for every function, and a local DynamoDB accepts any values";
        return Err(EnvironmentError::new(
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            problem,
        ));
    }
    let credentials = EnvironmentVariableCredentialsProvider::new();
    let mut sdk = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .credentials_provider(SharedCredentialsProvider::new(credentials));
    let of_the_sdk = || set("AWS_ENDPOINT_URL_DYNAMODB").or_else(|| set("AWS_ENDPOINT_URL"));
    sdk.set_endpoint_url(endpoint.or_else(of_the_sdk));
    sdk.set_use_fips(flag("AWS_USE_FIPS_ENDPOINT"));
    sdk.set_use_dual_stack(flag("AWS_USE_DUALSTACK_ENDPOINT"));
    Ok(sdk.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "local"), ("AWS_SECRET_ACCESS_KEY", "local")];

    const TABLE: (&str, &str) = ("TABLE_NAME", "sessions");

    fn try_in(environment: &[(&str, &str)]) -> Result<(SdkConfig, String), EnvironmentError> {
        settings(&|name| {
            let mut all = environment.iter().chain([&TABLE]);
            all.find(|(set, _)| *set == name).map(|(_, value)| value.into())
        })
    }

    fn settings_in(environment: &[(&str, &str)]) -> (SdkConfig, String) {
        try_in(&[environment, &KEYS, &[("AWS_REGION", "eu-central-1")]].concat()).unwrap()
    }

    fn sdk_in(environment: &[(&str, &str)]) -> SdkConfig {
        settings_in(environment).0
    }

    fn endpoint_in(environment: &[(&str, &str)]) -> Option<String> {
        sdk_in(environment).endpoint_url().map(str::to_owned)
    }

    #[test]
    fn what_is_missing_is_named_with_what_to_do() {
        let region =
            "AWS_REGION is not set; set it, or AWS_DEFAULT_REGION, to the table's region, such as eu-central-1";
        let keys = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set; Lambda sets them for every function, and \
                    a local DynamoDB accepts any values";
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
        assert_eq!(settings_in(&[("TABLE_NAME", arn)]).1, arn);
        let local = ("DYNAMODB_ENDPOINT", "http://127.0.0.1:8000");
        let of_the_sdk = ("AWS_ENDPOINT_URL_DYNAMODB", "http://own");
        for environment in [&[local][..], &[local, of_the_sdk]] {
            assert_eq!(endpoint_in(environment).as_deref(), Some(local.1));
        }
        assert_eq!(endpoint_in(&[("DYNAMODB_ENDPOINT", "")]), None);
    }

    #[test]
    fn what_can_be_no_table_and_no_endpoint_is_refused_with_what_is_allowed() {
        let endpoint = "is not an http:// or https:// address, such as http://127.0.0.1:8000";
        let table = "is not a DynamoDB table; use 3 or more of a-z A-Z 0-9 _ . - or a table's ARN";
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
        let (own, all) = (
            ("AWS_ENDPOINT_URL_DYNAMODB", "http://own"),
            ("AWS_ENDPOINT_URL", "http://all"),
        );
        assert_eq!(endpoint_in(&[own, all]).as_deref(), Some("http://own"));
        assert_eq!(
            endpoint_in(&[("AWS_ENDPOINT_URL_DYNAMODB", ""), all]).as_deref(),
            Some("http://all")
        );
        assert_eq!(endpoint_in(&[("AWS_ENDPOINT_URL", "")]), None);
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
