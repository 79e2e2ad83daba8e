//! Carries out a plan against the store, over every interleaving with other requests.
//!
//! The order of the steps is the protocol: the owner's list names the new record before it stands, the new record stands before
//! the old one dies, and the cookie leaves last. No transaction is needed, because nobody knows the new ID until the cookie has
//! left.

use std::borrow::Cow;
use std::sync::Arc;

use crate::core::changes::{Changes, Edits};
use crate::core::id::SessionId;
use crate::core::moment::Moment;
use crate::core::plan::{Opened, Plan};
use crate::core::record::{Login, Record};
use crate::core::value::Data;
use crate::error::SessionError;
use crate::owners::Owners;
use crate::random;
use crate::records::{Failed, Records};
use crate::store::{Load, WriteOutcome};

/// What the response has to tell the browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CookieAction {
    Keep,
    /// A session that is remembered has so many seconds to live.
    Issue(SessionId, Option<u64>),
    Clear,
}

/// What the response has to say, and what the request's session is now, if that has changed.
pub(crate) type Saved = (CookieAction, Option<Opened>);

pub(crate) struct Save<'a> {
    pub(crate) records: &'a Records,
    pub(crate) at: &'a Moment,
    /// Most sessions that an owner may have.
    pub(crate) per_owner: Option<usize>,
}

