//! Time: the moment of a request, and how long sessions last. The clock is passed in.

use std::time::Duration;

const DAY: u64 = 24 * 60 * 60;

/// The longest `Max-Age` that browsers keep a cookie for, in seconds (RFC 6265bis, section 5.5).
pub(crate) const MAX_AGE: u64 = 400 * DAY;

/// How long one session lives, where it differs from the layer's timeouts. See
/// [`Session::lifetime`](crate::Session::lifetime).
///
/// ```
/// use std::time::Duration;
///
/// use lambda_session::Lifetime;
///
/// const DAY: Duration = Duration::from_secs(24 * 60 * 60);
///
/// // Five minutes without a request, and an hour at most.
/// let bank = Lifetime::default().idle(DAY / 288).at_most(DAY / 24);
/// // As long as it is used within 30 days, and a year at most.
/// let app = Lifetime::default().idle(30 * DAY).at_most(365 * DAY).beyond_browser();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Lifetime {
    /// Seconds.
    pub(crate) idle: Option<u64>,
    /// Seconds.
    pub(crate) at_most: Option<u64>,
    pub(crate) beyond_browser: bool,
}

impl Lifetime {
    /// Ends the session after this long without a request: after the layer's idle timeout unless set. Counts in whole
    /// seconds, and is at least one second.
    #[must_use]
    pub fn idle(mut self, timeout: Duration) -> Self {
        self.idle = Some(timeout.as_secs().max(1));
        self
    }

    /// Ends the session this long after the save that gives it this lifetime, however busy it is. Unless set, the
    /// session ends after the layer's lifetime, or, with [`beyond_browser`](Self::beyond_browser), after the layer's
    /// [maximum](crate::SessionLayerBuilder::max_remembered). Counts in whole seconds, and is at least one second.
    #[must_use]
    pub fn at_most(mut self, duration: Duration) -> Self {
        self.at_most = Some(duration.as_secs().max(1));
        self
    }

    /// Keeps the session when the visitor closes the browser: the cookie gets a `Max-Age`. Unless [`idle`](Self::idle)
    /// is set, such a session has no idle timeout, and unless [`at_most`](Self::at_most) is set, it ends after the
    /// layer's [maximum](crate::SessionLayerBuilder::max_remembered).
    #[must_use]
    pub fn beyond_browser(mut self) -> Self {
        self.beyond_browser = true;
        self
    }
}

/// The time of one request, and the timeouts that apply.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// Seconds since 1970-01-01 UTC.
    pub(crate) now: u64,
    pub(crate) timeouts: Timeouts,
}

/// How long sessions live, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timeouts {
    /// The longest time without a request.
    pub(crate) idle: u64,
    /// The longest time from creation, the last login or the last renewal.
    pub(crate) lifetime: u64,
    /// The longest time from the last login for a session with a lifetime of its own.
    pub(crate) remembered: u64,
}

impl Default for Timeouts {
    /// 30 minutes idle, the most that OWASP's Session Management Cheat Sheet names for low-risk applications. 12 hours
    /// in all, more than the 4 to 8 hours that it names for a full working day. 30 days for a session that is
    /// remembered.
    fn default() -> Self {
        Self {
            idle: 30 * 60,
            lifetime: 12 * 60 * 60,
            remembered: 30 * DAY,
        }
    }
}

impl Moment {
    /// When a session that was created at `created_at` ends if this is its last request and it is not remembered.
    pub(crate) fn expiry(&self, created_at: u64) -> u64 {
        let idle = self.now.saturating_add(self.timeouts.idle);
        let lifetime = created_at.saturating_add(self.timeouts.lifetime);
        idle.min(lifetime)
    }

    /// When an owner's list may be deleted. A list must outlast every session in it, and other instances may have other
    /// timeouts. It is kept for the longest timeout, at least the 400 days for which browsers keep a cookie, and a day
    /// more.
    pub(crate) fn list_expiry(&self) -> u64 {
        let longest = self.longest().max(MAX_AGE);
        self.now.saturating_add(longest).saturating_add(DAY)
    }

    /// The longest time for which any session may live.
    pub(crate) fn longest(&self) -> u64 {
        self.timeouts.lifetime.max(self.timeouts.remembered)
    }

    /// How far a slide must move the expiry to be worth a write: a tenth of the idle timeout, so a busy session is
    /// written at most ten times per idle timeout.
    pub(crate) fn slide_step(&self) -> u64 {
        (self.timeouts.idle / 10).max(1)
    }
}
