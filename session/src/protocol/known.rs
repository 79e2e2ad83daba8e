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
    /// The sessions of which it was known that they had ended when the list was read: it names what renewed them.
    ended_before_list: BTreeSet<RecordKey>,
    /// How many sessions the list named when it was read.
    pub(crate) listed: usize,
    /// The keys that were loaded, or were to be.
    pub(crate) loaded: BTreeSet<RecordKey>,
    /// The last state of the visitor's session that a write was to be made to, and whether one was made that leaves a token.
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
        if let Some(Place::Record(opened)) = self.places.remove(key) {
            self.sent = Some((opened.record, false));
        }
    }

    /// What stands under the keys and which sessions were ended, for the next task of a request.
    pub(crate) fn for_next_task(self) -> Self {
        Self {
            places: self.places,
            ended: self.ended,
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
        let ended = |place: &Place| matches!(place, Place::Tombstone(_));
        let ended = self.places.iter().filter(|(_, place)| ended(place));
        self.ended_before_list = ended.map(|(key, _)| key.clone()).collect();
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

    /// The same for an owner's sessions: a renewal is the owner's if the list names it. `None` if the list is too old to tell.
    pub(crate) fn follow_listed<'a>(
        &'a self,
        list: &OwnerList,
        keys: impl IntoIterator<Item = &'a RecordKey>,
    ) -> Option<[BTreeSet<&'a RecordKey>; 2]> {
        let keys: BTreeSet<_> = keys.into_iter().collect();
        let [mut standing, ended] = self.follow(keys.iter().copied());
        let is_unlisted = |key: &RecordKey| self.renewal(key).is_some_and(|renewal| !list.contains_key(renewal));
        let mut since = ended.iter().filter(|key| !self.ended_before_list.contains(**key));
        if since.any(|key| is_unlisted(key)) {
            return None;
        }
        standing.retain(|key| list.contains_key(key) || keys.contains(key));
        Some([standing, ended])
    }

    /// The key of the session that renewed this one.
    fn renewal(&self, key: &RecordKey) -> Option<&RecordKey> {
        match self.place(key) {
            Some(Place::Tombstone(tombstone)) if tombstone.renewed => tombstone.replaced_by.as_ref(),
            _ => None,
        }
    }
}
