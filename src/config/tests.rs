//! What is taken from the environment, and what is refused.

use super::*;

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn config(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let required = [("SECRET_KEY", KEY), ("TABLE_NAME", "sessions")];
    Config::from_env(|name| {
        let mut all = variables.iter().chain(&required);
        all.find(|(key, _)| *key == name).map(|(_, value)| *value)
    })
}

#[track_caller]
fn refusal(variables: &[(&str, &str)]) -> String {
    config(variables).err().expect("a refusal").to_string()
}

#[track_caller]
fn assert_refused(variable: &str, value: &str, message: &str) {
    let error = refusal(&[(variable, value)]);
    assert_eq!(error, format!("{variable} {message}"), "for {value:?}");
}

#[test]
fn the_defaults_are_the_documented_ones() {
    let config = config(&[]).unwrap();
    assert_eq!(
        (config.idle_timeout.as_secs(), config.lifetime.as_secs()),
        (1_800, 43_200)
    );
    assert!(config.secure);
    assert_eq!(config.dynamodb_endpoint, None);
    assert_eq!((config.log_level, config.log_json), (tracing::Level::INFO, false));
}

#[test]
fn an_empty_optional_variable_counts_as_unset() {
    let empty = [
        "SECRET_KEY_FALLBACKS",
        "SESSION_IDLE_TIMEOUT",
        "SESSION_LIFETIME",
        "SESSION_COOKIE_SECURE",
        "DYNAMODB_ENDPOINT",
        "AWS_LAMBDA_LOG_LEVEL",
        "AWS_LAMBDA_LOG_FORMAT",
    ]
    .map(|name| (name, ""));
    assert!(config(&empty).is_ok());
}

#[test]
fn every_variable_is_taken() {
    let config = config(&[
        ("SESSION_IDLE_TIMEOUT", "60"),
        ("SESSION_LIFETIME", "3600"),
        ("SESSION_COOKIE_SECURE", "false"),
        ("DYNAMODB_ENDPOINT", "http://127.0.0.1:8000"),
        ("SECRET_KEY_FALLBACKS", &format!("{KEY},{KEY}x")),
        ("AWS_LAMBDA_LOG_LEVEL", "debug"),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
    ])
    .unwrap();
    assert_eq!((config.idle_timeout.as_secs(), config.lifetime.as_secs()), (60, 3_600));
    assert!(!config.secure);
    assert_eq!(config.dynamodb_endpoint.as_deref(), Some("http://127.0.0.1:8000"));
    assert_eq!((config.log_level, config.log_json), (tracing::Level::DEBUG, true));
}

#[test]
fn a_bad_secret_key_is_refused_without_showing_it() {
    let not_set = "is not set; set it to at least 32 random bytes, such as `openssl rand -hex 32` prints";
    assert_refused("SECRET_KEY", "", not_set);
    assert_refused(
        "SECRET_KEY",
        &KEY[1..],
        "has 31 bytes; it needs at least 32, such as `openssl rand -hex 32` prints",
    );
    assert_refused(
        "SECRET_KEY",
        &format!("{KEY},{KEY}"),
        "has a comma in it, so it could not be moved to SECRET_KEY_FALLBACKS later; choose one without, such as \
         `openssl rand -hex 32` prints",
    );
    let unresolved =
        "is a reference that nobody resolved ({{resolve:…); under `sam local`, pass its value with --env-vars";
    assert_refused("SECRET_KEY", "{{resolve:secretsmanager:arn:aws:secret}}", unresolved);
    assert_refused(
        "SECRET_KEY_FALLBACKS",
        "{{resolve:secretsmanager:arn:aws:secret}}",
        unresolved,
    );
    for fallbacks in [format!("{KEY},"), format!("{KEY},short"), format!(",{KEY}")] {
        let error = refusal(&[("SECRET_KEY_FALLBACKS", &fallbacks)]);
        assert!(error.starts_with("SECRET_KEY_FALLBACKS has "), "{error}");
        assert!(!error.contains("short") && !error.contains(KEY), "{error}");
    }
}

#[test]
fn a_bad_value_is_refused_with_what_is_allowed() {
    for value in ["0", "-1", "1.5", "31536001", "ten", " 60", "99999999999999999999"] {
        assert_refused(
            "SESSION_LIFETIME",
            value,
            "is not a whole number of seconds from 1 to 31536000",
        );
        assert_refused(
            "SESSION_IDLE_TIMEOUT",
            value,
            "is not a whole number of seconds from 1 to 31536000",
        );
    }
    for value in ["yes", "TRUE", "1"] {
        assert_refused("SESSION_COOKIE_SECURE", value, "is neither `true` nor `false`");
    }
    for value in ["localhost:8000", "ftp://x", "http://", "/x"] {
        assert_refused(
            "DYNAMODB_ENDPOINT",
            value,
            "is not an http:// or https:// address, such as http://127.0.0.1:8000",
        );
    }
    assert_refused(
        "TABLE_NAME",
        "my table",
        "is not a DynamoDB table; allowed are 3 or more of a-z A-Z 0-9 _ . - or a table's ARN",
    );
    assert_refused("TABLE_NAME", "", "is not set; set it to the name of the sessions table");
    assert_refused(
        "AWS_LAMBDA_LOG_LEVEL",
        "loud",
        "is none of TRACE, DEBUG, INFO, WARN, ERROR, FATAL",
    );
    assert_refused("AWS_LAMBDA_LOG_FORMAT", "xml", "is neither `JSON` nor `Text`");
}

#[cfg(unix)]
#[test]
fn a_value_that_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStringExt as _;
    let error = Config::from_env(|_| Some(OsString::from_vec(vec![0xff]))).err();
    assert_eq!(
        error.map(|error| error.to_string()).as_deref(),
        Some("SECRET_KEY is not valid UTF-8")
    );
}
