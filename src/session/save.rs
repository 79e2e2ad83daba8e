//! Carries out a decision against the store, over every interleaving with other requests.
//!
//! The order of the steps is the protocol: the new record stands before the old one dies, and the cookie leaves
//! last. No transaction is needed, because nobody knows the new ID until the cookie has left.

use std::time::Duration;

use super::budget::Budget;
use super::commit::Decision;
use super::edits::Changes;
use super::error::SessionError;
use super::id::{RecordKey, SessionId};
use super::record::{Moment, Record};
use super::store::{Found, Slide, Update, Written};
use super::value::Data;

/// A slide may delay a view by no more than this.
const SLIDE_LIMIT: Duration = Duration::from_millis(300);

/// What the response has to tell the browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CookieAction {
    Keep,
    Issue(SessionId),
    Clear,
}

/// What the request's cookie opened when it was loaded.
pub(crate) enum Presented {
    Nothing,
    Expired(RecordKey),
    Live { key: RecordKey, record: Record },
}

pub(crate) struct Save<'a> {
    pub(crate) store: &'a Budget,
    pub(crate) at: &'a Moment,
}

impl Save<'_> {
    pub(crate) async fn carry_out(
        &self,
        decision: Decision,
        presented: Presented,
        changes: &Changes,
    ) -> Result<CookieAction, SessionError> {
        let (key, record) = match presented {
            Presented::Live { key, record } => (key, record),
            _ if decision != Decision::Create => return Ok(CookieAction::Keep),
            Presented::Nothing => return self.create(changes.applied_to(&Data::new())).await,
            Presented::Expired(key) => {
                let issued = self.create(changes.applied_to(&Data::new())).await?;
                // Or a slide that is still on its way would give it more time, beside the new one.
                self.end(&key).await?;
                return Ok(issued);
            }
        };
        match decision {
            Decision::Nothing | Decision::Create => Ok(CookieAction::Keep),
            Decision::Slide(slide) => {
                self.slide(&key, slide).await;
                Ok(CookieAction::Keep)
            }
            Decision::Update | Decision::EndIfEmpty => self.change(&key, record, changes).await,
            Decision::Replace => self.replace(&key, record, changes).await,
            Decision::End => self.end(&key).await,
        }
    }

    /// A logout. The record that is not there has ended already.
    pub(crate) async fn end(&self, key: &RecordKey) -> Result<CookieAction, SessionError> {
        let (Written::Done | Written::Refused) = self.store.call(|store| store.end(key, None, self.at)).await?;
        Ok(CookieAction::Clear)
    }

    async fn create(&self, data: Data) -> Result<CookieAction, SessionError> {
        let (id, _) = self.create_record(data).await?;
        Ok(CookieAction::Issue(id))
    }

    async fn create_record(&self, data: Data) -> Result<(SessionId, Record), SessionError> {
        let id = SessionId::generate().map_err(SessionError::Random)?;
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

    /// Writes the changes over whatever other requests wrote meanwhile, or ends the session if that leaves it empty.
    async fn change(
        &self,
        key: &RecordKey,
        mut record: Record,
        changes: &Changes,
    ) -> Result<CookieAction, SessionError> {
        let changes = changes.of_consequence(&record.data);
        loop {
            let update = Update::new(&record, changes.against(&record.data));
            // Nothing left to change: our own attempt landed, and only its answer was lost.
            if update.changes().is_empty() {
                return Ok(CookieAction::Keep);
            }
            let emptied = changes.empty(&record.data);
            let written = if emptied {
                self.store
                    .call(|store| store.end(key, Some(record.revision), self.at))
                    .await?
            } else {
                self.store.call(|store| store.update(key, &update, self.at)).await?
            };
            match (written, emptied) {
                (Written::Done, true) => return Ok(CookieAction::Clear),
                (Written::Done, false) => return Ok(CookieAction::Keep),
                (Written::Refused, _) => {}
            }
            record = match self.load(key).await? {
                Found::Live(newer) => newer,
                Found::Expired | Found::Gone | Found::Malformed(_) if emptied => return self.end(key).await,
                // After a login the variables live on under an ID that this request does not know.
                _ => return Err(SessionError::Gone),
            };
        }
    }

    /// A login over a live session: the new record first, then the old one's tombstone. A crash between the two
    /// leaves a record whose ID nobody knows.
    async fn replace(&self, old: &RecordKey, record: Record, changes: &Changes) -> Result<CookieAction, SessionError> {
        let (id, mut new) = self.create_record(changes.applied_to(&record.data)).await?;
        let new_key = id.record_key();
        let mut revision = record.revision;
        loop {
            let replaced = self.store.call(|store| store.replace(old, revision, &new_key, self.at));
            if replaced.await? == Written::Done {
                return Ok(CookieAction::Issue(id));
            }
            match self.load(old).await? {
                // Somebody changed it: the new session must have what they wrote, under what this request wrote.
                Found::Live(newer) if changes.empty(&newer.data) => return self.change(old, newer, changes).await,
                Found::Live(newer) => {
                    let data = changes.applied_to(&newer.data);
                    self.rewrite(&new_key, &mut new, data).await?;
                    revision = newer.revision;
                }
                // Another login was faster, from the same state, as after a double click: both are good.
                Found::Replaced(at) if at == revision && !changes.is_empty() => return Ok(CookieAction::Issue(id)),
                // From a newer state, which is not ours to see any more: what it holds may be another person's.
                Found::Replaced(_) => return Err(SessionError::Gone),
                Found::Expired | Found::Gone | Found::Malformed(_) => {
                    self.end(old).await?;
                    let own = changes.applied_to(&Data::new());
                    if own.is_empty() {
                        return Err(SessionError::Gone);
                    }
                    self.rewrite(&new_key, &mut new, own).await?;
                    return Ok(CookieAction::Issue(id));
                }
            }
        }
    }

    /// Brings a record whose ID nobody knows yet up to date.
    async fn rewrite(&self, key: &RecordKey, record: &mut Record, data: Data) -> Result<(), SessionError> {
        let changes = Changes::to(data);
        let update = Update::new(record, changes.against(&record.data));
        if update.changes().is_empty() {
            return Ok(());
        }
        // Refused can only mean that our own earlier attempt has landed.
        let (Written::Done | Written::Refused) = self.store.call(|store| store.update(key, &update, self.at)).await?;
        record.data = update.data();
        record.revision += 1;
        Ok(())
    }

    async fn load(&self, key: &RecordKey) -> Result<Found, SessionError> {
        Ok(self.store.call(|store| store.load(key, self.at)).await?)
    }
}
