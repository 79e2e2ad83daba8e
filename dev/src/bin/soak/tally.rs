//! Counts what happened.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

#[derive(Default)]
pub(crate) struct Tally(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    statuses: BTreeMap<u16, u64>,
    faults: BTreeMap<&'static str, u64>,
    calls: u64,
    checks: u64,
}

impl Tally {
    pub(crate) fn answered(&self, status: u16) {
        *self.counts().statuses.entry(status).or_default() += 1;
    }

    /// Counts a store call, and the fault that it met, if any.
    pub(crate) fn called(&self, fault: Option<&'static str>) {
        let mut counts = self.counts();
        counts.calls += 1;
        if let Some(fault) = fault {
            *counts.faults.entry(fault).or_default() += 1;
        }
    }

    pub(crate) fn spoiled(&self, fault: &'static str) {
        *self.counts().faults.entry(fault).or_default() += 1;
    }

    /// Counts a check that held.
    pub(crate) fn checked(&self) {
        self.counts().checks += 1;
    }

    /// Returns all counts so far.
    pub(crate) fn summary(&self) -> String {
        let counts = self.counts();
        let requests: u64 = counts.statuses.values().sum();
        let statuses = list(counts.statuses.iter());
        let faults = list(counts.faults.iter());
        format!(
            "{requests} requests ({statuses}), {} checks held, {} store calls ({faults})",
            counts.checks, counts.calls
        )
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn list<K: std::fmt::Display>(counts: impl Iterator<Item = (K, impl std::fmt::Display)>) -> String {
    let counts = counts.map(|(name, count)| format!("{name}: {count}"));
    counts.collect::<Vec<_>>().join(", ")
}
