//! What a request's cookies opened, and what a save makes of it: pure, around the task that the store is asked for.

use std::sync::Arc;

use crate::core::id::{RecordKey, SessionId};
use crate::core::record::Record;
use crate::core::time::Moment;
use crate::protocol::call::Told;
use crate::protocol::known::Known;
use crate::protocol::next::Task;
use crate::protocol::save::{Fresh, Save, Wanted};

/// What the request's cookies opened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// The IDs of all cookies that verify, and of a session that was saved since. Nearly always there is one, or none.
    pub(crate) ids: Vec<SessionId>,
    /// What stands under their keys.
    pub(crate) known: Known,
    /// The session that is alive.
    pub(crate) session: Option<(SessionId, Arc<Record>)>,
    /// When that was read, in seconds since 1970; none if nobody has asked.
    pub(crate) read_at: Option<u64>,
}

/// What the response has to tell the browser.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum CookieAction {
    #[default]
    Keep,
    /// A session that is remembered has so many seconds to live.
    Issue(SessionId, Option<u64>),
    Clear,
}

impl Found {
    /// What is found by a task that has read the cookies' keys. The visitor's session is the one that is alive: none if several are,
    /// because all but one are planted and nothing tells which.
    pub(crate) fn read(ids: Vec<SessionId>, known: Known, at: &Moment) -> Self {
        let opened = |id: &SessionId| Some((id.clone(), Arc::clone(&known.alive(&id.record_key(), at)?.record)));
        let mut alive = ids.iter().filter_map(opened);
        let session = alive.next().filter(|_| alive.next().is_none());
        Self {
            ids,
            known,
            session,
            read_at: Some(at.now),
        }
    }

    /// The task that reads, if there is something to read.
    pub(crate) fn reading(ids: &[SessionId]) -> Option<Task> {
        (!ids.is_empty()).then(|| Task::Read(keys(ids)))
    }

    /// The task that saves what is wanted, if there is something to do.
    ///
    /// # Errors
    ///
    /// Those of `fresh`, which is asked for if something is wanted.
    pub(crate) fn saving<E>(
        &self,
        wanted: Wanted,
        per_owner: Option<usize>,
        at: &Moment,
        fresh: impl FnOnce() -> Result<Fresh, E>,
    ) -> Result<Option<Task>, E> {
        let session = self.session.as_ref();
        let saw = session.map(|(id, record)| (id.record_key(), Arc::clone(record)));
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

    /// What is found after a task that saved, and what the browser is told.
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
            // By this request, so what it does next is not too late.
            known.ended.extend(save.keys.iter().cloned());
        }
        self.session = id.and_then(|id| {
            let record = Arc::clone(&known.record(&id.record_key())?.record);
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
    ids.iter().map(SessionId::record_key).collect()
}
