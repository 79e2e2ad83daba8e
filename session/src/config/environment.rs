//! Reads and validates the layer's environment variables.

use std::ffi::OsString;
use std::{env, fmt};

use thiserror::Error;

use super::builder::SessionLayerBuilder;
use crate::core::cookie::{Keys, MIN_KEY_BYTES, ShortKey};
use crate::store::Store;
use crate::web::layer::SessionLayer;

/// The longest timeout that is accepted, in seconds: a year.
const LONGEST_TIMEOUT: u64 = 365 * 24 * 60 * 60;

const SUCH_AS: &str = "such as `openssl rand -hex 32` prints";

/// Looks up a variable by its name, usually [`env::var_os`].
pub(crate) type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// The error of an environment variable, or of another setting from outside the program, that is missing or wrong. The
/// message says what would be right, and never shows the value.
///
/// `Debug` shows the message, too: Rust prints it if a `main` returns the error.
#[derive(Clone, Error, PartialEq, Eq)]
#[error("{variable} {problem}")]
pub struct EnvironmentError {
    variable: &'static str,
    problem: String,
}

impl fmt::Debug for EnvironmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl EnvironmentError {
    pub(crate) fn new(variable: &'static str, problem: impl Into<String>) -> Self {
        Self {
            variable,
            problem: problem.into(),
        }
    }

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
    /// Makes a builder of a layer over `store` with the settings from the function's environment. An empty optional
    /// variable counts as unset, because SAM cannot leave a variable out.
    ///
    /// | variable | meaning | default |
    /// |---|---|---|
    /// | `SECRET_KEY` | signs the cookie; at least 32 bytes, without a comma | required |
    /// | `SECRET_KEY_FALLBACKS` | older keys, comma-separated, that still verify | none |
    /// | `SESSION_IDLE_TIMEOUT` | seconds without a request until a session ends; at most the lifetime | 1800 |
    /// | `SESSION_LIFETIME` | seconds from creation, login or renewal until a session ends, unless remembered | 43200 |
    /// | `SESSION_COOKIE_SECURE` | `true` or `false`: whether the cookie is sent over https only | `true` |
    /// | `SESSION_SEALED` | `true` or `false`: whether variables are stored encrypted | `false` |
    /// | `SESSION_BOUND` | `true` or `false`: whether sessions are bound to the visitor's device | `false` |
    ///
    /// Both times are whole numbers of seconds from 1 to 31536000, a year. [`build`](SessionLayerBuilder::build)
    /// refuses an idle timeout that is longer than the lifetime.
    ///
    /// When you replace `SECRET_KEY`, keep the old key in `SECRET_KEY_FALLBACKS` until the sessions whose cookies it
    /// has signed are over: for one lifetime, or, if the program remembers sessions, for the longest time that it
    /// remembers one.
    ///
    /// A key with a line break, or with a blank or a quotation mark at an end, is refused, and so is a JSON object, the
    /// ARN of a secret, or a reference that nobody resolved: it is not the key that was meant. A blank after a comma in
    /// `SECRET_KEY_FALLBACKS` would make another key of the one behind it, and log out the visitors whose cookies that
    /// key signed.
    ///
    /// # Errors
    ///
    /// Returns an [`EnvironmentError`] that names the first variable that is missing or wrong, and says what would be
    /// right.
    ///
    /// ```no_run
    /// use lambda_session::{DynamoDbStore, SessionLayer};
    ///
    /// let sessions = SessionLayer::from_env(DynamoDbStore::from_env()?)?.cookie_name("shop").build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_env(store: impl Store) -> Result<SessionLayerBuilder, EnvironmentError> {
        layer(store, &|name| env::var_os(name))
    }
}

fn layer(store: impl Store, variables: Variables<'_>) -> Result<SessionLayerBuilder, EnvironmentError> {
    let mut builder = SessionLayer::builder(store, keys(variables)?);
    let timeouts = &mut builder.settings.timeouts;
    timeouts.idle = read(variables, "SESSION_IDLE_TIMEOUT", seconds)?.unwrap_or(timeouts.idle);
    timeouts.lifetime = read(variables, "SESSION_LIFETIME", seconds)?.unwrap_or(timeouts.lifetime);
    let optional = |name, feature: &str, is_built: bool| {
        let wanted = read(variables, name, switch)?.unwrap_or(false);
        if wanted && !is_built {
            let problem = format!("is `true`, but lambda-session was built without its feature `{feature}`");
            return Err(EnvironmentError::new(name, problem));
        }
        Ok(wanted)
    };
    builder.settings.sealed = optional("SESSION_SEALED", "sealed", cfg!(feature = "sealed"))?;
    let bound = optional("SESSION_BOUND", "bound", cfg!(feature = "bound"))?;
    #[cfg(feature = "bound")]
    let builder = builder.bound(bound);
    #[cfg(not(feature = "bound"))]
    debug_assert!(!bound);
    Ok(builder.secure(read(variables, "SESSION_COOKIE_SECURE", switch)?.unwrap_or(true)))
}

