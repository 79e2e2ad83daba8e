//! A table as DynamoDB keeps it: items with attributes, and conditional writes that are spelled out conjunct by conjunct, so that a
//! mutant can leave any one of them out. That it is what `DynamoDbStore` makes of DynamoDB is the store contract's to say, which
//! runs over it too.
//!
//! It watches itself: what it finds broken in one write, whoever made it, is a violation whatever is answered later.

use std::collections::BTreeMap;

use lambda_session::{
    Changes, Data, Load, Moment, OwnerKey, OwnerList, Record, RecordKey, Slide, StoreErrorKind, Tombstone, WriteOutcome,
};

use super::mutants::{Clause, Mutant, Write};
use super::scenario::{NOW, Outside};

/// One store call, to be made at any time.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Load(RecordKey, Moment),
    Create(RecordKey, Record),
    Update(RecordKey, Record, Changes, Moment),
    Slide(RecordKey, Slide, Moment),
    Replace(RecordKey, u64, RecordKey, Moment),
    End(RecordKey, Option<u64>, Moment),
    Enlist(OwnerKey, RecordKey, Moment),
    List(OwnerKey),
    Strike(OwnerKey, Vec<RecordKey>),
    Revoke(RecordKey, Moment),
}

#[derive(Debug)]
pub(crate) enum Reply {
    Load(Load),
    Written(WriteOutcome),
    List(OwnerList),
    Struck,
    Revoked(Option<RecordKey>),
}

impl Call {
    pub(crate) fn write(&self) -> Option<Write> {
        Some(match self {
            Self::Load(..) | Self::List(_) => return None,
            Self::Create(..) => Write::Create,
            Self::Update(..) => Write::Update,
            Self::Slide(..) => Write::Slide,
            Self::Replace(..) => Write::Replace,
            Self::End(_, None, _) => Write::End,
            Self::End(_, Some(_), _) => Write::EndRead,
            Self::Enlist(..) => Write::Enlist,
            Self::Strike(..) => Write::Strike,
            Self::Revoke(..) => Write::Revoke,
        })
    }

    /// The partition key of the item that it is about.
    pub(crate) fn place(&self) -> &str {
        match self {
            Self::Load(key, _)
            | Self::Create(key, _)
            | Self::Update(key, ..)
            | Self::Slide(key, ..)
            | Self::Replace(key, ..)
            | Self::End(key, ..)
            | Self::Revoke(key, _) => key.as_str(),
            Self::Enlist(owner, ..) | Self::List(owner) | Self::Strike(owner, _) => owner.as_str(),
        }
    }

    /// What is answered to a mutant that says it is done without doing it.
    pub(crate) fn promise(&self) -> Reply {
        match self {
            Self::Enlist(_, key, at) => Reply::List(OwnerList::from([(key.clone(), at.now())])),
            Self::Strike(..) => Reply::Struck,
            Self::Revoke(..) => Reply::Revoked(None),
            _ => Reply::Written(WriteOutcome::Applied),
        }
    }
}

/// A session's item.
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are what conditions ask of an item's attributes"
)]
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) record: Record,
    pub(crate) ended: bool,
    pub(crate) replaced_by: Option<RecordKey>,
    /// What is false here makes the record malformed.
    pub(crate) data_is_map: bool,
    pub(crate) revision_is_number: bool,
    /// It was ended once: it must be so for ever.
    was_ended: bool,
}

impl Item {
    pub(crate) fn of(record: Record) -> Self {
        Self {
            record,
            ended: false,
            replaced_by: None,
            data_is_map: true,
            revision_is_number: true,
            was_ended: false,
        }
    }

    pub(crate) fn end(&mut self) {
        (self.ended, self.was_ended) = (true, true);
        self.record.data = Data::new();
    }

