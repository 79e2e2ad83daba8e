//! The builder of a layer, and the settings that it refuses.

#[cfg(feature = "bound")]
pub(super) mod bound;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Uri};
use thiserror::Error;

use crate::core::cookie::attributes::{Attributes, MOST_NAME_BYTES, SameSite, is_host_name, is_path};
use crate::core::cookie::{Keys, SessionCookie};
use crate::core::time::Timeouts;
use crate::protocol::settings::{Settings, system_clock};
use crate::store::Store;
use crate::web::layer::SessionLayer;

/// The most bytes of a session unless `max_bytes` is set: a change of it costs 16 write units, and a view 4 read units.
const MAX_BYTES: usize = 16 * 1024;

impl SessionLayer {
    /// Makes a builder of a layer over `store`, with the defaults: cookie `__Host-session` with `Secure`, an idle
    /// timeout of 30 minutes, and a lifetime of 12 hours.
    ///
    /// ```
    /// use lambda_session::{Keys, MemoryStore, SessionLayer};
    ///
    /// let keys = Keys::new(b"a long and random secret of at least 32 bytes")?;
    /// let sessions = SessionLayer::builder(MemoryStore::default(), keys).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(store: impl Store, keys: Keys) -> SessionLayerBuilder {
        let attributes = Attributes::default();
        SessionLayerBuilder {
            settings: Settings {
                store: Arc::new(store),
                cookie: SessionCookie::with(Cow::Borrowed("session"), &attributes, &keys),
                timeouts: Timeouts::default(),
                clock: Arc::new(system_clock),
                polling: None,
                per_owner: None,
                max_bytes: MAX_BYTES,
                sealed: false,
            },
            #[cfg(feature = "bound")]
            bound: bound::Settings {
                bound: false,
                life: 10 * 60,
                path: Cow::Borrowed("/.session"),
            },
            keys,
            cookie_name: Cow::Borrowed("session"),
            attributes,
        }
    }

    /// The cookie's name, with its prefix.
    ///
    /// ```
    /// # use lambda_session::{Keys, MemoryStore, SessionLayer};
    /// # let (store, keys) = (MemoryStore::default(), Keys::new(b"a long and random secret of at least 32 bytes")?);
    /// let sessions = SessionLayer::builder(store, keys).cookie_name("shop").build()?;
    /// assert_eq!(sessions.cookie_name(), "__Host-shop");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cookie_name(&self) -> &str {
        &self.settings.cookie.name
    }

    /// Whether the cookie is sent over https only.
    ///
    /// ```
    /// # use lambda_session::{Keys, MemoryStore, SessionLayer};
    /// # let (store, keys) = (MemoryStore::default(), Keys::new(b"a long and random secret of at least 32 bytes")?);
    /// assert!(SessionLayer::builder(store, keys).build()?.is_secure());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_secure(&self) -> bool {
        self.settings.cookie.secure
    }
}

/// Builds a [`SessionLayer`].
#[derive(Debug)]
#[must_use = "`build` makes the layer"]
pub struct SessionLayerBuilder {
    /// `build` replaces the cookie by one with the name and the attributes.
    pub(super) settings: Settings,
    #[cfg(feature = "bound")]
    pub(super) bound: bound::Settings,
    keys: Keys,
    /// May have a prefix already.
    cookie_name: Cow<'static, str>,
    attributes: Attributes,
}

