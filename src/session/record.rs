//! A session's record and its time: pure, with the clock passed in.

use super::value::Data;

/// How long sessions live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Seconds without a request until a session ends.
    pub idle_seconds: u64,
    /// Seconds from creation or the last login until it ends whatever happens.
    pub lifetime_seconds: u64,
}

impl Default for Timeouts {
    /// 30 minutes idle, 12 hours in all: the ranges that OWASP's Session Management Cheat Sheet names for ordinary
    /// applications.
    fn default() -> Self {
        Self {
            idle_seconds: 30 * 60,
            lifetime_seconds: 12 * 60 * 60,
        }
    }
}

impl Timeouts {
    /// How much of the idle timeout a slide must win to be worth a write: a tenth, so a busy session is written at
    /// most ten times per idle timeout.
    fn slide_step(self) -> u64 {
        (self.idle_seconds / 10).max(1)
    }
}

/// Tells the time in seconds since 1970-01-01 UTC.
pub type Clock = fn() -> u64;

/// One moment of one request: the time, and the timeouts that hold.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Seconds since 1970-01-01 UTC.
    pub now: u64,
    /// How long sessions live.
    pub timeouts: Timeouts,
}

impl Moment {
    /// The one instant at which a session created at or before it has outlived its lifetime. A store's write
    /// conditions need it: alive sessions have `created_at` *after* it.
    ///
    /// ```
    /// # use lambda_session::session::{Moment, Timeouts};
    /// let at = Moment { now: 1_000_000, timeouts: Timeouts { idle_seconds: 1_800, lifetime_seconds: 43_200 } };
    /// assert_eq!(at.oldest_creation(), 956_800);
    /// ```
    #[must_use]
    pub fn oldest_creation(&self) -> u64 {
        self.now.saturating_sub(self.timeouts.lifetime_seconds)
    }

    /// When a session created at `created_at` ends if this is its last request.
    ///
    /// ```
    /// # use lambda_session::session::{Moment, Timeouts};
    /// let at = Moment { now: 1_000_000, timeouts: Timeouts { idle_seconds: 1_800, lifetime_seconds: 43_200 } };
    /// assert_eq!(at.expiry(999_000), 1_001_800); // idle
    /// assert_eq!(at.expiry(957_000), 1_000_200); // the lifetime ends sooner
    /// ```
    #[must_use]
    pub fn expiry(&self, created_at: u64) -> u64 {
        let idle = self.now.saturating_add(self.timeouts.idle_seconds);
        let lifetime = created_at.saturating_add(self.timeouts.lifetime_seconds);
        idle.min(lifetime)
    }

    /// Until when a tombstone is kept: an hour, far longer than the minutes a signed request stays valid, so a
    /// write that was delayed in the network always finds it.
    ///
    /// ```
    /// # use lambda_session::session::{Moment, Timeouts};
    /// let at = Moment { now: 1_000_000, timeouts: Timeouts { idle_seconds: 1_800, lifetime_seconds: 43_200 } };
    /// assert_eq!(at.tombstone_expiry(), 1_003_600);
    /// ```
    #[must_use]
    pub fn tombstone_expiry(&self) -> u64 {
        self.now.saturating_add(60 * 60)
    }
}

/// A live session as a store keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The variables.
    pub data: Data,
    /// When the session was created or last logged in, in seconds since 1970.
    pub created_at: u64,
    /// When it ends, in seconds since 1970.
    pub expires_at: u64,
    /// How many times `data` was changed since creation.
    pub revision: u64,
}

impl Record {
    /// A new session with `data`.
    ///
    /// ```
    /// # use lambda_session::session::{Data, Moment, Record, Timeouts};
    /// let at = Moment { now: 1_000_000, timeouts: Timeouts { idle_seconds: 1_800, lifetime_seconds: 43_200 } };
    /// let record = Record::new(Data::new(), &at);
    /// assert_eq!((record.created_at, record.expires_at, record.revision), (1_000_000, 1_001_800, 0));
    /// ```
    #[must_use]
    pub fn new(data: Data, at: &Moment) -> Self {
        Self {
            data,
            created_at: at.now,
            expires_at: at.expiry(at.now),
            revision: 0,
        }
    }

