//! The store as one request uses it: by session IDs, which no store ever sees, within the request's deadline, and with variables
//! that are sealed on their way to it.
//!
//! A record is sealed if the layer wants it, or if it has been: then it stays so, whatever the layer wants.

use std::time::Duration;

use crate::core::changes::Changes;
use crate::core::id::SessionId;
use crate::core::moment::Moment;
use crate::core::record::{Record, Slide, WriteToken};
use crate::deadline::Budget;
use crate::error::SessionError;
use crate::store::{Load, WriteOutcome};

#[cfg(feature = "sealed")]
mod sealing;
#[cfg(not(feature = "sealed"))]
mod unsealed;

#[cfg(feature = "sealed")]
use sealing::Sealing;
#[cfg(not(feature = "sealed"))]
use unsealed::Sealing;

/// A slide may delay a view by no more than this.
const SLIDE_LIMIT: Duration = Duration::from_millis(300);

/// What has become of an update whose condition failed.
#[derive(Debug)]
pub(crate) enum Failed {
    /// It was done, and only its reply was lost. The record as it is now, unless the session has ended since.
    Done(Option<Record>),
    /// It was not done and never will be, because the record is this one now.
    Overtaken(Record),
    /// It was not done and never will be, because this is no session any more.
    Over(Load),
}

/// One request's records.
#[derive(Debug)]
pub(crate) struct Records {
    pub(crate) budget: Budget,
    sealing: Sealing,
}

impl Records {
    pub(crate) fn new(budget: Budget, sealed: bool) -> Self {
        Self {
            budget,
            sealing: Sealing::new(sealed),
        }
    }

    pub(crate) async fn load(&self, id: &SessionId, at: &Moment) -> Result<Load, SessionError> {
        let key = id.record_key();
        let loaded = self.budget.call("store.load", |store| store.load(&key, at)).await?;
        Ok(match loaded {
            Load::Live(record) if record.sealed => self.sealing.open(id, record)?,
            loaded => loaded,
        })
    }

    pub(crate) async fn create(&self, id: &SessionId, record: &mut Record) -> Result<WriteOutcome, SessionError> {
        let key = id.record_key();
        let sealed = self.sealing.record(id, record)?;
        let stored = sealed.as_ref().unwrap_or(record);
        let created = self
            .budget
            .call("store.create", |store| store.create(&key, stored))
            .await?;
        record.sealed = sealed.is_some();
        Ok(created)
    }

    /// Puts `next` in the place of the record before it, of which `changes` differ.
    pub(crate) async fn update(
        &self,
        id: &SessionId,
        next: &Record,
        changes: &Changes,
        at: &Moment,
    ) -> Result<WriteOutcome, SessionError> {
        let key = id.record_key();
        let sealed = self.sealing.update(id, next, changes)?;
        let (stored, written) = sealed
            .as_ref()
            .map_or((next, changes), |(stored, written)| (stored, written));
        Ok(self
            .budget
            .call("store.update", |store| store.update(&key, stored, written, at))
            .await?)
    }

    /// What stands there after a write to the record `read` whose condition failed.
    ///
    /// If that has expired, an earlier attempt of the write may be on its way, and a view whose clock is behind may give the session more
    /// time before it arrives. So it is ended, unless somebody has changed it since.
    pub(crate) async fn load_after(&self, id: &SessionId, read: &Record, at: &Moment) -> Result<Load, SessionError> {
        let found = self.load(id, at).await?;
        if found != Load::Expired || !read.can_be_extended(at) {
            return Ok(found);
        }
        match self.end(id, Some(read.revision), at).await? {
            WriteOutcome::Applied => Ok(Load::Expired),
            WriteOutcome::ConditionFailed => self.load(id, at).await,
        }
    }

    /// What has become of an update with this token, made to the record `read`, whose condition failed.
    pub(crate) async fn after_conflict(
        &self,
        id: &SessionId,
        token: &WriteToken,
        read: &Record,
        at: &Moment,
    ) -> Result<Failed, SessionError> {
        let revision = read.revision;
        let found = self.load_after(id, read, at).await?;
        let done = match &found {
            Load::Live(record) => record.has(token, revision),
            Load::Replaced(tombstone) | Load::Ended(tombstone) => tombstone.has(token, revision),
            _ => Some(false),
        };
        match (done, found) {
            (None, _) => Err(SessionError::forgotten()),
            (Some(true), Load::Live(record)) => Ok(Failed::Done(Some(record))),
            (Some(true), _) => Ok(Failed::Done(None)),
            (Some(false), Load::Live(record)) => Ok(Failed::Overtaken(record)),
            (Some(false), found) => Ok(Failed::Over(found)),
        }
    }

    /// Whether the expiry was moved. A view never fails for its slide; the next view slides again.
    pub(crate) async fn slide(&self, id: &SessionId, slide: Slide, at: &Moment) -> bool {
        let key = id.record_key();
        let slid = self
            .budget
            .call_within(SLIDE_LIMIT, "store.slide", |store| store.slide(&key, slide, at));
        match slid.await {
            Ok(outcome) => outcome == WriteOutcome::Applied,
            Err(error) => {
                tracing::debug!(?error, "a session's expiry was not moved");
                false
            }
        }
    }

    pub(crate) async fn replace(
        &self,
        old: &SessionId,
        revision: u64,
        new: &SessionId,
        at: &Moment,
    ) -> Result<WriteOutcome, SessionError> {
        let (key, successor) = (old.record_key(), new.record_key());
        let replaced = self
            .budget
            .call("store.replace", |store| store.replace(&key, revision, &successor, at));
        Ok(replaced.await?)
    }

    /// Ends whatever stands there, or only what has this revision.
    pub(crate) async fn end(
        &self,
        id: &SessionId,
        revision: Option<u64>,
        at: &Moment,
    ) -> Result<WriteOutcome, SessionError> {
        let key = id.record_key();
        Ok(self
            .budget
            .call("store.end", |store| store.end(&key, revision, at))
            .await?)
    }
}
