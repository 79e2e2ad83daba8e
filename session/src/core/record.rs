//! The values that a store keeps: a session's record, or the tombstone that an ended session leaves.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::bound::Binding;
use super::id::{OwnerKey, RecordKey};
use super::time::{Lifetime, MAX_AGE, Moment, Timeouts};
use super::value::{Data, Value};

/// How many of its last writes a record remembers.
pub(crate) const REMEMBERED_WRITES: usize = 16;

/// How long a tombstone is kept, in seconds: far longer than the minutes for which a signed request is valid, so a
/// write that was delayed in the network finds it.
pub(crate) const TOMBSTONE: u64 = 60 * 60;

/// The value under a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Stored {
    /// A session, alive or expired: a store does not distinguish them.
    Record(Record),
    /// The mark that an ended session leaves.
    Tombstone(Tombstone),
    /// An item that is neither, with a description of the problem (never the content). Another program wrote or changed
    /// it.
    #[serde(skip)]
    Malformed(String),
}

/// Identifies one write, so that a request whose reply was lost finds out whether the write was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WriteToken(Arc<str>);

impl WriteToken {
    /// Makes a token of random bytes. Six distinguish the few writes of one session.
    pub(crate) fn new(random: [u8; 6]) -> Self {
        use base64::Engine as _;
        Self(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random).into())
    }

    /// Makes a token of the text that a store has kept.
    ///
    /// ```
    /// # use lambda_session::WriteToken;
    /// assert_eq!(WriteToken::from_stored("bm9uY2Uh").as_str(), "bm9uY2Uh");
    /// ```
    #[must_use]
    pub fn from_stored(text: impl AsRef<str>) -> Self {
        Self(text.as_ref().into())
    }

    /// The token as text without blanks, for a store to keep.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Identifies one state of a session. Each write makes a later version, and no version occurs twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Version {
    /// [`Record::revision`].
    pub revision: u64,
    /// [`Record::expires_at`].
    pub expires_at: u64,
    /// [`Record::seen_at`].
    pub seen_at: Option<u64>,
}

/// A session as a store keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// The variables.
    pub data: Data,
    /// When the session got its ID, in seconds since 1970. A session gets an ID when it is created, and a new one by a
    /// login, a renewal or a lifetime of its own.
    pub created_at: u64,
    /// When it ends, in seconds since 1970.
    pub expires_at: u64,
    /// How many times the record was changed since its creation. A write that moves only `expires_at` and `seen_at`
    /// does not count.
    pub revision: u64,
    /// The tokens of the last sixteen changes, the newest last.
    #[serde(default)]
    pub writes: Vec<WriteToken>,
    /// Whether the session outlives the browser. Without an `idle` timeout of its own, it then ends at `expires_at`,
    /// which never moves, however long it is idle.
    #[serde(default)]
    pub remembered: bool,
    /// Its own idle timeout, in seconds, instead of the layer's.
    pub idle: Option<u64>,
    /// Its own lifetime, in seconds, instead of the layer's.
    pub lifetime: Option<u64>,
    /// The owner of the session: a text, or bytes if sealed.
    pub owner: Option<Value>,
    /// The label of the session in the list of the owner's sessions.
    pub label: Option<String>,
    /// When the visitor was last seen, in seconds since 1970; `None` if the session has no owner. A request that
    /// changes nothing updates it only after a tenth of the idle timeout, so it may be behind by that much.
    pub seen_at: Option<u64>,
    /// Whether the variables and the owner are encrypted. Each is bytes then.
    #[serde(default)]
    pub sealed: bool,
    /// The device that the session is [bound](crate::SessionLayerBuilder::bound) to.
    pub bound: Option<Binding>,
}

impl Record {
    /// Makes a new session with `data` and without an owner. Times are seconds since 1970.
    ///
    /// ```
    /// # use lambda_session::{Data, Record};
    /// let record = Record::new(Data::new(), 1_000_000, 1_001_800);
    /// assert_eq!((record.created_at, record.expires_at, record.revision), (1_000_000, 1_001_800, 0));
    /// ```
    #[must_use]
    pub fn new(data: Data, created_at: u64, expires_at: u64) -> Self {
        Self {
            data,
            created_at,
            expires_at,
            revision: 0,
            writes: Vec::new(),
            remembered: false,
            idle: None,
            lifetime: None,
            owner: None,
            label: None,
            seen_at: None,
            sealed: false,
            bound: None,
        }
    }

