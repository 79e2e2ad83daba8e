//! A session's record and its time: pure, with the clock passed in.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::changes::Changes;
use super::value::Data;

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
}

impl Default for Timeouts {
    /// 30 minutes idle, 12 hours in all: the ranges that OWASP's Session Management Cheat Sheet names for ordinary
    /// applications.
    fn default() -> Self {
        Self {
            idle: 30 * 60,
            lifetime: 12 * 60 * 60,
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
            },
        }
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

    /// When a session created at `created_at` ends if this is its last request.
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

    /// How much of the idle timeout a slide must win to be worth a write: a tenth, so a busy session is written at
    /// most ten times per idle timeout.
    fn slide_step(&self) -> u64 {
        (self.timeouts.idle / 10).max(1)
    }
}

/// How many of its last writes a record remembers.
pub(crate) const REMEMBERED_WRITES: usize = 16;

/// Marks one write, so that a request whose reply was lost finds out whether it landed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WriteToken(String);

impl WriteToken {
    /// From random bytes: six tell the few writes of one session apart.
    pub(crate) fn new(random: [u8; 6]) -> Self {
        use base64::Engine as _;
        Self(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random))
    }

    /// A token as a store wrote it down.
    ///
    /// ```
    /// # use lambda_session::WriteToken;
    /// assert_eq!(WriteToken::from_stored("bm9uY2Uh").as_str(), "bm9uY2Uh");
    /// ```
    #[must_use]
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The token as text without blanks, for a store to write down.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A live session as a store keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// The variables.
    pub data: Data,
    /// When the session was created or last logged in, in seconds since 1970.
    pub created_at: u64,
    /// When it ends, in seconds since 1970.
    pub expires_at: u64,
    /// How many times `data` was changed since creation.
    pub revision: u64,
    /// The tokens of the last sixteen changes, the newest last.
    #[serde(default)]
    pub writes: Vec<WriteToken>,
}

impl Record {
    /// A new session with `data`.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use lambda_session::{Data, Moment, Record};
    /// let at = Moment::new(1_000_000, Duration::from_secs(1_800), Duration::from_secs(43_200));
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
            writes: Vec::new(),
        }
    }

    /// Whether both timeouts hold. DynamoDB deletes expired items days late, so every read asks, and every write
    /// condition says the same.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use lambda_session::{Data, Moment, Record};
    /// let (idle, lifetime) = (Duration::from_secs(1_800), Duration::from_secs(43_200));
    /// let record = Record::new(Data::new(), &Moment::new(1_000_000, idle, lifetime));
    /// assert!(record.is_alive(&Moment::new(1_001_799, idle, lifetime)));
    /// assert!(!record.is_alive(&Moment::new(1_001_800, idle, lifetime)));
    /// ```
    #[must_use]
    pub fn is_alive(&self, at: &Moment) -> bool {
        self.expires_at > at.now && self.created_at > at.oldest_creation()
    }

    /// The new expiry, if it is worth a write.
    pub(crate) fn slide_due(&self, at: &Moment) -> Option<u64> {
        let expiry = at.expiry(self.created_at);
        (expiry >= self.expires_at.saturating_add(at.slide_step())).then_some(expiry)
    }

    /// The record after a change. Its expiry never shrinks: not by a clock that is behind.
    pub(crate) fn changed(&self, changes: &Changes, token: &WriteToken, at: &Moment) -> Self {
        let mut data = self.data.clone();
        changes.apply(&mut data);
        let kept = self.writes.len().saturating_sub(REMEMBERED_WRITES - 1);
        let writes = self.writes[kept..].iter().chain([token]);
        Self {
            data,
            created_at: self.created_at,
            expires_at: at.expiry(self.created_at).max(self.expires_at),
            revision: self.revision.saturating_add(1),
            writes: writes.cloned().collect(),
        }
    }

    /// Whether the write with this token, made to a record of the revision `read`, is in this record. `None` if so many
    /// writes came after it that the record has forgotten.
    pub(crate) fn has(&self, token: &WriteToken, read: u64) -> Option<bool> {
        if self.writes.contains(token) {
            Some(true)
        } else {
            let since = self.revision.saturating_sub(read);
            (since <= REMEMBERED_WRITES as u64).then_some(false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUTS: Timeouts = Timeouts {
        idle: 1_800,
        lifetime: 43_200,
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
                idle: u64::MAX,
                lifetime: u64::MAX,
            },
        };
        assert_eq!(Record::new(Data::new(), &moment).expires_at, u64::MAX);
        assert_eq!(moment.tombstone_expiry(), u64::MAX);
    }

    #[test]
    fn a_record_remembers_its_last_writes_and_says_when_it_has_forgotten() {
        let token = |n: u8| WriteToken::new([n; 6]);
        let mut record = born(1_000_000);
        let window = u8::try_from(REMEMBERED_WRITES).unwrap();
        for n in 0..=window {
            record = record.changed(&Changes::default(), &token(n), &at(1_000_001));
        }
        assert_eq!(record.writes.len(), REMEMBERED_WRITES);
        // The first write was made to revision 0 and is the one that was forgotten.
        assert_eq!(record.has(&token(0), 0), None);
        assert_eq!(record.has(&token(1), 1), Some(true));
        // A write that never landed, to the oldest revision of which the record can tell.
        assert_eq!(record.has(&token(99), 1), Some(false));
    }
}