    /// Alive, as the contract defines it: the judgement of the watch, which no mutant touches.
    pub(crate) fn is_alive(&self, at: &Moment) -> bool {
        !self.ended && !self.was_ended && self.data_is_map && self.revision_is_number && self.record.is_alive(at)
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    items: BTreeMap<RecordKey, Item>,
    pub(crate) lists: BTreeMap<OwnerKey, OwnerList>,
    pub(crate) mutant: Option<Mutant>,
    /// What the watch has seen.
    pub(crate) violation: Option<&'static str>,
}

impl Table {
    pub(crate) fn put(&mut self, key: RecordKey, item: Item) {
        self.items.insert(key, item);
    }

    pub(crate) fn items(&self) -> impl Iterator<Item = (&RecordKey, &Item)> {
        self.items.iter()
    }

    pub(crate) fn get(&self, key: &RecordKey) -> Option<&Item> {
        self.items.get(key)
    }

    /// Whether this can happen to the item now.
    pub(crate) fn may(&self, outside: Outside, key: &RecordKey) -> bool {
        self.items.get(key).is_some_and(|item| match outside {
            Outside::Nothing => false,
            Outside::Deletes => item.record.expires_at <= NOW,
            Outside::SpoilsData => item.data_is_map && !item.ended,
            Outside::SpoilsRevision => item.revision_is_number && !item.ended,
        })
    }

    /// Lets it happen.
    pub(crate) fn happen(&mut self, outside: Outside, key: &RecordKey) {
        match (outside, self.items.get_mut(key)) {
            (Outside::Deletes, _) => drop(self.items.remove(key)),
            (Outside::SpoilsData, Some(item)) => item.data_is_map = false,
            (Outside::SpoilsRevision, Some(item)) => item.revision_is_number = false,
            _ => {}
        }
    }

    /// Whether the clause is in this table's condition or expression for `write`.
    fn has(&self, write: Write, clause: Clause) -> bool {
        self.mutant != Some(Mutant::Without(write, clause))
    }

    fn broken(&mut self, violation: &'static str) {
        self.violation.get_or_insert(violation);
    }

    /// Makes the call, one atomic step.
    pub(crate) fn make(&mut self, call: &Call) -> Result<Reply, StoreErrorKind> {
        Ok(match call {
            Call::Load(key, at) => Reply::Load(self.load(key, at)),
            Call::Create(key, record) => {
                let free = !self.items.contains_key(key) || !self.has(Write::Create, Clause::Free);
                Reply::Written(if free {
                    let before = self.items.insert(key.clone(), Item::of(record.clone()));
                    if before.is_some_and(|item| item.was_ended) {
                        self.broken("P1: an ended session was created again");
                    }
                    WriteOutcome::Applied
                } else {
                    WriteOutcome::ConditionFailed
                })
            }
            Call::Update(key, next, changes, at) => Reply::Written(self.update(key, next, changes, at)?),
            Call::Slide(key, slide, at) => Reply::Written(self.slide(key, *slide, at)),
            Call::Replace(key, revision, successor, at) => Reply::Written(self.replace(key, *revision, successor, at)),
            Call::End(key, revision, at) => Reply::Written(self.end(key, *revision, at)),
            Call::Enlist(owner, key, at) => {
                let list = self.lists.entry(owner.clone()).or_default();
                list.insert(key.clone(), at.now());
                Reply::List(list.clone())
            }
            Call::List(owner) => Reply::List(self.lists.get(owner).cloned().unwrap_or_default()),
            Call::Strike(owner, keys) => {
                if let Some(list) = self.lists.get_mut(owner) {
                    list.retain(|key, _| !keys.contains(key));
                }
                Reply::Struck
            }
            Call::Revoke(key, at) => Reply::Revoked(self.revoke(key, at)),
        })
    }

