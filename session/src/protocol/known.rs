//! What a task knows of the keys that it is about: all that the store has told it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::call::{Call, Opened, Place, Write};
use crate::core::id::{OwnerKey, RecordKey};
use crate::core::record::Record;
use crate::core::time::Moment;
use crate::store::OwnerList;

#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// A key that is not here was not asked about.
    places: BTreeMap<RecordKey, Place>,
    /// The owner's list, without what was struck since it was read.
    pub(crate) list: Option<(OwnerKey, OwnerList)>,
    /// How many sessions the list named when it was read.
    pub(crate) listed: usize,
    /// The keys that were loaded, or were to be.
    pub(crate) loaded: BTreeSet<RecordKey>,
    /// The record to which the last write to the visitor's session was made, and whether that write left a token.
    pub(crate) sent: Option<(Arc<Record>, bool)>,
    /// Whether a new record was sent.
    pub(crate) created: bool,
    /// The sessions that were ended, or were to be.
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
        let (known, list) = self.list.as_ref()?;
        (known == owner).then_some(list)
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
        match call {
            Call::Load(keys) => self.loaded.extend(keys.iter().cloned()),
            Call::End(keys) => self.ended.extend(keys.iter().cloned()),
            Call::Swap { read, write, .. } => match (write, read) {
                (Write::Create, _) => self.created = true,
                (Write::Change, Some(read)) => self.sent = Some((Arc::clone(&read.record), true)),
                (Write::Replace, Some(read)) => self.sent = Some((Arc::clone(&read.record), false)),
                _ => {}
            },
            _ => {}
        }
    }

    /// Takes in what stands under these keys now, be it what was sent or what was there instead.
    pub(crate) fn stands(&mut self, places: impl IntoIterator<Item = (RecordKey, Place)>) {
        self.places.extend(places);
    }

    /// Takes in an owner's list.
    pub(crate) fn listed(&mut self, owner: OwnerKey, list: OwnerList) {
        self.listed = list.len();
        self.list = Some((owner, list));
    }

    /// Takes in that these keys are not in the owner's list any more.
    pub(crate) fn struck(&mut self, keys: &[RecordKey]) {
        if let Some((_, list)) = &mut self.list {
            list.retain(|key, _| !keys.contains(key));
        }
    }

    /// These keys and those of the renewals that took a session's place, apart: which may still stand, and which have ended.
    pub(crate) fn follow<'a>(&'a self, keys: impl IntoIterator<Item = &'a RecordKey>) -> [BTreeSet<&'a RecordKey>; 2] {
        let mut todo: Vec<_> = keys.into_iter().collect();
        let [mut standing, mut ended] = [BTreeSet::new(), BTreeSet::new()];
        while let Some(key) = todo.pop() {
            match self.place(key) {
                Some(Place::Tombstone(tombstone)) => {
                    if ended.insert(key) && tombstone.renewed {
                        todo.extend(&tombstone.replaced_by);
                    }
                }
                Some(Place::Nothing) => {}
                _ => drop(standing.insert(key)),
            }
        }
        [standing, ended]
    }
}
