//! The decision about binding a session to a device.

use super::call::{Call, Next, Place, Told, Write};
use super::known::Known;
use crate::core::bound::Binding;
use crate::core::id::RecordKey;
use crate::core::record::{Record, Stored, WriteToken};
use crate::core::time::Moment;

/// Binds a session to a device whose key has proved itself.
#[derive(Clone, Debug)]
pub(crate) struct Bind {
    pub(crate) key: RecordKey,
    pub(crate) binding: Binding,
    pub(crate) token: WriteToken,
}

/// Decides what comes next. A session is bound once. The key shows whether this request has bound it, so a registration
/// that arrives twice, or whose reply was lost, is answered the same.
///
/// If the session is bound to another key already, two devices have seen the answer to one login. Nobody can tell which
/// is the visitor's, so the session ends.
pub(super) fn bind(known: &Known, bind: &Bind, at: &Moment) -> Next {
    let Some(place) = known.place(&bind.key) else {
        return Next::Call(Call::Load(vec![bind.key.clone()]));
    };
    let Place::Record(now) = place else {
        return Next::Over(Told::Missing);
    };
    let key = now.record.bound.as_ref().and_then(Binding::key);
    if !now.record.is_alive(at) {
        Next::Over(Told::Missing)
    } else if key.is_none() {
        let bound = Record {
            bound: Some(bind.binding.clone()),
            ..now.record.changed(now.record.data.clone(), &bind.token, at)
        };
        Next::Call(Call::swap(&bind.key, Some(now), Stored::Record(bound), Write::Change))
    } else if key == bind.binding.key() {
        Next::Over(Told::Changed)
    } else {
        Next::Call(Call::End(vec![bind.key.clone()]))
    }
}