    fn load(&mut self, key: &RecordKey, at: &Moment) -> Load {
        let Some(item) = self.items.get(key) else {
            return Load::Absent;
        };
        if item.ended && self.has(Write::Load, Clause::NotEnded) {
            let revision = if item.revision_is_number {
                item.record.revision
            } else {
                0
            };
            let tombstone = Tombstone::new(revision, item.record.writes.clone());
            return match &item.replaced_by {
                Some(_) if item.revision_is_number => Load::Replaced(tombstone),
                _ => Load::Ended(tombstone),
            };
        }
        if !item.data_is_map && self.has(Write::Load, Clause::DataIsMap)
            || !item.revision_is_number && self.has(Write::Load, Clause::RevisionIsNumber)
        {
            return Load::Malformed("an attribute is missing or of another type".to_owned());
        }
        if !self.in_time(Write::Load, item, at) {
            return Load::Expired;
        }
        let (record, was_ended, alive) = (item.record.clone(), item.was_ended, item.is_alive(at));
        if was_ended {
            self.broken("P1: an ended session was read as alive");
        } else if !alive {
            self.broken("P5: what is not alive was read as a session");
        }
        Load::Live(record)
    }

    /// Both timeouts, as the conditions spell them.
    fn in_time(&self, write: Write, item: &Item, at: &Moment) -> bool {
        let record = &item.record;
        let expiry = record.expires_at > at.now() || !self.has(write, Clause::Expiry);
        let young = record.created_at > at.oldest_creation() && self.has(write, Clause::Young);
        let flagged = record.remembered || !self.has(write, Clause::Flagged);
        let not_too_old = record.created_at > at.oldest_remembered() || !self.has(write, Clause::Remembered);
        expiry && (young || flagged && not_too_old || !self.has(write, Clause::Lifetime))
    }

    /// `ALIVE` in `expression.rs`.
    fn alive(&self, write: Write, item: &Item, at: &Moment) -> bool {
        (!item.ended || !self.has(write, Clause::NotEnded))
            && self.in_time(write, item, at)
            && (item.data_is_map || !self.has(write, Clause::DataIsMap))
            && (item.revision_is_number || !self.has(write, Clause::RevisionIsNumber))
    }

    fn reads(&self, write: Write, item: &Item, revision: u64) -> bool {
        item.revision_is_number && item.record.revision == revision || !self.has(write, Clause::Revision)
    }

    fn update(
        &mut self,
        key: &RecordKey,
        next: &Record,
        changes: &Changes,
        at: &Moment,
    ) -> Result<WriteOutcome, StoreErrorKind> {
        let Some(mut item) = self.items.get(key).cloned() else {
            return Ok(WriteOutcome::ConditionFailed);
        };
        let grows = item.record.expires_at <= next.expires_at || !self.has(Write::Update, Clause::Grows);
        let follows = self.reads(Write::Update, &item, next.revision.wrapping_sub(1));
        if !(self.alive(Write::Update, &item, at) && follows && grows) {
            return Ok(WriteOutcome::ConditionFailed);
        }
        if !item.data_is_map {
            // A path into what is no map is an invalid request.
            return Err(StoreErrorKind::Rejected);
        }
        self.written(&item, Some(next.expires_at), at);
        let set = |clause| self.has(Write::Update, clause);
        if set(Clause::SetRevision) {
            item.record.revision = next.revision;
        }
        if set(Clause::SetExpiry) {
            item.record.expires_at = next.expires_at;
        }
        if set(Clause::SetWrites) {
            item.record.writes.clone_from(&next.writes);
        }
        item.record.seen_at = next.seen_at.or(item.record.seen_at);
        item.record.sealed = next.sealed;
        if next.sealed {
            item.record.owner.clone_from(&next.owner);
        }
        for (name, value) in changes.iter() {
            match value {
                Some(value) if set(Clause::SetData) => drop(item.record.data.insert(name.to_owned(), value.clone())),
                None if set(Clause::RemoveData) => drop(item.record.data.remove(name)),
                _ => {}
            }
        }
        self.items.insert(key.clone(), item);
        Ok(WriteOutcome::Applied)
    }

