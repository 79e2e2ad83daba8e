//! The environment: what the function needs to know, checked once at the start.

use std::ffi::OsString;
use std::fmt;

use http::Uri;
use thiserror::Error;

use crate::session::{Keys, MIN_KEY_BYTES, Timeouts};

/// Longest timeout that makes sense, in seconds: a year.
const LONGEST_TIMEOUT: u64 = 365 * 24 * 60 * 60;

/// What Lambda, and `sam local`, pass for a reference that nobody resolved.
const UNRESOLVED: &str = "{{resolve:";

/// The function's configuration.
#[derive(Clone)]
pub struct Config {
    /// `SECRET_KEY` and `SECRET_KEY_FALLBACKS`.
    pub keys: Keys,
    /// `TABLE_NAME`.
    pub table_name: String,
    /// `SESSION_IDLE_TIMEOUT` and `SESSION_LIFETIME`.
    pub timeouts: Timeouts,
    /// `SESSION_COOKIE_SECURE`.
    pub secure: bool,
    /// `DYNAMODB_ENDPOINT`.
    pub dynamodb_endpoint: Option<String>,
    /// `AWS_LAMBDA_LOG_LEVEL`.
    pub log_level: LogLevel,
    /// Whether `AWS_LAMBDA_LOG_FORMAT` is JSON.
    pub log_json: bool,
    /// `AWS_LAMBDA_FUNCTION_NAME`, which Lambda sets; the dimension of the metrics.
    pub function_name: Option<String>,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLevel {
    /// The least severe event that is logged.
    pub events: tracing::Level,
    /// The level on a request's line: `INFO`, or the lowest that Lambda lets through, because it drops lines itself and
    /// the metrics in them would be lost.
    pub requests: &'static str,
}

/// Keys and tables are nobody's business.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("timeouts", &self.timeouts)
            .field("secure", &self.secure)
            .finish_non_exhaustive()
    }
}

