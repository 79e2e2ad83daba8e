//! The loop: it makes the call that `next` names, adds the answer to what is known, and asks again.

use std::time::Duration;

use futures_util::future::try_join_all;

use super::budget::{ALL_CALLS, Budget};
use super::call::{Call, Next, Opened, Place, Told, Write};
use super::error::{NO_LISTS, SessionError, SessionErrorKind};
use super::known::Known;
use super::next::{Task, next, undo};
use super::{sealing, spans};
use crate::core::id::{OwnerKey, RecordKey, SessionId};
use crate::core::limits::variable_size;
use crate::core::record::{Record, Stored};
use crate::core::time::Moment;
use crate::store::erased::{AnyOwnerStore, Boxed};
use crate::store::{OwnerList, StoreError, StoreErrorKind, Swap};

/// The time limit of a [`Next::Aside`] call, which may delay a request.
const ASIDE: Duration = Duration::from_millis(300);

/// The most store calls that are made at once.
const AT_ONCE: usize = 16;

/// Runs the tasks of one request.
pub(crate) struct Run<'a> {
    pub(crate) budget: &'a Budget,
    /// The IDs of the sessions that the request may read. Other sessions stay sealed.
    pub(crate) ids: &'a [SessionId],
    pub(crate) at: &'a Moment,
}

/// Runs a task without any session's ID, so sealed sessions stay as they are. Returns what is known after it, and its
/// result.
pub(crate) async fn without_ids(budget: &Budget, task: &Task, at: &Moment) -> Result<(Known, Told), SessionError> {
    let mut known = Known::default();
    let run = Run { budget, ids: &[], at };
    let next = run.next(&mut known, task)?;
    let told = run.task(&mut known, task, next).await?;
    Ok((known, told))
}

