//! What has to happen to a session when its request has been handled: the decision, and nothing else.

use std::sync::Arc;

use super::changes::{Changes, Edits};
use super::id::RecordKey;
use super::record::{Moment, Record};
use super::value::{Data, ValueError};

/// What the request's cookies opened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// The keys of all cookies that verify. Nearly always there is one, or none.
    pub(crate) keys: Vec<RecordKey>,
    pub(crate) session: Opened,
}

/// The state of the session that was found.
#[derive(Clone, Debug, Default)]
pub(crate) enum Opened {
    /// Nobody has asked.
    #[default]
    Unread,
    /// There is no record.
    Absent,
    /// A record stands that is no session: it has expired, or is malformed. A write that is on its way may give it more
    /// time.
    Lapsed,
    /// A tombstone: the request began before a login or a logout that has been answered.
    Ended,
    /// Several cookies open live sessions. All but one are planted, and nothing tells which.
    Several,
    /// A live session under this key.
    Live(RecordKey, Arc<Record>),
}

/// What a handler did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Done {
    pub(crate) edits: Edits,
    pub(crate) renewed: bool,
    pub(crate) ended: bool,
}

/// What to do about a session after its request.
#[derive(Debug)]
pub(crate) enum Plan {
    /// Nothing changed, nothing to write.
    Keep,
    /// A view of a live session: move its expiry.
    Slide { key: RecordKey, from: u64, to: u64 },
    /// There was no session and now there are variables. What stands under the other keys ends.
    Create { data: Data, end: Vec<RecordKey> },
    /// Variables of a live session changed. If none is left, it ends.
    Change {
        key: RecordKey,
        record: Arc<Record>,
        edits: Edits,
    },
    /// A login over a live session: a new ID, and the old one dies.
    Replace {
        key: RecordKey,
        record: Arc<Record>,
        edits: Edits,
    },
    /// A logout: what stands under these keys ends, and the cookie is cleared.
    End { keys: Vec<RecordKey> },
    /// The session ended before the change was made: nothing is saved, and no cookie is sent.
    Refuse,
}

/// Decides. Of several reasons the strongest counts: ended, emptied, renewed, changed.
///
/// # Errors
///
/// A variable cannot be computed.
pub(crate) fn plan(found: Found, done: Done, at: &Moment) -> Result<Plan, ValueError> {
    let Found { keys, session } = found;
    let Done { edits, renewed, ended } = done;
    if ended {
        return Ok(Plan::End { keys });
    }
    if let Opened::Live(key, record) = session {
        return live(key, record, edits, renewed, at);
    }
    let data = edits.applied_to(&Data::new())?;
    Ok(match session {
        // A visitor's empty session is cleared, too: whatever the record is, its ID shall be dead.
        _ if data.is_empty() && edits.cleared() && !keys.is_empty() => Plan::End { keys },
        _ if data.is_empty() => Plan::Keep,
        Opened::Ended | Opened::Several if !renewed => Plan::Refuse,
        Opened::Lapsed | Opened::Several => Plan::Create { data, end: keys },
        // Beside the tombstone another cookie may open what has expired.
        Opened::Ended if keys.len() > 1 => Plan::Create { data, end: keys },
        _ => Plan::Create { data, end: Vec::new() },
    })
}

