//! The environment: what the function needs to know, checked once at the start.

use std::ffi::OsString;
use std::time::Duration;

use http::Uri;
use lambda_session::{Keys, MIN_KEY_BYTES};
use thiserror::Error;

/// Longest timeout that makes sense, in seconds: a year.
const LONGEST_TIMEOUT: u64 = 365 * 24 * 60 * 60;

/// What Lambda, and `sam local`, pass for a reference that nobody resolved.
const UNRESOLVED: &str = "{{resolve:";

/// The function's configuration.
pub(crate) struct Config {
    /// `SECRET_KEY` and `SECRET_KEY_FALLBACKS`.
    pub(crate) keys: Keys,
    /// `TABLE_NAME`.
    pub(crate) table_name: String,
    /// `SESSION_IDLE_TIMEOUT`. The default is half an hour.
    pub(crate) idle_timeout: Duration,
    /// `SESSION_LIFETIME`. The default is half a day.
    pub(crate) lifetime: Duration,
    /// `SESSION_COOKIE_SECURE`.
    pub(crate) secure: bool,
    /// `DYNAMODB_ENDPOINT`.
    pub(crate) dynamodb_endpoint: Option<String>,
    /// `AWS_LAMBDA_LOG_LEVEL`: the least severe event that is logged.
    pub(crate) log_level: tracing::Level,
    /// Whether `AWS_LAMBDA_LOG_FORMAT` is JSON.
    pub(crate) log_json: bool,
}

/// A variable that is missing or wrong, and what would be right. Never shows the value.
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
    /// Reads the configuration through `variable`, usually [`std::env::var_os`]. An empty optional variable counts
    /// as unset, because SAM cannot leave one out.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the first variable that is missing or wrong.
    pub(crate) fn from_env<V: Into<OsString>>(variable: impl Fn(&str) -> Option<V>) -> Result<Self, ConfigError> {
        let read = |name: &'static str| match variable(name).map(|value| value.into().into_string()) {
            None => Ok(None),
            Some(Ok(value)) => Ok(Some(value).filter(|value| !value.is_empty())),
            Some(Err(_)) => Err(ConfigError::new(name, "is not valid UTF-8")),
        };
        Ok(Self {
            keys: keys(read("SECRET_KEY")?, read("SECRET_KEY_FALLBACKS")?)?,
            table_name: table_name(read("TABLE_NAME")?)?,
            idle_timeout: seconds("SESSION_IDLE_TIMEOUT", read("SESSION_IDLE_TIMEOUT")?, 1_800)?,
            lifetime: seconds("SESSION_LIFETIME", read("SESSION_LIFETIME")?, 43_200)?,
            secure: secure(read("SESSION_COOKIE_SECURE")?)?,
            dynamodb_endpoint: read("DYNAMODB_ENDPOINT")?.map(endpoint).transpose()?,
            log_level: log_level(read("AWS_LAMBDA_LOG_LEVEL")?)?,
            log_json: log_json(read("AWS_LAMBDA_LOG_FORMAT")?)?,
        })
    }
}

fn keys(secret: Option<String>, fallbacks: Option<String>) -> Result<Keys, ConfigError> {
    let name = "SECRET_KEY";
    let secret = secret.ok_or_else(|| {
        ConfigError::new(
            name,
            format!(
                "is not set; set it to at least {MIN_KEY_BYTES} random bytes, such as `openssl rand -hex 32` prints"
            ),
        )
    })?;
    resolved(name, &secret)?;
    if secret.contains(',') {
        return Err(ConfigError::new(
            name,
            "has a comma in it, so it could not be moved to SECRET_KEY_FALLBACKS later; choose one without, such as \
             `openssl rand -hex 32` prints",
        ));
    }
    let mut keys = Keys::new(secret.as_bytes()).map_err(|_| {
        ConfigError::new(
            name,
            format!(
                "has {} bytes; it needs at least {MIN_KEY_BYTES}, such as `openssl rand -hex 32` prints",
                secret.len()
            ),
        )
    })?;
    let name = "SECRET_KEY_FALLBACKS";
    for (n, fallback) in fallbacks.iter().flat_map(|all| all.split(',')).enumerate() {
        resolved(name, fallback)?;
        keys = keys.with_fallback(fallback.as_bytes()).map_err(|_| {
            ConfigError::new(
                name,
                format!(
                    "has {} bytes in element {}; each comma-separated key needs at least {MIN_KEY_BYTES}",
                    fallback.len(),
                    n + 1
                ),
            )
        })?;
    }
    Ok(keys)
}

fn resolved(name: &'static str, value: &str) -> Result<(), ConfigError> {
    if value.trim_start().starts_with(UNRESOLVED) {
        return Err(ConfigError::new(
            name,
            format!(
                "is a reference that nobody resolved ({UNRESOLVED}…); under `sam local`, pass its value with --env-vars"
            ),
        ));
    }
    Ok(())
}

/// A table's name or ARN: <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_GetItem.html>
fn table_name(value: Option<String>) -> Result<String, ConfigError> {
    let name = "TABLE_NAME";
    let value = value.ok_or_else(|| ConfigError::new(name, "is not set; set it to the name of the sessions table"))?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-:/".contains(&byte);
    if (3..=1024).contains(&value.len()) && value.bytes().all(allowed) {
        Ok(value)
    } else {
        Err(ConfigError::new(
            name,
            "is not a DynamoDB table; allowed are 3 or more of a-z A-Z 0-9 _ . - or a table's ARN",
        ))
    }
}

fn seconds(name: &'static str, value: Option<String>, default: u64) -> Result<Duration, ConfigError> {
    match value.map(|value| value.parse()) {
        None => Ok(Duration::from_secs(default)),
        Some(Ok(seconds)) if (1..=LONGEST_TIMEOUT).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        Some(_) => Err(ConfigError::new(
            name,
            format!("is not a whole number of seconds from 1 to {LONGEST_TIMEOUT}"),
        )),
    }
}

fn secure(value: Option<String>) -> Result<bool, ConfigError> {
    match value.as_deref() {
        None | Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(_) => Err(ConfigError::new(
            "SESSION_COOKIE_SECURE",
            "is neither `true` nor `false`",
        )),
    }
}

fn endpoint(value: String) -> Result<String, ConfigError> {
    let is_url = value
        .parse::<Uri>()
        .is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
    if is_url {
        Ok(value)
    } else {
        Err(ConfigError::new(
            "DYNAMODB_ENDPOINT",
            "is not an http:// or https:// address, such as http://127.0.0.1:8000",
        ))
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
            "is none of TRACE, DEBUG, INFO, WARN, ERROR, FATAL",
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

#[cfg(test)]
mod tests;
