//! A session's record.

use serde::{Deserialize, Serialize};

use super::changes::Changes;
use super::id::OwnerKey;
use super::moment::Moment;
use super::value::{Data, Value};

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

/// Whether the write with this token, made to a record of the revision `read`, is among the `writes` of one that is at `revision`.
/// `None` if so many came after it that it has been forgotten, or if not all that came after it have left their tokens.
fn has(writes: &[WriteToken], revision: u64, token: &WriteToken, read: u64) -> Option<bool> {
    if writes.contains(token) {
        return Some(true);
    }
    let since = usize::try_from(revision.saturating_sub(read)).unwrap_or(usize::MAX);
    (since <= writes.len().min(REMEMBERED_WRITES)).then_some(false)
}

/// A change of a session's expiry, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Slide {
    /// The expiry that was read.
    pub from: u64,
    /// The expiry to set.
    pub to: u64,
    /// The `seen_at` to set; only where the [`Record`] that was read has one.
    pub seen_at: Option<u64>,
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
    /// Whether the session is remembered: it ends at `expires_at`, which never moves, however long nobody comes.
    #[serde(default)]
    pub remembered: bool,
    /// Whose session it is: a text.
    #[serde(default)]
    pub owner: Option<Value>,
    /// How the list of the owner's sessions shows it.
    #[serde(default)]
    pub label: Option<String>,
    /// When its visitor was last seen, in seconds since 1970; only where there is an owner, and as exact as the expiry is.
    #[serde(default)]
    pub seen_at: Option<u64>,
    /// Whether the variables and the owner are encrypted: then each is bytes.
    #[serde(default)]
    pub sealed: bool,
}

/// What a login says of its session, beside the variables. It never changes as long as the session has its ID.
#[derive(Clone, Debug, Default)]
pub(crate) struct Login {
    pub(crate) owner: Option<Value>,
    pub(crate) label: Option<String>,
    /// When a session that is remembered ends, in seconds since 1970.
    pub(crate) remembered_until: Option<u64>,
    /// Whether the record is sealed because the one before was.
    pub(crate) sealed: bool,
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
            remembered: false,
            owner: None,
            label: None,
            seen_at: None,
            sealed: false,
        }
    }

    /// A new session with `data`, as a login wants it.
    pub(crate) fn of_login(data: Data, login: &Login, at: &Moment) -> Self {
        let new = Self::new(data, at);
        Self {
            expires_at: login.remembered_until.unwrap_or(new.expires_at),
            remembered: login.remembered_until.is_some(),
            seen_at: login.owner.is_some().then_some(at.now),
            owner: login.owner.clone(),
            label: login.label.clone(),
            sealed: login.sealed,
            ..new
        }
    }

    /// The key of the list that names this session, if it has an owner.
    pub(crate) fn owner_key(&self) -> Option<OwnerKey> {
        let owner: String = self.owner.as_ref()?.decode().ok()?;
        Some(OwnerKey::new(&owner))
    }

    /// What a renewal of the session hands on to its successor.
    pub(crate) fn login(&self) -> Login {
        Login {
            owner: self.owner.clone(),
            label: self.label.clone(),
            remembered_until: self.remembered.then_some(self.expires_at),
            sealed: self.sealed,
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
        let young = self.created_at > at.oldest_creation();
        let remembered = self.remembered && self.created_at > at.oldest_remembered();
        self.expires_at > at.now && (young || remembered)
    }

    /// Whether, if it has expired, a view whose clock is behind can give it more time: the expiry moves, and the lifetime is not over.
    pub(crate) fn can_be_extended(&self, at: &Moment) -> bool {
        !self.remembered && self.created_at > at.oldest_creation()
    }

    /// The slide of a view, if it is worth a write: the expiry moves by a step, or the owner is seen a step later.
    pub(crate) fn slide_due(&self, at: &Moment) -> Option<Slide> {
        let (step, to) = (at.slide_step(), self.expiry(at));
        let moved = to >= self.expires_at.saturating_add(step);
        let seen = self.seen_at.is_some_and(|seen| at.now >= seen.saturating_add(step));
        (moved || seen).then_some(Slide {
            from: self.expires_at,
            to,
            seen_at: self.seen_at(at),
        })
    }

    /// The record after a slide.
    pub(crate) fn slid(&self, slide: Slide) -> Self {
        Self {
            expires_at: slide.to,
            seen_at: slide.seen_at.or(self.seen_at),
            ..self.clone()
        }
    }

    /// The expiry after a request. It never shrinks: not by a clock that is behind.
    fn expiry(&self, at: &Moment) -> u64 {
        if self.remembered {
            self.expires_at
        } else {
            at.expiry(self.created_at).max(self.expires_at)
        }
    }

    fn seen_at(&self, at: &Moment) -> Option<u64> {
        self.seen_at.map(|earlier| earlier.max(at.now))
    }

    /// The record after a change.
    pub(crate) fn changed(&self, changes: &Changes, token: &WriteToken, at: &Moment) -> Self {
        let mut data = self.data.clone();
        changes.apply(&mut data);
        let kept = self.writes.len().saturating_sub(REMEMBERED_WRITES - 1);
        let writes = self.writes[kept..].iter().chain([token]);
        Self {
            data,
            created_at: self.created_at,
            expires_at: self.expiry(at),
            revision: self.revision.saturating_add(1),
            writes: writes.cloned().collect(),
            remembered: self.remembered,
            owner: self.owner.clone(),
            label: self.label.clone(),
            seen_at: self.seen_at(at),
            sealed: self.sealed,
        }
    }

    /// Whether the write with this token, made to a record of the revision `read`, is in this record. `None` if so many
    /// writes came after it that the record has forgotten.
    pub(crate) fn has(&self, token: &WriteToken, read: u64) -> Option<bool> {
        has(&self.writes, self.revision, token, read)
    }
}