    /// Whether both timeouts hold. DynamoDB deletes expired items days late, so every read asks, and every write
    /// condition says the same.
    ///
    /// ```
    /// # use lambda_session::session::{Data, Moment, Record, Timeouts};
    /// let at = Moment { now: 1_000_000, timeouts: Timeouts { idle_seconds: 1_800, lifetime_seconds: 43_200 } };
    /// let record = Record::new(Data::new(), &at);
    /// assert!(record.is_alive(&at));
    /// assert!(!record.is_alive(&Moment { now: 1_001_800, ..at }));
    /// ```
    #[must_use]
    pub fn is_alive(&self, at: &Moment) -> bool {
        self.expires_at > at.now && self.created_at > at.oldest_creation()
    }

    /// The new expiry, if it is worth a write.
    ///
    /// ```
    /// # use lambda_session::session::{Data, Moment, Record, Timeouts};
    /// let at = Moment { now: 1_000_000, timeouts: Timeouts { idle_seconds: 1_800, lifetime_seconds: 43_200 } };
    /// let record = Record::new(Data::new(), &at);
    /// assert_eq!(record.slide_due(&Moment { now: 1_000_179, ..at }), None);
    /// assert_eq!(record.slide_due(&Moment { now: 1_000_180, ..at }), Some(1_001_980));
    /// ```
    #[must_use]
    pub fn slide_due(&self, at: &Moment) -> Option<u64> {
        let expiry = at.expiry(self.created_at);
        (expiry >= self.expires_at.saturating_add(at.timeouts.slide_step())).then_some(expiry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUTS: Timeouts = Timeouts {
        idle_seconds: 1_800,
        lifetime_seconds: 43_200,
    };

    fn at(now: u64) -> Moment {
        Moment {
            now,
            timeouts: TIMEOUTS,
        }
    }

    fn born(now: u64) -> Record {
        Record::new(Data::new(), &at(now))
    }

    #[test]
    fn a_session_ends_exactly_when_idle_for_its_timeout() {
        let record = born(1_000_000);
        assert!(record.is_alive(&at(1_001_799)));
        assert!(!record.is_alive(&at(1_001_800)));
    }

    #[test]
    fn a_session_ends_exactly_at_its_lifetime_whatever_its_expiry_says() {
        let record = Record {
            expires_at: u64::MAX,
            ..born(1_000_000)
        };
        assert!(record.is_alive(&at(1_043_199)));
        assert!(!record.is_alive(&at(1_043_200)));
    }

    #[test]
    fn a_slide_is_due_after_a_tenth_of_the_idle_timeout_and_never_passes_the_lifetime() {
        let record = born(1_000_000);
        assert_eq!(record.slide_due(&at(1_000_179)), None);
        assert_eq!(record.slide_due(&at(1_000_180)), Some(1_001_980));

        let old = Record {
            expires_at: 1_042_000,
            ..born(1_000_000)
        };
        assert_eq!(old.slide_due(&at(1_041_999)), Some(1_043_200));
        let last = Record {
            expires_at: 1_043_200,
            ..old
        };
        assert_eq!(last.slide_due(&at(1_043_199)), None);
    }

    #[test]
    fn a_thousand_views_in_thirty_minutes_slide_at_most_ten_times() {
        let mut record = born(1_000_000);
        let mut slides = 0;
        for view in 0..1_000 {
            if let Some(expiry) = record.slide_due(&at(1_000_000 + view * 1_800 / 1_000)) {
                record.expires_at = expiry;
                slides += 1;
            }
        }
        assert_eq!(slides, 9);
    }

    #[test]
    fn extreme_times_do_not_overflow() {
        let moment = Moment {
            now: u64::MAX,
            timeouts: Timeouts {
                idle_seconds: u64::MAX,
                lifetime_seconds: u64::MAX,
            },
        };
        assert_eq!(Record::new(Data::new(), &moment).expires_at, u64::MAX);
        assert_eq!(moment.tombstone_expiry(), u64::MAX);
    }
}