/// A variable that is missing or wrong, and what would be right. Never shows the value.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{variable} {problem}")]
pub struct ConfigError {
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
    ///
    /// ```
    /// use lambda_session::config::Config;
    ///
    /// let config = Config::from_env(|name| match name {
    ///     "SECRET_KEY" => Some("a secret key of at least 32 bytes"),
    ///     "TABLE_NAME" => Some("sessions"),
    ///     _ => None,
    /// })?;
    /// assert_eq!(config.timeouts.idle_seconds, 1800);
    ///
    /// let error = Config::from_env(|_| None::<String>).unwrap_err();
    /// assert!(error.to_string().starts_with("SECRET_KEY is not set"));
    /// # Ok::<(), lambda_session::config::ConfigError>(())
    /// ```
    pub fn from_env<V: Into<OsString>>(variable: impl Fn(&str) -> Option<V>) -> Result<Self, ConfigError> {
        let read = |name: &'static str| match variable(name).map(|value| value.into().into_string()) {
            None => Ok(None),
            Some(Ok(value)) => Ok(Some(value).filter(|value| !value.is_empty())),
            Some(Err(_)) => Err(ConfigError::new(name, "is not valid UTF-8")),
        };
        Ok(Self {
            keys: keys(read("SECRET_KEY")?, read("SECRET_KEY_FALLBACKS")?)?,
            table_name: table_name(read("TABLE_NAME")?)?,
            timeouts: Timeouts {
                idle_seconds: seconds(
                    "SESSION_IDLE_TIMEOUT",
                    read("SESSION_IDLE_TIMEOUT")?,
                    Timeouts::default().idle_seconds,
                )?,
                lifetime_seconds: seconds(
                    "SESSION_LIFETIME",
                    read("SESSION_LIFETIME")?,
                    Timeouts::default().lifetime_seconds,
                )?,
            },
            secure: secure(read("SESSION_COOKIE_SECURE")?)?,
            dynamodb_endpoint: read("DYNAMODB_ENDPOINT")?.map(endpoint).transpose()?,
            log_level: log_level(read("AWS_LAMBDA_LOG_LEVEL")?)?,
            log_json: log_json(read("AWS_LAMBDA_LOG_FORMAT")?)?,
            function_name: read("AWS_LAMBDA_FUNCTION_NAME")?,
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
    let mut keys = Keys::new(secret.as_bytes()).map_err(|short| {
        ConfigError::new(
            name,
            format!(
                "has {} bytes; it needs at least {MIN_KEY_BYTES}, such as `openssl rand -hex 32` prints",
                short.bytes
            ),
        )
    })?;
    let name = "SECRET_KEY_FALLBACKS";
    for (n, fallback) in fallbacks.iter().flat_map(|all| all.split(',')).enumerate() {
        resolved(name, fallback)?;
        keys = keys.with_fallback(fallback.as_bytes()).map_err(|short| {
            ConfigError::new(
                name,
                format!(
                    "has {} bytes in element {}; each comma-separated key needs at least {MIN_KEY_BYTES}",
                    short.bytes,
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

fn seconds(name: &'static str, value: Option<String>, default: u64) -> Result<u64, ConfigError> {
    match value.map(|value| value.parse()) {
        None => Ok(default),
        Some(Ok(seconds)) if (1..=LONGEST_TIMEOUT).contains(&seconds) => Ok(seconds),
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
fn log_level(value: Option<String>) -> Result<LogLevel, ConfigError> {
    use tracing::Level;
    let (events, requests) = match value.map(|value| value.to_ascii_uppercase()).as_deref() {
        Some("TRACE") => (Level::TRACE, "INFO"),
        Some("DEBUG") => (Level::DEBUG, "INFO"),
        None | Some("INFO") => (Level::INFO, "INFO"),
        Some("WARN") => (Level::WARN, "WARN"),
        Some("ERROR") => (Level::ERROR, "ERROR"),
        Some("FATAL") => (Level::ERROR, "FATAL"),
        Some(_) => {
            return Err(ConfigError::new(
                "AWS_LAMBDA_LOG_LEVEL",
                "is none of TRACE, DEBUG, INFO, WARN, ERROR, FATAL",
            ));
        }
    };
    Ok(LogLevel { events, requests })
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
mod tests {
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
    fn assert_refused(variable: &str, value: &str, message: &str) {
        let error = config(&[(variable, value)]).unwrap_err();
        assert_eq!(error.to_string(), format!("{variable} {message}"), "for {value:?}");
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let config = config(&[]).unwrap();
        assert_eq!(config.timeouts, Timeouts::default());
        assert!(config.secure);
        assert_eq!(config.dynamodb_endpoint, None);
        assert_eq!(
            (config.log_level.events, config.log_json),
            (tracing::Level::INFO, false)
        );
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
        assert_eq!(
            config.timeouts,
            Timeouts {
                idle_seconds: 60,
                lifetime_seconds: 3600
            }
        );
        assert!(!config.secure);
        assert_eq!(config.dynamodb_endpoint.as_deref(), Some("http://127.0.0.1:8000"));
        assert_eq!(
            (config.log_level.events, config.log_json),
            (tracing::Level::DEBUG, true)
        );
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
        let unresolved =
            "is a reference that nobody resolved ({{resolve:…); under `sam local`, pass its value with --env-vars";
        assert_refused("SECRET_KEY", "{{resolve:secretsmanager:arn:aws:secret}}", unresolved);
        assert_refused(
            "SECRET_KEY_FALLBACKS",
            "{{resolve:secretsmanager:arn:aws:secret}}",
            unresolved,
        );
        for fallbacks in [format!("{KEY},"), format!("{KEY},short"), format!(",{KEY}")] {
            let error = config(&[("SECRET_KEY_FALLBACKS", &fallbacks)]).unwrap_err().to_string();
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
        let error = Config::from_env(|_| Some(OsString::from_vec(vec![0xff]))).unwrap_err();
        assert_eq!(error.to_string(), "SECRET_KEY is not valid UTF-8");
    }

    #[test]
    fn debug_shows_no_key() {
        let shown = format!("{:?}", config(&[]).unwrap());
        assert!(!shown.contains(KEY), "{shown}");
    }
}