    /// The version that a [swap](crate::Store::swap) compares.
    ///
    /// ```
    /// # use lambda_session::{Data, Record};
    /// let read = Record::new(Data::new(), 1_000_000, 1_001_800);
    /// let mut slid = read.clone();
    /// slid.expires_at = 1_002_000;
    /// assert_ne!(read.version(), slid.version());
    /// ```
    #[must_use]
    pub fn version(&self) -> Version {
        Version {
            revision: self.revision,
            expires_at: self.expires_at,
            seen_at: self.seen_at,
        }
    }

    /// Whether the session is bound to a device whose key is known.
    pub(crate) fn is_bound(&self) -> bool {
        self.bound.as_ref().is_some_and(|bound| bound.key().is_some())
    }

    /// The key of the list that names this session, if it has an owner.
    pub(crate) fn owner_key(&self) -> Option<OwnerKey> {
        let owner: String = self.owner.as_ref()?.decode().ok()?;
        Some(OwnerKey::new(&owner))
    }

    /// Whether no timeout has passed at this moment.
    pub(crate) fn is_alive(&self, at: &Moment) -> bool {
        let longest = if self.is_fixed() {
            at.longest()
        } else {
            self.own(at).timeouts.lifetime
        };
        self.expires_at > at.now && self.created_at > at.now.saturating_sub(longest)
    }

    /// Whether the expiry never moves.
    fn is_fixed(&self) -> bool {
        self.remembered && self.idle.is_none()
    }

    /// The moment with the timeouts of this session: its own, up to the layer's longest, or the layer's.
    fn own(&self, at: &Moment) -> Moment {
        let own = |seconds: Option<u64>, of_layer| seconds.map_or(of_layer, |seconds| seconds.min(at.longest()));
        let timeouts = Timeouts {
            idle: own(self.idle, at.timeouts.idle),
            lifetime: own(self.lifetime, at.timeouts.lifetime),
            ..at.timeouts
        };
        Moment { timeouts, ..*at }
    }

    /// Gives a new session the lifetime of the one that it renews. An end that never moves stays.
    pub(crate) fn inherit(&mut self, before: &Self, at: &Moment) {
        (self.remembered, self.idle, self.lifetime) = (before.remembered, before.idle, before.lifetime);
        self.expires_at = if self.is_fixed() {
            before.expires_at
        } else {
            self.own(at).expiry(self.created_at)
        };
    }

    /// Gives a new session this lifetime.
    pub(crate) fn live(&mut self, lifetime: Lifetime, at: &Moment) {
        (self.remembered, self.idle, self.lifetime) = (lifetime.beyond_browser, lifetime.idle, lifetime.at_most);
        self.expires_at = if self.is_fixed() {
            let seconds = lifetime.at_most.unwrap_or(u64::MAX);
            self.lifetime = None;
            at.now.saturating_add(seconds.min(at.timeouts.remembered))
        } else {
            if self.remembered {
                self.lifetime.get_or_insert(at.timeouts.remembered);
            }
            self.own(at).expiry(self.created_at)
        };
    }

    /// The longest that the session can still live, in seconds, if it outlives the browser.
    pub(crate) fn max_age(&self, at: &Moment) -> Option<u64> {
        let end = if self.is_fixed() {
            self.expires_at
        } else {
            self.created_at.saturating_add(self.own(at).timeouts.lifetime)
        };
        self.remembered.then(|| end.saturating_sub(at.now).min(MAX_AGE))
    }

