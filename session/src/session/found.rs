//! The sessions that a request's cookies lead to, before and after a save. The functions are pure; the task between
//! them makes the store calls.

use std::sync::Arc;

use crate::core::id::{RecordKey, SessionId};
use crate::core::record::Record;
use crate::core::time::Moment;
use crate::protocol::call::Told;
use crate::protocol::known::Known;
use crate::protocol::next::Task;
use crate::protocol::save::{Fresh, Save, Wanted};

/// The sessions that a request's cookies lead to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// The IDs of all cookies that verify, and of the sessions that the request has saved. Nearly always there is at
    /// most one.
    pub(crate) ids: Vec<SessionId>,
    /// What is stored under their keys.
    pub(crate) known: Known,
    /// The visitor's session, if it is alive.
    pub(crate) session: Option<(SessionId, Arc<Record>)>,
    /// When the keys were read, in seconds since 1970; `None` if they were not read.
    pub(crate) read_at: Option<u64>,
}

/// What the response does to the browser's cookie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum CookieAction {
    #[default]
    Keep,
    /// Sends the cookie of this session. A remembered session has the given number of seconds left.
    Issue(SessionId, Option<u64>),
    Clear,
}

impl Found {
    /// Collects what a task has read under the cookies' keys. The visitor's session is the one that is alive. If
    /// several are alive, the request has no session, because somebody has planted all but one and nobody can tell
    /// which.
    pub(crate) fn read(ids: Vec<SessionId>, known: Known, at: &Moment) -> Self {
        let opened = |id: &SessionId| Some((id.clone(), Arc::clone(&known.alive(id.record_key(), at)?.record)));
        let mut alive = ids.iter().filter_map(opened);
        let session = alive.next().filter(|_| alive.next().is_none());
        Self {
            ids,
            known,
            session,
            read_at: Some(at.now),
        }
    }

    /// Returns the task that reads the sessions of these IDs, or `None` if there are no IDs.
    pub(crate) fn reading(ids: &[SessionId]) -> Option<Task> {
        (!ids.is_empty()).then(|| Task::Read(keys(ids)))
    }

    /// Returns the task that saves `wanted`, or `None` if there is nothing to do.
    ///
    /// # Errors
    ///
    /// `fresh` failed. It is called only if something is wanted.
    pub(crate) fn saving<E>(
        &self,
        wanted: Wanted,
        per_owner: Option<usize>,
        at: &Moment,
        fresh: impl FnOnce() -> Result<Fresh, E>,
    ) -> Result<Option<Task>, E> {
        let session = self.session.as_ref();
        let saw = session.map(|(id, record)| (id.record_key().clone(), Arc::clone(record)));
        if wanted.is_nothing() {
            return Ok(saw.map(|(key, _)| Task::View(key)));
        }
        Ok(Some(Task::Save(Box::new(Save {
            keys: keys(&self.ids),
            read_at: self.read_at.unwrap_or(at.now),
            saw,
            wanted,
            fresh: fresh()?,
            per_owner,
        }))))
    }

    /// Updates what was found after a task that saved, and returns what the response does to the cookie.
    pub(crate) fn saved(mut self, mut known: Known, task: &Task, told: Told, at: &Moment) -> (Self, CookieAction) {
        let id = match (told, task) {
            (Told::Issue, Task::Save(save)) => {
                self.ids.push(save.fresh.id.clone());
                Some(save.fresh.id.clone())
            }
            (Told::Keep | Told::Changed, _) => self.session.take().map(|(id, _)| id),
            _ => None,
        };
        if told != Told::Changed {
            known.sent = None;
        }
        if let (Told::Clear, Task::Save(save)) = (told, task) {
            // This request ended the sessions itself, so its next save is not too late.
            known.ended.extend(save.keys.iter().cloned());
        }
        self.session = id.and_then(|id| {
            let record = Arc::clone(&known.record(id.record_key())?.record);
            Some((id, record))
        });
        self.known = known;
        let action = match (told, &self.session) {
            (Told::Issue, Some((id, record))) => {
                let remembered = record.remembered.then(|| record.expires_at.saturating_sub(at.now));
                CookieAction::Issue(id.clone(), remembered)
            }
            (Told::Clear, _) => CookieAction::Clear,
            _ => CookieAction::Keep,
        };
        (self, action)
    }
}

fn keys(ids: &[SessionId]) -> Vec<RecordKey> {
    ids.iter().map(|id| id.record_key().clone()).collect()
}