impl Run<'_> {
    /// Decides what the task does next.
    pub(crate) fn next(&self, known: &mut Known, task: &Task) -> Result<Next, SessionError> {
        // A view is not hurried, because moving the expiry is all that it does.
        known.hurried |= !matches!(task, Task::View(_)) && self.budget.is_short();
        next(known, task, self.at)
    }

    /// Runs a task to its end, beginning with `next`, and retries after conflicts with other requests.
    pub(crate) async fn task(&self, known: &mut Known, task: &Task, mut next: Next) -> Result<Told, SessionError> {
        let told = async {
            let (mut conflicts, mut waited) = (0, 0);
            loop {
                match next {
                    Next::Over(told) => return Ok(told),
                    Next::Aside(call) => {
                        if let Err(error) = self.make(known, call, ASIDE).await {
                            tracing::debug!(?error, "the request goes on without a store call that failed");
                            known.hurried = true;
                        }
                    }
                    Next::Call(call) => {
                        let stale = match &call {
                            Call::Swap {
                                key,
                                write: Write::Change | Write::Replace,
                                ..
                            } if conflicts > waited => {
                                waited = conflicts;
                                self.budget.back_off(conflicts).await?.then_some(key)
                            }
                            _ => None,
                        };
                        match stale {
                            // Other requests may have written meanwhile, and a load costs less than a write that is
                            // refused.
                            Some(key) => known.forget(key),
                            None => conflicts += u32::from(!self.make(known, call, ALL_CALLS).await?),
                        }
                    }
                }
                next = self.next(known, task)?;
            }
        }
        .await;
        if told.as_ref().ok() != Some(&Told::Issue) {
            while let Some(call) = undo(known, task) {
                if let Err(error) = self.make(known, call, ALL_CALLS).await {
                    tracing::debug!(
                        ?error,
                        "a session that was not handed out could not be ended; it stays until its idle timeout"
                    );
                    break;
                }
            }
        }
        told
    }

    /// Reads what is stored under these keys.
    pub(crate) fn read(
        &self,
        known: &mut Known,
        keys: Vec<RecordKey>,
    ) -> impl Future<Output = Result<bool, SessionError>> {
        self.make(known, Call::Load(keys), ALL_CALLS)
    }

    /// Makes a call and records its answer. Returns false if a swap found something other than what was read.
    async fn make(&self, known: &mut Known, call: Call, limit: Duration) -> Result<bool, SessionError> {
        known.sending(&call);
        let (budget, store, at) = (self.budget, &self.budget.settings.store, self.at);
        let mut as_read = true;
        match call {
            Call::Load(keys) => {
                let loads = together(keys.iter().map(|key| store.any_load(key)).collect());
                let outcome = |found: &Vec<Option<_>>| match &found[..] {
                    [one] => spans::found(one.as_ref()),
                    _ => "done",
                };
                let found = budget.call(limit, "store.load", keys.len(), loads, outcome).await?;
                for (key, found) in keys.into_iter().zip(found) {
                    let place = self.place(&key, found)?;
                    known.places.insert(key, place);
                }
            }
            Call::Swap { key, read, next, write } => {
                let sealed = self.seal(&key, read.as_ref(), &next, write)?;
                let read = read.as_ref().map(|read| &*read.stored);
                let stored = sealed.as_ref().unwrap_or(&next);
                if let (Write::Change, Some(read), Stored::Record(next)) = (write, read, stored) {
                    self.check_size(read, next)?;
                }
                let swap = store.any_swap(&key, read, stored);
                let outcome = |swap: &Swap| match swap {
                    Swap::Done => "done",
                    Swap::Found(_) => "found something else",
                };
                let place = match budget.call(limit, "store.swap", 1, swap, outcome).await? {
                    Swap::Done => match (next, sealed) {
                        (Stored::Record(record), Some(Stored::Record(stored))) => Place::Record(Opened {
                            stored: stored.into(),
                            record: Record { sealed: true, ..record }.into(),
                        }),
                        (next, _) => next.into(),
                    },
                    Swap::Found(found) => {
                        as_read = false;
                        self.place(&key, found)?
                    }
                };
                known.places.insert(key, place);
            }
            Call::End(keys) => {
                let ends = together(keys.iter().map(|key| store.any_end(key, at.now)).collect());
                let ended = budget.call(limit, "store.end", keys.len(), ends, |_| "done").await?;
                for (key, tombstone) in keys.into_iter().zip(ended) {
                    known.places.insert(key, Place::Tombstone(tombstone.into()));
                }
            }
            Call::Enlist(owner, key) => {
                let enlist = self.owners()?.any_enlist(&owner, &key, at.now, at.list_expiry());
                let list = match budget.call(limit, "owners.enlist", 1, enlist, |_| "read").await {
                    // The list is too large for another entry. The task reads it to tidy it.
                    Err(error) if error.kind() == StoreErrorKind::TooLarge => self.list(&owner, limit).await,
                    list => list,
                };
                known.listed(owner, list?);
            }
            Call::List(owner) => {
                let list = self.list(&owner, limit).await?;
                known.listed(owner, list);
            }
            Call::Strike(owner, keys) => {
                let strike = self.owners()?.any_strike(&owner, &keys);
                budget.call(limit, "owners.strike", 1, strike, |()| "done").await?;
                known.struck(&keys);
            }
        }
        Ok(as_read)
    }

    /// Refuses a change that makes a session too large together with the changes of other requests. The size after its
    /// own changes was checked when the handler made them. A session that is too large already may become smaller.
    fn check_size(&self, read: &Record, next: &Record) -> Result<(), SessionError> {
        let size =
            |record: &Record| -> usize { record.data.iter().map(|(name, value)| variable_size(name, value)).sum() };
        if next.sealed && !read.sealed {
            // Sealing makes each value longer, so the two sizes say nothing about the change.
            return Ok(());
        }
        let bytes = size(next);
        if bytes > self.budget.settings.max_bytes && bytes > size(read) {
            let problem = "with another request's changes, the session would be larger than `max_bytes` allows";
            return Err(SessionError::new(SessionErrorKind::TooLarge, problem));
        }
        Ok(())
    }

    async fn list(&self, owner: &OwnerKey, limit: Duration) -> Result<OwnerList, StoreError> {
        let list = self.owners()?.any_list(owner);
        self.budget.call(limit, "owners.list", 1, list, |_| "read").await
    }

    fn owners(&self) -> Result<&dyn AnyOwnerStore, StoreError> {
        let owners = self.budget.settings.store.owners();
        owners.ok_or_else(|| StoreError::new(StoreErrorKind::Rejected, NO_LISTS))
    }

    /// Converts what was found under the key, and opens its seal if the request may read it.
    fn place(&self, key: &RecordKey, found: Option<Stored>) -> Result<Place, SessionError> {
        let Some(found) = found else { return Ok(Place::Nothing) };
        let reason = match (found, self.id_of(key)) {
            (Stored::Record(record), Some(id)) if record.sealed => match sealing::open(id, record)? {
                Ok(opened) => return Ok(Place::Record(opened)),
                Err(attribute) => format!("attribute `{attribute}` does not open"),
            },
            (Stored::Malformed(reason), Some(_)) => reason,
            (found, _) => return Ok(found.into()),
        };
        tracing::warn!(
            event = "malformed record",
            reason,
            "a session record is malformed and is treated as missing"
        );
        Ok(Place::Malformed)
    }

    /// Returns the sealed form of `next` if it has to be sealed. A view that moves the expiry does not seal a record
    /// that was not sealed before.
    fn seal(
        &self,
        key: &RecordKey,
        read: Option<&Opened>,
        next: &Stored,
        write: Write,
    ) -> Result<Option<Stored>, SessionError> {
        let Stored::Record(record) = next else { return Ok(None) };
        let seals = record.sealed || self.budget.settings.sealed && write != Write::Slide;
        let id = if seals { self.id_of(key) } else { None };
        let sealed = id.map(|id| sealing::seal(id, read, record)).transpose()?;
        Ok(sealed.map(Stored::Record))
    }

    fn id_of(&self, key: &RecordKey) -> Option<&SessionId> {
        self.ids.iter().find(|id| id.record_key() == key)
    }
}

/// Makes the calls, some at a time, and returns the answers in the order of the calls. Stops at the first failure.
async fn together<T>(mut calls: Vec<Boxed<'_, T>>) -> Result<Vec<T>, StoreError> {
    if let [call] = &mut calls[..] {
        return Ok(vec![call.await?]);
    }
    let mut answers = Vec::new();
    while !calls.is_empty() {
        let rest = calls.split_off(calls.len().min(AT_ONCE));
        answers.extend(try_join_all(calls).await?);
        calls = rest;
    }
    Ok(answers)
}
