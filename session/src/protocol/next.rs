//! The protocol: one pure function, which says from what is known, what is wanted and the time what comes next.

use super::call::{Call, Next, Place, Told};
use super::error::SessionError;
use super::known::Known;
use super::owners;
use super::save::{MOST_COOKIES, Save, view};
use crate::core::id::{OwnerKey, RecordKey};
use crate::core::time::Moment;

/// What a request wants of the store.
#[derive(Clone, Debug)]
pub(crate) enum Task {
    /// To know what stands under the keys that its cookies open.
    Read(Vec<RecordKey>),
    /// To have seen this session.
    View(RecordKey),
    /// What a handler did to its session to be saved.
    Save(Box<Save>),
    /// To know an owner's sessions.
    List(OwnerKey),
    /// One session of an owner to be ended.
    End(OwnerKey, RecordKey),
    /// All sessions of an owner to be ended, perhaps but one.
    EndAll(OwnerKey, Option<RecordKey>),
}

/// Decides. What was decided before a conflict and what is decided after one come out of the same lines: a conflict only adds to what
/// is known.
pub(crate) fn next(known: &Known, task: &Task, at: &Moment) -> Result<Next, SessionError> {
    match task {
        Task::Read(keys) => {
            let unread: Vec<_> = keys.iter().filter(|key| known.place(key).is_none()).cloned().collect();
            Ok(if unread.is_empty() || keys.len() > MOST_COOKIES {
                Next::Over(Told::Keep)
            } else {
                Next::Call(Call::Load(unread))
            })
        }
        Task::View(key) => Ok(view(known, key, at)),
        Task::Save(save) => save.next(known, at),
        Task::List(owner) => Ok(owners::list(known, owner, at)),
        Task::End(owner, handle) => Ok(owners::end(known, owner, handle, at)),
        Task::EndAll(owner, but) => owners::end_all(known, owner, but.as_ref()),
    }
}

/// What has to be taken back of a task that did not hand out a new session: nobody has its cookie.
pub(crate) fn undo(known: &Known, task: &Task) -> Option<Call> {
    let Task::Save(save) = task else { return None };
    let new = &save.fresh.key;
    let owner = known.list.as_ref().filter(|(_, list)| list.contains_key(new));
    let may_stand = match known.place(new) {
        Some(Place::Record(_)) => true,
        Some(_) => false,
        None => known.created && owner.is_some(),
    };
    if may_stand {
        return Some(Call::End(vec![new.clone()]));
    }
    owner.map(|(owner, _)| Call::Strike(owner.clone(), vec![new.clone()]))
}
