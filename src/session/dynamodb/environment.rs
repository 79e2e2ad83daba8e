//! The SDK's configuration in a Lambda function.

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::SharedCredentialsProvider;

/// What Lambda sets, and where DynamoDB is, under the names that the SDK's own loader knows.
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>
///
/// The loader also looks for profiles, containers, instances and web identities, none of which a function has. Without it
/// the program is a quarter smaller (ARCHITECTURE.md).
pub(super) fn sdk(variable: impl Fn(&str) -> Option<String>) -> SdkConfig {
    // Empty counts as unset, because SAM cannot leave a variable out.
    let variable = |name| variable(name).filter(|value| !value.is_empty());
    let flag = |name| variable(name).map(|value| value.eq_ignore_ascii_case("true"));
    let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
    let mut sdk = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(region.map(Region::new))
        .credentials_provider(SharedCredentialsProvider::new(
            EnvironmentVariableCredentialsProvider::new(),
        ));
    sdk.set_endpoint_url(variable("AWS_ENDPOINT_URL_DYNAMODB").or_else(|| variable("AWS_ENDPOINT_URL")));
    sdk.set_use_fips(flag("AWS_USE_FIPS_ENDPOINT"));
    sdk.set_use_dual_stack(flag("AWS_USE_DUALSTACK_ENDPOINT"));
    sdk.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sdk_in(environment: &[(&str, &str)]) -> SdkConfig {
        sdk(|name| {
            let set = environment.iter().find(|(set, _)| *set == name);
            set.map(|(_, value)| (*value).to_owned())
        })
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
        assert_eq!(region(&[]), None);
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
