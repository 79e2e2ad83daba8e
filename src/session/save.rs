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

/// Far more logins than can replace one another during one request. Only a table edited by hand has more, or a circle.
const MOST_LOGINS: usize = 8;

/// What the response has to tell the browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CookieAction {
    Keep,
    Issue(SessionId),
    Clear,
}

/// A live session as it was loaded, without its variables.
pub(crate) struct Live {
    pub(crate) key: RecordKey,
    pub(crate) record: Record,
}

pub(crate) struct Save<'a> {
    pub(crate) store: &'a Budget,
    pub(crate) at: &'a Moment,
}

impl Save<'_> {
    pub(crate) async fn carry_out(
        &self,
        decision: Decision,
        live: Option<Live>,
        changes: &Changes,
    ) -> Result<CookieAction, SessionError> {
        let Some(Live { key, record }) = live else {
            return match decision {
                Decision::Create => self.create(changes.applied_to(&Data::new())).await,
                _ => Ok(CookieAction::Keep),
            };
        };
        match decision {
            Decision::Nothing | Decision::Create => Ok(CookieAction::Keep),
            Decision::Slide(slide) => {
                self.slide(&key, slide).await;
                Ok(CookieAction::Keep)
            }
            Decision::Update => self.update(&key, record, changes).await,
            Decision::Replace => self.replace(&key, record, changes).await,
            Decision::EndIfEmpty => self.end_if_empty(&key, record, changes).await,
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

    /// Writes the changes over whatever other requests wrote meanwhile.
    async fn update(
        &self,
        key: &RecordKey,
        mut record: Record,
        changes: &Changes,
    ) -> Result<CookieAction, SessionError> {
        loop {
            let update = Update::new(&record, changes.against(&record.data));
            // Nothing left to change: our own attempt landed, and only its answer was lost.
            if update.changes().is_empty() {
                return Ok(CookieAction::Keep);
            }
            if self.store.call(|store| store.update(key, &update, self.at)).await? == Written::Done {
                return Ok(CookieAction::Keep);
            }
            record = match self.load(key).await? {
                Found::Live(newer) => newer,
                _ => return Err(SessionError::Gone),
            };
        }
    }

    /// Ends the session if the changes leave it empty whatever other requests wrote meanwhile.
    async fn end_if_empty(
        &self,
        key: &RecordKey,
        mut record: Record,
        changes: &Changes,
    ) -> Result<CookieAction, SessionError> {
        loop {
            if !changes.applied_to(&record.data).is_empty() {
                return self.update(key, record, changes).await;
            }
            let revision = Some(record.revision);
            if self.store.call(|store| store.end(key, revision, self.at)).await? == Written::Done {
                return Ok(CookieAction::Clear);
            }
            record = match self.load(key).await? {
                Found::Live(newer) => newer,
                // The variables live on under another ID, which this request does not know.
                Found::Replaced(_) => return Err(SessionError::Gone),
                Found::Gone | Found::Malformed(_) => return Ok(CookieAction::Clear),
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
            // Somebody was faster: the new session must have what they wrote, under what this request wrote.
            let (latest, old_lives) = self.follow(old).await?;
            let data = changes.applied_to(latest.as_ref().map_or(&Data::new(), |latest| &latest.data));
            match latest {
                Some(latest) if old_lives && data.is_empty() => return self.end_if_empty(old, latest, changes).await,
                _ if data.is_empty() => return Err(SessionError::Gone),
                Some(latest) if old_lives => revision = latest.revision,
                _ => {}
            }
            self.rewrite(&new_key, &mut new, data).await?;
            if !old_lives {
                return Ok(CookieAction::Issue(id));
            }
        }
    }

    /// What a session has become: its newest live record, along the logins that replaced it, and whether that is
    /// the session itself.
    async fn follow(&self, key: &RecordKey) -> Result<(Option<Record>, bool), SessionError> {
        let mut key = key.clone();
        for logins in 0..=MOST_LOGINS {
            match self.load(&key).await? {
                Found::Live(record) => return Ok((Some(record), logins == 0)),
                Found::Replaced(successor) => key = successor,
                Found::Gone | Found::Malformed(_) => break,
            }
        }
        Ok((None, false))
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
