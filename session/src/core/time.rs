//! Time: the moment of a request, and how long sessions last. The clock is passed in.

const DAY: u64 = 24 * 60 * 60;

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
    /// The longest time from the last login for a session that is remembered.
    pub(crate) remembered: u64,
}

impl Default for Timeouts {
    /// 30 minutes idle and 12 hours in all, within the ranges that OWASP's Session Management Cheat Sheet names for
    /// ordinary applications, and 30 days for a session that is remembered.
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
        let longest = self.timeouts.lifetime.max(self.timeouts.remembered).max(400 * DAY);
        self.now.saturating_add(longest).saturating_add(DAY)
    }

    /// How far a slide must move the expiry to be worth a write: a tenth of the idle timeout, so a busy session is
    /// written at most ten times per idle timeout.
    pub(crate) fn slide_step(&self) -> u64 {
        (self.timeouts.idle / 10).max(1)
    }
}
