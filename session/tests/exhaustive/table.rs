//! A table for the schedules, as a store keeps it: a register for each of a few places, and the owner's list.
//!
//! The table checks each write, and records a violation whatever is answered later.
//!
//! Each stored session, call and request has a mark: a digest of how it came about. The mark of a call is made of what
//! its request has been told. The mark of a stored session is that of the call that has written it, or is made of what
//! stood there before, if a part of that was kept. So things with equal marks are equal, and no mark depends on the
//! order of moves that have nothing to do with each other. The mark of several things is the sum of their marks. Two
//! given things that differ have the same mark with a probability of about 2⁻⁶⁴.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hash};
use std::sync::Arc;

use foldhash::quality::FixedState;

use super::mutants::{Kind, Mutant, Part};
use super::request::IDS;
use super::scenario::{IDLE, LIFETIME, MOST, NOW, Outside, REMEMBERED, Start, stored};
use crate::core::id::RecordKey;
use crate::core::record::{Record, Stored, Tombstone};
use crate::core::time::{Moment, Timeouts};
use crate::store::OwnerList;

/// The session of the start, and two sessions that each request can make.
pub(crate) const PLACES: usize = 1 + 2 * MOST;

/// The place of the owner's list.
pub(crate) const LIST: usize = PLACES;

/// One call for one key, which can be made at any time.
#[derive(Debug)]
pub(crate) enum Step {
    Load(RecordKey),
    Swap(RecordKey, Option<Arc<Record>>, Arc<Stored>),
    End(RecordKey),
    Enlist(RecordKey),
    List,
    Strike(Vec<RecordKey>),
}

#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// What is stored under the key after the call.
    Stands(Option<Arc<Stored>>),
    List(OwnerList),
    Struck,
}

/// Returns the mark of what came about by all of this.
pub(crate) fn mark(causes: impl Hash) -> u64 {
    FixedState::default().hash_one(causes)
}

impl Step {
    /// Returns the kind of the write, if the call is a write.
    pub(crate) fn kind(&self) -> Option<Kind> {
        Some(match self {
            Self::Load(_) | Self::List => return None,
            Self::Swap(_, None, _) => Kind::Create,
            Self::Swap(_, Some(read), next) => match &**next {
                Stored::Tombstone(tombstone) if tombstone.replaced_by.is_some() => Kind::Replace,
                Stored::Tombstone(_) => Kind::Empty,
                Stored::Record(next) if next.revision == read.revision => Kind::Slide,
                _ => Kind::Change,
            },
            Self::End(_) => Kind::End,
            Self::Enlist(_) => Kind::Enlist,
            Self::Strike(_) => Kind::Strike,
        })
    }
}

/// Who makes a call, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct By {
    pub(crate) at: u64,
    /// Whether an instance of 0.3 makes the call. Its conditions are weaker.
    pub(crate) older: bool,
    /// Whether an end leaves no tombstone where nothing is stored, as in 0.3, except for "log out everywhere".
    pub(crate) ends_what_stands: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    records: [Option<Arc<Stored>>; PLACES],
    /// The mark of each record, or 0 if nothing was ever stored there.
    marks: [u64; PLACES],
    /// The mark of all records.
    records_mark: u64,
    /// The sessions that were ended once, as bits. They must stay ended.
    ended: u16,
    /// The owner's sessions: when each was listed, and the mark of the call that has listed it.
    list: Arc<BTreeMap<RecordKey, (u64, u64)>>,
    list_mark: u64,
    pub(crate) mutant: Option<Mutant>,
    /// The first violation that was found.
    pub(crate) violation: Option<&'static str>,
}

pub(crate) fn moment(now: u64) -> Moment {
    Moment {
        now,
        timeouts: Timeouts {
            idle: IDLE,
            lifetime: LIFETIME,
            remembered: REMEMBERED,
        },
    }
}

pub(crate) fn is_alive(stored: &Stored, now: u64) -> bool {
    matches!(stored, Stored::Record(record) if record.is_alive(&moment(now)))
}

impl Table {
    /// Creates the table with the session of a scenario's start. If it has an owner, it is in the owner's list.
    pub(crate) fn new(start: Start) -> Self {
        let mut table = Self::default();
        let (first, mark) = (stored(start), mark(("start", start)));
        if let Some(Stored::Record(record)) = &first
            && record.owner.is_some()
        {
            let listed = (record.created_at, mark);
            table.relist(|list| {
                list.insert(IDS[0].record_key().clone(), listed);
            });
        }
        table.ended = u16::from(matches!(first, Some(Stored::Tombstone(_))));
        table.put(0, first.map(Arc::new), mark);
        table
    }

