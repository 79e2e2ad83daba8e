//! What has to happen to a session when its request has been handled: the decision, and nothing else.

use super::edits::Edits;
use super::record::{Moment, Record};
use super::store::Slide;

/// What to do about a session after its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nothing changed, nothing to write.
    Nothing,
    /// A view of a live session: move its expiry.
    Slide(Slide),
    /// There was no session and now there are variables.
    Create,
    /// Variables of a live session changed.
    Update,
    /// A login over a live session: a new ID, and the old one dies.
    Replace,
    /// The last variable was taken out. Only if nobody else put one in meanwhile.
    EndIfEmpty,
    /// A logout, whatever the session holds.
    End,
}

/// Decides; of several reasons the strongest counts: ended, emptied, renewed, changed.
///
/// `live` is the record as it was loaded, if there was a live one.
pub(crate) fn decide(live: Option<&Record>, edits: &Edits, at: &Moment) -> Decision {
    let empty = edits.iter().next().is_none();
    let Some(record) = live else {
        return if empty { Decision::Nothing } else { Decision::Create };
    };
    let changed = !edits.changes.against(&edits.loaded).is_empty();
    if edits.ended {
        Decision::End
    } else if changed && empty {
        Decision::EndIfEmpty
    } else if edits.renewed {
        Decision::Replace
    } else if changed {
        Decision::Update
    } else if let Some(to) = record.slide_due(at) {
        Decision::Slide(Slide {
            from: record.expires_at,
            to,
        })
    } else {
        Decision::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::record::Timeouts;
    use crate::session::value::{Data, Value};
    use crate::session::{Session, ValueError};

    const START: Moment = Moment {
        now: 1_000_000,
        timeouts: Timeouts {
            idle_seconds: 1_800,
            lifetime_seconds: 43_200,
        },
    };

    type Edit = fn(&Session) -> Result<(), ValueError>;

    fn login(session: &Session) -> Result<(), ValueError> {
        session.renew();
        session.insert("username", "admin")
    }

    #[track_caller]
    fn assert_decision(live: bool, edit: Edit, expected: Decision) {
        let data = Data::from([("username".to_owned(), Value::S("admin".to_owned()))]);
        let record = live.then(|| Record::new(data.clone(), &START));
        let session = Session::new(if live { data } else { Data::new() });
        edit(&session).unwrap();
        assert_eq!(decide(record.as_ref(), &session.close(), &START), expected);
    }

    #[test]
    fn without_a_session_only_data_makes_one() {
        let cases: [(Edit, Decision); 5] = [
            (|_| Ok(()), Decision::Nothing),
            (|s| s.insert("username", "x"), Decision::Create),
            (login, Decision::Create),
            (
                |s| {
                    s.insert("username", "x")?;
                    s.clear();
                    Ok(())
                },
                Decision::Nothing,
            ),
            (
                |s| {
                    s.end();
                    Ok(())
                },
                Decision::Nothing,
            ),
        ];
        for (edit, expected) in cases {
            assert_decision(false, edit, expected);
        }
    }

    #[test]
    fn of_several_reasons_the_strongest_counts() {
        let cases: [(Edit, Decision); 8] = [
            (|_| Ok(()), Decision::Nothing),
            (|s| s.insert("username", "admin"), Decision::Nothing),
            (|s| s.insert("theme", "dark"), Decision::Update),
            (
                |s| {
                    s.remove("absent");
                    Ok(())
                },
                Decision::Nothing,
            ),
            (login, Decision::Replace),
            (
                |s| {
                    s.insert("theme", "dark")?;
                    login(s)
                },
                Decision::Replace,
            ),
            (
                |s| {
                    login(s)?;
                    s.remove("username");
                    Ok(())
                },
                Decision::EndIfEmpty,
            ),
            (
                |s| {
                    login(s)?;
                    s.end();
                    Ok(())
                },
                Decision::End,
            ),
        ];
        for (edit, expected) in cases {
            assert_decision(true, edit, expected);
        }
    }

    #[test]
    fn an_unchanged_session_slides_when_due() {
        let record = Record::new(Data::new(), &START);
        let later = Moment {
            now: START.now + 180,
            ..START
        };
        let expected = Decision::Slide(Slide {
            from: START.now + 1_800,
            to: START.now + 1_980,
        });
        assert_eq!(decide(Some(&record), &Edits::default(), &later), expected);
    }
}
