//! One request's store calls: how long they may take together, and how many there were.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::store::{Store, StoreError, StoreErrorKind, StoreFuture};

/// For all store calls of one request together, so that a visitor gets an answer, and a 503 rather than Lambda's
/// own timeout.
const ALL_CALLS: Duration = Duration::from_millis(4_500);

/// A store, for one request.
pub(crate) struct Budget {
    store: Arc<dyn Store>,
    left: Mutex<Duration>,
    calls: AtomicU32,
}

impl Budget {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            left: Mutex::new(ALL_CALLS),
            calls: AtomicU32::new(0),
        }
    }

    /// Makes one store call within what is left.
    pub(crate) async fn call<'a, T>(
        &'a self,
        operation: impl FnOnce(&'a dyn Store) -> StoreFuture<'a, T>,
    ) -> Result<T, StoreError> {
        self.call_within(ALL_CALLS, operation).await
    }

    /// Makes one store call within `limit` and what is left.
    pub(crate) async fn call_within<'a, T>(
        &'a self,
        limit: Duration,
        operation: impl FnOnce(&'a dyn Store) -> StoreFuture<'a, T>,
    ) -> Result<T, StoreError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let limit = limit.min(*self.left());
        let start = Instant::now();
        let result = timeout(limit, operation(&*self.store)).await;
        let mut left = self.left();
        *left = left.saturating_sub(start.elapsed());
        result.unwrap_or_else(|elapsed| Err(StoreError::new(StoreErrorKind::Unavailable, elapsed)))
    }

    pub(crate) fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }

    fn left(&self) -> std::sync::MutexGuard<'_, Duration> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
