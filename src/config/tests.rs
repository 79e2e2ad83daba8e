//! The values of variables that are accepted, and those that are refused.

use super::*;

fn config(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::from_env(|name| {
        let mut all = variables.iter();
        all.find(|(key, _)| *key == name).map(|(_, value)| *value)
    })
}

#[track_caller]
fn assert_refused(variable: &str, value: &str, message: &str) {
    let error = config(&[(variable, value)]).err().expect("a refusal").to_string();
    assert_eq!(error, format!("{variable} {message}"), "for {value:?}");
}

#[test]
fn the_defaults_are_the_documented_ones() {
    for unset in [&[][..], &[("AWS_LAMBDA_LOG_LEVEL", ""), ("AWS_LAMBDA_LOG_FORMAT", "")]] {
        let config = config(unset).unwrap();
        assert_eq!((config.log_level, config.log_json), (tracing::Level::INFO, false));
    }
}

#[test]
fn every_variable_is_taken() {
    let config = config(&[("AWS_LAMBDA_LOG_LEVEL", "debug"), ("AWS_LAMBDA_LOG_FORMAT", "JSON")]).unwrap();
    assert_eq!((config.log_level, config.log_json), (tracing::Level::DEBUG, true));
}

#[test]
fn a_bad_value_is_refused_with_what_is_allowed() {
    assert_refused(
        "AWS_LAMBDA_LOG_LEVEL",
        "loud",
        "is not one of TRACE, DEBUG, INFO, WARN, ERROR, FATAL",
    );
    assert_refused("AWS_LAMBDA_LOG_FORMAT", "xml", "is neither `JSON` nor `Text`");
    for switch in ["HSTS_SUBDOMAINS", "XRAY_TRACING"] {
        assert_refused(switch, "yes", "is neither `true` nor `false`");
    }
}

#[test]
fn traces_go_to_the_daemon_only_where_they_are_wanted_and_there_is_one() {
    let address = ("AWS_XRAY_DAEMON_ADDRESS", "169.254.100.1:2000");
    for (variables, daemon) in [
        (&[][..], None),
        (&[address], None),
        (&[address, ("XRAY_TRACING", "")], None),
        (&[address, ("XRAY_TRACING", "false")], None),
        (&[("XRAY_TRACING", "true")], None),
        (
            &[("AWS_XRAY_DAEMON_ADDRESS", "nowhere"), ("XRAY_TRACING", "true")],
            None,
        ),
        (&[address, ("XRAY_TRACING", "true")], Some(address.1)),
    ] {
        let found = config(variables).unwrap().daemon;
        assert_eq!(found.map(|found| found.to_string()).as_deref(), daemon, "{variables:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_value_that_is_not_utf_8_is_refused() {
    use std::os::unix::ffi::OsStringExt as _;
    let error = Config::from_env(|_| Some(OsString::from_vec(vec![0xff]))).err();
    assert_eq!(
        error.map(|error| error.to_string()).as_deref(),
        Some("AWS_LAMBDA_LOG_LEVEL is not valid UTF-8")
    );
}
