//! The environment variables that only the app needs, checked once at the start. The library reads those of the
//! session.

use std::ffi::OsString;
use std::net::SocketAddrV4;

use thiserror::Error;

/// The app's configuration.
pub(crate) struct Config {
    /// `AWS_LAMBDA_LOG_LEVEL`: the lowest level of the events that are logged.
    pub(crate) log_level: tracing::Level,
    /// Whether `AWS_LAMBDA_LOG_FORMAT` is JSON.
    pub(crate) log_json: bool,
    /// `HSTS_SUBDOMAINS`: whether browsers shall insist on https for the names below the site's, too.
    pub(crate) hsts_subdomains: bool,
    /// `AWS_XRAY_DAEMON_ADDRESS`, the address of the X-Ray daemon, if `XRAY_TRACING` is `true`. An invalid address
    /// counts as unset.
    pub(crate) daemon: Option<SocketAddrV4>,
}

/// An environment variable with an invalid value, and what would be valid. It never shows the value.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{variable} {problem}")]
pub(crate) struct ConfigError {
    variable: &'static str,
    problem: String,
}

impl ConfigError {
    fn new(variable: &'static str, problem: impl Into<String>) -> Self {
        Self {
            variable,
            problem: problem.into(),
        }
    }
}

impl Config {
    /// Reads the configuration through `variable`, usually [`std::env::var_os`]. An empty variable counts as unset,
    /// because a template can then turn a variable off by setting it to the empty string.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the first variable with an invalid value.
    pub(crate) fn from_env<V: Into<OsString>>(variable: impl Fn(&str) -> Option<V>) -> Result<Self, ConfigError> {
        let read = |name: &'static str| match variable(name).map(|value| value.into().into_string()) {
            None => Ok(None),
            Some(Ok(value)) => Ok(Some(value).filter(|value| !value.is_empty())),
            Some(Err(_)) => Err(ConfigError::new(name, "is not valid UTF-8")),
        };
        Ok(Self {
            log_level: log_level(read("AWS_LAMBDA_LOG_LEVEL")?)?,
            log_json: log_json(read("AWS_LAMBDA_LOG_FORMAT")?)?,
            hsts_subdomains: is_true("HSTS_SUBDOMAINS", read("HSTS_SUBDOMAINS")?)?,
            // Lambda sets the address for functions that it does not trace, too.
            daemon: if is_true("XRAY_TRACING", read("XRAY_TRACING")?)? {
                read("AWS_XRAY_DAEMON_ADDRESS")?.and_then(|address| address.parse().ok())
            } else {
                None
            },
        })
    }
}

/// <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-advanced.html>
fn log_level(value: Option<String>) -> Result<tracing::Level, ConfigError> {
    match value.map(|value| value.to_ascii_uppercase()).as_deref() {
        Some("TRACE") => Ok(tracing::Level::TRACE),
        Some("DEBUG") => Ok(tracing::Level::DEBUG),
        None | Some("INFO") => Ok(tracing::Level::INFO),
        Some("WARN") => Ok(tracing::Level::WARN),
        Some("ERROR" | "FATAL") => Ok(tracing::Level::ERROR),
        Some(_) => Err(ConfigError::new(
            "AWS_LAMBDA_LOG_LEVEL",
            "is not one of TRACE, DEBUG, INFO, WARN, ERROR, FATAL",
        )),
    }
}

fn log_json(value: Option<String>) -> Result<bool, ConfigError> {
    match value.map(|value| value.to_ascii_lowercase()).as_deref() {
        None | Some("text") => Ok(false),
        Some("json") => Ok(true),
        Some(_) => Err(ConfigError::new(
            "AWS_LAMBDA_LOG_FORMAT",
            "is neither `JSON` nor `Text`",
        )),
    }
}

/// Reads a switch, which is off if it is unset.
fn is_true(variable: &'static str, value: Option<String>) -> Result<bool, ConfigError> {
    match value.as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(ConfigError::new(variable, "is neither `true` nor `false`")),
    }
}

#[cfg(test)]
mod tests;
