//! Carries out a plan against the store, over every interleaving with other requests.
//!
//! The order of the steps is the protocol: the new record stands before the old one dies, and the cookie leaves
//! last. No transaction is needed, because nobody knows the new ID until the cookie has left.

use std::sync::Arc;
use std::time::Duration;

use crate::core::changes::{Changes, Edits};
use crate::core::id::{RecordKey, SessionId};
use crate::core::plan::Plan;
use crate::core::record::{Moment, Record};
use crate::core::value::Data;
use crate::deadline::Budget;
use crate::error::SessionError;
use crate::random;
use crate::store::{Load, Slide, StoreError, StoreErrorKind, WriteOutcome};

/// A slide may delay a view by no more than this.
const SLIDE_LIMIT: Duration = Duration::from_millis(300);

/// What the response has to tell the browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CookieAction {
    Keep,
    Issue(SessionId),
    Clear,
}

/// What the response has to say, and the record as it stands now, if it is known.
pub(crate) type Saved = (CookieAction, Option<Arc<Record>>);

pub(crate) struct Save<'a> {
    pub(crate) store: &'a Budget,
    pub(crate) at: &'a Moment,
}

impl Save<'_> {
    pub(crate) async fn carry_out(&self, plan: Plan) -> Result<Saved, SessionError> {
        match plan {
            Plan::Keep => Ok((CookieAction::Keep, None)),
            Plan::Slide { key, from, to } => {
                self.slide(&key, Slide { from, to }).await;
                Ok((CookieAction::Keep, None))
            }
            Plan::Create { data, end } => {
                let (id, record) = self.create(data).await?;
                // Or a write that is still on its way would revive one of them, beside the new one.
                for key in &end {
                    self.end(key).await?;
                }
                Ok((CookieAction::Issue(id), Some(Arc::new(record))))
            }
            Plan::Change { key, record, edits } => self.change(&key, record, &edits).await,
            Plan::Replace { key, record, edits } => self.replace(&key, &record, &edits).await,
            Plan::End { keys } => {
                for key in &keys {
                    self.end(key).await?;
                }
                Ok((CookieAction::Clear, None))
            }
            Plan::Refuse => Err(SessionError::conflict()),
        }
    }

    /// Whatever stands there. A record that is not there has ended already.
    async fn end(&self, key: &RecordKey) -> Result<(), SessionError> {
        let (WriteOutcome::Applied | WriteOutcome::ConditionFailed) =
            self.store.call(|store| store.end(key, None, self.at)).await?;
        Ok(())
    }

    async fn create(&self, data: Data) -> Result<(SessionId, Record), SessionError> {
        let id = random::session_id()?;
        let record = Record::new(data, self.at);
        let key = id.record_key();
        self.store.call(|store| store.create(&key, &record)).await?;
        Ok((id, record))
    }

    /// Quiet: a view never fails for its slide. The next view slides again.
    async fn slide(&self, key: &RecordKey, slide: Slide) {
        let result = self
            .store
            .call_within(SLIDE_LIMIT, |store| store.slide(key, slide, self.at));
        if let Err(error) = result.await {
            tracing::debug!(?error, "a session's expiry was not moved");
        }
    }

    /// Writes the edits over whatever other requests wrote meanwhile, or ends the session if that leaves it empty.
    async fn change(&self, key: &RecordKey, mut record: Arc<Record>, edits: &Edits) -> Result<Saved, SessionError> {
        let edits = edits.of_consequence(&record.data);
        let token = random::write_token()?;
        loop {
            let after = edits.applied_to(&record.data)?;
            let changes = Changes::between(&record.data, &after);
            if changes.is_empty() {
                return Ok((CookieAction::Keep, Some(record)));
            }
            let read = record.revision;
            let emptied = after.is_empty();
            let next = record.changed(&changes, &token, self.at);
            let outcome = if emptied {
                self.store.call(|store| store.end(key, Some(read), self.at)).await?
            } else {
                let update = self.store.call(|store| store.update(key, &next, &changes, self.at));
                update.await?
            };
            match (outcome, emptied) {
                (WriteOutcome::Applied, true) => return Ok((CookieAction::Clear, None)),
                (WriteOutcome::Applied, false) => return Ok((CookieAction::Keep, Some(Arc::new(next)))),
                (WriteOutcome::ConditionFailed, _) => {}
            }
            record = match self.load(key).await? {
                Load::Live(newer) => match newer.has(&token, read) {
                    // It landed, and only its reply was lost.
                    Some(true) => return Ok((CookieAction::Keep, Some(Arc::new(newer)))),
                    Some(false) => Arc::new(newer),
                    None => return Err(forgotten()),
                },
                Load::Ended | Load::Expired | Load::Absent | Load::Malformed(_) if emptied => {
                    self.end(key).await?;
                    return Ok((CookieAction::Clear, None));
                }
                _ => return Err(SessionError::conflict()),
            };
        }
    }

    /// A login over a live session: the new record first, then the old one's tombstone. A crash between the two
    /// leaves a record whose ID nobody knows.
    async fn replace(&self, old: &RecordKey, record: &Record, all: &Edits) -> Result<Saved, SessionError> {
        let edits = all.of_consequence(&record.data);
        let (id, mut new) = self.create(edits.applied_to(&record.data)?).await?;
        let new_key = id.record_key();
        let mut revision = record.revision;
        loop {
            let replaced = self.store.call(|store| store.replace(old, revision, &new_key, self.at));
            if replaced.await? == WriteOutcome::Applied {
                break;
            }
            match self.load(old).await? {
                // Somebody changed it: the new session must have what they wrote, under what this request wrote.
                Load::Live(newer) => {
                    let data = edits.applied_to(&newer.data)?;
                    if data.is_empty() {
                        return self.change(old, Arc::new(newer), &edits).await;
                    }
                    self.rewrite(&new_key, &mut new, &data).await?;
                    revision = newer.revision;
                }
                // Another login was faster, from the same state, as after a double click: both are good.
                Load::Replaced(at) if at == revision && !all.is_empty() => break,
                // From a newer state, which is not ours to see any more: what it holds may be another person's.
                Load::Replaced(_) => return Err(SessionError::conflict()),
                Load::Ended | Load::Expired | Load::Absent | Load::Malformed(_) => {
                    self.end(old).await?;
                    let own = all.applied_to(&Data::new())?;
                    if own.is_empty() {
                        return Err(SessionError::conflict());
                    }
                    self.rewrite(&new_key, &mut new, &own).await?;
                    break;
                }
            }
        }
        Ok((CookieAction::Issue(id), Some(Arc::new(new))))
    }

    /// Brings a record whose ID nobody knows yet up to date.
    async fn rewrite(&self, key: &RecordKey, record: &mut Record, data: &Data) -> Result<(), SessionError> {
        let changes = Changes::between(&record.data, data);
        if changes.is_empty() {
            return Ok(());
        }
        let next = record.changed(&changes, &random::write_token()?, self.at);
        // A condition can only fail because our own earlier attempt has landed.
        let update = self.store.call(|store| store.update(key, &next, &changes, self.at));
        let (WriteOutcome::Applied | WriteOutcome::ConditionFailed) = update.await?;
        *record = next;
        Ok(())
    }

    async fn load(&self, key: &RecordKey) -> Result<Load, SessionError> {
        Ok(self.store.call(|store| store.load(key, self.at)).await?)
    }
}

/// So many other requests wrote that the record no longer tells whether this one's write is among them.
fn forgotten() -> SessionError {
    StoreError::new(
        StoreErrorKind::Unavailable,
        "too many other writes came between to tell whether this one was made",
    )
    .into()
}
