//! Helpers for tests of a handler: a session in its request, and a clock to set.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Request;

use crate::session::Session;
use crate::session::lazy::LazySession;

/// Puts `session` into `request`, as a layer would, for a handler that takes the request. An axum handler takes the
/// session itself, so a test calls it with one.
///
/// Nothing is stored: the session has the handler's changes afterwards.
///
/// ```
/// use http::{Request, Response};
/// use lambda_session::{Session, SessionError, testing};
///
/// async fn login(request: Request<String>) -> Result<Response<String>, SessionError> {
///     let session = Session::of(&request).await?;
///     session.renew();
///     session.insert("username", request.body())?;
///     Ok(Response::new("welcome".to_owned()))
/// }
///
/// # async fn test() -> Result<(), SessionError> {
/// let session = Session::default();
/// login(testing::in_request(&session, Request::new("admin".to_owned()))).await?;
/// assert_eq!(session.get::<String>("username")?.as_deref(), Some("admin"));
/// assert!(testing::is_renewed(&session));
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(test()).unwrap();
/// ```
pub fn in_request<B>(session: &Session, mut request: Request<B>) -> Request<B> {
    request.extensions_mut().insert(LazySession(Arc::clone(&session.0)));
    request
}

/// Whether the handler asked for a new session ID, as every login has to, by [`Session::renew`], [`Session::login`],
/// [`Session::remember`] or [`Session::lifetime`].
///
/// ```
/// # use lambda_session::{Session, testing};
/// let session = Session::default();
/// assert!(!testing::is_renewed(&session));
/// session.renew();
/// assert!(testing::is_renewed(&session));
/// ```
#[must_use]
pub fn is_renewed(session: &Session) -> bool {
    session.state().wanted.renewed
}

/// Whether the handler ended the session, and has not logged anybody in since.
///
/// ```
/// # use lambda_session::{Session, testing};
/// let session = Session::default();
/// session.end();
/// assert!(testing::is_ended(&session));
/// ```
#[must_use]
pub fn is_ended(session: &Session) -> bool {
    session.state().is_over()
}

/// A clock that a test sets, for [`SessionLayerBuilder::clock`](crate::SessionLayerBuilder::clock). Clones share the
/// time.
///
/// ```
/// use std::time::Duration;
///
/// use lambda_session::{Keys, MemoryStore, SessionLayer, testing::Clock};
///
/// let clock = Clock::at(1_800_000_000);
/// let keys = Keys::new(b"a long and random secret of at least 32 bytes")?;
/// let sessions = SessionLayer::builder(MemoryStore::default(), keys).clock(clock.now()).build()?;
/// // Half an hour later every session has been idle for too long.
/// clock.advance(Duration::from_secs(30 * 60));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Clock(Arc<AtomicU64>);

impl Clock {
    /// Makes a clock that stands at this second since 1970-01-01 UTC.
    #[must_use]
    pub fn at(seconds: u64) -> Self {
        Self(Arc::new(AtomicU64::new(seconds)))
    }

    /// Advances the clock. Fractions of a second are ignored.
    pub fn advance(&self, duration: Duration) {
        self.0.fetch_add(duration.as_secs(), Ordering::SeqCst);
    }

    /// A function that returns the time, in seconds since 1970-01-01 UTC.
    pub fn now(&self) -> impl Fn() -> u64 + Send + Sync + 'static + use<> {
        let clock = self.clone();
        move || clock.0.load(Ordering::SeqCst)
    }

    /// The time as a [`SystemTime`], for code of your own that takes one.
    ///
    /// ```
    /// use std::time::{Duration, UNIX_EPOCH};
    ///
    /// use lambda_session::testing::Clock;
    ///
    /// let clock = Clock::at(1_800_000_000);
    /// clock.advance(Duration::from_secs(60));
    /// assert_eq!(clock.system_time(), UNIX_EPOCH + Duration::from_secs(1_800_000_060));
    /// ```
    #[must_use]
    pub fn system_time(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}
