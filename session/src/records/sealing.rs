//! Seals what goes to the store and opens what comes from it.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::core::changes::Changes;
use crate::core::id::SessionId;
use crate::core::record::Record;
use crate::core::seal::Seal;
use crate::error::SessionError;
use crate::random;
use crate::store::Load;

pub(super) struct Sealing {
    wanted: bool,
    /// The record that was opened last, as the store has it: an update seals only what changes.
    stored: Mutex<Option<(SessionId, Record)>>,
}

impl Sealing {
    pub(super) fn new(wanted: bool) -> Self {
        Self {
            wanted,
            stored: Mutex::default(),
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "without the feature it is an error")]
    pub(super) fn open(&self, id: &SessionId, record: Record) -> Result<Load, SessionError> {
        Ok(match Seal::of(id).open(&record) {
            Ok(opened) => {
                *self.stored.lock().unwrap_or_else(PoisonError::into_inner) = Some((id.clone(), record));
                Load::Live(opened)
            }
            Err(attribute) => Load::Malformed(format!("attribute `{attribute}` does not open")),
        })
    }

    /// The record as the store gets it, if it is sealed.
    pub(super) fn record(&self, id: &SessionId, record: &Record) -> Result<Option<Record>, SessionError> {
        let sealed = self.wanted || record.sealed;
        sealed
            .then(|| Seal::of(id).seal(record, &mut random::nonce))
            .transpose()
    }

    /// The record and its changes as the store gets them, if they are sealed. What was not sealed before is written whole.
    pub(super) fn update(
        &self,
        id: &SessionId,
        next: &Record,
        changes: &Changes,
    ) -> Result<Option<(Record, Changes)>, SessionError> {
        let (mut record, changes) = match self.stored_before(id, next) {
            Some(before) => (before, changes.clone()),
            None => match self.record(id, next)? {
                Some(record) if next.sealed => (record, changes.clone()),
                Some(record) => (record, changes.with_all(&next.data)),
                None => return Ok(None),
            },
        };
        let changes = Seal::of(id).changes(&changes, &mut random::nonce)?;
        changes.apply(&mut record.data);
        Ok(Some((record, changes)))
    }

    /// `next` with the sealed variables of the record before it, if that is at hand.
    fn stored_before(&self, id: &SessionId, next: &Record) -> Option<Record> {
        let stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, before) = stored.as_ref().filter(|(known, before)| {
            known == id && next.sealed && before.revision.checked_add(1) == Some(next.revision)
        })?;
        Some(Record {
            data: before.data.clone(),
            owner: before.owner.clone(),
            ..next.clone()
        })
    }
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealing")
            .field("wanted", &self.wanted)
            .finish_non_exhaustive()
    }
}
