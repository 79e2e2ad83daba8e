//! The sessions that a request's cookies lead to, before and after a save. The functions are pure; the task between
//! them makes the store calls.

use std::sync::Arc;

use crate::core::id::{RecordKey, SessionId};
use crate::core::record::Record;
use crate::core::time::Moment;
use crate::core::value::Value;
use crate::protocol::call::{Place, Told};
use crate::protocol::known::Known;
use crate::protocol::next::Task;
use crate::protocol::save::{Fresh, MOST_COOKIES, Save, Wanted};

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
    /// Why there was no session when the keys were read; `None` if there was one.
    pub(crate) absence: Option<Absence>,
    /// When the keys were read, in seconds since 1970; `None` if they were not read.
    pub(crate) read_at: Option<u64>,
    /// The IDs of the cookies, if the layer binds sessions, each with the time until which the request's second cookie
    /// for it is good. Without one, the ID opens nothing if its session is bound to a device.
    pub(crate) second: Vec<(SessionId, Option<u64>)>,
    /// Whether a cookie's session is alive, but bound to a device from which the request does not come.
    pub(crate) locked: bool,
}

/// What the response does to the browser's cookie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum CookieAction {
    #[default]
    Keep,
    /// Sends the cookie of this session. One that outlives the browser has a `Max-Age` of this many seconds. The
    /// session may be bound to a device if a login or a renewal began it.
    Issue(SessionId, Option<u64>, bool),
    Clear,
}

/// The reason why a request has no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Absence {
    /// The browser sent no cookie that this site has signed, or cookies of several living sessions, of which nobody can
    /// tell which is the visitor's.
    Never,
    /// The session was idle for too long, or its lifetime was over. A session that ended over an hour ago counts as
    /// expired, too.
    Expired,
    /// Somebody logged out, here or from another device, or the session was left empty.
    Ended,
    /// A login or a renewal gave the session another ID, and the browser sent the old one.
    Replaced,
    /// The session is bound to a device, from which the request does not come.
    Locked,
}

impl Absence {
    fn of(place: Option<&Place>) -> Self {
        match place {
            Some(Place::Tombstone(tombstone)) if tombstone.replaced_by.is_some() => Self::Replaced,
            Some(Place::Tombstone(_)) => Self::Ended,
            Some(_) => Self::Expired,
            // More cookies than a request may have are not read.
            None => Self::Never,
        }
    }
}

impl Found {
    /// Collects what a task has read under the cookies' keys. The visitor's session is the one that is alive. If
    /// several are alive, the request has no session, because somebody has planted all but one and nobody can tell
    /// which.
    pub(crate) fn read(ids: Vec<SessionId>, known: Known, at: &Moment) -> Self {
        let opened = |id: &SessionId| Some((id.clone(), Arc::clone(&known.alive(id.record_key(), at)?.record)));
        let mut alive = ids.iter().filter_map(opened);
        let (session, absence) = match (alive.next(), alive.next()) {
            (Some(session), None) => (Some(session), None),
            (Some(_), Some(_)) => (None, Some(Absence::Never)),
            (None, _) => {
                let absences = ids.iter().map(|id| Absence::of(known.place(id.record_key())));
                (None, Some(absences.max().unwrap_or(Absence::Never)))
            }
        };
        Self {
            absence,
            ids,
            known,
            session,
            read_at: Some(at.now),
            ..Self::default()
        }
    }

    /// Takes away the sessions that are bound to a device, if the request does not come from it. For the rest of the
    /// request, their IDs are as unknown as those of forged cookies.
    pub(crate) fn locked(mut self, second: Vec<(SessionId, Option<u64>)>, at: &Moment) -> Self {
        self.second = second;
        let (known, unproven) = (&self.known, self.unproven());
        let is_locked = |id: &SessionId| {
            let key = id.record_key();
            // More cookies than a request may have are not read, so that nobody knows.
            unproven.contains(key) && (known.place(key).is_none() || known.needs_second(key, at))
        };
        let before = self.ids.len();
        self.ids.retain(|id| !is_locked(id));
        self.locked = self.ids.len() < before;
        self.session = self.session.filter(|(id, _)| !is_locked(id));
        if self.locked && self.session.is_none() {
            self.absence = Some(Absence::Locked);
        }
        self
    }

    /// The keys of the sessions for which the request presents no second cookie, if the layer binds sessions.
    pub(crate) fn unproven(&self) -> Vec<RecordKey> {
        let unproven = self.second.iter().filter(|(_, until)| until.is_none());
        unproven.map(|(id, _)| id.record_key().clone()).collect()
    }

    /// The time until which the request's second cookie for this session is good, or for the one that it renewed.
    pub(crate) fn second(&self, key: &RecordKey) -> Option<u64> {
        self.second.iter().find(|(id, _)| id.record_key() == key)?.1
    }

    /// Returns the keys to read for these IDs, or `None` if there are no IDs or too many.
    pub(crate) fn reading(ids: &[SessionId]) -> Option<Vec<RecordKey>> {
        (1..=MOST_COOKIES).contains(&ids.len()).then(|| keys(ids))
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
            locked: self.locked,
            unproven: self.unproven(),
            wanted,
            fresh: fresh()?,
            per_owner,
        }))))
    }

    /// Returns the variable that a save took out, as it was stored.
    pub(crate) fn taken(&self, name: &str) -> Option<Value> {
        let (before, _) = self.known.sent.as_ref()?;
        before.data.get(name).cloned()
    }

    /// Updates what was found after a task that saved, and returns what the response does to the cookie.
    pub(crate) fn saved(mut self, mut known: Known, task: &Task, told: Told, at: &Moment) -> (Self, CookieAction) {
        let id = match (told, task) {
            (Told::Issue, Task::Save(save)) => {
                self.ids.push(save.fresh.id.clone());
                self.locked = false;
                let new = known.record(save.fresh.id.record_key());
                let is_bound = new.is_some_and(|new| new.record.is_bound());
                let until = save.saw.as_ref().and_then(|(before, _)| self.second(before));
                if is_bound && until.is_some() {
                    self.second.push((save.fresh.id.clone(), until));
                }
                Some(save.fresh.id.clone())
            }
            (Told::Keep | Told::Changed, _) => self.session.take().map(|(id, _)| id),
            _ => None,
        };
        // A session that was ended without a read counts as read now.
        self.read_at.get_or_insert(at.now);
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
                let renewed = matches!(task, Task::Save(save) if save.wanted.renewed);
                CookieAction::Issue(id.clone(), record.max_age(at), renewed)
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