fn live(key: RecordKey, record: Arc<Record>, edits: Edits, renewed: bool, at: &Moment) -> Result<Plan, ValueError> {
    let (changed, emptied) = if edits.is_empty() {
        (false, false)
    } else {
        let now = edits.applied_to(&record.data)?;
        (!Changes::between(&record.data, &now).is_empty(), now.is_empty())
    };
    Ok(if emptied && changed {
        Plan::Change { key, record, edits }
    } else if emptied && edits.cleared() {
        Plan::End { keys: vec![key] }
    } else if renewed {
        Plan::Replace { key, record, edits }
    } else if changed {
        Plan::Change { key, record, edits }
    } else if let Some(to) = record.slide_due(at) {
        let from = record.expires_at;
        Plan::Slide { key, from, to }
    } else {
        Plan::Keep
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::record::Timeouts;
    use crate::core::state::State;
    use crate::core::value::Value;

    const START: Moment = Moment {
        now: 1_000_000,
        timeouts: Timeouts {
            idle: 1_800,
            lifetime: 43_200,
        },
    };

    type Edit = fn(&mut State);

    fn set(state: &mut State, name: &str, text: &str) {
        state.insert(name, Value::encode(text).unwrap()).unwrap();
    }

    fn login(state: &mut State) {
        state.renew();
        set(state, "username", "admin");
    }

    fn key(n: u8) -> RecordKey {
        RecordKey::from_stored(n.to_string())
    }

    fn live() -> Opened {
        let data = Data::from([("username".to_owned(), Value::encode("admin").unwrap())]);
        Opened::Live(key(1), Arc::new(Record::new(data, &START)))
    }

    /// The plan's name, and the keys that it ends.
    #[track_caller]
    fn planned(session: Opened, keys: &[u8], at: &Moment, edit: Edit) -> (&'static str, usize) {
        let mut state = State::default();
        state.found(Found {
            keys: keys.iter().map(|n| key(*n)).collect(),
            session,
        });
        edit(&mut state);
        let (found, done) = state.close().unwrap();
        match plan(found, done, at).unwrap() {
            Plan::Keep => ("keep", 0),
            Plan::Slide { .. } => ("slide", 0),
            Plan::Create { end, .. } => ("create", end.len()),
            Plan::Change { .. } => ("change", 0),
            Plan::Replace { .. } => ("replace", 0),
            Plan::End { keys } => ("end", keys.len()),
            Plan::Refuse => ("refuse", 0),
        }
    }

    #[test]
    fn without_a_live_session_it_depends_on_what_stands_there() {
        let nothing: Edit = |_| {};
        let write: Edit = |state| set(state, "theme", "dark");
        let write_and_clear: Edit = |state| {
            set(state, "theme", "dark");
            state.clear();
        };
        let end: Edit = State::end;
        for (found, keys, edit, expected) in [
            (Opened::Unread, &[][..], nothing, ("keep", 0)),
            (Opened::Unread, &[1], end, ("end", 1)),
            (Opened::Absent, &[], write, ("create", 0)),
            (Opened::Absent, &[], write_and_clear, ("keep", 0)),
            (Opened::Absent, &[], end, ("end", 0)),
            (Opened::Absent, &[1], write, ("create", 0)),
            (Opened::Absent, &[1], write_and_clear, ("end", 1)),
            (Opened::Lapsed, &[1], nothing, ("keep", 0)),
            (Opened::Lapsed, &[1], write, ("create", 1)),
            (Opened::Lapsed, &[1], write_and_clear, ("end", 1)),
            (Opened::Lapsed, &[1], end, ("end", 1)),
            (Opened::Ended, &[1], nothing, ("keep", 0)),
            (Opened::Ended, &[1], write, ("refuse", 0)),
            (Opened::Ended, &[1], login, ("create", 0)),
            (Opened::Ended, &[1, 2], login, ("create", 2)),
            (Opened::Ended, &[1], end, ("end", 1)),
            (Opened::Several, &[1, 2], nothing, ("keep", 0)),
            (Opened::Several, &[1, 2], write, ("refuse", 0)),
            (Opened::Several, &[1, 2], login, ("create", 2)),
            (Opened::Several, &[1, 2], end, ("end", 2)),
        ] {
            let shown = format!("{found:?} {keys:?} {expected:?}");
            assert_eq!(planned(found, keys, &START, edit), expected, "{shown}");
        }
    }

    #[test]
    fn of_several_reasons_the_strongest_counts() {
        let cases: [(Edit, &str); 10] = [
            (|_| {}, "keep"),
            (|state| set(state, "username", "admin"), "keep"),
            (|state| set(state, "theme", "dark"), "change"),
            (|state| drop(state.remove("absent")), "keep"),
            (State::renew, "replace"),
            (login, "replace"),
            (
                |state| {
                    set(state, "theme", "dark");
                    login(state);
                },
                "replace",
            ),
            (
                |state| {
                    login(state);
                    state.remove("username");
                },
                "change",
            ),
            (State::clear, "change"),
            (
                |state| {
                    login(state);
                    state.end();
                },
                "end",
            ),
        ];
        for (number, (edit, expected)) in cases.into_iter().enumerate() {
            assert_eq!(planned(live(), &[1], &START, edit).0, expected, "case {number}");
        }
        let empty = Opened::Live(key(1), Arc::new(Record::new(Data::new(), &START)));
        assert_eq!(planned(empty, &[1], &START, State::clear), ("end", 1));
    }

    #[test]
    fn an_unchanged_session_slides_when_due() {
        let later = Moment {
            now: START.now + 180,
            ..START
        };
        assert_eq!(planned(live(), &[1], &later, |_| {}), ("slide", 0));
        assert_eq!(
            planned(live(), &[1], &later, |state| set(state, "theme", "dark")).0,
            "change"
        );
    }
}
