//! The decisions about binding a session to a device.

use super::call::{Call, Next, Told, Write};
use super::known::Known;
use crate::core::bound::Binding;
use crate::core::id::RecordKey;
use crate::core::record::{Record, Stored, WriteToken};
use crate::core::time::Moment;

/// What binds a session to a device. The device has proved that it has the private key.
#[derive(Clone, Debug)]
pub(crate) struct Bind {
    pub(crate) key: RecordKey,
    pub(crate) binding: Binding,
    pub(crate) token: WriteToken,
}

/// Decides what comes next. A session is bound once, and its renewals keep the key. The key shows whether this request
/// has bound it, so a registration that arrives twice, or whose reply was lost, is answered the same.
///
/// If the session was bound to another key, two devices have seen the answer to one login. Nobody can tell which is the
/// visitor's, so the session ends. If the session was renewed before it was bound, this registration binds nothing,
/// because the renewal asks for a registration of its own.
pub(super) fn bind(known: &Known, bind: &Bind, at: &Moment) -> Next {
    let keys = std::slice::from_ref(&bind.key);
    if let Next::Call(load) = follow(known, keys) {
        return Next::Call(load);
    }
    match bound(known, keys, &bind.key, at) {
        Some((_, key)) if Some(key) == bind.binding.key() => Next::Over(Told::Changed),
        Some((session, _)) => Next::Call(Call::End(vec![session.clone()])),
        None => match known.alive(&bind.key, at).filter(|now| !now.record.is_bound()) {
            Some(now) => {
                let bound = Record {
                    bound: Some(bind.binding.clone()),
                    ..now.record.changed(now.record.data.clone(), &bind.token, at)
                };
                Next::Call(Call::swap(&bind.key, Some(now), Stored::Record(bound), Write::Change))
            }
            None => Next::Over(Told::Missing),
        },
    }
}

/// Reads the sessions under these keys, and those that renewed them.
pub(super) fn follow(known: &Known, keys: &[RecordKey]) -> Next {
    let [standing, _] = known.follow(keys);
    known.loading(standing).map_or(Next::Over(Told::Keep), Next::Call)
}

/// Searches the sessions under `keys` and those that renewed them for the session that is bound by the registration for
/// the session `first`. Returns its key and the device's public key.
pub(crate) fn bound<'a>(
    known: &'a Known,
    keys: &'a [RecordKey],
    first: &RecordKey,
    at: &Moment,
) -> Option<(&'a RecordKey, &'a str)> {
    let [standing, _] = known.follow(keys);
    standing.into_iter().find_map(|session| {
        let binding = known.alive(session, at)?.record.bound.as_ref()?;
        Some((session, binding.key()?)).filter(|_| binding.is_of(session, first))
    })
}
