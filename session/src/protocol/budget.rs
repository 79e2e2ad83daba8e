//! One request's store calls: how long they may take together, how many there were, and a span for each.

#![expect(clippy::disallowed_methods, reason = "it measures how long store calls take")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex as Turns, MutexGuard as Turn};
use tokio::time::{sleep, timeout};
use tracing::Instrument as _;

use super::error::{SessionError, SessionErrorKind};
use super::spans;
use crate::store::erased::AnyStore;
use crate::store::{StoreError, StoreErrorKind};

/// For all store calls of one request together, so that a visitor gets an answer, and a 503 rather than Lambda's
/// own timeout.
pub(crate) const ALL_CALLS: Duration = Duration::from_millis(4_500);

/// What is left to the handler and the runtime for the answer, when the request has a [`Deadline`].
const TO_ANSWER: Duration = Duration::from_millis(250);

/// What a reload and a write need at the least.
const WORTH_A_WRITE: Duration = Duration::from_millis(500);

/// When the answer to a request has to be given at the latest. The layer looks for one in the request's extensions, and makes
/// no store call that would outlast it.
///
/// `lambda::run` puts the invocation's own there, which Lambda tells with each event.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use http::Request;
/// use lambda_session::Deadline;
///
/// let mut request = Request::new("a body");
/// request.extensions_mut().insert(Deadline::at(Instant::now() + Duration::from_secs(3)));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// The answer is due at this instant.
    ///
    /// ```
    /// # use std::time::Instant;
    /// let at_once = lambda_session::Deadline::at(Instant::now());
    /// ```
    #[must_use]
    pub fn at(instant: Instant) -> Self {
        Self(instant)
    }
}

/// A store, for one request.
pub(crate) struct Budget {
    pub(crate) store: Arc<dyn AnyStore>,
    deadline: Option<Deadline>,
    left: Mutex<Duration>,
    calls: AtomicU32,
}

impl Budget {
    pub(crate) fn new(store: Arc<dyn AnyStore>, deadline: Option<Deadline>) -> Self {
        Self {
            store,
            deadline,
            left: Mutex::new(ALL_CALLS),
            calls: AtomicU32::new(0),
        }
    }

    /// Makes a store call of this name, or so many at once, within `limit` and what is left. Its span tells the `outcome`.
    pub(crate) async fn call<T>(
        &self,
        limit: Duration,
        name: &'static str,
        calls: usize,
        call: impl Future<Output = Result<T, StoreError>>,
        outcome: impl FnOnce(&T) -> &'static str,
    ) -> Result<T, StoreError> {
        let limit = limit.min(self.left());
        if limit.is_zero() {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "no time is left for it"));
        }
        let count = u32::try_from(calls).unwrap_or(u32::MAX);
        self.calls.fetch_add(count, Ordering::Relaxed);
        let span = spans::call(&*self.store, name, calls);
        let spent = self.spend();
        let result = timeout(limit, call).instrument(span.clone()).await;
        drop(spent);
        let result = result.unwrap_or_else(|elapsed| Err(StoreError::new(StoreErrorKind::Unavailable, elapsed)));
        spans::answered(&span, result.as_ref().map(outcome));
        result
    }

    /// Waits for a turn within what is left, which stays so: what it waits for is another call of this request, which takes its own
    /// time from it. `held` is what is wrong if there is none.
    pub(crate) async fn turn<'a>(&self, turns: &'a Turns<()>, held: &str) -> Result<Turn<'a, ()>, SessionError> {
        let turn = timeout(self.left(), turns.lock()).await;
        turn.map_err(|_| SessionError::unavailable(held))
    }

    /// Lets others go first, after so many conflicts of one write. True if time has passed, so that what stands there may have
    /// changed.
    ///
    /// # Errors
    ///
    /// A write that could not be answered any more is not begun again.
    pub(crate) async fn back_off(&self, conflicts: u32) -> Result<bool, SessionError> {
        let pause = self.store.pause(conflicts).min(self.left());
        if !pause.is_zero() {
            let spent = self.spend();
            sleep(pause).await;
            drop(spent);
        }
        if self.left() < WORTH_A_WRITE {
            let lost = "other requests changed the session each time this one tried to; it was not saved";
            return Err(SessionError::new(SessionErrorKind::Contention, lost));
        }
        Ok(!pause.is_zero())
    }

    /// Whether the time that is left is for what has to be done: half of what the store may take is gone, or the answer is due.
    pub(crate) fn is_short(&self) -> bool {
        let own = *self.left.lock().unwrap_or_else(PoisonError::into_inner);
        own < ALL_CALLS / 2 || self.left() < WORTH_A_WRITE
    }

    fn spend(&self) -> Spent<'_> {
        Spent(self, tokio::time::Instant::now())
    }

    pub(crate) fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }

    fn left(&self) -> Duration {
        let own = *self.left.lock().unwrap_or_else(PoisonError::into_inner);
        match self.deadline {
            Some(Deadline(at)) => own.min(at.saturating_duration_since(Instant::now()).saturating_sub(TO_ANSWER)),
            None => own,
        }
    }
}

/// Takes a call's time from the budget when the call ends, be it because the handler dropped it.
struct Spent<'a>(&'a Budget, tokio::time::Instant);

impl Drop for Spent<'_> {
    fn drop(&mut self) {
        let mut left = self.0.left.lock().unwrap_or_else(PoisonError::into_inner);
        *left = left.saturating_sub(self.1.elapsed());
    }
}