/// What a tombstone tells of the session that ended: which writes it had, and nothing of what they wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tombstone {
    /// How many times its variables had been changed. 0 if nobody can say.
    pub revision: u64,
    /// The tokens of the last sixteen changes, the newest last.
    pub writes: Vec<WriteToken>,
}

impl Tombstone {
    /// The tombstone of a session that had this revision and these tokens.
    ///
    /// ```
    /// # use lambda_session::{Tombstone, WriteToken};
    /// let tombstone = Tombstone::new(1, vec![WriteToken::from_stored("bm9uY2Uh")]);
    /// assert_eq!(tombstone.revision, 1);
    /// ```
    #[must_use]
    pub fn new(revision: u64, writes: Vec<WriteToken>) -> Self {
        Self { revision, writes }
    }

    /// As [`Record::has`]: whether the write was done before the session ended.
    pub(crate) fn has(&self, token: &WriteToken, read: u64) -> Option<bool> {
        has(&self.writes, self.revision, token, read)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::core::moment::Timeouts;

    const TIMEOUTS: Timeouts = Timeouts {
        idle: 1_800,
        lifetime: 43_200,
        remembered: 2_592_000,
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

    fn slide(from: u64, to: u64) -> Slide {
        Slide {
            from,
            to,
            seen_at: None,
        }
    }

    #[test]
    fn a_remembered_session_outlives_both_timeouts_and_ends_on_its_day_or_at_the_maximum() {
        let login = Login {
            remembered_until: Some(1_500_000),
            ..Login::default()
        };
        let record = Record::of_login(Data::new(), &login, &at(1_000_000));
        assert_eq!((record.expires_at, record.slide_due(&at(1_400_000))), (1_500_000, None));
        assert!(record.is_alive(&at(1_499_999)));
        assert!(!record.is_alive(&at(1_500_000)));
        let changed = record.changed(&Changes::default(), &WriteToken::new([0; 6]), &at(1_490_000));
        assert_eq!(changed.expires_at, 1_500_000);
        // A layer that allows less than it did at the login.
        let strict = |now| at(now).with_max_remembered(Duration::from_secs(100_000));
        assert!(record.is_alive(&strict(1_099_999)));
        assert!(!record.is_alive(&strict(1_100_000)));
    }

    #[test]
    fn an_owner_is_seen_as_often_as_an_expiry_moves_though_it_does_not() {
        let login = Login {
            owner: Some(Value::encode("admin").unwrap()),
            remembered_until: Some(1_500_000),
            ..Login::default()
        };
        let record = Record::of_login(Data::new(), &login, &at(1_000_000));
        assert_eq!(record.slide_due(&at(1_000_179)), None);
        let seen = Slide {
            seen_at: Some(1_000_180),
            ..slide(1_500_000, 1_500_000)
        };
        assert_eq!(record.slide_due(&at(1_000_180)), Some(seen));
        assert_eq!(
            record
                .changed(&Changes::default(), &WriteToken::new([0; 6]), &at(1))
                .seen_at,
            Some(1_000_000)
        );
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
        assert_eq!(record.slide_due(&at(1_000_180)), Some(slide(1_001_800, 1_001_980)));

        let old = Record {
            expires_at: 1_042_000,
            ..born(1_000_000)
        };
        assert_eq!(old.slide_due(&at(1_041_999)), Some(slide(1_042_000, 1_043_200)));
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
            if let Some(slide) = record.slide_due(&at(1_000_000 + view * 1_800 / 1_000)) {
                record.expires_at = slide.to;
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
                remembered: u64::MAX,
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

    #[test]
    fn a_write_was_not_made_only_if_all_that_came_since_have_left_their_tokens() {
        let [mine, other] = [1, 2].map(|n| WriteToken::new([n; 6]));
        let told = |revision, writes: &[&WriteToken]| {
            let writes = writes.iter().map(|token| (*token).clone()).collect();
            Tombstone::new(revision, writes).has(&mine, 3)
        };
        assert_eq!(told(3, &[]), Some(false));
        assert_eq!(told(4, &[&mine]), Some(true));
        assert_eq!(told(4, &[&other]), Some(false));
        assert_eq!(told(5, &[&mine, &other]), Some(true));
        assert_eq!(told(4, &[]), None, "a version that leaves no tokens ended it");
        assert_eq!(told(0, &[]), Some(false), "somebody made it malformed");
        let many = vec![&other; REMEMBERED_WRITES];
        assert_eq!(told(3 + 16, &many), Some(false));
        assert_eq!(told(3 + 17, &many), None);
    }
}