/// The reason why a [`SessionLayerBuilder`] refuses its settings.
///
/// `Debug` shows the message, too: Rust prints it if a `main` returns the error.
#[derive(Clone, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// A cookie name that is not a token as RFC 6265 defines it.
    #[error("cookie name {0:?} is not a token: letters, digits and !#$%&'*+-.^_`|~ are allowed")]
    CookieName(String),
    /// A cookie name so long that browsers ignore the cookie; how many bytes the name has with its prefix.
    #[error(
        "the cookie name has {0} bytes; at most {MOST_NAME_BYTES} are allowed, because browsers ignore a longer cookie"
    )]
    LongCookieName(usize),
    /// A cookie name whose prefix browsers do not accept with these attributes, and what they require.
    #[error(
        "cookie name {0:?} is accepted by browsers only {1}; a name without the prefix gets the one that the cookie's \
         attributes allow"
    )]
    Prefix(String, &'static str),
    /// A `Domain` that is not the name of a host.
    #[error("Domain {0:?} is not a host name; give one such as `example.com`, without a leading dot, scheme or port")]
    Domain(String),
    /// A `Path` of the cookie that browsers ignore, or that no URL can have; or a path of bound sessions that cannot be
    /// used.
    #[error(
        "Path {0:?} is not the path of a URL; give one such as `/shop`: it begins with /, has at most 1024 visible \
         ASCII characters, and no ; ? # among them (for bound sessions, also no \" and no \\)"
    )]
    Path(String),
    /// A setting that browsers accept only with `Secure`.
    #[error("{0} is accepted by browsers only with Secure; leave out `secure(false)`, or the setting that needs it")]
    NeedsSecure(&'static str),
    /// Bound sessions with a `Partitioned` cookie, which browsers do not bind.
    #[error(
        "sessions whose cookie is Partitioned are not bound by browsers; leave out `partitioned(true)` or `bound(true)`"
    )]
    BoundPartitioned,
    /// A timeout under one second.
    #[error("the {0} must be at least one second")]
    NoTime(&'static str),
    /// An idle timeout that is longer than the lifetime, so that it would never end a session.
    #[error(
        "the idle timeout (SESSION_IDLE_TIMEOUT) is longer than the lifetime (SESSION_LIFETIME), which would end every \
         session first; shorten the one, or extend the other"
    )]
    IdleOverLifetime,
    /// The maximum number of sessions per owner is zero.
    #[error("an owner must be allowed at least one session")]
    NoSessions,
}

impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl SessionLayerBuilder {
    /// Sets how long a session lives without a request: 30 minutes unless set. [`build`](Self::build) refuses a time
    /// that is longer than the [`lifetime`](Self::lifetime). Fractions of a second are ignored.
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
        self.settings.timeouts.idle = timeout.as_secs();
        self
    }

    /// Sets how long a session lives after its creation, the last login or the last renewal, however busy it is: 12
    /// hours unless set. A [remembered](crate::Session::remember) session may live longer. Fractions of a second are
    /// ignored.
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
        self.settings.timeouts.lifetime = lifetime.as_secs();
        self
    }

    /// Sets the longest time for which a session can be [remembered](crate::Session::remember), and the longest
    /// [lifetime](crate::Session::lifetime) of its own that it can have: 30 days unless set. Fractions of a second are
    /// ignored.
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
        self.settings.timeouts.remembered = duration.as_secs();
        self
    }

    /// Sets which requests do not keep a session alive, because the page sends them without its visitor. Unless set,
    /// every request that loads the session keeps it alive. So a page that polls for news would keep the session of an
    /// abandoned browser open for its whole lifetime. A polling request that changes the session keeps it alive all the
    /// same. See [`LazySession::peek`](crate::LazySession::peek) for a single read. The URI is the one that the handler
    /// gets, which has an API Gateway's stage in its path unless `AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH` is set.
    ///
    /// ```
    /// # use lambda_session::{Keys, MemoryStore, SessionLayer};
    /// # let (store, keys) = (MemoryStore::default(), Keys::new(b"a long and random secret of at least 32 bytes")?);
    /// let sessions = SessionLayer::builder(store, keys).polling(|uri| uri.path() == "/news").build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn polling(mut self, is_polling: impl Fn(&Uri) -> bool + Send + Sync + 'static) -> Self {
        self.settings.polling = Some(Arc::new(is_polling));
        self
    }

    /// Sets how many sessions an [owner](crate::Session::login) may have at once: at least one, and up to 2,000 unless
    /// set. A login that exceeds the maximum ends the owner's oldest sessions, as many as exceed it.
    ///
    /// ```
    /// # use lambda_session::{Keys, MemoryStore, SessionLayer};
    /// # let (store, keys) = (MemoryStore::default(), Keys::new(b"a long and random secret of at least 32 bytes")?);
    /// let sessions = SessionLayer::builder(store, keys).max_sessions_per_owner(3).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_sessions_per_owner(mut self, most: usize) -> Self {
        self.settings.per_owner = Some(most);
        self
    }

    /// Sets the most bytes that the variables of one session may take: 16 KB unless set. The size is that of the stored
    /// variables with their names, as [DynamoDB counts][sizes]. The store's own limit holds, too: with `usize::MAX`,
    /// DynamoDB's of about 400 KB remains.
    ///
    /// A visitor chooses how much a handler keeps if the handler does not limit it, and DynamoDB bills each view by the
    /// size of the item (a read unit for 4 KB) and each change as well (a write unit for 1 KB, whatever was changed).
    ///
    /// [`insert`](crate::Session::insert) and the other methods that write a variable refuse what would make the
    /// session larger. If two requests together exceed the limit, the later one is answered with
    /// [`TooLarge`](crate::SessionErrorKind::TooLarge). A session that is larger already stays as it is, and may only
    /// become smaller.
    ///
    /// [sizes]: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    ///
    /// ```
    /// # use lambda_session::{Keys, MemoryStore, SessionLayer};
    /// # let (store, keys) = (MemoryStore::default(), Keys::new(b"a long and random secret of at least 32 bytes")?);
    /// let sessions = SessionLayer::builder(store, keys).max_bytes(64 * 1024).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_bytes(mut self, most: usize) -> Self {
        self.settings.max_bytes = most;
        self
    }

    /// Sets whether variables are stored encrypted, under a key that comes from the visitor's cookie: `false` unless
    /// set.
    ///
    /// Anyone who reads the table, a backup of it or its stream learns how many variables a session has, their names
    /// and sizes, its times and its label, but no value and no owner's name. Anyone who guesses an owner's name can
    /// tell whether that owner has sessions. The function's configuration and log do not help, not even `SECRET_KEY`,
    /// because the key comes from the session ID, which only the browser keeps. Anyone who has a visitor's cookie and
    /// the table can read that visitor's session, just as with the cookie and the site. Anyone who can write to the
    /// table can change sessions, because unsealed ones are accepted beside sealed ones. An attacker inside the running
    /// function sees the data that pass through it.
    ///
    /// Turn it on when no instance of a version before 0.3 runs any more, because those cannot read sealed sessions.
    /// Older sessions are sealed when they are next written. Sealed sessions stay sealed and can be read whatever is
    /// set here. A sealed value is stored as JSON with 40 bytes more. Its whole size counts towards
    /// [`max_bytes`](Self::max_bytes) and the store's limits.
    ///
    /// ```
    /// # use lambda_session::{Keys, MemoryStore, SessionLayer};
    /// # let (store, keys) = (MemoryStore::default(), Keys::new(b"a long and random secret of at least 32 bytes")?);
    /// let sessions = SessionLayer::builder(store, keys).sealed(true).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "sealed")]
    pub fn sealed(mut self, sealed: bool) -> Self {
        self.settings.sealed = sealed;
        self
    }

    /// Sets the cookie's name without a prefix: `session` unless set. The cookie gets the strictest prefix that the
    /// other attributes allow (RFC 6265bis, section 4.1.3): `__Host-`, with which browsers refuse the cookie from any
    /// other host, or `__Secure-` with a [`domain`](Self::domain) or [`path`](Self::path), or no prefix if it is not
    /// [`secure`](Self::secure). A name that already has a prefix (`__Host-`, `__Secure-`, `__Http-` or `__Host-Http-`)
    /// is used as it is.
    ///
    /// ```
    /// # use lambda_session::{Keys, MemoryStore, SessionLayer};
    /// # let (store, keys) = (MemoryStore::default(), Keys::new(b"a long and random secret of at least 32 bytes")?);
    /// let sessions = SessionLayer::builder(store, keys).cookie_name("shop").build()?;
    /// assert_eq!(sessions.cookie_name(), "__Host-shop");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cookie_name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.cookie_name = name.into();
        self
    }

    /// Sets the cookie's `Domain`: this host and every host below it get the cookie, and each of them can set it.
    /// Unless set, only the host that the visitor called gets the cookie.
    ///
    /// The visitor's host has to be this domain or below it. Browsers refuse a domain under which anybody can register
    /// a name, such as `com` or `lambda-url.eu-central-1.on.aws` (<https://publicsuffix.org>). The builder checks
    /// neither.
    ///
    /// ```
    /// # use lambda_session::{Keys, MemoryStore, SessionLayer};
    /// # let (store, keys) = (MemoryStore::default(), Keys::new(b"a long and random secret of at least 32 bytes")?);
    /// let sessions = SessionLayer::builder(store, keys).domain("example.com").build()?;
    /// assert_eq!(sessions.cookie_name(), "__Secure-session");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn domain(mut self, domain: impl Into<Cow<'static, str>>) -> Self {
        self.attributes.domain = Some(domain.into());
        self
    }

    /// Sets the cookie's `Path`: `/` unless set. Browsers send the cookie to this path and the paths below it only. The
    /// layer sets and clears it with this path in every answer, also in those to other paths.
    /// This does not protect the cookie from other pages of the same host, because scripts reach across paths.
    ///
    /// ```
    /// # use lambda_session::{Keys, MemoryStore, SessionLayer};
    /// # let (store, keys) = (MemoryStore::default(), Keys::new(b"a long and random secret of at least 32 bytes")?);
    /// let sessions = SessionLayer::builder(store, keys).path("/shop").build()?;
    /// assert_eq!(sessions.cookie_name(), "__Secure-session");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn path(mut self, path: impl Into<Cow<'static, str>>) -> Self {
        self.attributes.path = path.into();
        self
    }

    /// Sets the cookie's `SameSite`: [`SameSite::Lax`] unless set.
    ///
    /// ```
    /// # use lambda_session::{Keys, MemoryStore, SameSite, SessionLayer};
    /// # let (store, keys) = (MemoryStore::default(), Keys::new(b"a long and random secret of at least 32 bytes")?);
    /// let in_frames = SessionLayer::builder(store, keys).same_site(SameSite::None).partitioned(true).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.attributes.same_site = same_site;
        self
    }

    /// Sets whether the cookie is `Partitioned`: in a frame, a browser keeps a cookie for each site that the frame is
    /// in. `false` unless set.
    ///
    /// ```
    /// # use lambda_session::{Keys, MemoryStore, SameSite, SessionLayer};
    /// # let (store, keys) = (MemoryStore::default(), Keys::new(b"a long and random secret of at least 32 bytes")?);
    /// let in_frames = SessionLayer::builder(store, keys).same_site(SameSite::None).partitioned(true).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn partitioned(mut self, partitioned: bool) -> Self {
        self.attributes.partitioned = partitioned;
        self
    }

    /// Sets whether the cookie is sent over https only: `true` unless set. `false` is for local runs over plain http.
    ///
    /// ```
    /// # use lambda_session::{Keys, MemoryStore, SessionLayer};
    /// # let (store, keys) = (MemoryStore::default(), Keys::new(b"a long and random secret of at least 32 bytes")?);
    /// let local = SessionLayer::builder(store, keys).secure(false).build()?;
    /// assert_eq!(local.cookie_name(), "session");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn secure(mut self, secure: bool) -> Self {
        self.attributes.secure = secure;
        self
    }

    /// Sets a clock to use instead of the system's, for tests: seconds since 1970-01-01 UTC.
    ///
    /// ```
    /// # use lambda_session::{Keys, MemoryStore, SessionLayer};
    /// # let (store, keys) = (MemoryStore::default(), Keys::new(b"a long and random secret of at least 32 bytes")?);
    /// let in_2030 = SessionLayer::builder(store, keys).clock(|| 1_893_456_000).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn clock(mut self, clock: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.settings.clock = Arc::new(clock);
        self
    }

    /// Builds the layer.
    ///
    /// # Errors
    ///
    /// Returns a [`BuildError`] if browsers would refuse the cookie or ignore one of its attributes, a timeout is under
    /// one second, the idle timeout is longer than the lifetime, the maximum number of sessions per owner is zero, or
    /// sessions are bound although the cookie is not `Secure` or is `Partitioned`, or with a path that no URL can have.
    ///
    /// ```
    /// # use lambda_session::{BuildError, Keys, MemoryStore, SessionLayer};
    /// # let store = MemoryStore::default();
    /// # let keys = Keys::new(b"a long and random secret of at least 32 bytes").unwrap();
    /// let refused = SessionLayer::builder(store, keys).cookie_name("my session").build();
    /// assert!(matches!(refused, Err(BuildError::CookieName(_))));
    /// ```
    pub fn build(mut self) -> Result<SessionLayer, BuildError> {
        let name = cookie_name(self.cookie_name.clone(), &self.attributes)?;
        for (seconds, timeout) in [
            (self.settings.timeouts.idle, "idle timeout"),
            (self.settings.timeouts.lifetime, "lifetime"),
            (self.settings.timeouts.remembered, "longest time to remember a session"),
        ] {
            if seconds == 0 {
                return Err(BuildError::NoTime(timeout));
            }
        }
        if self.settings.timeouts.idle > self.settings.timeouts.lifetime {
            return Err(BuildError::IdleOverLifetime);
        }
        if self.settings.per_owner == Some(0) {
            return Err(BuildError::NoSessions);
        }
        #[cfg(feature = "bound")]
        let bound = self.make_bound(&name)?;
        self.settings.cookie = SessionCookie::with(name, &self.attributes, &self.keys);
        Ok(SessionLayer {
            settings: Arc::new(self.settings),
            #[cfg(feature = "bound")]
            bound,
        })
    }
}

