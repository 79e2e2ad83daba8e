//! Every schedule of a few requests at once over the real layer, with faults. What that proves, in what scope, and what it does not:
//! `README.md` beside this file.

use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

mod checks;
mod explore;
mod mutants;
pub(crate) mod scenario;
mod scopes;
mod spec;
pub(crate) mod steps;
mod table;
mod views;
mod world;

use explore::{Counts, explore};
use mutants::{Clause, Mutant, Write};
use scenario::{Instance, Op, Scenario, Start};
use scopes::{
    HARD, KINDS, OPS, STARTS, TIMES, UPGRADED, in_time, pairs, rotated, served_by, spoiled, triples, upgraded,
};
use world::World;

/// How the scenarios are explored.
#[derive(Clone, Copy)]
struct Way {
    mutant: Option<Mutant>,
    /// Without the schedules that differ from another only in the order of independent moves.
    reduced: bool,
}

const USUAL: Way = Way {
    mutant: None,
    reduced: true,
};

/// Explores all scenarios, on all cores, up to so many violations.
fn run(scenarios: &[Scenario], way: Way, most: usize) -> (Counts, Vec<String>) {
    let next = AtomicUsize::new(0);
    let result = Mutex::new((Counts::default(), Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                // The deadline of a request needs a timer; no time passes for it here, however slow the machine is.
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .start_paused(true)
                    .build();
                let runtime = runtime.expect("a runtime");
                let _inside = runtime.enter();
                let mut world = World::new();
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(scenario) = scenarios.get(place) else { return };
                    world.set_up(scenario.clone(), way.mutant);
                    let explored = explore(&mut world, way.reduced, checks::check);
                    let mut result = result.lock().expect("no thread fails");
                    match explored {
                        Ok(counts) => result.0 += counts,
                        Err(broken) => result.1.push((place, broken)),
                    }
                    if result.1.len() >= most {
                        return;
                    }
                }
            });
        }
    });
    let (counts, mut violations) = result.into_inner().expect("no thread failed");
    // The order of the scenarios, whichever core was faster.
    violations.sort();
    (counts, violations.into_iter().map(|(_, violation)| violation).collect())
}

/// Explores all scenarios, and fails with the first violation.
#[track_caller]
fn hold(what: &str, scenarios: &[Scenario]) -> Counts {
    let began = Instant::now();
    let (counts, violations) = run(scenarios, USUAL, 1);
    say(&format!(
        "{what}: {} scenarios, {} schedules, {} left, {:.1} s",
        scenarios.len(),
        counts.schedules,
        counts.left,
        began.elapsed().as_secs_f64()
    ));
    assert!(violations.is_empty(), "{what}: {}", violations[0]);
    counts
}

/// Straight to the stream: what a test prints by macro is only shown when it fails.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn of_all(starts: &[Start], scenarios: impl Fn(Start) -> Vec<Scenario>) -> Vec<Scenario> {
    starts.iter().flat_map(|start| scenarios(*start)).collect()
}

#[test]
fn two_requests_without_a_fault() {
    hold(
        "two requests, any start",
        &of_all(&STARTS, |start| pairs(start, &OPS, 0)),
    );
    hold("spoiled records", &spoiled(&pairs(Start::Live, &OPS, 0)));
    hold(
        "mixed keys",
        &rotated(&of_all(&[Start::Live, Start::Owned], |start| pairs(start, &KINDS, 0))),
    );
    hold(
        "mixed versions",
        &upgraded(&of_all(&UPGRADED, |start| pairs(start, &KINDS, 0))),
    );
}

#[test]
fn two_requests_whose_clocks_differ() {
    hold("clocks", &in_time(&of_all(&TIMES, |start| pairs(start, &KINDS, 0))));
}

#[test]
fn two_requests_with_a_fault() {
    let starts = [Start::Nothing, Start::Live, Start::Owned, Start::Small];
    hold("one fault", &of_all(&starts, |start| pairs(start, &KINDS, 1)));
}

#[test]
fn two_requests_with_two_faults() {
    hold("two faults", &pairs(Start::Live, &HARD[..2], 2));
}

#[test]
fn three_requests_without_a_fault() {
    hold(
        "three requests",
        &of_all(&[Start::Live, Start::Owned], |start| triples(start, &HARD, 0)),
    );
}

/// No instance seals, all do, or one does: then each record is sealed by the first write of that one.
#[test]
fn two_requests_whose_sessions_are_sealed() {
    let mut scenarios = of_all(&[Start::Nothing, Start::Live, Start::Owned], |start| {
        pairs(start, &KINDS, 0)
    });
    scenarios.extend(pairs(Start::Live, &HARD[..2], 1));
    let (as_others, _) = run(&scenarios, USUAL, 1);
    let counts = hold("sealed", &served_by(&scenarios, [Instance::Seals; 2]));
    assert_eq!(counts, as_others);
    let mut scenarios = of_all(&[Start::Live, Start::Owned], |start| pairs(start, &KINDS, 0));
    scenarios.extend(pairs(Start::Live, &[Op::Add, Op::Ann], 1));
    hold("one seals", &served_by(&scenarios, [Instance::Seals, Instance::Usual]));
    hold(
        "the other seals",
        &served_by(&scenarios, [Instance::Usual, Instance::Seals]),
    );
}