    fn put(&mut self, place: usize, stored: Option<Arc<Stored>>, mark: u64) {
        self.records_mark = self.records_mark.wrapping_sub(self.marks[place]).wrapping_add(mark);
        (self.records[place], self.marks[place]) = (stored, mark);
    }

    /// The mark of all that is stored, and of what is remembered to find violations.
    pub(crate) fn mark(&self) -> u64 {
        mark((self.records_mark, self.list_mark, self.ended, self.violation))
    }

    /// Changes the owner's list.
    fn relist(&mut self, change: impl FnOnce(&mut BTreeMap<RecordKey, (u64, u64)>)) {
        let list = Arc::make_mut(&mut self.list);
        change(list);
        self.list_mark = list.values().fold(0, |sum, (_, mark)| sum.wrapping_add(*mark));
    }

    /// Returns the keys in the owner's list.
    pub(crate) fn listed(&self) -> impl Iterator<Item = &RecordKey> {
        self.list.keys()
    }

    pub(crate) fn get(&self, place: usize) -> Option<&Stored> {
        self.records[place].as_deref()
    }

    /// Whether this can happen to the first session now.
    pub(crate) fn may(&self, outside: Outside) -> bool {
        match (outside, self.get(0)) {
            (Outside::Deletes, Some(Stored::Record(record))) => record.expires_at <= NOW,
            (Outside::Spoils, Some(Stored::Record(_))) => true,
            _ => false,
        }
    }

    /// Makes it happen.
    pub(crate) fn happen(&mut self, outside: Outside) {
        match outside {
            Outside::Nothing => {}
            Outside::Deletes => self.put(0, None, mark(("outside", outside))),
            Outside::Spoils => {
                let malformed = Stored::Malformed("an attribute of another type".to_owned());
                self.put(0, Some(Arc::new(malformed)), mark(("outside", outside)));
            }
        }
    }

    fn broken(&mut self, violation: &'static str) {
        self.violation.get_or_insert(violation);
    }

    fn ignores(&self, part: Part) -> bool {
        self.mutant == Some(Mutant::Ignores(part))
    }

    fn forgets(&self, part: Part) -> bool {
        self.mutant == Some(Mutant::Forgets(part))
    }

    /// Makes the call with this mark, as one atomic step. Returns the reply and its mark.
    pub(crate) fn make(&mut self, place: usize, step: &Step, call: u64, by: By) -> (Reply, u64) {
        match step {
            Step::Load(_) | Step::List => {}
            Step::Swap(_, read, next) => {
                if self.matches(place, read.as_deref(), next, by) {
                    self.write(place, read.as_deref(), next, call, by);
                    return (Reply::Stands(Some(Arc::clone(next))), call);
                }
            }
            Step::End(_) => {
                if !by.ends_what_stands || self.get(place).is_some() {
                    let mut tombstone = Tombstone::of(self.get(place), by.at);
                    self.check_tombstone(place, &tombstone);
                    self.ended |= 1 << place;
                    if self.forgets(Part::Successor) {
                        tombstone.replaced_by = None;
                    }
                    if !self.forgets(Part::Ended) {
                        let ended = mark((place, self.marks[place], by.at));
                        self.put(place, Some(Arc::new(Stored::Tombstone(tombstone))), ended);
                    }
                }
            }
            Step::Enlist(key) => {
                self.relist(|list| {
                    list.insert(key.clone(), (by.at, call));
                });
            }
            Step::Strike(keys) => {
                self.relist(|list| list.retain(|key, _| !keys.contains(key)));
                return (Reply::Struck, 0);
            }
        }
        if place == LIST {
            let list = self.list.iter().map(|(key, (at, _))| (key.clone(), *at));
            return (Reply::List(list.collect()), self.list_mark);
        }
        (Reply::Stands(self.records[place].clone()), self.marks[place])
    }

    /// Whether the stored record is the one that was read.
    fn matches(&self, place: usize, read: Option<&Record>, next: &Stored, by: By) -> bool {
        let (stands, read) = match (self.get(place), read) {
            (None, None) => return true,
            (Some(_), None) => return self.ignores(Part::Nothing),
            (Some(Stored::Record(stands)), Some(read)) => (stands, read),
            (Some(Stored::Tombstone(_)), Some(_)) => return self.ignores(Part::Tombstone),
            (Some(Stored::Malformed(_)) | None, Some(_)) => return false,
        };
        if by.older {
            let alive = stands.is_alive(&moment(by.at));
            return match next {
                Stored::Record(next) if next.revision == read.revision => alive && stands.expires_at == read.expires_at,
                Stored::Record(next) => {
                    alive && stands.revision == read.revision && stands.expires_at <= next.expires_at
                }
                // 0.3 compares only the revision when a change leaves nothing.
                Stored::Tombstone(left) => stands.revision == read.revision && (alive || left.replaced_by.is_none()),
                Stored::Malformed(_) => false,
            };
        }
        let (stands, read) = (stands.version(), read.version());
        (stands.revision == read.revision || self.ignores(Part::Revision))
            && (stands.expires_at == read.expires_at || self.ignores(Part::Expiry))
            && (stands.seen_at == read.seen_at || self.ignores(Part::SeenAt))
    }

