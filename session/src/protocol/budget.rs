//! Limits the time that one request's store calls take together, counts them, and gives each a span.

#![expect(clippy::disallowed_methods, reason = "it measures the time of store calls")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex as Turns, MutexGuard as Turn};
use tokio::time::{sleep, timeout};
use tracing::Instrument as _;

use super::error::{SessionError, SessionErrorKind};
use super::settings::Settings;
use super::spans;
use crate::store::{StoreError, StoreErrorKind};

/// The time that all store calls of one request may take together. When the store is slow, the visitor gets a 503
/// instead of waiting for Lambda's own timeout.
pub(crate) const ALL_CALLS: Duration = Duration::from_millis(4_500);

/// The time that is reserved for the handler and the runtime to answer when the request has a [`Deadline`].
const TO_ANSWER: Duration = Duration::from_millis(250);

/// The time that a reload and a write need at least.
const WORTH_A_WRITE: Duration = Duration::from_millis(500);

/// The time by which a request must be answered. The layer looks for a deadline in the request's extensions, and cuts
/// off its store calls 250 ms before it.
///
/// `lambda::run` puts the deadline of the invocation there, which Lambda passes with each event.
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
    /// Creates a deadline at `instant`.
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

/// The layer's store, and the time that one request may spend on it.
pub(crate) struct Budget {
    pub(crate) settings: Arc<Settings>,
    deadline: Option<Deadline>,
    left: Mutex<Duration>,
    calls: AtomicU32,
}

impl Budget {
    pub(crate) fn new(settings: Arc<Settings>, deadline: Option<Deadline>) -> Self {
        Self {
            settings,
            deadline,
            left: Mutex::new(ALL_CALLS),
            calls: AtomicU32::new(0),
        }
    }

    /// Makes `calls` store calls called `name`, under one span, within `limit` and the time that is left. The span
    /// records the `outcome`.
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
            return Err(StoreError::new(StoreErrorKind::Unavailable, "no time is left"));
        }
        let count = u32::try_from(calls).unwrap_or(u32::MAX);
        self.calls.fetch_add(count, Ordering::Relaxed);
        let span = spans::call(&*self.settings.store, name, calls);
        let spent = self.spend();
        let result = timeout(limit, call).instrument(span.clone()).await;
        drop(spent);
        let result = result.unwrap_or_else(|elapsed| Err(StoreError::new(StoreErrorKind::Unavailable, elapsed)));
        spans::answered(&span, result.as_ref().map(outcome));
        result
    }

    /// Waits for `turns` within the time that is left. The wait is not charged to the budget: another call of this
    /// request holds the turn, and that call charges its own time. The error names `held` if the turn does not come in
    /// time.
    pub(crate) async fn turn<'a>(&self, turns: &'a Turns<()>, held: &str) -> Result<Turn<'a, ()>, SessionError> {
        // Nearly always nobody holds the turn, and then no timer is needed.
        if let Ok(turn) = turns.try_lock() {
            return Ok(turn);
        }
        let turn = timeout(self.left(), turns.lock()).await;
        turn.map_err(|_| SessionError::unavailable(held))
    }

    /// Waits before a write is tried again, so that other requests can finish. `conflicts` counts the conflicts of this
    /// task so far. Returns whether it waited. If it did, the record may have changed meanwhile.
    ///
    /// # Errors
    ///
    /// Less than [`WORTH_A_WRITE`] is left, so the write is not tried again.
    pub(crate) async fn back_off(&self, conflicts: u32) -> Result<bool, SessionError> {
        let pause = self.settings.store.pause(conflicts).min(self.left());
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

    /// Whether time is too short for work that can wait: half of the store's time is spent, or the answer is due soon.
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

/// Charges a call's time to the budget when the call ends, even if the handler drops it.
struct Spent<'a>(&'a Budget, tokio::time::Instant);

impl Drop for Spent<'_> {
    fn drop(&mut self) {
        let mut left = self.0.left.lock().unwrap_or_else(PoisonError::into_inner);
        *left = left.saturating_sub(self.1.elapsed());
    }
}
