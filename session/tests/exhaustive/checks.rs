//! The properties that are checked on every finished schedule.

use super::request::Outcome;
use super::scenario::{Key, Op, Outside, Scenario, SetCookie, Start, Vars};
use super::spec::History;

/// What is stored at the end under the key of a cookie that was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Standing {
    Nothing,
    Tombstone,
    /// A record that has expired or is malformed.
    Dead,
    /// The variables, the expiry and the device of a live session.
    Alive(Vars, u64, Option<Key>),
}

/// A schedule that was played to its end.
#[derive(Debug, Hash)]
pub(crate) struct Played<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) outcomes: Vec<&'a Outcome>,
    /// The session whose cookie each request brought, if its instance could verify it. Session 0 exists at the start,
    /// and each request can make one more.
    pub(crate) subjects: Vec<Option<usize>>,
    /// What is stored under the key of each session, if its cookie was handed out.
    pub(crate) sessions: Vec<Option<Standing>>,
    /// The number of live records whose cookie no browser has.
    pub(crate) orphans: usize,
    /// The number of live sessions of the owner.
    pub(crate) owned: usize,
    /// The sessions in the owner's list.
    pub(crate) listed: Vec<usize>,
    pub(crate) violation: Option<&'static str>,
    pub(crate) endless: bool,
}

pub(crate) fn check(played: &Played<'_>) -> Result<(), String> {
    if let Some(violation) = played.violation {
        return Err(violation.to_owned());
    }
    if played.endless {
        return Err("P6: a request goes on for ever".to_owned());
    }
    statuses(played)?;
    records(played)?;
    jars(played)?;
    orphans(played)?;
    let history = History {
        scenario: played.scenario,
        outcomes: &played.outcomes,
        subjects: &played.subjects,
        sessions: &played.sessions,
    };
    if history.is_explained() {
        limit(played)?;
        return lists(played);
    }
    Err("P2: no order of the requests explains the answers and what stands at the end".to_owned())
}

/// A 503 comes only where a call failed, and every other status is 200 or 409. A failure leaves the cookie alone,
/// unless an earlier save of the same request has changed it.
fn statuses(played: &Played<'_>) -> Result<(), String> {
    for (place, outcome) in played.outcomes.iter().enumerate() {
        let Some(answer) = &outcome.answer else { continue };
        let op = played.scenario.requests[place].op;
        let known = answer.status == 200 || answer.status == 409 || answer.status == 503 && outcome.spoiled;
        let silent = answer.status == 200 || answer.cookie == SetCookie::Nothing || op == Op::SaveAndAdd;
        if !(known && silent) {
            return Err("P2: an unfounded failure".to_owned());
        }
    }
    Ok(())
}

/// P4: every cookie has its record, and no record of an old session remains beside a new cookie.
fn records(played: &Played<'_>) -> Result<(), String> {
    for (session, standing) in played.sessions.iter().enumerate().skip(1) {
        let Some(standing) = standing else { continue };
        if *standing == Standing::Nothing {
            return Err("P4: a cookie without its record".to_owned());
        }
        let old = played.subjects[session - 1].and_then(|brought| played.sessions[brought]);
        if matches!(old, Some(Standing::Dead | Standing::Alive(..))) {
            return Err("P4: a new cookie beside an old session".to_owned());
        }
    }
    Ok(())
}

/// An owner has no more sessions than allowed, if no call failed.
fn limit(played: &Played<'_>) -> Result<(), String> {
    let most = played
        .scenario
        .requests
        .iter()
        .filter_map(|asked| asked.per_owner)
        .min();
    let unspoiled = played.outcomes.iter().all(|outcome| !outcome.spoiled);
    if unspoiled && most.is_some_and(|most| played.owned > most) {
        return Err(format!("limit: an owner has {} sessions", played.owned));
    }
    Ok(())
}

/// If no call failed, the owner's list is empty after a last `end_all`, and never names a login that was refused.
fn lists(played: &Played<'_>) -> Result<(), String> {
    if played.outcomes.iter().any(|outcome| outcome.spoiled) {
        return Ok(());
    }
    let everybody = (1 << played.outcomes.len()) - 1;
    let asked = played.scenario.requests.iter().enumerate();
    let mut last = asked.filter(|(place, asked)| asked.op == Op::EndAll && asked.after == everybody & !(1 << place));
    if last.next().is_some() && !played.listed.is_empty() {
        return Err("lists: an owner's list names a session that end_all has ended".to_owned());
    }
    let refused = |session: &&usize| {
        let request = session.checked_sub(1).map(|request| &played.outcomes[request].answer);
        request.is_some_and(|answer| answer.as_ref().is_some_and(|answer| answer.status == 409))
    };
    if played.listed.iter().any(|session| refused(&session)) {
        return Err("lists: an owner's list names a login that was refused".to_owned());
    }
    Ok(())
}

