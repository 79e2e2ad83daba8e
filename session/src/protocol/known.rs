//! What a task knows about its keys: everything that the store has told it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::call::{Call, Opened, Place, Write};
use crate::core::id::{OwnerKey, RecordKey};
use crate::core::record::Record;
use crate::core::time::Moment;
use crate::store::OwnerList;

#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// What is stored under each key that was read or written, or what a write found there instead.
    pub(crate) places: BTreeMap<RecordKey, Place>,
    /// The owner's list, if it was read. Boxed, because most tasks read none.
    pub(crate) list: Option<Box<Listed>>,
    /// Whether the task has loaded a key again, to find out whether another request has ended its new session.
    pub(crate) reloaded: bool,
    /// The visitor's record that the last write was made to replace, or the next write would have replaced when it was
    /// forgotten; and whether that write was sent and leaves its token in the record.
    pub(crate) sent: Option<(Arc<Record>, bool)>,
    /// Whether the task sent the new record to the store.
    pub(crate) created: bool,
    /// The keys whose sessions the request ended, or tried to end.
    pub(crate) ended: BTreeSet<RecordKey>,
    /// Whether time is too short for work that a later request can do as well.
    pub(crate) hurried: bool,
}

/// An owner's list that was read.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) owner: OwnerKey,
    /// The sessions in the list, without those that were struck since.
    pub(crate) sessions: OwnerList,
    /// The number of sessions when the list was read.
    pub(crate) length_when_read: usize,
    /// The sessions that were known to have ended when the list was read. The list is recent enough to name the
    /// sessions that renewed them.
    ended_before: BTreeSet<RecordKey>,
}

impl Known {
    pub(crate) fn place(&self, key: &RecordKey) -> Option<&Place> {
        self.places.get(key)
    }

    /// Returns the record under the key, if there is one.
    pub(crate) fn record(&self, key: &RecordKey) -> Option<&Opened> {
        match self.place(key) {
            Some(Place::Record(opened)) => Some(opened),
            _ => None,
        }
    }

    /// Returns the record under the key, if its session is alive.
    pub(crate) fn alive(&self, key: &RecordKey, at: &Moment) -> Option<&Opened> {
        self.record(key).filter(|opened| opened.record.is_alive(at))
    }

    pub(crate) fn list_of(&self, owner: &OwnerKey) -> Option<&Listed> {
        self.list.as_deref().filter(|list| list.owner == *owner)
    }

    /// Returns the call that reads those of these keys which were not read yet; `None` if all were.
    pub(crate) fn loading<'a>(&self, keys: impl IntoIterator<Item = &'a RecordKey>) -> Option<Call> {
        let unread = keys.into_iter().filter(|key| self.place(key).is_none());
        let unread: Vec<_> = unread.cloned().collect();
        (!unread.is_empty()).then_some(Call::Load(unread))
    }

    /// Returns whether the session under the key is alive, and open only to requests with the second cookie.
    pub(crate) fn needs_second(&self, key: &RecordKey, at: &Moment) -> bool {
        let bound = self.alive(key, at).and_then(|opened| opened.record.bound.as_ref());
        bound.is_some_and(|bound| bound.is_due(at.now))
    }

    /// Forgets what is stored under the key, because it may have changed since it was read.
    pub(crate) fn forget(&mut self, key: &RecordKey) {
        if let Some(Place::Record(opened)) = self.places.remove(key) {
            self.sent = Some((opened.record, false));
        }
    }

    /// Keeps what the next task of the request can use: what is stored under the keys, and which sessions were ended.
    pub(crate) fn for_next_task(self) -> Self {
        Self {
            places: self.places,
            ended: self.ended,
            ..Self::default()
        }
    }

    /// Records that a call is about to be made. The store may carry it out even if no answer comes.
    pub(crate) fn sending(&mut self, call: &Call) {
        match call {
            Call::Load(keys) => self.reloaded |= keys.iter().any(|key| self.places.contains_key(key)),
            Call::End(keys) => self.ended.extend(keys.iter().cloned()),
            Call::Swap { read, write, .. } => match (write, read) {
                (Write::New, None) => self.created = true,
                (Write::Change, Some(read)) => self.sent = Some((Arc::clone(&read.record), true)),
                (Write::Replace, Some(read)) => self.sent = Some((Arc::clone(&read.record), false)),
                _ => {}
            },
            _ => {}
        }
    }

    /// Records an owner's list.
    pub(crate) fn listed(&mut self, owner: OwnerKey, sessions: OwnerList) {
        let ended = |place: &Place| matches!(place, Place::Tombstone(_));
        let ended = self.places.iter().filter(|(_, place)| ended(place));
        self.list = Some(Box::new(Listed {
            owner,
            length_when_read: sessions.len(),
            sessions,
            ended_before: ended.map(|(key, _)| key.clone()).collect(),
        }));
    }

    /// Records that these keys were struck from the owner's list.
    pub(crate) fn struck(&mut self, keys: &[RecordKey]) {
        if let Some(list) = &mut self.list {
            list.sessions.retain(|key, _| !keys.contains(key));
        }
    }

    /// Follows these keys to the sessions that renewed them. Returns the keys whose sessions may still exist, and the
    /// keys whose sessions have ended.
    pub(crate) fn follow<'a>(&'a self, keys: impl IntoIterator<Item = &'a RecordKey>) -> [BTreeSet<&'a RecordKey>; 2] {
        let mut todo: Vec<_> = keys.into_iter().collect();
        let [mut standing, mut ended] = [BTreeSet::new(), BTreeSet::new()];
        while let Some(key) = todo.pop() {
            match self.place(key) {
                Some(Place::Tombstone(_)) => {
                    if ended.insert(key) {
                        todo.extend(self.renewal(key));
                    }
                }
                Some(Place::Nothing) => {}
                _ => drop(standing.insert(key)),
            }
        }
        [standing, ended]
    }

    /// Follows these keys as [`follow`](Self::follow) does, for an owner's sessions. A renewal belongs to the owner if
    /// the list names it. Returns `None` if the list was read too early to name a renewal.
    pub(crate) fn follow_listed<'a>(
        &'a self,
        list: &Listed,
        keys: impl IntoIterator<Item = &'a RecordKey>,
    ) -> Option<[BTreeSet<&'a RecordKey>; 2]> {
        let keys: BTreeSet<_> = keys.into_iter().collect();
        let [mut standing, ended] = self.follow(keys.iter().copied());
        let is_unlisted = |key: &RecordKey| {
            self.renewal(key)
                .is_some_and(|renewal| !list.sessions.contains_key(renewal))
        };
        let mut since = ended.iter().filter(|key| !list.ended_before.contains(**key));
        if since.any(|key| is_unlisted(key)) {
            return None;
        }
        standing.retain(|key| list.sessions.contains_key(key) || keys.contains(key));
        Some([standing, ended])
    }

    /// Returns the key of the session that renewed this one.
    fn renewal(&self, key: &RecordKey) -> Option<&RecordKey> {
        match self.place(key) {
            Some(Place::Tombstone(tombstone)) if tombstone.renewed => tombstone.replaced_by.as_ref(),
            _ => None,
        }
    }
}
