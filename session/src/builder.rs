//! How a layer is configured, and what is refused.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use thiserror::Error;

use crate::core::cookie::{Keys, SessionCookie};
use crate::core::record::Timeouts;
use crate::layer::SessionLayer;
use crate::request::Clock;
use crate::store::Store;

impl SessionLayer {
    /// A layer over `store`, with the defaults: cookie `__Host-session` with `Secure`, 30 minutes idle, 12 hours
    /// in all.
    ///
    /// ```
    /// use lambda_session::{Keys, MemoryStore, SessionLayer};
    ///
    /// let keys = Keys::new(b"a long and random secret of at least 32 bytes")?;
    /// let sessions = SessionLayer::builder(MemoryStore::default(), keys).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(store: impl Store, keys: Keys) -> SessionLayerBuilder {
        SessionLayerBuilder {
            store: Arc::new(store),
            keys,
            cookie_name: None,
            secure: true,
            timeouts: Timeouts::default(),
            clock: Arc::new(system_clock),
            per_owner: None,
            sealed: false,
        }
    }
}

/// Builds a [`SessionLayer`].
#[must_use = "`build` makes the layer"]
pub struct SessionLayerBuilder {
    store: Arc<dyn Store>,
    keys: Keys,
    cookie_name: Option<Cow<'static, str>>,
    secure: bool,
    timeouts: Timeouts,
    clock: Clock,
    per_owner: Option<usize>,
    sealed: bool,
}

/// `Debug` omits the keys.
impl fmt::Debug for SessionLayerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayerBuilder")
            .field("store", &self.store)
            .field("cookie_name", &self.cookie_name)
            .field("secure", &self.secure)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

/// What a [`SessionLayerBuilder`] refuses.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// A cookie name that is not a token as RFC 6265 wants it.
    #[error("cookie name {0:?} is not a token: letters, digits and !#$%&'*+-.^_`|~ are allowed")]
    CookieName(String),
    /// A cookie name that browsers accept only with `Secure`.
    #[error("cookie name {0:?} is accepted by browsers only with Secure")]
    Prefix(String),
    /// A timeout of no time at all.
    #[error("the {0} must be at least one second")]
    NoTime(&'static str),
    /// Not one session per owner.
    #[error("an owner must be allowed at least one session")]
    NoSessions,
}

