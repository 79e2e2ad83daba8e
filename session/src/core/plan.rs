//! What has to happen to a session when its request has been handled: the decision, and nothing else.

use std::sync::Arc;

use super::changes::{Changes, Edits};
use super::id::SessionId;
use super::moment::Moment;
use super::record::{Login, Record, Slide};
use super::value::{Data, ValueError};

/// What the request's cookies opened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// The IDs of all cookies that verify, and of a session that was saved since. Nearly always there is one, or none.
    pub(crate) ids: Vec<SessionId>,
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
    /// A live session with this ID.
    Live(SessionId, Arc<Record>),
}

/// What a handler did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Done {
    pub(crate) edits: Edits,
    /// Asked for a new ID, by a login or otherwise.
    pub(crate) renewed: bool,
    pub(crate) login: Option<NewOwner>,
    /// For how many seconds the session is to be remembered.
    pub(crate) remember: Option<u64>,
    pub(crate) ended: bool,
    /// What a session that begins where this one ends shall hold: messages to show.
    pub(crate) farewell: Data,
}

/// Who logged in.
#[derive(Clone, Debug)]
pub(crate) struct NewOwner {
    pub(crate) owner: super::value::Value,
    pub(crate) label: Option<String>,
}

/// What to do about a session after its request.
#[derive(Debug)]
pub(crate) enum Plan {
    /// Nothing changed, nothing to write.
    Keep,
    /// A view of a live session: move its expiry.
    Slide {
        id: SessionId,
        record: Arc<Record>,
        slide: Slide,
    },
    /// There was no session and now there are variables or an owner. What stands under these IDs ends.
    Create {
        data: Data,
        login: Login,
        end: Vec<SessionId>,
    },
    /// Variables of a live session changed. If none is left, it ends, unless it has an owner.
    Change {
        id: SessionId,
        record: Arc<Record>,
        edits: Edits,
        owned: bool,
    },
    /// A login over a live session: a new ID, and the old one dies.
    Replace {
        id: SessionId,
        record: Arc<Record>,
        edits: Edits,
        login: Login,
        /// Whether somebody logged in, rather than asked for another ID.
        new_owner: bool,
    },
    /// A logout: what stands under these IDs ends, and the cookie is cleared, unless a new session begins then that holds messages.
    End { ids: Vec<SessionId>, farewell: Data },
    /// The session ended before the change was made: nothing is saved, and no cookie is sent.
    Refuse,
}

/// Decides. Of several reasons the strongest counts: ended, emptied, renewed, changed.
///
/// # Errors
///
/// A variable cannot be computed.
pub(crate) fn plan(found: Found, done: Done, at: &Moment) -> Result<Plan, ValueError> {
    let Found { ids, session } = found;
    if done.ended {
        let farewell = done.farewell;
        return Ok(Plan::End { ids, farewell });
    }
    if let Opened::Live(id, record) = session {
        return live(id, record, done, at);
    }
    let login = login(&done, None, at);
    let data = done.edits.applied_to(&Data::new())?;
    let nothing = data.is_empty() && login.owner.is_none();
    let end = match session {
        // A visitor's empty session is cleared, too: whatever the record is, its ID shall be dead.
        _ if nothing && done.edits.cleared() && !ids.is_empty() => return Ok(ended(ids)),
        _ if nothing => return Ok(Plan::Keep),
        Opened::Ended | Opened::Several if !done.renewed => return Ok(Plan::Refuse),
        Opened::Lapsed | Opened::Several => ids,
        // Beside the tombstone another cookie may open what has expired.
        Opened::Ended if ids.len() > 1 => ids,
        _ => Vec::new(),
    };
    Ok(Plan::Create { data, login, end })
}

