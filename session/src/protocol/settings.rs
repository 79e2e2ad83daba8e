//! The settings of a layer, which its requests share.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use http::Uri;

use crate::core::cookie::SessionCookie;
use crate::core::time::{Moment, Timeouts};
use crate::store::erased::AnyStore;

/// Returns the time in seconds since 1970-01-01 UTC.
pub(crate) type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Returns whether a request to this address is sent without the visitor, so that it does not keep the session alive.
pub(crate) type Polling = Arc<dyn Fn(&Uri) -> bool + Send + Sync>;

/// The settings of a layer.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) store: Arc<dyn AnyStore>,
    pub(crate) cookie: SessionCookie,
    pub(crate) timeouts: Timeouts,
    pub(crate) clock: Clock,
    pub(crate) polling: Option<Polling>,
    /// The most sessions that an owner may have.
    pub(crate) per_owner: Option<usize>,
    /// The most bytes of a session's variables.
    pub(crate) max_bytes: usize,
    /// Whether records are sealed when they are created or changed.
    pub(crate) sealed: bool,
}

impl Settings {
    /// Reads the clock.
    pub(crate) fn moment(&self) -> Moment {
        Moment {
            now: (self.clock)(),
            timeouts: self.timeouts,
        }
    }
}

/// `Debug` omits the keys.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("store", &self.store)
            .field("cookie", &self.cookie.name)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the layer's clock")]
pub(crate) fn system_clock() -> u64 {
    // A clock before 1970 counts as 0, so nothing expires.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}
