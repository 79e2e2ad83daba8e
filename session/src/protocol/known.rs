//! What a task knows of the keys that it is about: all that the store has told it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::call::{Call, Opened, Place, Write};
use crate::core::id::{OwnerKey, RecordKey};
use crate::core::record::{Record, Tombstone};
use crate::core::time::Moment;
use crate::store::OwnerList;

/// The store's answer to a call.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Loaded(Vec<(RecordKey, Place)>),
    /// What stands there now, be it what was sent or what was there instead.
    Swapped(RecordKey, Place),
    Ended(Vec<(RecordKey, Tombstone)>),
    Listed(OwnerKey, OwnerList),
    Struck(Vec<RecordKey>),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// A key that is not here was not asked about.
    places: BTreeMap<RecordKey, Place>,
    /// The owner's list, without what was struck since it was read.
    pub(crate) list: Option<(OwnerKey, OwnerList)>,
    /// How many sessions the list named when it was read.
    pub(crate) listed: usize,
    /// The keys that were loaded.
    pub(crate) loaded: BTreeSet<RecordKey>,
    /// The record to which the last write to the visitor's session was made, and whether that write left a token.
    pub(crate) sent: Option<(Arc<Record>, bool)>,
    /// Whether a new record was sent.
    pub(crate) created: bool,
    /// The sessions that were ended.
    pub(crate) ended: BTreeSet<RecordKey>,
    /// Whether there is no time for what another request can do as well.
    pub(crate) hurried: bool,
}

impl Known {
    pub(crate) fn place(&self, key: &RecordKey) -> Option<&Place> {
        self.places.get(key)
    }

    /// The record under the key.
    pub(crate) fn record(&self, key: &RecordKey) -> Option<&Opened> {
        match self.place(key) {
            Some(Place::Record(opened)) => Some(opened),
            _ => None,
        }
    }

    /// The record under the key, if its session is alive.
    pub(crate) fn alive(&self, key: &RecordKey, at: &Moment) -> Option<&Opened> {
        self.record(key).filter(|opened| opened.record.is_alive(at))
    }

    pub(crate) fn list_of(&self, owner: &OwnerKey) -> Option<&OwnerList> {
        self.list
            .as_ref()
            .filter(|(known, _)| known == owner)
            .map(|(_, list)| list)
    }

    /// Forgets what stands under the key, because time has passed since it was told.
    pub(crate) fn forget(&mut self, key: &RecordKey) {
        self.places.remove(key);
        self.sent = None;
    }

    /// Only what stands under the keys, for the next task of a request.
    pub(crate) fn places_only(self) -> Self {
        Self {
            places: self.places,
            ..Self::default()
        }
    }

    /// Takes in that a call is about to be made: it may be done though no answer comes.
    pub(crate) fn sending(&mut self, call: &Call) {
        if let Call::Swap { read, write, .. } = call {
            match (write, read) {
                (Write::Create, _) => self.created = true,
                (Write::Change, Some(read)) => self.sent = Some((Arc::clone(&read.record), true)),
                (Write::Replace, Some(read)) => self.sent = Some((Arc::clone(&read.record), false)),
                _ => {}
            }
        }
    }

    /// Takes in the answer to a call.
    pub(crate) fn learn(&mut self, answer: Answer) {
        match answer {
            Answer::Loaded(places) => {
                self.loaded.extend(places.iter().map(|(key, _)| key.clone()));
                self.places.extend(places);
            }
            Answer::Swapped(key, place) => drop(self.places.insert(key, place)),
            Answer::Ended(places) => {
                self.ended.extend(places.iter().map(|(key, _)| key.clone()));
                let tombstones = places
                    .into_iter()
                    .map(|(key, tombstone)| (key, Place::Tombstone(tombstone)));
                self.places.extend(tombstones);
            }
            Answer::Listed(owner, list) => {
                self.listed = list.len();
                self.list = Some((owner, list));
            }
            Answer::Struck(keys) => {
                if let Some((_, list)) = &mut self.list {
                    list.retain(|key, _| !keys.contains(key));
                }
            }
        }
    }

    /// These keys and those of the renewals that took a session's place, apart: which may still stand, and which have ended.
    pub(crate) fn follow<'a>(&'a self, keys: impl IntoIterator<Item = &'a RecordKey>) -> Followed<'a> {
        let mut todo: Vec<_> = keys.into_iter().collect();
        let mut followed = Followed::default();
        while let Some(key) = todo.pop() {
            match self.place(key) {
                Some(Place::Tombstone(tombstone)) => {
                    if followed.ended.insert(key) && tombstone.renewed {
                        todo.extend(&tombstone.replaced_by);
                    }
                }
                Some(Place::Nothing) => {}
                _ => drop(followed.standing.insert(key)),
            }
        }
        followed
    }
}

#[derive(Debug, Default)]
pub(crate) struct Followed<'a> {
    pub(crate) standing: BTreeSet<&'a RecordKey>,
    pub(crate) ended: BTreeSet<&'a RecordKey>,
}
