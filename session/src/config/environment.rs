//! What a function is told by its environment, and what is refused.

use std::env;
use std::ffi::OsString;
use std::time::Duration;

use thiserror::Error;

use super::builder::SessionLayerBuilder;
use crate::core::cookie::{Keys, MIN_KEY_BYTES};
use crate::store::Store;
use crate::web::layer::SessionLayer;

/// Longest timeout that makes sense, in seconds: a year.
const LONGEST_TIMEOUT: u64 = 365 * 24 * 60 * 60;

/// What Lambda, and `sam local`, pass for a reference that nobody resolved.
const UNRESOLVED: &str = "{{resolve:";

/// A variable of the environment that is missing or wrong, and what would be right. Never shows the value.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{variable} {problem}")]
pub struct EnvironmentError {
    variable: &'static str,
    problem: String,
}

impl EnvironmentError {
    pub(crate) fn new(variable: &'static str, problem: impl Into<String>) -> Self {
        Self {
            variable,
            problem: problem.into(),
        }
    }
}

impl EnvironmentError {
    /// The variable's name.
    ///
    /// ```
    /// # use lambda_session::{MemoryStore, SessionLayer};
    /// if let Err(error) = SessionLayer::from_env(MemoryStore::default()) {
    ///     assert_eq!(error.variable(), "SECRET_KEY");
    /// }
    /// ```
    #[must_use]
    pub fn variable(&self) -> &'static str {
        self.variable
    }
}

impl SessionLayer {
    /// A layer over `store` with the settings that the function's environment has, for [`build`](SessionLayerBuilder::build) or
    /// for more of them. An empty optional variable counts as unset, because SAM cannot leave one out.
    ///
    /// | variable | meaning | default |
    /// |---|---|---|
    /// | `SECRET_KEY` | signs the cookie; at least 32 bytes, without a comma | none |
    /// | `SECRET_KEY_FALLBACKS` | older keys, comma-separated, that still verify | none |
    /// | `SESSION_IDLE_TIMEOUT` | seconds without a request until a session ends | 1800 |
    /// | `SESSION_LIFETIME` | seconds from the last login until it ends whatever happens | 43200 |
    /// | `SESSION_COOKIE_SECURE` | `true` or `false`: whether the cookie is sent over https only | `true` |
    /// | `SESSION_SEALED` | `true` or `false`: whether variables are stored encrypted | `false` |
    ///
    /// # Errors
    ///
    /// [`EnvironmentError`] names the first variable that is missing or wrong, and says what would be right.
    ///
    /// ```no_run
    /// use lambda_session::{DynamoDbStore, SessionLayer};
    ///
    /// let sessions = SessionLayer::from_env(DynamoDbStore::from_env()?)?.cookie_name("shop").build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_env(store: impl Store) -> Result<SessionLayerBuilder, EnvironmentError> {
        layer(store, |name| env::var_os(name))
    }
}

fn layer<V: Into<OsString>>(
    store: impl Store,
    variable: impl Fn(&str) -> Option<V>,
) -> Result<SessionLayerBuilder, EnvironmentError> {
    let read = |name| read(&variable, name);
    let keys = keys(read("SECRET_KEY")?, read("SECRET_KEY_FALLBACKS")?)?;
    let mut builder = SessionLayer::builder(store, keys);
    if let Some(timeout) = seconds("SESSION_IDLE_TIMEOUT", read("SESSION_IDLE_TIMEOUT")?)? {
        builder = builder.idle_timeout(timeout);
    }
    if let Some(lifetime) = seconds("SESSION_LIFETIME", read("SESSION_LIFETIME")?)? {
        builder = builder.lifetime(lifetime);
    }
    let name = "SESSION_COOKIE_SECURE";
    let builder = builder.secure(switch(name, read(name)?)?.unwrap_or(true));
    let name = "SESSION_SEALED";
    match switch(name, read(name)?)? {
        #[cfg(feature = "sealed")]
        Some(sealed) => Ok(builder.sealed(sealed)),
        #[cfg(not(feature = "sealed"))]
        Some(true) => Err(EnvironmentError::new(
            name,
            "is `true`, and lambda-session was built without its feature `sealed`",
        )),
        _ => Ok(builder),
    }
}

/// The value of a variable, which is asked for through `variable`, usually [`std::env::var_os`]. Empty counts as unset.
pub(crate) fn read<V: Into<OsString>>(
    variable: impl Fn(&str) -> Option<V>,
    name: &'static str,
) -> Result<Option<String>, EnvironmentError> {
    match variable(name).map(|value| value.into().into_string()) {
        None => Ok(None),
        Some(Ok(value)) => Ok(Some(value).filter(|value| !value.is_empty())),
        Some(Err(_)) => Err(EnvironmentError::new(name, "is not valid UTF-8")),
    }
}

fn keys(secret: Option<String>, fallbacks: Option<String>) -> Result<Keys, EnvironmentError> {
    let name = "SECRET_KEY";
    let secret = secret.ok_or_else(|| {
        EnvironmentError::new(
            name,
            format!(
                "is not set; set it to at least {MIN_KEY_BYTES} random bytes, such as `openssl rand -hex 32` prints"
            ),
        )
    })?;
    resolved(name, &secret)?;
    if secret.contains(',') {
        return Err(EnvironmentError::new(
            name,
            "has a comma in it, so it could not be moved to SECRET_KEY_FALLBACKS later; choose one without, such as \
             `openssl rand -hex 32` prints",
        ));
    }
    let mut keys = Keys::new(secret.as_bytes()).map_err(|_| {
        EnvironmentError::new(
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
            EnvironmentError::new(
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

fn resolved(name: &'static str, value: &str) -> Result<(), EnvironmentError> {
    if value.trim_start().starts_with(UNRESOLVED) {
        return Err(EnvironmentError::new(
            name,
            format!(
                "is a reference that nobody resolved ({UNRESOLVED}…); under `sam local`, pass its value with --env-vars"
            ),
        ));
    }
    Ok(())
}

fn seconds(name: &'static str, value: Option<String>) -> Result<Option<Duration>, EnvironmentError> {
    match value.map(|value| value.parse()) {
        None => Ok(None),
        Some(Ok(seconds)) if (1..=LONGEST_TIMEOUT).contains(&seconds) => Ok(Some(Duration::from_secs(seconds))),
        Some(_) => Err(EnvironmentError::new(
            name,
            format!("is not a whole number of seconds from 1 to {LONGEST_TIMEOUT}"),
        )),
    }
}

fn switch(name: &'static str, value: Option<String>) -> Result<Option<bool>, EnvironmentError> {
    match value.as_deref() {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(EnvironmentError::new(name, "is neither `true` nor `false`")),
    }
}

#[cfg(test)]
mod tests;
