//! Time: the moment of a request, and how long sessions last. The clock is passed in.

use std::time::Duration;

const DAY: u64 = 24 * 60 * 60;

/// One moment of one request: the time, and the timeouts that hold.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Seconds since 1970-01-01 UTC.
    pub(crate) now: u64,
    pub(crate) timeouts: Timeouts,
}

/// How long sessions live, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timeouts {
    /// Without a request.
    pub(crate) idle: u64,
    /// From creation or the last login.
    pub(crate) lifetime: u64,
    /// The same, at most, for a session that is remembered.
    pub(crate) remembered: u64,
}

impl Default for Timeouts {
    /// 30 minutes idle, 12 hours in all: the ranges that OWASP's Session Management Cheat Sheet names for ordinary
    /// applications. 30 days for who wants to be remembered.
    fn default() -> Self {
        Self {
            idle: 30 * 60,
            lifetime: 12 * 60 * 60,
            remembered: 30 * 24 * 60 * 60,
        }
    }
}

impl Moment {
    /// `now` in seconds since 1970-01-01 UTC, with these timeouts. A fraction of a second does not count.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use lambda_session::Moment;
    /// let at = Moment::new(1_000_000, Duration::from_secs(1_800), Duration::from_secs(43_200));
    /// assert_eq!(at.now(), 1_000_000);
    /// ```
    #[must_use]
    pub fn new(now: u64, idle_timeout: Duration, lifetime: Duration) -> Self {
        Self {
            now,
            timeouts: Timeouts {
                idle: idle_timeout.as_secs(),
                lifetime: lifetime.as_secs(),
                ..Timeouts::default()
            },
        }
    }

    /// The same moment, where a session is [remembered](crate::Session::remember) for so long at most: 30 days unless set.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use lambda_session::Moment;
    /// let at = Moment::new(2_000_000, Duration::from_secs(1_800), Duration::from_secs(43_200));
    /// let at = at.with_max_remembered(Duration::from_secs(1_000_000));
    /// assert_eq!(at.oldest_remembered(), 1_000_000);
    /// ```
    #[must_use]
    pub fn with_max_remembered(mut self, duration: Duration) -> Self {
        self.timeouts.remembered = duration.as_secs();
        self
    }

    /// Seconds since 1970-01-01 UTC.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.now
    }

    /// The one instant at which a session created at or before it has outlived its lifetime. A store's write
    /// conditions need it: alive sessions have `created_at` *after* it.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use lambda_session::Moment;
    /// let at = Moment::new(1_000_000, Duration::from_secs(1_800), Duration::from_secs(43_200));
    /// assert_eq!(at.oldest_creation(), 956_800);
    /// ```
    #[must_use]
    pub fn oldest_creation(&self) -> u64 {
        self.now.saturating_sub(self.timeouts.lifetime)
    }

    /// The same for a record whose session is remembered, which may be older than
    /// [`oldest_creation`](Self::oldest_creation) allows.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use lambda_session::Moment;
    /// let at = Moment::new(3_000_000, Duration::from_secs(1_800), Duration::from_secs(43_200));
    /// assert_eq!(at.oldest_remembered(), 408_000);
    /// ```
    #[must_use]
    pub fn oldest_remembered(&self) -> u64 {
        self.now.saturating_sub(self.timeouts.remembered)
    }

    /// When a session created at `created_at` ends if this is its last request and it is not remembered.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use lambda_session::Moment;
    /// let at = Moment::new(1_000_000, Duration::from_secs(1_800), Duration::from_secs(43_200));
    /// assert_eq!(at.expiry(999_000), 1_001_800); // idle
    /// assert_eq!(at.expiry(957_000), 1_000_200); // the lifetime ends sooner
    /// ```
    #[must_use]
    pub fn expiry(&self, created_at: u64) -> u64 {
        let idle = self.now.saturating_add(self.timeouts.idle);
        let lifetime = created_at.saturating_add(self.timeouts.lifetime);
        idle.min(lifetime)
    }

    /// Until when a tombstone is kept: an hour, far longer than the minutes a signed request stays valid, so a
    /// write that was delayed in the network always finds it.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use lambda_session::Moment;
    /// let at = Moment::new(1_000_000, Duration::from_secs(1_800), Duration::from_secs(43_200));
    /// assert_eq!(at.tombstone_expiry(), 1_003_600);
    /// ```
    #[must_use]
    pub fn tombstone_expiry(&self) -> u64 {
        self.now.saturating_add(60 * 60)
    }

    /// Until when an owner's list is kept: a day longer than 400 days, which is as long as a browser keeps a cookie, or than
    /// the timeouts allow. Other instances may have others, and a list must outlast every session in it.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use lambda_session::Moment;
    /// let at = Moment::new(1_000_000, Duration::from_secs(1_800), Duration::from_secs(43_200));
    /// assert_eq!(at.list_expiry(), 1_000_000 + 401 * 24 * 60 * 60);
    /// ```
    #[must_use]
    pub fn list_expiry(&self) -> u64 {
        let longest = self.timeouts.lifetime.max(self.timeouts.remembered).max(400 * DAY);
        self.now.saturating_add(longest).saturating_add(DAY)
    }

    /// How much of the idle timeout a slide must win to be worth a write: a tenth, so a busy session is written at
    /// most ten times per idle timeout.
    pub(crate) fn slide_step(&self) -> u64 {
        (self.timeouts.idle / 10).max(1)
    }
}
