//! The protocol: one pure function that decides what a task does next, from what is known, what is wanted, and the
//! time.

use super::bind::{self, Bind};
use super::call::{Call, Next, Place};
use super::error::SessionError;
use super::known::Known;
use super::owners;
use super::save::{Save, view};
use crate::core::id::{OwnerKey, RecordKey};
use crate::core::time::Moment;

/// What a request asks of the store.
#[derive(Clone)]
#[cfg_attr(not(any(feature = "bound", test)), expect(dead_code, reason = "nothing is bound"))]
pub(crate) enum Task {
    /// Reads what is stored under these keys, and the sessions that renewed those.
    Follow(Vec<RecordKey>),
    /// Records that this session was seen.
    View(RecordKey),
    /// Saves what a handler did to its session.
    Save(Box<Save>),
    /// Binds a session to a device.
    Bind(Box<Bind>),
    /// Lists an owner's sessions.
    List(OwnerKey),
    /// Ends one session of an owner.
    End(OwnerKey, RecordKey),
    /// Ends all sessions of an owner, except the given one.
    EndAll(OwnerKey, Option<RecordKey>),
}

/// Decides what the task does next. The same code decides before and after a conflict: a conflict only adds to what is
/// known.
pub(crate) fn next(known: &Known, task: &Task, at: &Moment) -> Result<Next, SessionError> {
    let read_list = |owner: &OwnerKey| Next::Call(Call::List(owner.clone()));
    match task {
        Task::Follow(keys) => Ok(bind::follow(known, keys)),
        Task::View(key) => Ok(view(known, key, at)),
        Task::Save(save) => save.next(known, at),
        Task::Bind(bind) => Ok(bind::bind(known, bind, at)),
        Task::List(owner) => Ok(owners::list(known, owner, at).unwrap_or_else(|| read_list(owner))),
        Task::End(owner, handle) => Ok(owners::end(known, owner, handle, at).unwrap_or_else(|| read_list(owner))),
        Task::EndAll(owner, but) => {
            let next = owners::end_all(known, owner, but.as_ref())?;
            Ok(next.unwrap_or_else(|| read_list(owner)))
        }
    }
}

/// Returns a call that cleans up after a task that handed out no new session: nobody has the cookie of its new record.
pub(crate) fn undo(known: &Known, task: &Task) -> Option<Call> {
    let Task::Save(save) = task else { return None };
    let new = save.fresh.id.record_key();
    let owner = known.list.as_ref().filter(|list| list.sessions.contains_key(new));
    let may_stand = match known.place(new) {
        Some(Place::Record(_)) => true,
        Some(_) => false,
        None => known.created && owner.is_some(),
    };
    if may_stand {
        return Some(Call::End(vec![new.clone()]));
    }
    owner.map(|list| Call::Strike(list.owner.clone(), vec![new.clone()]))
}