/// `EXHAUSTIVE=all` asks for it, which takes about ten minutes of processor time with the library at `opt-level` 2.
#[test]
fn everything() {
    if std::env::var_os("EXHAUSTIVE").is_none_or(|value| value != "all") {
        return;
    }
    let mut all = Counts::default();
    all += hold("one fault, any start", &of_all(&STARTS, |start| pairs(start, &OPS, 1)));
    all += hold(
        "one fault, clocks",
        &in_time(&of_all(&TIMES, |start| pairs(start, &KINDS, 1))),
    );
    all += hold("one fault, spoiled records", &spoiled(&pairs(Start::Live, &KINDS, 1)));
    all += hold("one fault, mixed keys", &rotated(&pairs(Start::Live, &KINDS, 1)));
    for instances in [
        [Instance::Seals; 2],
        [Instance::Seals, Instance::Usual],
        [Instance::Usual, Instance::Seals],
    ] {
        all += hold(
            &format!("one fault, {instances:?}"),
            &served_by(&pairs(Start::Live, &KINDS, 1), instances),
        );
    }
    all += hold(
        "one fault, mixed versions",
        &upgraded(&of_all(&UPGRADED, |start| pairs(start, &KINDS, 1))),
    );
    all += hold(
        "two faults, any start",
        &of_all(&STARTS, |start| pairs(start, &KINDS, 2)),
    );
    all += hold("two faults, all kinds", &pairs(Start::Live, &OPS, 2));
    all += hold(
        "two faults, clocks",
        &in_time(&of_all(&[Start::Idle, Start::Past], |start| pairs(start, &HARD, 2))),
    );
    let hard = pairs(Start::Live, &HARD, 2);
    all += hold("two faults, spoiled records", &spoiled(&hard));
    all += hold("two faults, mixed keys", &rotated(&hard));
    all += hold("two faults, mixed versions", &upgraded(&hard));
    all += hold(
        "three requests",
        &of_all(&[Start::Live, Start::Owned], |start| triples(start, &KINDS, 0)),
    );
    all += hold("three requests, one fault", &triples(Start::Live, &KINDS, 1));
    for (start, ops) in [
        (Start::Live, [Op::Set, Op::Flash, Op::Ann]),
        (Start::Owned, [Op::Add, Op::Renew, Op::EndAll]),
        (Start::Old, [Op::View, Op::Add, Op::Logout]),
        (Start::Past, [Op::View, Op::Add, Op::Ann]),
        (Start::NoMap, [Op::View, Op::Add, Op::Ann]),
    ] {
        all += hold(
            &format!("three requests, one fault, {start:?}, {ops:?}"),
            &triples(start, &ops, 1),
        );
    }
    say(&format!("all: {} schedules", all.schedules));
}

/// What a request costs when it is alone and nothing fails.
#[test]
fn each_request_costs_what_the_design_says() {
    for (start, op, calls) in [
        (Start::Nothing, Op::View, 0),
        (Start::Live, Op::View, 1),
        (Start::Old, Op::View, 2),
        (Start::Nothing, Op::Ann, 1),
        (Start::Nothing, Op::Owner, 2),
        (Start::Live, Op::Ann, 3),
        (Start::Live, Op::Owner, 4),
        (Start::Live, Op::Logout, 1),
        (Start::Nothing, Op::Set, 1),
        (Start::Live, Op::Set, 2),
        (Start::Live, Op::Take, 2),
    ] {
        let scenario = scopes::alone(start, op);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.expect("a runtime");
        let _inside = runtime.enter();
        let mut world = World::new();
        world.set_up(scenario, None);
        let explored = explore(&mut world, true, |world| {
            let outcome = world.outcomes[0].as_ref().expect("it is over");
            if outcome.calls == calls {
                checks::check(world)
            } else {
                Err(format!("P7: {} calls instead of {calls}", outcome.calls))
            }
        });
        assert_eq!(explored.map(|counts| counts.schedules), Ok(1), "{start:?} {op:?}");
    }
}