/// P3: in whatever order the answers arrive, the browser has the cookie of the login whose answer came last, or none.
/// The cookie of a first variable may come after a login's only if its request had no session.
fn jars(played: &Played<'_>) -> Result<(), String> {
    let spoiled = played.scenario.outside != Outside::Nothing;
    let anonymous = spoiled
        || !matches!(
            played.scenario.start,
            Start::Live | Start::Owned | Start::Bound | Start::Small | Start::Old | Start::Remembered | Start::Ended
        );
    let cookies = played.outcomes.iter().enumerate().filter_map(|(place, outcome)| {
        let cookie = match outcome.answer.as_ref()?.cookie {
            SetCookie::Nothing => return None,
            SetCookie::Cleared => None,
            SetCookie::Issued(session) => Some(session),
        };
        let logs_in = played.scenario.requests[place].op.is_login();
        Some((cookie, logs_in || anonymous || played.subjects[place].is_none()))
    });
    let cookies: Vec<_> = cookies.collect();
    for order in orders(cookies.len()) {
        let mut jar = None;
        let mut login = None;
        for place in order {
            let (cookie, may_stay) = cookies[place];
            jar = cookie;
            if cookie.is_some() && may_stay {
                login = cookie;
            }
        }
        if jar.is_some() && jar != login {
            return Err("P3: the browser's cookie is not the last login's".to_owned());
        }
    }
    Ok(())
}

/// Returns all orders of this many cookies.
fn orders(count: usize) -> Vec<Vec<usize>> {
    let mut orders = vec![Vec::new()];
    for _ in 0..count {
        orders = orders
            .into_iter()
            .flat_map(|order: Vec<usize>| {
                let rest: Vec<_> = (0..count).filter(|place| !order.contains(place)).collect();
                rest.into_iter().map(move |next| [order.clone(), vec![next]].concat())
            })
            .collect();
    }
    orders
}

/// A live record whose cookie no browser has may remain only where a fault met a request that failed, was refused or
/// was cancelled.
fn orphans(played: &Played<'_>) -> Result<(), String> {
    let failed = played.outcomes.iter();
    let failed = failed.filter(|outcome| {
        let succeeded = outcome.answer.as_ref().is_some_and(|answer| answer.status == 200);
        outcome.spoiled && !succeeded
    });
    if played.orphans > failed.count() {
        return Err(format!("orphans: {} records that no cookie opens", played.orphans));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::scenario::{Answer, Seen};
    use super::super::scopes::alone;
    use super::*;

    #[test]
    fn the_cookie_of_a_first_variable_stays_only_where_there_was_no_session() {
        let [login, variable] = [1, 3].map(SetCookie::Issued);
        for (start, cookies, holds) in [
            (Start::Live, [login.clone(), SetCookie::Nothing], true),
            (Start::Live, [login.clone(), SetCookie::Cleared], true),
            (Start::Live, [SetCookie::Nothing, variable.clone()], false),
            (Start::Live, [login.clone(), variable.clone()], false),
            (Start::Nothing, [login, variable], true),
        ] {
            let scenario = Scenario {
                requests: [Op::Ann, Op::Set].map(|op| alone(start, op).requests[0]).to_vec(),
                ..alone(start, Op::Ann)
            };
            let outcomes = cookies.clone().map(|cookie| Outcome {
                answer: Some(Answer {
                    status: 200,
                    cookie,
                    seen: Seen::default(),
                }),
                spoiled: false,
                calls: 0,
            });
            let played = Played {
                scenario: &scenario,
                outcomes: outcomes.iter().collect(),
                subjects: vec![(start == Start::Live).then_some(0); 2],
                sessions: Vec::new(),
                orphans: 0,
                owned: 0,
                listed: Vec::new(),
                violation: None,
                endless: false,
            };
            assert_eq!(jars(&played).is_ok(), holds, "{start:?} {cookies:?}");
        }
    }
}
