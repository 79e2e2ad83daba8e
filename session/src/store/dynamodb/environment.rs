//! Reads and validates the store's environment variables.

use aws_config::identity::IdentityCache;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_types::service_config::ServiceConfigKey;
use http::Uri;

use crate::config::environment::{EnvironmentError, Variables, read};

/// The SDK's configuration and the table's name.
pub(super) fn settings(variables: Variables<'_>) -> Result<(SdkConfig, String), EnvironmentError> {
    let table = read(variables, "TABLE_NAME", table)?;
    let table = table
        .ok_or_else(|| EnvironmentError::new("TABLE_NAME", "is not set; set it to the name of the sessions table"))?;
    Ok((sdk(variables)?, table))
}

/// Whether the program runs on the developer's own machine, without a table.
pub(super) fn is_local(variables: Variables<'_>) -> bool {
    let is_set = |name| variables(name).is_some_and(|value| !value.is_empty());
    !is_set("TABLE_NAME") && !is_set("AWS_LAMBDA_INITIALIZATION_TYPE")
}

/// Checks the settings that a program outside of Lambda gives, and refuses those that no call could use. The endpoints
/// of the SDK's configuration come from variables or from a profile.
pub(super) fn check(sdk: &SdkConfig, table: &str, endpoint: Option<&str>) -> Result<(), EnvironmentError> {
    let service = ServiceConfigKey::builder()
        .service_id("DynamoDB")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url");
    let service = service
        .build()
        .ok()
        .and_then(|key| sdk.service_config()?.load_config(key));
    let [given, all] = [endpoint, sdk.endpoint_url()].map(|endpoint| endpoint.map(str::to_owned));
    self::table(table.to_owned()).map_err(|problem| EnvironmentError::new("table", problem))?;
    let endpoints = [
        ("endpoint", given),
        ("AWS_ENDPOINT_URL_DYNAMODB", service),
        ("AWS_ENDPOINT_URL", all),
    ];
    if let Some((name, Some(endpoint))) = endpoints.into_iter().find(|(_, endpoint)| endpoint.is_some()) {
        self::endpoint(endpoint).map_err(|problem| EnvironmentError::new(name, problem))?;
    }
    let region = sdk.region().ok_or(NO_REGION);
    let region = region.and_then(|region| self::region(region.to_string()));
    region
        .map(drop)
        .map_err(|problem| EnvironmentError::new("AWS_REGION", problem))
}

/// A table's name or ARN: <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_GetItem.html>
fn table(value: String) -> Result<String, &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-:/".contains(&byte);
    let is_table = (3..=1024).contains(&value.len()) && value.bytes().all(allowed);
    let problem = "is not a DynamoDB table; use 3 or more of a-z A-Z 0-9 _ . - or a table's ARN";
    is_table.then_some(value).ok_or(problem)
}

/// The address of an endpoint. The SDK would take one without a scheme, and fail at each call with an error that shows
/// the whole request.
pub(super) fn endpoint(value: String) -> Result<String, &'static str> {
    let is_url = |uri: Uri| {
        // If the port is invalid, `port()` is `None`, and the authority is longer than the host.
        let bare = uri.authority().and_then(|all| all.as_str().rsplit('@').next());
        let is_host = uri.host().is_some() && (uri.port().is_some() || uri.host() == bare);
        matches!(uri.scheme_str(), Some("http" | "https")) && is_host
    };
    let problem = "is not an http:// or https:// address, such as http://127.0.0.1:8000";
    value.parse().is_ok_and(is_url).then_some(value).ok_or(problem)
}

/// The name of a region, which becomes a part of the endpoint's host.
pub(super) fn region(value: String) -> Result<Region, &'static str> {
    let is_name = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let problem = "is not the name of a region, such as eu-central-1";
    is_name.then(|| Region::new(value)).ok_or(problem)
}

pub(super) const NO_REGION: &str =
    "is not set; set it, or AWS_DEFAULT_REGION, to the table's region, such as eu-central-1";

/// A part of the credentials. The SDK puts it into a header of each call, and panics if it cannot stand there.
fn credential(value: String) -> Result<String, &'static str> {
    let visible = value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    let problem = "has a line break, a blank at an end, or a character that is not ASCII; remove it";
    (visible && value.trim() == value).then_some(value).ok_or(problem)
}

/// A switch in the SDK's spelling.
fn flag(value: String) -> Result<bool, &'static str> {
    let problem = "is neither `true` nor `false`";
    value.to_ascii_lowercase().parse().map_err(|_| problem)
}