impl Save<'_> {
    pub(crate) async fn carry_out(&self, plan: Plan) -> Result<Saved, SessionError> {
        match plan {
            Plan::Keep => Ok((CookieAction::Keep, None)),
            Plan::Slide { id, record, slide } => {
                let slid = self.records.slide(&id, slide, self.at).await;
                let record = slid.then(|| Arc::new(record.slid(slide)));
                Ok((CookieAction::Keep, record.map(|record| Opened::Live(id, record))))
            }
            Plan::Create { data, login, end } => {
                let (id, record) = self.create(data, &login, &end).await?;
                // Or a write that is still on its way would revive one of them, beside the new one.
                let ended = self.end_all(&end).await;
                self.or_end(&id, &record, ended).await?;
                Ok(self.issued(id, record))
            }
            Plan::Change {
                id,
                record,
                edits,
                owned,
            } => self.change(&id, record, &edits, owned).await,
            Plan::Replace {
                id,
                record,
                edits,
                login,
                new_owner,
            } => self.replace(&id, &record, &edits, &login, new_owner).await,
            Plan::End { ids, farewell } => {
                // First, because an end must not depend on a message.
                self.end_all(&ids).await?;
                if farewell.is_empty() {
                    return Ok(cleared());
                }
                let (id, record) = self.create(farewell, &Login::default(), &[]).await?;
                Ok(self.issued(id, record))
            }
            Plan::Refuse => Err(SessionError::conflict()),
        }
    }

    fn issued(&self, id: SessionId, record: Record) -> Saved {
        let remembered = record.remembered.then(|| record.expires_at.saturating_sub(self.at.now));
        let action = CookieAction::Issue(id.clone(), remembered);
        (action, Some(Opened::Live(id, Arc::new(record))))
    }

    /// Whatever stands there. A record that is not there has ended already.
    async fn end(&self, id: &SessionId) -> Result<(), SessionError> {
        let (WriteOutcome::Applied | WriteOutcome::ConditionFailed) = self.records.end(id, None, self.at).await?;
        Ok(())
    }

    async fn end_all(&self, ids: &[SessionId]) -> Result<(), SessionError> {
        for id in ids {
            self.end(id).await?;
        }
        Ok(())
    }

    /// After a failure, ends a new session that its owner's list shows already and nobody has the cookie of.
    async fn or_end<T>(
        &self,
        id: &SessionId,
        record: &Record,
        result: Result<T, SessionError>,
    ) -> Result<T, SessionError> {
        if result.is_err()
            && record.owner.is_some()
            && let Err(error) = self.end(id).await
        {
            tracing::debug!(
                ?error,
                "a session that nobody has stays until it has been idle for too long"
            );
        }
        result
    }

    /// A new record; of a session that has an owner, its key is in the owner's list before. `ending` are the sessions that the new
    /// one takes the place of.
    async fn create(
        &self,
        data: Data,
        login: &Login,
        ending: &[SessionId],
    ) -> Result<(SessionId, Record), SessionError> {
        let id = random::session_id()?;
        let mut record = Record::of_login(data, login, self.at);
        if let Some(owner) = record.owner_key() {
            let ending: Vec<_> = ending.iter().map(SessionId::record_key).collect();
            let owners = Owners {
                budget: &self.records.budget,
                at: self.at,
            };
            owners.enlist(&owner, &id.record_key(), &ending, self.per_owner).await?;
        }
        let created = self.records.create(&id, &mut record).await?;
        if created == WriteOutcome::ConditionFailed {
            self.check_listed(&id, &record).await?;
        }
        Ok((id, record))
    }

    /// After a write to a new record whose condition failed. Only this call's own earlier attempt can have made it fail, because
    /// nobody else knows the key, unless a list names it: then the session may have been ended.
    async fn check_listed(&self, id: &SessionId, record: &Record) -> Result<(), SessionError> {
        if record.owner.is_some() && !matches!(self.records.load(id, self.at).await?, Load::Live(_)) {
            return Err(SessionError::conflict());
        }
        Ok(())
    }

    /// Writes the edits over whatever other requests wrote meanwhile, or ends the session if that leaves it empty and it is
    /// nobody's.
    async fn change(
        &self,
        id: &SessionId,
        mut record: Arc<Record>,
        edits: &Edits,
        owned: bool,
    ) -> Result<Saved, SessionError> {
        let edits = edits.of_consequence(&record.data);
        let token = random::write_token()?;
        let mut conflicts = 0;
        loop {
            let after = edits.applied_to(&record.data)?;
            let changes = Changes::between(&record.data, &after);
            if changes.is_empty() {
                return Ok(kept(id, record));
            }
            let read = record.revision;
            let emptied = after.is_empty() && !owned;
            let next = record.changed(&changes, &token, self.at);
            let outcome = if emptied {
                self.records.end(id, Some(read), self.at).await?
            } else {
                self.records.update(id, &next, &changes, self.at).await?
            };
            match (outcome, emptied) {
                (WriteOutcome::Applied, true) => return Ok(cleared()),
                (WriteOutcome::Applied, false) => return Ok(kept(id, Arc::new(next))),
                (WriteOutcome::ConditionFailed, _) => {}
            }
            conflicts += 1;
            self.records.budget.back_off(conflicts).await?;
            record = match self.records.after_conflict(id, &token, &record, self.at).await? {
                Failed::Done(newer) => return Ok(kept(id, Arc::new(newer.unwrap_or(next)))),
                Failed::Overtaken(newer) => Arc::new(newer),
                // An earlier attempt to end it may have done that.
                Failed::Over(Load::Ended(_) | Load::Expired | Load::Absent) if emptied => return Ok(cleared()),
                Failed::Over(Load::Malformed(_)) if emptied => {
                    self.end(id).await?;
                    return Ok(cleared());
                }
                Failed::Over(_) => return Err(SessionError::conflict()),
            };
        }
    }

    /// A login over a live session: the new record first, then the old one's tombstone. A crash between the two
    /// leaves a record whose ID nobody knows.
    async fn replace(
        &self,
        old: &SessionId,
        record: &Record,
        edits: &Edits,
        login: &Login,
        new_owner: bool,
    ) -> Result<Saved, SessionError> {
        let data = edits.of_consequence(&record.data).applied_to(&record.data)?;
        let (id, new) = self.create(data, login, std::slice::from_ref(old)).await?;
        let taken = self.take_over(old, record, edits, (&id, new.clone()), new_owner).await;
        match self.or_end(&id, &new, taken).await? {
            Taken::Over(new) => Ok(self.issued(id, new)),
            Taken::Changed(saved) => Ok(saved),
            // The new record is not sealed, and the old one is now.
            Taken::Sealed(newer) => {
                self.end(&id).await?;
                let login = Login {
                    sealed: true,
                    ..login.clone()
                };
                Box::pin(self.replace(old, &newer, edits, &login, new_owner)).await
            }
        }
    }

    /// Turns the old record into a tombstone, with the new one up to date.
    async fn take_over(
        &self,
        old: &SessionId,
        record: &Record,
        all: &Edits,
        (id, mut new): (&SessionId, Record),
        new_owner: bool,
    ) -> Result<Taken, SessionError> {
        // Whoever only renews an owner's session has it from that session, and loses it with that session.
        let inherited = new.owner.is_some() && !new_owner;
        let edits = all.of_consequence(&record.data);
        let mut read = Cow::Borrowed(record);
        loop {
            let revision = read.revision;
            if self.records.replace(old, revision, id, self.at).await? == WriteOutcome::Applied {
                return Ok(Taken::Over(new));
            }
            match self.records.load_after(old, &read, self.at).await? {
                Load::Live(newer) if newer.sealed && !new.sealed => return Ok(Taken::Sealed(newer)),
                // Somebody changed it: the new session must have what they wrote, under what this request wrote.
                Load::Live(newer) => {
                    let data = edits.applied_to(&newer.data)?;
                    let emptied = data.is_empty() && !newer.data.is_empty();
                    if emptied && new.owner.is_none() {
                        let saved = self.change(old, Arc::new(newer), &edits, false).await?;
                        return Ok(Taken::Changed(saved));
                    }
                    self.rewrite(id, &mut new, &data).await?;
                    read = Cow::Owned(newer);
                }
                _ if inherited => return Err(SessionError::conflict()),
                // Another login was faster, from the same state, as after a double click: both are good.
                Load::Replaced(at) if at.revision == revision && (new_owner || !all.is_empty()) => {
                    return Ok(Taken::Over(new));
                }
                // From a newer state, which is not ours to see any more: what it holds may be another person's.
                Load::Replaced(_) => return Err(SessionError::conflict()),
                Load::Ended(_) | Load::Expired | Load::Absent | Load::Malformed(_) => {
                    self.end(old).await?;
                    let own = all.applied_to(&Data::new())?;
                    if own.is_empty() && !new_owner {
                        return Err(SessionError::conflict());
                    }
                    self.rewrite(id, &mut new, &own).await?;
                    // Whoever ended all of the owner's sessions may have ended both.
                    self.check_listed(id, &new).await?;
                    return Ok(Taken::Over(new));
                }
            }
        }
    }

    /// Brings a record whose ID nobody knows yet up to date.
    async fn rewrite(&self, id: &SessionId, record: &mut Record, data: &Data) -> Result<(), SessionError> {
        let changes = Changes::between(&record.data, data);
        if changes.is_empty() {
            return Ok(());
        }
        let next = record.changed(&changes, &random::write_token()?, self.at);
        let updated = self.records.update(id, &next, &changes, self.at).await?;
        if updated == WriteOutcome::ConditionFailed {
            self.check_listed(id, record).await?;
        }
        *record = next;
        Ok(())
    }
}

/// What has become of an old session.
enum Taken {
    /// The new record has its place.
    Over(Record),
    /// It was changed instead, because nothing was left of it.
    Changed(Saved),
    /// Somebody has sealed it.
    Sealed(Record),
}

fn kept(id: &SessionId, record: Arc<Record>) -> Saved {
    (CookieAction::Keep, Some(Opened::Live(id.clone(), record)))
}

fn cleared() -> Saved {
    (CookieAction::Clear, Some(Opened::Absent))
}