/// The cookie's whole name. Fails if browsers do not keep a cookie of that name with these attributes.
fn cookie_name(stem: Cow<'static, str>, attributes: &Attributes) -> Result<Cow<'static, str>, BuildError> {
    // Cookie names and header names are both tokens (RFC 6265, section 4.1.1; RFC 9110, section 5.1).
    if HeaderName::from_bytes(stem.as_bytes()).is_err() {
        return Err(BuildError::CookieName(stem.into_owned()));
    }
    if let Some(domain) = attributes.domain.as_ref().filter(|domain| !is_host_name(domain)) {
        return Err(BuildError::Domain(domain.clone().into_owned()));
    }
    if !is_path(&attributes.path) {
        return Err(BuildError::Path(attributes.path.clone().into_owned()));
    }
    for (given, attribute) in [
        (attributes.same_site == SameSite::None, "SameSite=None"),
        (attributes.partitioned, "Partitioned"),
    ] {
        if given && !attributes.secure {
            return Err(BuildError::NeedsSecure(attribute));
        }
    }
    let name = attributes.name(stem);
    if name.len() > MOST_NAME_BYTES {
        return Err(BuildError::LongCookieName(name.len()));
    }
    if let Some(wanted) = attributes.unmet(&name) {
        return Err(BuildError::Prefix(name.into_owned(), wanted));
    }
    Ok(name)
}

#[cfg(test)]
mod tests;