    fn slide(&mut self, key: &RecordKey, slide: Slide, at: &Moment) -> WriteOutcome {
        let Some(mut item) = self.items.get(key).cloned() else {
            return WriteOutcome::ConditionFailed;
        };
        let from = item.record.expires_at == slide.from || !self.has(Write::Slide, Clause::From);
        if !(self.alive(Write::Slide, &item, at) && from) {
            return WriteOutcome::ConditionFailed;
        }
        self.written(&item, Some(slide.to), at);
        if self.has(Write::Slide, Clause::SetExpiry) {
            item.record.expires_at = slide.to;
        }
        item.record.seen_at = slide.seen_at.or(item.record.seen_at);
        self.items.insert(key.clone(), item);
        WriteOutcome::Applied
    }

    fn replace(&mut self, key: &RecordKey, revision: u64, successor: &RecordKey, at: &Moment) -> WriteOutcome {
        let Some(mut item) = self.items.get(key).cloned() else {
            return WriteOutcome::ConditionFailed;
        };
        let again = item.replaced_by.as_ref() == Some(successor) && self.has(Write::Replace, Clause::Again);
        if !(self.alive(Write::Replace, &item, at) && self.reads(Write::Replace, &item, revision) || again) {
            return WriteOutcome::ConditionFailed;
        }
        if !again {
            self.written(&item, None, at);
        }
        self.tombstone(Write::Replace, &mut item, at);
        if self.has(Write::Replace, Clause::SetSuccessor) {
            item.replaced_by = Some(successor.clone());
        }
        self.items.insert(key.clone(), item);
        WriteOutcome::Applied
    }

    fn end(&mut self, key: &RecordKey, revision: Option<u64>, at: &Moment) -> WriteOutcome {
        let write = if revision.is_some() { Write::EndRead } else { Write::End };
        let Some(mut item) = self.items.get(key).cloned() else {
            if self.has(write, Clause::Exists) {
                return WriteOutcome::ConditionFailed;
            }
            self.broken("P4: a tombstone was made where no session stood");
            return WriteOutcome::Applied;
        };
        if let Some(revision) = revision {
            let original = item.replaced_by.is_none() || !self.has(write, Clause::NotReplaced);
            if !(self.reads(write, &item, revision) && original) {
                return WriteOutcome::ConditionFailed;
            }
        }
        self.tombstone(write, &mut item, at);
        self.items.insert(key.clone(), item);
        WriteOutcome::Applied
    }

    fn revoke(&mut self, key: &RecordKey, at: &Moment) -> Option<RecordKey> {
        let nothing = || Item::of(Record::new(Data::new(), at));
        let mut item = self.items.get(key).cloned().unwrap_or_else(nothing);
        self.tombstone(Write::Revoke, &mut item, at);
        let successor = item.replaced_by.clone();
        self.items.insert(key.clone(), item);
        successor
    }

    fn tombstone(&mut self, write: Write, item: &mut Item, at: &Moment) {
        item.was_ended = true;
        if self.has(write, Clause::SetEnded) {
            item.ended = true;
        }
        if self.has(write, Clause::SetEmpty) {
            item.record.data = Data::new();
        }
        if self.has(write, Clause::SetUntil) {
            item.record.expires_at = at.tombstone_expiry();
        }
        let left = item.record.writes.len();
        if !self.has(write, Clause::KeepsWrites) {
            item.record.writes.clear();
        }
        if item.record.writes.len() < left {
            self.broken("P2: a tombstone does not tell the last writes");
        }
        if !item.record.data.is_empty() {
            self.broken("P1: an ended session keeps its variables");
        }
        if item.record.expires_at < at.tombstone_expiry() {
            self.broken("P1: a tombstone is not kept for an hour");
        }
    }

    /// Watches a write whose condition held, and that wants the session alive.
    fn written(&mut self, before: &Item, expires_at: Option<u64>, at: &Moment) {
        if before.ended || before.was_ended {
            self.broken("P1: an ended session was written to");
        } else if !before.is_alive(at) {
            self.broken("P5: what is not alive was written to");
        } else if expires_at.is_some_and(|expires_at| expires_at < before.record.expires_at) {
            self.broken("P5: an expiry shrank");
        }
    }
}
