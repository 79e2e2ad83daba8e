//! Counts what happened.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The counts, by group and name.
#[derive(Default)]
pub(crate) struct Tally(Mutex<BTreeMap<(&'static str, String), u64>>);

impl Tally {
    pub(crate) fn count(&self, group: &'static str, name: impl ToString) {
        *self.counts().entry((group, name.to_string())).or_default() += 1;
    }

    /// Returns the sum of each group, and its counts.
    pub(crate) fn summary(&self) -> String {
        let mut groups: BTreeMap<_, (u64, Vec<String>)> = BTreeMap::new();
        for ((group, name), count) in &*self.counts() {
            let (sum, names) = groups.entry(*group).or_default();
            *sum += count;
            names.push(format!("{name}: {count}"));
        }
        let groups = groups.into_iter();
        let groups = groups.map(|(group, (sum, names))| format!("{sum} {group} ({})", names.join(", ")));
        groups.collect::<Vec<_>>().join(", ")
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<(&'static str, String), u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