    /// The record after a view, if it is worth a write: the expiry moves by a step, or the owner was last seen a step
    /// ago.
    pub(crate) fn slid(&self, at: &Moment) -> Option<Self> {
        let (step, expires_at) = (self.own(at).slide_step(), self.expiry(at));
        let moved = expires_at >= self.expires_at.saturating_add(step);
        let seen = self.seen_at.is_some_and(|seen| at.now >= seen.saturating_add(step));
        (moved || seen).then(|| Self {
            expires_at,
            seen_at: self.seen_after(at),
            ..self.clone()
        })
    }

    /// The expiry after a request. It never moves back, even if a clock is behind.
    fn expiry(&self, at: &Moment) -> u64 {
        if self.is_fixed() {
            self.expires_at
        } else {
            self.own(at).expiry(self.created_at).max(self.expires_at)
        }
    }

    fn seen_after(&self, at: &Moment) -> Option<u64> {
        self.seen_at.map(|earlier| earlier.max(at.now))
    }

    /// The record after a change, with these variables.
    pub(crate) fn changed(&self, data: Data, token: &WriteToken, at: &Moment) -> Self {
        let kept = self.writes.len().saturating_sub(REMEMBERED_WRITES - 1);
        Self {
            data,
            expires_at: self.expiry(at),
            revision: self.revision.saturating_add(1),
            writes: self.writes[kept..].iter().chain([token]).cloned().collect(),
            owner: self.owner.clone(),
            label: self.label.clone(),
            seen_at: self.seen_after(at),
            bound: self.bound.clone(),
            ..*self
        }
    }

    /// The tombstone that the session leaves if it ends at this time.
    pub(crate) fn ended(&self, ended_at: u64) -> Tombstone {
        Tombstone {
            revision: self.revision,
            writes: self.writes.clone(),
            ended_at,
            ..Tombstone::default()
        }
    }
}

/// Whether the write with this token, which would change revision `read`, was made. `writes` are the tokens of the
/// record or tombstone, which is at `revision` now. `None` if the tokens cannot tell: too many writes came later, or
/// some left no token.
pub(crate) fn has(writes: &[WriteToken], revision: u64, token: &WriteToken, read: u64) -> Option<bool> {
    if writes.contains(token) {
        return Some(true);
    }
    let since = usize::try_from(revision.saturating_sub(read)).unwrap_or(usize::MAX);
    (since <= writes.len().min(REMEMBERED_WRITES)).then_some(false)
}

/// The mark that an ended session leaves for an hour: the tokens of its writes, without what they wrote, and its
/// successor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Tombstone {
    /// The session's last revision, counted as in [`Record::revision`], or 0 if that is unknown.
    pub revision: u64,
    /// The tokens of the last sixteen changes, the newest last.
    pub writes: Vec<WriteToken>,
    /// When the session ended, in seconds since 1970.
    pub ended_at: u64,
    /// The key of the session that took its place, after a login or a renewal.
    pub replaced_by: Option<RecordKey>,
    /// Whether the successor is a renewal, which has the same owner and variables. A logout with the cookie of this
    /// session then ends the successor, too.
    pub renewed: bool,
}

impl Tombstone {
    /// Makes the tombstone for a session that is ended at `ended_at`, in seconds since 1970, from what stands under its
    /// key. A tombstone stays as it is.
    ///
    /// ```
    /// # use lambda_session::{Data, Record, Stored, Tombstone};
    /// let record = Stored::Record(Record::new(Data::new(), 1_000_000, 1_001_800));
    /// let tombstone = Tombstone::of(Some(&record), 1_000_100);
    /// assert_eq!(tombstone.ended_at, 1_000_100);
    /// assert_eq!(Tombstone::of(Some(&Stored::Tombstone(tombstone.clone())), 1_000_200), tombstone);
    /// ```
    #[must_use]
    pub fn of(found: Option<&Stored>, ended_at: u64) -> Self {
        match found {
            Some(Stored::Tombstone(tombstone)) => tombstone.clone(),
            Some(Stored::Record(record)) => record.ended(ended_at),
            Some(Stored::Malformed(_)) | None => Self {
                ended_at,
                ..Self::default()
            },
        }
    }

