//! What holds of every finished schedule.

use std::time::Duration;

use lambda_session::{Moment, RecordKey};

use super::scenario::{IDLE, LIFETIME, NOW, Op, Outside, REMEMBERED, SetCookie, Start, Vars};
use super::spec::History;
use super::views::vars;
use super::world::World;

pub(crate) fn check(world: &World) -> Result<(), String> {
    if let Some(violation) = world.steps.control().table.violation {
        return Err(violation.to_owned());
    }
    if world.endless {
        return Err("P7: a request goes on for ever".to_owned());
    }
    statuses(world)?;
    let keys = world.keys();
    records(world, &keys)?;
    jars(world)?;
    orphans(world, &keys)?;
    let views = keys
        .iter()
        .map(|(place, key)| (*place, view(world, *place, key)))
        .collect();
    let history = History {
        scenario: world.scenario(),
        outcomes: world.outcomes.iter().flatten().collect(),
        subjects: (0..world.outcomes.len()).map(|place| world.subject(place)).collect(),
        views,
    };
    if history.is_explained() {
        return lists(world);
    }
    Err(format!(
        "P2: no order of the requests explains the answers and the views {:?}",
        history.views
    ))
}

/// What is alive under this key, and until when. What is sealed is shown to a visitor only.
fn view(world: &World, place: usize, key: &RecordKey) -> Option<(Vars, u64)> {
    let control = world.steps.control();
    let record = control
        .table
        .get(key)
        .filter(|item| item.is_alive(&moment()))?
        .record
        .clone();
    drop(control);
    let found = if record.sealed {
        world.visited(place)?
    } else {
        vars(record.data)
    };
    Some((found, record.expires_at))
}

fn moment() -> Moment {
    Moment::new(NOW, Duration::from_secs(IDLE), Duration::from_secs(LIFETIME))
        .with_max_remembered(Duration::from_secs(REMEMBERED))
}

/// 503 only where a call failed, and no status that nobody promised. A failure leaves the cookie alone, unless an earlier save of the
/// same request had something to say.
fn statuses(world: &World) -> Result<(), String> {
    for (place, outcome) in world.outcomes.iter().flatten().enumerate() {
        let Some(answer) = &outcome.answer else { continue };
        let op = world.scenario().requests[place].op;
        let known = answer.status == 200 || answer.status == 409 || answer.status == 503 && outcome.spoiled;
        let silent = answer.status == 200 || answer.cookie == SetCookie::Nothing || op == Op::SaveAndAdd;
        if !(known && silent) {
            return Err("P2: an unfounded failure".to_owned());
        }
    }
    Ok(())
}

/// P4: never a cookie without its record, never a new cookie beside a living old session.
fn records(world: &World, keys: &[(usize, RecordKey)]) -> Result<(), String> {
    let control = world.steps.control();
    for (place, key) in keys.iter().filter(|(place, _)| *place > 0) {
        if control.table.get(key).is_none() {
            return Err("P4: a cookie without its record".to_owned());
        }
        let brought = world.subject(place - 1);
        let old = keys.iter().find(|(place, _)| Some(*place) == brought);
        if old.is_some_and(|(_, old)| control.table.get(old).is_some_and(|old| !old.ended)) {
            return Err("P4: a new cookie beside an old session".to_owned());
        }
    }
    Ok(())
}

/// When `end_all` came last, nothing is in the owner's list.
fn lists(world: &World) -> Result<(), String> {
    let unspoiled = world.outcomes.iter().flatten().all(|outcome| !outcome.spoiled);
    let everybody = (1 << world.outcomes.len()) - 1;
    let asked = world.scenario().requests.iter().enumerate();
    let mut last = asked.filter(|(place, asked)| asked.op == Op::EndAll && asked.after == everybody & !(1 << place));
    let named = world.steps.control().table.lists.values().any(|list| !list.is_empty());
    if unspoiled && last.next().is_some() && named {
        return Err("lists: an owner's names a session that end_all has ended".to_owned());
    }
    Ok(())
}

/// P3: in whatever order the answers arrive, the browser's cookie is that of the login whose answer came last, or none. Only where
/// there was no session at the start may the first variable's cookie come after a login's.
fn jars(world: &World) -> Result<(), String> {
    let spoiled = world.scenario().outside != Outside::Nothing;
    let anonymous = spoiled
        || !matches!(
            world.scenario().start,
            Start::Live | Start::Owned | Start::Small | Start::Old | Start::Remembered | Start::Ended
        );
    let answered = world.outcomes.iter().enumerate().filter_map(|(place, outcome)| {
        let answer = outcome.as_ref()?.answer.as_ref()?;
        let anonymous = anonymous || world.subject(place).is_none();
        Some((world.scenario().requests[place].op, answer, anonymous))
    });
    let answered: Vec<_> = answered.collect();
    for order in orders(answered.len()) {
        let mut jar = None;
        let mut login = None;
        for place in order {
            let (op, answer, anonymous) = answered[place];
            match &answer.cookie {
                SetCookie::Nothing => {}
                SetCookie::Cleared => jar = None,
                SetCookie::Issued(cookie) => {
                    jar = Some(cookie);
                    if op.is_login() || anonymous {
                        login = jar;
                    }
                }
            }
        }
        if jar.is_some() && jar != login {
            return Err("P3: the browser's cookie is not the last login's".to_owned());
        }
    }
    Ok(())
}

/// All orders of so many answers.
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

/// Records that are alive and that no browser's cookie opens: only where a request failed, was cancelled or was refused.
fn orphans(world: &World, keys: &[(usize, RecordKey)]) -> Result<(), String> {
    let control = world.steps.control();
    let alive = control.table.items().filter(|(_, item)| item.is_alive(&moment()));
    let orphans = alive
        .filter(|(key, _)| keys.iter().all(|(_, known)| known != *key))
        .count();
    let failed = world.outcomes.iter().flatten();
    let failed = failed.filter(|outcome| outcome.answer.as_ref().is_none_or(|answer| answer.status != 200));
    if orphans > failed.count() {
        return Err(format!("orphans: {orphans} records that no cookie opens"));
    }
    Ok(())
}
