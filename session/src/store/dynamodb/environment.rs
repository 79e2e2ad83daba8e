//! The SDK's configuration in a Lambda function.

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::SharedCredentialsProvider;
use thiserror::Error;

/// A variable is missing without which no call can be made.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct EnvironmentError(&'static str);

/// What Lambda sets, and where DynamoDB is, under the names that the SDK's own loader knows.
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>
///
/// The loader also looks for profiles, containers, instances and web identities, none of which a function has. Without it
/// the program is a quarter smaller (ARCHITECTURE.md).
pub(super) fn sdk(variable: impl Fn(&str) -> Option<String>) -> Result<SdkConfig, EnvironmentError> {
    // Empty counts as unset, because SAM cannot leave a variable out.
    let variable = |name| variable(name).filter(|value| !value.is_empty());
    let flag = |name| variable(name).map(|value| value.eq_ignore_ascii_case("true"));
    let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
    let region = region.ok_or(EnvironmentError(
        "AWS_REGION is not set; set it, or AWS_DEFAULT_REGION, to the table's region, such as eu-central-1",
    ))?;
    if variable("AWS_ACCESS_KEY_ID").is_none() || variable("AWS_SECRET_ACCESS_KEY").is_none() {
        return Err(EnvironmentError(
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set; Lambda sets them for every function, and a local \
             DynamoDB takes any",
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

    fn try_in(environment: &[(&str, &str)]) -> Result<SdkConfig, EnvironmentError> {
        sdk(|name| {
            let set = environment.iter().find(|(set, _)| *set == name);
            set.map(|(_, value)| (*value).to_owned())
        })
    }

    fn sdk_in(environment: &[(&str, &str)]) -> SdkConfig {
        try_in(&[environment, &KEYS, &[("AWS_REGION", "eu-central-1")]].concat()).unwrap()
    }

    #[test]
    fn what_is_missing_is_named() {
        for (environment, missing) in [
            (&KEYS[..], "AWS_REGION"),
            (&[("AWS_REGION", "")], "AWS_REGION"),
            (&[("AWS_REGION", "eu-central-1"), KEYS[0]], "AWS_SECRET_ACCESS_KEY"),
            (&[("AWS_REGION", "eu-central-1"), KEYS[1]], "AWS_ACCESS_KEY_ID"),
        ] {
            let error = try_in(environment).unwrap_err().to_string();
            assert!(error.contains(missing), "{environment:?}: {error}");
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