    /// When the tombstone may be deleted, in seconds since 1970: an hour after the end.
    #[must_use]
    pub fn expires_at(&self) -> u64 {
        self.ended_at.saturating_add(TOMBSTONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        Record::new(Data::new(), now, now + TIMEOUTS.idle)
    }

    /// The record's expiry after a view, if that is worth a write.
    fn slid(record: &Record, now: u64) -> Option<u64> {
        record.slid(&at(now)).map(|slid| slid.expires_at)
    }

    fn remembered() -> Record {
        Record {
            remembered: true,
            expires_at: 1_500_000,
            ..born(1_000_000)
        }
    }

    fn change(record: &Record, token: u8, now: u64) -> Record {
        record.changed(Data::new(), &WriteToken::new([token; 6]), &at(now))
    }

    #[test]
    fn a_remembered_session_outlives_both_timeouts_and_ends_on_its_day_or_at_the_maximum() {
        let record = remembered();
        assert_eq!(slid(&record, 1_400_000), None);
        assert!(record.is_alive(&at(1_499_999)));
        assert!(!record.is_alive(&at(1_500_000)));
        assert_eq!(change(&record, 0, 1_490_000).expires_at, 1_500_000);
        // A layer with a shorter maximum than at the login.
        let strict = |now| {
            let mut at = at(now);
            at.timeouts.remembered = 100_000;
            at
        };
        assert!(record.is_alive(&strict(1_099_999)));
        assert!(!record.is_alive(&strict(1_100_000)));
    }

    #[test]
    fn an_owner_is_seen_as_often_as_an_expiry_moves_though_it_does_not() {
        let record = Record {
            seen_at: Some(1_000_000),
            ..remembered()
        };
        assert_eq!(record.slid(&at(1_000_179)), None);
        let seen = record.slid(&at(1_000_180)).unwrap();
        assert_eq!((seen.expires_at, seen.seen_at), (1_500_000, Some(1_000_180)));
        assert_eq!(change(&record, 0, 1).seen_at, Some(1_000_000));
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
        assert_eq!(slid(&record, 1_000_179), None);
        assert_eq!(slid(&record, 1_000_180), Some(1_001_980));

        let old = Record {
            expires_at: 1_042_000,
            ..born(1_000_000)
        };
        assert_eq!(slid(&old, 1_041_999), Some(1_043_200));
        let last = Record {
            expires_at: 1_043_200,
            ..old
        };
        assert_eq!(slid(&last, 1_043_199), None);
    }

    #[test]
    fn a_thousand_views_in_thirty_minutes_slide_at_most_ten_times() {
        let mut record = born(1_000_000);
        let mut slides = 0;
        for view in 0..1_000 {
            if let Some(slid) = record.slid(&at(1_000_000 + view * 1_800 / 1_000)) {
                record = slid;
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
        assert_eq!((moment.expiry(u64::MAX), moment.list_expiry()), (u64::MAX, u64::MAX));
        assert_eq!(Tombstone::of(None, u64::MAX).expires_at(), u64::MAX);
    }

    #[test]
    fn a_record_remembers_its_last_writes_and_says_when_it_has_forgotten() {
        let token = |n: u8| WriteToken::new([n; 6]);
        let has = |record: &Record, n: u8, read| has(&record.writes, record.revision, &token(n), read);
        let mut record = born(1_000_000);
        let window = u8::try_from(REMEMBERED_WRITES).unwrap();
        for n in 0..=window {
            record = change(&record, n, 1_000_001);
        }
        assert_eq!(record.writes.len(), REMEMBERED_WRITES);
        // The first write was made to revision 0, and its token is the one that was forgotten.
        assert_eq!(has(&record, 0, 0), None);
        assert_eq!(has(&record, 1, 1), Some(true));
        // A write that was never made, to the oldest revision that the tokens cover.
        assert_eq!(has(&record, 99, 1), Some(false));
    }

    #[test]
    fn a_write_was_not_made_only_if_all_that_came_since_have_left_their_tokens() {
        let [mine, other] = [1, 2].map(|n| WriteToken::new([n; 6]));
        let told = |revision, writes: &[&WriteToken]| {
            let writes: Vec<_> = writes.iter().map(|token| (*token).clone()).collect();
            has(&writes, revision, &mine, 3)
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