/// Every scenario has the same verdict with all schedules and with one of each that are alike, over the real rules and over broken
/// ones.
#[test]
fn the_reduction_loses_no_violation() {
    let scenarios = of_all(&[Start::Live, Start::Small], |start| pairs(start, &HARD, 0));
    let mut faulty = pairs(Start::Live, &[Op::Add, Op::Logout], 1);
    faulty.extend(scenarios);
    let mut counted = [Counts::default(); 2];
    for mutant in [
        None,
        Some(Mutant::Without(Write::Update, Clause::Revision)),
        Some(Mutant::Without(Write::Update, Clause::NotEnded)),
        Some(Mutant::Without(Write::Replace, Clause::Revision)),
        Some(Mutant::Without(Write::Update, Clause::SetWrites)),
        Some(Mutant::Swap(Write::Create, None)),
        Some(Mutant::Swap(Write::Replace, None)),
    ] {
        for scenario in &faulty {
            let verdicts = [true, false].map(|reduced| {
                let way = Way { mutant, reduced };
                run(std::slice::from_ref(scenario), way, 1)
            });
            let [reduced, full] = &verdicts;
            assert_eq!(reduced.1.is_empty(), full.1.is_empty(), "{mutant:?} {scenario:?}");
            for (all, (counts, _)) in counted.iter_mut().zip(verdicts) {
                *all += counts;
            }
        }
    }
    println!("reduced: {counted:?}");
    assert!(counted[0].schedules < counted[1].schedules);
}

/// The same scenarios in another order, so that those which are alike are far from each other: what a mutant breaks shows sooner.
fn spread(scenarios: Vec<Scenario>) -> Vec<Scenario> {
    let count = scenarios.len();
    let step = (count / 7..=count.max(1))
        .find(|step| gcd(*step, count) == 1)
        .expect("a step");
    (0..count)
        .map(|place| scenarios[place * step % count].clone())
        .collect()
}

fn gcd(one: usize, other: usize) -> usize {
    if other == 0 { one } else { gcd(other, one % other) }
}

/// The scenarios in which a mutant shows, those first in which it does soonest.
fn revealing(mutant: Mutant) -> Vec<Scenario> {
    let plain = || {
        of_all(
            &[Start::Live, Start::Owned, Start::Small, Start::Nothing, Start::Gone],
            |start| pairs(start, &KINDS, 0),
        )
    };
    let faulty = || {
        of_all(&[Start::Live, Start::Owned, Start::Nothing], |start| {
            pairs(start, &KINDS, 1)
        })
    };
    let time = || {
        let mut scenarios = in_time(&of_all(&TIMES, |start| pairs(start, &KINDS[..6], 0)));
        scenarios.extend(of_all(&[Start::Idle, Start::Aged], |start| {
            pairs(start, &[Op::Clear, Op::EndAll], 0)
        }));
        scenarios.extend(pairs(Start::Old, &KINDS[..2], 1));
        scenarios
    };
    let records = || {
        let mut scenarios = spoiled(&of_all(&[Start::Live, Start::Old], |start| {
            pairs(start, &KINDS[..6], 0)
        }));
        scenarios.extend(of_all(&[Start::NoMap, Start::NoNumber], |start| {
            pairs(start, &KINDS, 0)
        }));
        scenarios
    };
    match mutant {
        Mutant::Without(_, Clause::DataIsMap | Clause::RevisionIsNumber) => spread(records()),
        Mutant::Without(
            _,
            Clause::Expiry
            | Clause::Lifetime
            | Clause::Flagged
            | Clause::Remembered
            | Clause::Grows
            | Clause::From
            | Clause::SetUntil,
        )
        | Mutant::Without(Write::Slide, _)
        | Mutant::Without(Write::Update, Clause::SetExpiry)
        | Mutant::Skip(Write::Slide) => spread(time()),
        _ => [spread(plain()), spread(faulty())].concat(),
    }
}

#[test]
fn every_mutant_is_noticed() {
    let began = Instant::now();
    let mut wrong = Vec::new();
    for (mutant, property) in mutants::ALL {
        let (counts, violations) = run(
            &revealing(mutant),
            Way {
                mutant: Some(mutant),
                ..USUAL
            },
            1,
        );
        let violation = violations
            .first()
            .and_then(|violation| violation.lines().next())
            .unwrap_or("nothing");
        println!("{mutant:?}: {violation}, after {} schedules", counts.schedules);
        if !violation.starts_with(property) {
            wrong.push((mutant, property, violation.to_owned()));
        }
    }
    say(&format!(
        "{} mutants, {:.1} s",
        mutants::ALL.len(),
        began.elapsed().as_secs_f64()
    ));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// An earlier attempt of a change that was refused because its session had expired arrives after another instance, whose clock is far
/// behind, gave the session more time. It finds the session ended.
#[test]
fn a_change_that_was_refused_is_never_made() {
    let late = [Op::Add, Op::Take, Op::Renew].map(|op| in_time(&pairs(Start::Idle, &[Op::View, op], 1)));
    hold("refused changes", &late.concat());
    for op in [Op::Add, Op::Renew] {
        let way = Way {
            mutant: Some(Mutant::Skip(Write::EndRead)),
            ..USUAL
        };
        let (_, violations) = run(&in_time(&pairs(Start::Idle, &[Op::View, op], 1)), way, usize::MAX);
        assert!(
            violations.iter().any(|violation| violation.starts_with("P2")),
            "{violations:?}"
        );
    }
}

/// The table that the mutants are made of is a store like the others.
mod contract {
    use super::steps::Steps;

    lambda_session::store_contract!(Steps::open());
    lambda_session::owner_store_contract!(Steps::open());
}