/// Reads the first of these variables that is set. If that one is wrong, the later ones do not count.
fn first<T>(
    variables: Variables<'_>,
    names: &[&'static str],
    parse: fn(String) -> Result<T, &'static str>,
) -> Result<Option<T>, EnvironmentError> {
    let mut values = names.iter().map(|name| read(variables, name, parse));
    values.find_map(Result::transpose).transpose()
}

/// The SDK's configuration, from the variables that Lambda sets and that the SDK's own loader reads.
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>
///
/// The loader also looks for profiles, containers, instances and web identities, which a function does not have.
/// Without it the program is a quarter smaller (ARCHITECTURE.md).
fn sdk(variables: Variables<'_>) -> Result<SdkConfig, EnvironmentError> {
    let endpoints = ["DYNAMODB_ENDPOINT", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"];
    let endpoint = first(variables, &endpoints, endpoint)?;
    let region = first(variables, &["AWS_REGION", "AWS_DEFAULT_REGION"], region)?;
    let region = region.ok_or_else(|| EnvironmentError::new("AWS_REGION", NO_REGION))?;
    let key = |name| {
        let problem = "are not set; Lambda sets them for every function, and a local DynamoDB accepts any values";
        let missing = || EnvironmentError::new("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", problem);
        read(variables, name, credential)?.ok_or_else(missing)
    };
    let mut credentials = Credentials::builder()
        .access_key_id(key("AWS_ACCESS_KEY_ID")?)
        .secret_access_key(key("AWS_SECRET_ACCESS_KEY")?)
        .provider_name("environment");
    credentials.set_session_token(read(variables, "AWS_SESSION_TOKEN", credential)?);
    credentials.set_account_id(read(variables, "AWS_ACCOUNT_ID", credential)?.map(Into::into));
    let mut sdk = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(region)
        .credentials_provider(SharedCredentialsProvider::new(credentials.build()))
        // There is nothing to refresh: the environment of a running process stays as it is.
        .identity_cache(IdentityCache::no_cache())
        // Lambda keeps the clock right.
        .disable_clock_skew_correction(true);
    sdk.set_endpoint_url(endpoint);
    sdk.set_use_fips(read(variables, "AWS_USE_FIPS_ENDPOINT", flag)?);
    sdk.set_use_dual_stack(read(variables, "AWS_USE_DUALSTACK_ENDPOINT", flag)?);
    Ok(sdk.build())
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::config::ProvideCredentials as _;

    use super::*;

    const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "local"), ("AWS_SECRET_ACCESS_KEY", "secret")];

    const TABLE: (&str, &str) = ("TABLE_NAME", "sessions");

    /// The first of several values of a variable counts.
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
    fn only_where_no_lambda_is_the_table_may_be_missing() {
        let on_lambda = ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand");
        for (environment, expected) in [
            (&[][..], true),
            (&[("TABLE_NAME", "")], true),
            (&[TABLE], false),
            (&[on_lambda], false),
            (&[("TABLE_NAME", ""), on_lambda], false),
        ] {
            let variables = |name: &str| {
                let set = environment.iter().find(|(set, _)| *set == name);
                set.map(|(_, value)| value.into())
            };
            assert_eq!(is_local(&variables), expected, "{environment:?}");
        }
    }

    #[tokio::test]
    async fn the_credentials_are_taken() {
        let sdk = sdk_in(&[("AWS_SESSION_TOKEN", "token"), ("AWS_ACCOUNT_ID", "123456789012")]);
        let credentials = sdk.credentials_provider().unwrap().provide_credentials().await.unwrap();
        let keys = [credentials.access_key_id(), credentials.secret_access_key()];
        assert_eq!(keys, [KEYS[0].1, KEYS[1].1]);
        assert_eq!(credentials.session_token(), Some("token"));
        assert_eq!(credentials.account_id().unwrap().as_str(), "123456789012");
        let sdk = sdk_in(&[("AWS_SESSION_TOKEN", "")]);
        let credentials = sdk.credentials_provider().unwrap().provide_credentials().await.unwrap();
        assert_eq!((credentials.session_token(), credentials.account_id()), (None, None));
    }

    #[test]
    fn the_table_and_the_endpoint_are_taken() {
        let arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/sessions";
        for table in [arn, "abc", &"a".repeat(1024)] {
            assert_eq!(settings_in(&[("TABLE_NAME", table)]).1, table);
        }
        let refused = try_in(&[("TABLE_NAME", &*"a".repeat(1025))]).unwrap_err();
        assert_eq!(refused.variable(), "TABLE_NAME");
        let local = ("DYNAMODB_ENDPOINT", "http://127.0.0.1:8000");
        let of_the_sdk = ("AWS_ENDPOINT_URL_DYNAMODB", "http://own");
        for environment in [&[local][..], &[local, of_the_sdk]] {
            assert_eq!(endpoint_in(environment).as_deref(), Some(local.1));
        }
        assert_eq!(endpoint_in(&[("DYNAMODB_ENDPOINT", "")]), None);
    }

    #[test]
    fn what_cannot_be_right_is_refused_with_what_is_allowed() {
        let endpoint = "is not an http:// or https:// address, such as http://127.0.0.1:8000";
        let table = "is not a DynamoDB table; use 3 or more of a-z A-Z 0-9 _ . - or a table's ARN";
        let region = "is not the name of a region, such as eu-central-1";
        let credential = "has a line break, a blank at an end, or a character that is not ASCII; remove it";
        let flag = "is neither `true` nor `false`";
        for (variables, values, message) in [
            (&["TABLE_NAME"][..], &["my table", "my", "sessions\n"][..], table),
            (
                &["DYNAMODB_ENDPOINT", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"],
                &[
                    "localhost:8000",
                    "127.0.0.1:8000",
                    "dynamodb.eu-central-1.amazonaws.com",
                    "ftp://x",
                    "http://",
                    "/x",
                    "http://127.0.0.1:",
                    "http://127.0.0.1:99999",
                    " http://127.0.0.1:8000",
                    "http://127.0.0.1:8000 ",
                    "http://127.0.0.1:8000\n",
                    "http://127.0.0.1 :8000",
                    "\"http://127.0.0.1:8000\"",
                ],
                endpoint,
            ),
            (
                &["AWS_REGION", "AWS_DEFAULT_REGION"],
                &[
                    "eu-central-1\n",
                    " eu-central-1",
                    "eu central",
                    "eu.central",
                    "\"eu-central-1\"",
                ],
                region,
            ),
            (
                &[
                    "AWS_ACCESS_KEY_ID",
                    "AWS_SECRET_ACCESS_KEY",
                    "AWS_SESSION_TOKEN",
                    "AWS_ACCOUNT_ID",
                ],
                &["AKIA\n", "AK\nIA", "AKIA\r", " AKIA", "AKIA ", "AKIÄ", " "],
                credential,
            ),
            (
                &["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"],
                &["true\n", "1", "yes"],
                flag,
            ),
        ] {
            for (&variable, value) in variables
                .iter()
                .flat_map(|name| values.iter().map(move |value| (name, value)))
            {
                let region = [("AWS_REGION", "eu-central-1")];
                let others: &[_] = if variable == "AWS_DEFAULT_REGION" { &[] } else { &region };
                let environment = [&[(variable, *value)], others, &KEYS].concat();
                let error = try_in(&environment).unwrap_err();
                assert_eq!(error.to_string(), format!("{variable} {message}"), "for {value:?}");
                assert_eq!(error.variable(), variable);
            }
        }
    }

    #[test]
    fn what_a_program_elsewhere_gives_is_refused_in_the_same_way() {
        #[derive(Debug)]
        struct OfTheService(&'static str);
        impl aws_types::service_config::LoadServiceConfig for OfTheService {
            fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
                (key.env() == "AWS_ENDPOINT_URL" && key.service_id() == "DynamoDB").then(|| self.0.to_owned())
            }
        }
        let sdk = || SdkConfig::builder().behavior_version(BehaviorVersion::latest());
        let there = || sdk().region(Region::from_static("eu-central-1"));
        let (good, bad) = ("http://127.0.0.1:8000", "127.0.0.1:8000");
        for (sdk, table, endpoint, refused) in [
            (there(), "sessions", None, None),
            (there(), "sessions", Some(good), None),
            (there().endpoint_url(good), "sessions", None, None),
            // The endpoint that is used counts.
            (there().endpoint_url(bad), "sessions", Some(good), None),
            (
                there().endpoint_url(bad).service_config(OfTheService(good)),
                "sessions",
                None,
                None,
            ),
            (there(), "my sessions", None, Some("table")),
            (there(), "sessions", Some(bad), Some("endpoint")),
            (there(), "sessions", Some(""), Some("endpoint")),
            (there().endpoint_url(bad), "sessions", None, Some("AWS_ENDPOINT_URL")),
            (
                there().endpoint_url(good).service_config(OfTheService(bad)),
                "sessions",
                None,
                Some("AWS_ENDPOINT_URL_DYNAMODB"),
            ),
            (sdk(), "sessions", None, Some("AWS_REGION")),
            (
                sdk().region(Region::from_static("eu central")),
                "sessions",
                None,
                Some("AWS_REGION"),
            ),
        ] {
            let made = crate::DynamoDbStore::new(&sdk.build(), table, endpoint);
            assert_eq!(
                made.err().map(|error| error.variable()),
                refused,
                "{table} {endpoint:?}"
            );
        }
    }

    #[test]
    fn what_lambda_sets_is_taken() {
        let (token, account) = (
            ("AWS_SESSION_TOKEN", "IQoJb3JpZ2luX2VjE+/=="),
            ("AWS_ACCOUNT_ID", "123456789012"),
        );
        let region = ("AWS_REGION", "us-gov-west-1");
        for secret in ["wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "any value will do"] {
            let keys = [
                ("AWS_ACCESS_KEY_ID", "ASIAIOSFODNN7EXAMPLE"),
                ("AWS_SECRET_ACCESS_KEY", secret),
            ];
            assert!(try_in(&[&keys[..], &[token, account, region]].concat()).is_ok());
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