    fn write(&mut self, place: usize, read: Option<&Record>, next: &Arc<Stored>, call: u64, by: By) {
        self.watch(place, next, by);
        let (next, mark) = if by.older || self.mutant.is_some() {
            let written = self.written(place, read, next, by);
            (Arc::new(written), mark((self.marks[place], call)))
        } else {
            (Arc::clone(next), call)
        };
        if let Stored::Tombstone(left) = &*next {
            self.check_tombstone(place, left);
            self.ended |= 1 << place;
            if self.forgets(Part::Ended) {
                return;
            }
        }
        self.put(place, Some(next), mark);
    }

    /// Returns what an instance of 0.3 or a mutant stores instead of `next`.
    fn written(&self, place: usize, read: Option<&Record>, next: &Stored, by: By) -> Stored {
        match (next, read, self.get(place)) {
            (Stored::Record(next), Some(read), Some(Stored::Record(stands))) => {
                let mut written = next.clone();
                if by.older {
                    // 0.3 writes only what differs from what it has read.
                    written.data.clone_from(&stands.data);
                    written.revision = stands.revision + (next.revision - read.revision);
                    for (name, value) in &next.data {
                        if read.data.get(name) != Some(value) {
                            written.data.insert(name.clone(), value.clone());
                        }
                    }
                    written
                        .data
                        .retain(|name, _| next.data.contains_key(name) || !read.data.contains_key(name));
                    if next.revision == read.revision {
                        written.writes.clone_from(&stands.writes);
                    }
                    written.bound.clone_from(&stands.bound);
                }
                self.forget(&mut written, stands);
                Stored::Record(written)
            }
            (Stored::Tombstone(left), ..) => {
                let mut left = left.clone();
                // 0.3 does not say whether a successor is a renewal, so each counts as one.
                left.renewed |= by.older && left.replaced_by.is_some();
                if self.forgets(Part::Successor) {
                    left.replaced_by = None;
                }
                if self.forgets(Part::Renewed) {
                    left.renewed = false;
                }
                if self.forgets(Part::Writes) {
                    left.writes.clear();
                }
                Stored::Tombstone(left)
            }
            // 0.3 binds no session.
            (Stored::Record(next), None, _) if by.older || self.forgets(Part::Kept) => Stored::Record(Record {
                bound: None,
                ..next.clone()
            }),
            (next, ..) => next.clone(),
        }
    }

    /// Leaves out what a mutant does not write.
    fn forget(&self, written: &mut Record, stands: &Record) {
        if self.forgets(Part::Revision) {
            written.revision = stands.revision;
        }
        if self.forgets(Part::Expiry) {
            written.expires_at = stands.expires_at;
        }
        if self.forgets(Part::SeenAt) {
            written.seen_at = stands.seen_at;
        }
        if self.forgets(Part::Writes) {
            written.writes.clone_from(&stands.writes);
        }
        if self.forgets(Part::Bound) {
            written.bound.clone_from(&stands.bound);
        }
        if self.forgets(Part::Set) {
            written.data.retain(|name, _| stands.data.contains_key(name));
        }
        if self.forgets(Part::Removed) {
            for (name, value) in &stands.data {
                written.data.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
    }

    fn check_tombstone(&mut self, place: usize, left: &Tombstone) {
        if let Some(Stored::Record(record)) = self.get(place)
            && (left.writes.len() < record.writes.len() || left.revision < record.revision)
        {
            self.broken("P2: a tombstone does not tell the last writes");
        }
    }

    /// Checks a write that is about to be made.
    fn watch(&mut self, place: usize, next: &Stored, by: By) {
        if self.ended & (1 << place) != 0 {
            self.broken("P1: an ended session was written to");
        }
        let Some(Stored::Record(before)) = self.get(place) else {
            return;
        };
        let alive = before.is_alive(&moment(by.at));
        // An expired session may be ended, but not replaced by another one.
        let may_be_dead = matches!(next, Stored::Tombstone(left) if left.replaced_by.is_none());
        let shrinks = match next {
            Stored::Record(next) => next.expires_at < before.expires_at || next.seen_at < before.seen_at,
            _ => false,
        };
        if !alive && !may_be_dead {
            self.broken("P5: a session that is not alive was written to");
        } else if shrinks {
            self.broken("P5: a time went back");
        }
    }
}