/// Reads a variable and parses it with `parse`, whose error says what is wrong. An empty variable counts as unset.
pub(crate) fn read<T, P: Into<String>>(
    variables: Variables<'_>,
    name: &'static str,
    parse: impl FnOnce(String) -> Result<T, P>,
) -> Result<Option<T>, EnvironmentError> {
    let Some(value) = variables(name).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    match value.into_string().map(parse) {
        Ok(parsed) => parsed.map(Some).map_err(|problem| EnvironmentError::new(name, problem)),
        Err(_) => Err(EnvironmentError::new(name, "is not valid UTF-8")),
    }
}

fn keys(variables: Variables<'_>) -> Result<Keys, EnvironmentError> {
    let keys = read(variables, "SECRET_KEY", |secret| with_key(&secret, "", Keys::new))?;
    let keys = keys.ok_or_else(|| {
        let problem = format!("is not set; set it to at least {MIN_KEY_BYTES} random bytes, {SUCH_AS}");
        EnvironmentError::new("SECRET_KEY", problem)
    })?;
    let rotated = read(variables, "SECRET_KEY_FALLBACKS", |fallbacks| {
        let mut all = (1..).zip(fallbacks.split(','));
        all.try_fold(keys.clone(), |keys, (n, fallback)| {
            let place = format!(" in element {n}");
            with_key(fallback, &place, |secret| keys.with_fallback(secret))
        })
    })?;
    Ok(rotated.unwrap_or(keys))
}

/// Makes the keys with this secret, unless it is too short, or probably not the key that was meant. The error says what
/// is wrong with the secret, in which `place` of the variable, and what to do.
fn with_key(secret: &str, place: &str, make: impl FnOnce(&[u8]) -> Result<Keys, ShortKey>) -> Result<Keys, String> {
    const QUOTES: [char; 7] = ['"', '\'', '`', '“', '”', '‘', '’'];
    // Lambda and `sam local` pass a dynamic reference on unchanged if CloudFormation has not resolved it.
    let (problem, remedy) = if secret.trim_start().starts_with("{{resolve:") {
        let problem = "is a reference that nobody resolved ({{resolve:…)";
        (problem, "under `sam local`, pass its value with --env-vars")
    } else if secret.trim_start().starts_with("arn:") {
        let remedy = "pass its value, in a template as {{resolve:secretsmanager:ARN:SecretString}}";
        ("is the ARN of a secret rather than its value", remedy)
    } else if secret.trim().starts_with('{') && secret.trim().ends_with('}') && secret.contains('"') {
        let remedy = "pass the one value in it, in a template as {{resolve:secretsmanager:ARN:SecretString:KEY}}";
        ("is a JSON object", remedy)
    } else if secret.contains(['\n', '\r']) {
        ("has a line break", "remove it")
    } else if secret.trim() != secret {
        ("begins or ends with a blank", "remove it")
    } else if secret.starts_with(QUOTES) || secret.ends_with(QUOTES) {
        ("begins or ends with a quotation mark", "remove it")
    } else if secret.contains(',') {
        let problem = "has a comma in it, so it could not be moved to SECRET_KEY_FALLBACKS later";
        return Err(format!("{problem}{place}; choose one without, {SUCH_AS}"));
    } else {
        return make(secret.as_bytes()).map_err(|ShortKey { bytes }| {
            format!("has {bytes} bytes{place}; a key needs at least {MIN_KEY_BYTES}, {SUCH_AS}")
        });
    };
    Err(format!("{problem}{place}; {remedy}"))
}

fn seconds(value: String) -> Result<u64, String> {
    match value.parse() {
        Ok(seconds @ 1..=LONGEST_TIMEOUT) => Ok(seconds),
        _ => Err(format!("is not a whole number of seconds from 1 to {LONGEST_TIMEOUT}")),
    }
}

fn switch(value: String) -> Result<bool, &'static str> {
    value.parse().map_err(|_| "is neither `true` nor `false`")
}

#[cfg(test)]
mod tests;