fn live(id: SessionId, record: Arc<Record>, done: Done, at: &Moment) -> Result<Plan, ValueError> {
    let login = login(&done, Some(&record), at);
    let owned = if done.renewed { &login.owner } else { &record.owner }.is_some();
    let Done { edits, renewed, .. } = done;
    let (changed, emptied) = if edits.is_empty() {
        (false, false)
    } else {
        let now = edits.applied_to(&record.data)?;
        let changed = !Changes::between(&record.data, &now).is_empty();
        (changed, now.is_empty() && !owned)
    };
    Ok(if emptied && edits.cleared() && !changed {
        ended(vec![id])
    } else if renewed && !(emptied && changed) {
        let new_owner = done.login.is_some();
        Plan::Replace {
            id,
            record,
            edits,
            login,
            new_owner,
        }
    } else if changed {
        Plan::Change {
            id,
            record,
            edits,
            owned,
        }
    } else if let Some(slide) = record.slide_due(at) {
        Plan::Slide { id, record, slide }
    } else {
        Plan::Keep
    })
}

fn ended(ids: Vec<SessionId>) -> Plan {
    let farewell = Data::new();
    Plan::End { ids, farewell }
}

/// What the session's next record says beside the variables. A renewal keeps what the record before said, unless somebody logs in
/// or the session was cleared.
fn login(done: &Done, before: Option<&Arc<Record>>, at: &Moment) -> Login {
    let inherited = before.filter(|_| !done.edits.cleared() && done.login.is_none());
    let mut login = inherited.map(|record| record.login()).unwrap_or_default();
    login.sealed = before.is_some_and(|record| record.sealed);
    if let Some(NewOwner { owner, label }) = &done.login {
        login.owner = Some(owner.clone());
        login.label.clone_from(label);
    }
    if let Some(seconds) = done.remember {
        let most = at.timeouts.remembered;
        login.remembered_until = Some(at.now.saturating_add(seconds.min(most).max(1)));
    }
    login
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::moment::Timeouts;
    use crate::core::state::State;
    use crate::core::value::Value;

    const START: Moment = Moment {
        now: 1_000_000,
        timeouts: Timeouts {
            idle: 1_800,
            lifetime: 43_200,
            remembered: 2_592_000,
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

    fn id(n: u8) -> SessionId {
        SessionId::new([n; 32])
    }

    fn owned(state: &mut State) {
        state.login("admin", None).unwrap();
    }

    fn live() -> Opened {
        let data = Data::from([("username".to_owned(), Value::encode("admin").unwrap())]);
        Opened::Live(id(1), Arc::new(Record::new(data, &START)))
    }

    /// The plan's name, and how many sessions it ends.
    #[track_caller]
    fn planned(session: Opened, ids: &[u8], at: &Moment, edit: Edit) -> (&'static str, usize) {
        let mut state = State::default();
        state.found(Found {
            ids: ids.iter().map(|n| id(*n)).collect(),
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
            Plan::End { ids, farewell } if farewell.is_empty() => ("end", ids.len()),
            Plan::End { ids, .. } => ("end and begin", ids.len()),
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
        let farewell: Edit = |state| {
            state.end();
            state.flash("goodbye").unwrap();
        };
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
            (Opened::Absent, &[], owned, ("create", 0)),
            (Opened::Ended, &[1], owned, ("create", 0)),
            (Opened::Lapsed, &[1], owned, ("create", 1)),
            (Opened::Absent, &[1], farewell, ("end and begin", 1)),
            (Opened::Ended, &[1, 2], farewell, ("end and begin", 2)),
        ] {
            let shown = format!("{found:?} {keys:?} {expected:?}");
            assert_eq!(planned(found, keys, &START, edit), expected, "{shown}");
        }
    }

    #[test]
    fn of_several_reasons_the_strongest_counts() {
        let cases: [(Edit, &str); 14] = [
            (owned, "replace"),
            (|state| state.remember(60), "replace"),
            (
                |state| {
                    owned(state);
                    state.clear();
                },
                "replace",
            ),
            (
                |state| {
                    state.clear();
                    state.renew();
                },
                "change",
            ),
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
        let empty = Opened::Live(id(1), Arc::new(Record::new(Data::new(), &START)));
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