impl SessionLayerBuilder {
    /// How long a session lives without a request: 30 minutes unless set. Whole seconds count.
    ///
    /// ```
    /// # use lambda_session::{Keys, MemoryStore, SessionLayer};
    /// use std::time::Duration;
    ///
    /// # let (store, keys) = (MemoryStore::default(), Keys::new(b"a long and random secret of at least 32 bytes")?);
    /// let sessions = SessionLayer::builder(store, keys).idle_timeout(Duration::from_secs(15 * 60)).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.idle = timeout.as_secs();
        self
    }

    /// How long a session lives after its creation or the last login, whatever happens: 12 hours unless set. Whole seconds
    /// count.
    ///
    /// ```
    /// # use lambda_session::{Keys, MemoryStore, SessionLayer};
    /// use std::time::Duration;
    ///
    /// # let (store, keys) = (MemoryStore::default(), Keys::new(b"a long and random secret of at least 32 bytes")?);
    /// let sessions = SessionLayer::builder(store, keys).lifetime(Duration::from_secs(8 * 60 * 60)).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.timeouts.lifetime = lifetime.as_secs();
        self
    }

    /// How long a session is [remembered](crate::Session::remember) at most: 30 days unless set. Whole seconds count.
    ///
    /// Browsers keep no cookie longer than 400 days (RFC 6265bis, section 5.5).
    ///
    /// ```
    /// # use lambda_session::{Keys, MemoryStore, SessionLayer};
    /// use std::time::Duration;
    ///
    /// # let (store, keys) = (MemoryStore::default(), Keys::new(b"a long and random secret of at least 32 bytes")?);
    /// let year = Duration::from_secs(365 * 24 * 60 * 60);
    /// let sessions = SessionLayer::builder(store, keys).max_remembered(year).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_remembered(mut self, duration: Duration) -> Self {
        self.timeouts.remembered = duration.as_secs();
        self
    }

    /// How many sessions an [owner](crate::Session::login) may have at once: as many as there are logins unless set. A login too
    /// many ends the oldest.
    ///
    /// ```
    /// # use lambda_session::{Keys, MemoryStore, SessionLayer};
    /// # let (store, keys) = (MemoryStore::default(), Keys::new(b"a long and random secret of at least 32 bytes")?);
    /// let sessions = SessionLayer::builder(store, keys).max_sessions_per_owner(3).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_sessions_per_owner(mut self, most: usize) -> Self {
        self.per_owner = Some(most);
        self
    }

    /// Whether variables are stored encrypted, under a key that only the visitor's cookie gives: not unless set.
    ///
    /// Who reads the table, a backup of it or its stream then learns how many variables a session has, their names and sizes, the
    /// session's times and its label, but no value and no owner's name. Who guesses an owner's name can tell whether that
    /// owner has sessions, because the list's key is its hash. The function's configuration and its log help no further: the key
    /// is neither there nor in the secret key. Who has a visitor's cookie and the table has that visitor's session, as he would
    /// with the cookie and the site. An attacker inside the running function sees what passes through it.
    ///
    /// Sessions from before are sealed when they are next written. Sealed ones stay so and are read, whatever is set here. A sealed
    /// value takes 40 bytes more, and counts so.
    ///
    /// ```
    /// # use lambda_session::{Keys, MemoryStore, SessionLayer};
    /// # let (store, keys) = (MemoryStore::default(), Keys::new(b"a long and random secret of at least 32 bytes")?);
    /// let sessions = SessionLayer::builder(store, keys).sealed(true).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "sealed")]
    pub fn sealed(mut self, sealed: bool) -> Self {
        self.sealed = sealed;
        self
    }

    /// The cookie's name. By default `__Host-session`, or `session` when not secure.
    ///
    /// ```
    /// # use lambda_session::{Keys, MemoryStore, SessionLayer};
    /// # let (store, keys) = (MemoryStore::default(), Keys::new(b"a long and random secret of at least 32 bytes")?);
    /// // `__Host-` makes browsers refuse the cookie from any other host (RFC 6265bis, section 4.1.3).
    /// let sessions = SessionLayer::builder(store, keys).cookie_name("__Host-shop").build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cookie_name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.cookie_name = Some(name.into());
        self
    }

    /// Whether the cookie is sent over https only. `false` is for plain-http local runs.
    ///
    /// ```
    /// # use lambda_session::{Keys, MemoryStore, SessionLayer};
    /// # let (store, keys) = (MemoryStore::default(), Keys::new(b"a long and random secret of at least 32 bytes")?);
    /// let local = SessionLayer::builder(store, keys).secure(false).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// Another clock than the system's, for tests: seconds since 1970-01-01 UTC.
    ///
    /// ```
    /// # use lambda_session::{Keys, MemoryStore, SessionLayer};
    /// # let (store, keys) = (MemoryStore::default(), Keys::new(b"a long and random secret of at least 32 bytes")?);
    /// let in_2030 = SessionLayer::builder(store, keys).clock(|| 1_893_456_000).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn clock(mut self, clock: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The layer.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if the cookie's name is no token or needs `Secure`, or a timeout is zero.
    ///
    /// ```
    /// # use lambda_session::{BuildError, Keys, MemoryStore, SessionLayer};
    /// # let (store, keys) = (MemoryStore::default(), Keys::new(b"a long and random secret of at least 32 bytes").unwrap());
    /// let refused = SessionLayer::builder(store, keys).cookie_name("my session").build();
    /// assert!(matches!(refused, Err(BuildError::CookieName(_))));
    /// ```
    pub fn build(self) -> Result<SessionLayer, BuildError> {
        let default = if self.secure { "__Host-session" } else { "session" };
        let name = self.cookie_name.unwrap_or(Cow::Borrowed(default));
        if !is_token(&name) {
            return Err(BuildError::CookieName(name.into_owned()));
        }
        // Browsers compare the prefix without regard to case (RFC 6265bis, section 5.4).
        let lower = name.to_ascii_lowercase();
        let prefixed = lower.starts_with("__host-") || lower.starts_with("__secure-");
        if !self.secure && prefixed {
            return Err(BuildError::Prefix(name.into_owned()));
        }
        for (seconds, timeout) in [
            (self.timeouts.idle, "idle timeout"),
            (self.timeouts.lifetime, "lifetime"),
            (self.timeouts.remembered, "longest time to remember a session"),
        ] {
            if seconds == 0 {
                return Err(BuildError::NoTime(timeout));
            }
        }
        if self.per_owner == Some(0) {
            return Err(BuildError::NoSessions);
        }
        Ok(SessionLayer {
            limits: self.store.limits(),
            store: self.store,
            cookie: Arc::new(SessionCookie::new(name, self.secure, &self.keys)),
            timeouts: self.timeouts,
            clock: self.clock,
            per_owner: self.per_owner,
            sealed: self.sealed,
        })
    }
}

/// RFC 9110, section 5.6.2, which RFC 6265, section 4.1.1 takes the cookie's name from.
fn is_token(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(allowed)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the layer's clock, unless the builder is given another"
)]
fn system_clock() -> u64 {
    // A clock before 1970 is broken. At 0 no record has outlived its timeouts, so none is lost by it.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;

    fn builder() -> SessionLayerBuilder {
        let keys = Keys::new(b"a long and random secret of at least 32 bytes").unwrap();
        SessionLayer::builder(MemoryStore::default(), keys)
    }

    #[test]
    fn time_is_in_seconds_since_1970() {
        // The years 2025 and 2100.
        assert!((1_735_689_600..4_102_444_800).contains(&system_clock()));
    }

    #[test]
    fn nonsense_is_refused_in_words() {
        let second = Duration::from_secs(1);
        for (builder, expected) in [
            (
                builder().cookie_name("my session"),
                "cookie name \"my session\" is not a token: letters, digits and !#$%&'*+-.^_`|~ are allowed",
            ),
            (
                builder().cookie_name(""),
                "cookie name \"\" is not a token: letters, digits and !#$%&'*+-.^_`|~ are allowed",
            ),
            (
                builder().secure(false).cookie_name("__host-shop"),
                "cookie name \"__host-shop\" is accepted by browsers only with Secure",
            ),
            (
                builder().secure(false).cookie_name("__Secure-shop"),
                "cookie name \"__Secure-shop\" is accepted by browsers only with Secure",
            ),
            (
                builder().idle_timeout(second / 2),
                "the idle timeout must be at least one second",
            ),
            (
                builder().lifetime(Duration::ZERO),
                "the lifetime must be at least one second",
            ),
        ] {
            let refused = builder.build().err().map(|error| error.to_string());
            assert_eq!(refused.as_deref(), Some(expected));
        }
        assert!(
            builder()
                .cookie_name("__Host-shop")
                .idle_timeout(second)
                .lifetime(second)
                .build()
                .is_ok()
        );
    }
}
