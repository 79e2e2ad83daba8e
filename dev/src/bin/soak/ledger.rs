//! What a visitor knows about the variables of its session: what was done, and what may have been done.
//!
//! A write that failed may still arrive, until another one is acknowledged, because that one has moved the revision.
//! What is found from then on is certain.

use std::collections::BTreeSet;

#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    /// The number of visits that are counted, and of those that may be. `None` if nothing is known.
    visits: Option<(u64, u64)>,
    /// The values that `v` may have. `None` if nothing is known.
    values: Option<BTreeSet<Option<String>>>,
    /// The messages that are stored, those that may be stored, and those that were shown.
    flashes: BTreeSet<String>,
    perhaps: BTreeSet<String>,
    shown: BTreeSet<String>,
    /// Whether no failed write can arrive any more.
    settled: bool,
}

impl Default for Ledger {
    /// The ledger of a new session.
    fn default() -> Self {
        Self {
            visits: Some((0, 0)),
            values: Some(BTreeSet::from([None])),
            flashes: BTreeSet::new(),
            perhaps: BTreeSet::new(),
            shown: BTreeSet::new(),
            settled: true,
        }
    }
}

impl Ledger {
    /// Records visits that were counted at once, each for certain or perhaps.
    pub(crate) fn count(&mut self, done: &[bool]) {
        if let Some((certain, perhaps)) = &mut self.visits {
            for done in done {
                *(if *done { &mut *certain } else { &mut *perhaps }) += 1;
            }
        }
        self.settled = done.iter().all(|done| *done);
    }

    /// Whether this number of visits may be found.
    pub(crate) fn counted(&mut self, found: Option<u64>) -> bool {
        let Some(found) = found else { return false };
        let holds = self
            .visits
            .is_none_or(|(certain, perhaps)| (certain..=certain + perhaps).contains(&found));
        if self.settled {
            self.visits = Some((found, 0));
        }
        holds
    }

    pub(crate) fn set(&mut self, value: String, done: bool) {
        self.settled = done;
        if done {
            self.values = Some(BTreeSet::from([Some(value)]));
        } else if let Some(values) = &mut self.values {
            values.insert(Some(value));
        }
    }

    /// Whether `v` may have this value.
    pub(crate) fn got(&mut self, found: Option<String>) -> bool {
        let holds = self.values.as_ref().is_none_or(|values| values.contains(&found));
        if self.settled {
            self.values = Some(BTreeSet::from([found]));
        }
        holds
    }

    pub(crate) fn flash(&mut self, text: String, done: bool) {
        self.settled = done;
        if done { &mut self.flashes } else { &mut self.perhaps }.insert(text);
    }

    /// Whether these messages may be shown: all that are stored, and none twice.
    pub(crate) fn shown(&mut self, texts: &[String]) -> bool {
        let found: BTreeSet<_> = texts.iter().cloned().collect();
        let once = found.len() == texts.len() && found.is_disjoint(&self.shown);
        let known = found
            .iter()
            .all(|text| self.flashes.contains(text) || self.perhaps.contains(text));
        let holds = once && known && self.flashes.is_subset(&found);
        self.flashes.clear();
        if !found.is_empty() {
            self.settled = true;
            self.perhaps.clear();
        }
        self.shown.extend(found);
        holds
    }

    /// Records that the messages may have been taken without being shown.
    pub(crate) fn taken_perhaps(&mut self) {
        self.perhaps.append(&mut self.flashes);
        self.settled = false;
    }

    /// Records that a login has taken the session over.
    pub(crate) fn carried_over(&mut self) {
        self.settled = true;
    }

    /// Records that a login has taken the session over, or has found it ended.
    pub(crate) fn carried_over_perhaps(&mut self) {
        self.perhaps.append(&mut self.flashes);
        (self.visits, self.values, self.settled) = (None, None, true);
    }
}
