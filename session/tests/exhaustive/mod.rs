//! Plays every schedule of a few concurrent requests, with faults: the function that decides, and what surrounds it, on
//! a table whose every call is a step of the schedule. `README.md` beside this file says what this proves, and in what
//! scope. `cargo schedules` runs the ignored tests, which take longest.

#![expect(clippy::disallowed_methods, reason = "it measures how long the schedules take")]

use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use foldhash::{HashSet, HashSetExt as _};

mod checks;
mod explore;
mod layer;
mod mutants;
mod ops;
mod request;
mod scenario;
mod scopes;
mod spec;
mod table;
mod world;

use explore::explore;
use mutants::{Kind, Mutant, Part};
use scenario::{Instance, Op, Scenario, Start};
use scopes::{
    BINDING, HARD, KINDS, OPS, STARTS, TAKEN_OVER, TIMES, UPGRADED, in_time, limited, pairs, quadruples, rotated,
    served_by, spoiled, triples, upgraded, with_faults,
};
use table::mark;
use world::{Turns, World};

/// How the scenarios are explored.
#[derive(Clone, Copy)]
struct Way {
    mutant: Option<Mutant>,
    /// Whether what follows a state is played again when the state is met again.
    forgetful: bool,
}

const USUAL: Way = Way {
    mutant: None,
    forgetful: false,
};

/// Explores all scenarios on all cores, until it has found this many violations.
fn run(scenarios: &[Scenario], way: Way, most: usize) -> (u64, Vec<String>) {
    let next = AtomicUsize::new(0);
    let result = Mutex::new((0, Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(scenario) = scenarios.get(place) else { return };
                    let turns = (!way.forgetful).then(Turns::default);
                    let world = World::new(scenario, way.mutant, turns.as_ref());
                    // A result that was checked once is not checked again.
                    let mut good = HashSet::new();
                    let explored = explore(world, way.forgetful, &mut |world: &World<'_>| {
                        let played = world.played();
                        let mark = mark(&played);
                        if !good.contains(&mark) {
                            checks::check(&played)?;
                            good.insert(mark);
                        }
                        Ok(())
                    });
                    let mut result = result.lock().expect("no thread fails");
                    match explored {
                        Ok(schedules) => result.0 += schedules,
                        Err(broken) => result.1.push((place, broken)),
                    }
                    if result.1.len() >= most {
                        return;
                    }
                }
            });
        }
    });
    let (schedules, mut violations) = result.into_inner().expect("no thread failed");
    // In the order of the scenarios, whichever core was faster.
    violations.sort();
    (
        schedules,
        violations.into_iter().map(|(_, violation)| violation).collect(),
    )
}

/// Explores all scenarios over the real layer, on all cores, and fails with the first violation.
#[track_caller]
fn hold_in_the_layer(what: &str, scenarios: &[Scenario]) {
    let (began, next) = (Instant::now(), AtomicUsize::new(0));
    let result = Mutex::new((0, None));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                // A request's deadline needs a timer, but no time passes for it here, however slow the machine is.
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .start_paused(true)
                    .build();
                let runtime = runtime.expect("a runtime");
                let _inside = runtime.enter();
                let mut site = layer::Site::new();
                while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let explored = site.explore(scenario);
                    let mut result = result.lock().expect("no thread fails");
                    match explored {
                        Ok(schedules) => result.0 += schedules,
                        Err(broken) => result.1 = Some(broken),
                    }
                    if result.1.is_some() {
                        return;
                    }
                }
            });
        }
    });
    let (schedules, violation) = result.into_inner().expect("no thread failed");
    say_explored(what, scenarios, schedules, began);
    assert!(violation.is_none(), "{what}: {}", violation.unwrap_or_default());
}

/// Explores all scenarios, and fails with the first violation.
#[track_caller]
fn hold(what: &str, scenarios: &[Scenario]) -> u64 {
    let began = Instant::now();
    let (schedules, violations) = run(scenarios, USUAL, 1);
    say_explored(what, scenarios, schedules, began);
    assert!(violations.is_empty(), "{what}: {}", violations[0]);
    schedules
}

fn say_explored(what: &str, scenarios: &[Scenario], schedules: u64, began: Instant) {
    say(&format!(
        "{what}: {} scenarios, {schedules} schedules, {:.1} s",
        scenarios.len(),
        began.elapsed().as_secs_f64()
    ));
}

/// Writes to standard error itself, because the macros' output is shown only when a test fails.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn of_all(starts: &[Start], scenarios: impl Fn(Start) -> Vec<Scenario>) -> Vec<Scenario> {
    starts.iter().flat_map(|start| scenarios(*start)).collect()
}

#[test]
fn two_requests() {
    let all = of_all(&STARTS, |start| pairs(start, &OPS, 1));
    let all = with_faults(all, 2, &STARTS, &KINDS);
    hold("two requests", &with_faults(all, 2, &[Start::Live], &OPS));
    hold("another owner's session", &pairs(Start::Others, &TAKEN_OVER, 1));
}

#[test]
fn two_requests_with_spoiled_records_or_mixed_instances() {
    let live = [Start::Live];
    let over_a_session = with_faults(pairs(Start::Live, &OPS, 0), 1, &live, &KINDS);
    hold(
        "spoiled records",
        &spoiled(&with_faults(over_a_session, 2, &live, &HARD)),
    );
    let over_two = of_all(&[Start::Live, Start::Owned], |start| pairs(start, &KINDS, 0));
    let over_two = with_faults(over_two, 1, &live, &KINDS);
    hold("mixed keys", &rotated(&with_faults(over_two, 2, &live, &HARD)));
    let known_to_both = of_all(&UPGRADED, |start| pairs(start, &OPS, 0));
    let known_to_both = with_faults(known_to_both, 1, &UPGRADED, &KINDS);
    hold(
        "mixed versions",
        &upgraded(&with_faults(known_to_both, 2, &live, &HARD)),
    );
}

#[test]
fn two_requests_whose_clocks_differ() {
    let all = of_all(&TIMES, |start| pairs(start, &KINDS, 1));
    let all = with_faults(all, 2, &[Start::Idle, Start::Past], &HARD);
    hold("clocks", &in_time(&all));
}

/// Plays a sample of what the ignored tests play.
#[test]
fn a_sample_with_faults() {
    hold("sample, bindings", &pairs(Start::Live, &BINDING, 1));
    let ops = [Op::Owner, Op::Renew, Op::EndAll];
    hold("sample, at most 1", &limited(&pairs(Start::Owned, &ops, 1), 1));
    hold_in_the_layer("sample, the layer", &pairs(Start::Live, &HARD, 1));
}

#[test]
fn three_requests() {
    hold("three requests, an owner", &triples(Start::Owned, &KINDS, 0));
    hold("three requests, one fault", &triples(Start::Live, &KINDS, 1));
    for (start, ops) in [
        (Start::Live, [Op::Set, Op::Flash, Op::Ann]),
        (Start::Owned, [Op::Add, Op::Renew, Op::EndAll]),
        (Start::Old, [Op::View, Op::Add, Op::Logout]),
        (Start::Past, [Op::View, Op::Add, Op::Ann]),
        (Start::Malformed, [Op::View, Op::Add, Op::Ann]),
    ] {
        hold(
            &format!("three requests, one fault, {start:?}, {ops:?}"),
            &triples(start, &ops, 1),
        );
    }
}

#[test]
#[ignore = "takes long; `cargo schedules` runs it"]
fn an_owner_with_a_limit() {
    let ops = [Op::View, Op::Owner, Op::Anew, Op::Renew, Op::Logout, Op::EndAll];
    let starts = [Start::Nothing, Start::Owned];
    for most in [1, 2] {
        hold(
            &format!("at most {most}, one fault"),
            &limited(&of_all(&starts, |start| pairs(start, &ops, 1)), most),
        );
        hold(
            &format!("at most {most}, three requests"),
            &limited(&of_all(&starts, |start| triples(start, &ops, 0)), most),
        );
    }
}

/// Plays what surrounds the function that decides: extractors, cookies, the loop, cancelled futures and sealed records.
/// Either all instances seal, or one does and its first write seals a record, or none does.
#[test]
#[ignore = "takes long; `cargo schedules` runs it"]
fn the_layer_around_it() {
    let starts = [Start::Nothing, Start::Live, Start::Owned, Start::Small];
    hold_in_the_layer("the layer", &of_all(&STARTS, |start| pairs(start, &KINDS, 0)));
    hold_in_the_layer(
        "the layer, one fault",
        &of_all(&starts, |start| pairs(start, &KINDS, 1)),
    );
    let taken_over = pairs(Start::Others, &TAKEN_OVER, 0);
    hold_in_the_layer("the layer, another owner's session", &taken_over);
    hold_in_the_layer(
        "the layer, an end and a login",
        &pairs(Start::Owned, &[Op::Add, Op::Anew, Op::EndAll], 1),
    );
    hold_in_the_layer(
        "the layer, saves in the middle",
        &pairs(Start::Live, &[Op::SaveAndAdd, Op::Ann, Op::Logout], 1),
    );
    hold_in_the_layer(
        "the layer, clocks",
        &in_time(&of_all(&TIMES, |start| pairs(start, &HARD, 0))),
    );
    hold_in_the_layer("the layer, mixed keys", &rotated(&pairs(Start::Live, &KINDS, 0)));
    let mut scenarios = of_all(&starts[..3], |start| pairs(start, &KINDS, 0));
    scenarios.extend(pairs(Start::Live, &[Op::Add, Op::Ann], 1));
    for instances in [
        [Instance::Seals; 2],
        [Instance::Seals, Instance::Usual],
        [Instance::Usual, Instance::Seals],
    ] {
        hold_in_the_layer(&format!("the layer, {instances:?}"), &served_by(&scenarios, instances));
    }
}

/// Plays more faults, and more requests at once.
#[test]
#[ignore = "takes long; `cargo schedules` runs it"]
fn beyond() {
    let mut all = 0;
    let starts = [Start::Live, Start::Owned, Start::Small];
    all += hold("three faults", &of_all(&starts, |start| pairs(start, &HARD, 3)));
    let owners = [Op::Owner, Op::Renew, Op::Logout, Op::EndAll];
    all += hold("three faults, an owner", &pairs(Start::Owned, &owners, 3));
    all += hold("four requests", &of_all(&starts, |start| quadruples(start, &HARD)));
    all += hold("four requests, an owner", &quadruples(Start::Owned, &owners));
    let ops = [Op::View, Op::Add, Op::Ann, Op::Logout];
    let in_three = of_all(&[Start::Idle, Start::Past, Start::Aged], |start| {
        triples(start, &ops, 0)
    });
    all += hold("three requests, clocks", &in_time(&in_three));
    let ops = [Op::View, Op::Owner, Op::Renew, Op::EndAll];
    all += hold("at most 1, two faults", &limited(&pairs(Start::Owned, &ops, 2), 1));
    all += hold(
        "at most 1, three requests, one fault",
        &limited(&triples(Start::Owned, &ops[1..], 1), 1),
    );
    say(&format!("beyond: {all} schedules"));
}

/// A session is bound once and its renewals keep the key, whatever is lost or late.
#[test]
#[ignore = "takes long; `cargo schedules` runs it"]
fn bindings() {
    let starts = [
        Start::Live,
        Start::Bound,
        Start::Owned,
        Start::Idle,
        Start::Remembered,
        Start::Ended,
        Start::Gone,
    ];
    let all = of_all(&starts, |start| pairs(start, &BINDING, 1));
    hold("bindings", &with_faults(all, 2, &starts[..2], &BINDING));
    hold(
        "bindings, three requests",
        &of_all(&starts[..2], |start| triples(start, &BINDING, 0)),
    );
    let idle = of_all(&[Start::Idle, Start::Aged], |start| pairs(start, &BINDING, 1));
    hold("bindings, clocks", &in_time(&idle));
    hold("bindings, malformed", &spoiled(&pairs(Start::Live, &BINDING, 1)));
    hold(
        "bindings, an upgrade",
        &upgraded(&of_all(&starts[..2], |start| pairs(start, &BINDING, 1))),
    );
}

/// Checks how many calls a request makes when it is alone and nothing fails.
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
        (Start::Live, Op::Anew, 4),
        (Start::Others, Op::Owner, 4),
        (Start::Live, Op::Logout, 1),
        (Start::Nothing, Op::Set, 1),
        (Start::Live, Op::Set, 2),
        (Start::Live, Op::Take, 2),
        (Start::Live, Op::Bind, 2),
        (Start::Gone, Op::Bind, 1),
    ] {
        let explored = explore(
            World::new(&scopes::alone(start, op), None, None),
            false,
            &mut |world: &World<'_>| {
                let made = world.outcome(0).map_or(0, |outcome| outcome.calls);
                if made == calls {
                    checks::check(&world.played())
                } else {
                    Err(format!("P6: {made} calls instead of {calls}"))
                }
            },
        );
        assert_eq!(explored, Ok(1), "{start:?} {op:?}");
    }
}

/// Whether or not a state that was met is played again, every scenario has the same verdict and as many schedules, for
/// the real rules and for broken ones.
#[test]
fn a_state_that_was_met_hides_no_violation() {
    let living = of_all(&[Start::Live, Start::Small], |start| pairs(start, &HARD, 0));
    let scenarios = [
        living,
        pairs(Start::Live, &[Op::Add, Op::Logout], 1),
        pairs(Start::Live, &[Op::Add], 2),
        pairs(Start::Nothing, &[Op::Owner, Op::EndAll], 1),
        in_time(&pairs(Start::Idle, &[Op::View, Op::Add], 0)),
        spoiled(&pairs(Start::Live, &[Op::Add, Op::Logout], 0)),
        upgraded(&pairs(Start::Live, &[Op::Add, Op::Ann], 0)),
    ];
    let scenarios = scenarios.concat();
    for mutant in [
        None,
        Some(Mutant::Ignores(Part::Revision)),
        Some(Mutant::Ignores(Part::Tombstone)),
        Some(Mutant::Forgets(Part::Writes)),
        Some(Mutant::Forgets(Part::Ended)),
        Some(Mutant::Swap(Kind::Create, None)),
        Some(Mutant::Swap(Kind::Replace, None)),
    ] {
        let [usual, forgetful] = [false, true].map(|forgetful| run(&scenarios, Way { mutant, forgetful }, usize::MAX));
        assert_eq!(usual, forgetful, "{mutant:?}");
    }
}

/// Returns the scenarios in an order that keeps similar ones apart, so that a mutant's violation is found sooner.
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

/// Returns the scenarios that reveal a mutant, beginning with those that reveal it soonest.
fn revealing(mutant: Mutant) -> Vec<Scenario> {
    let time = || {
        let mut scenarios = in_time(&of_all(&TIMES, |start| pairs(start, &KINDS[..6], 0)));
        scenarios.extend(pairs(Start::Old, &KINDS[..2], 1));
        scenarios
    };
    let plain = || {
        of_all(
            &[Start::Live, Start::Owned, Start::Small, Start::Nothing, Start::Gone],
            |start| pairs(start, &KINDS, 0),
        )
    };
    let faulty = || {
        of_all(&[Start::Live, Start::Owned, Start::Nothing, Start::Small], |start| {
            pairs(start, &KINDS, 1)
        })
    };
    match mutant {
        Mutant::Ignores(Part::Expiry | Part::SeenAt) | Mutant::Forgets(Part::Expiry) | Mutant::Skip(Kind::Slide) => {
            spread(time())
        }
        Mutant::Forgets(Part::Bound) => pairs(Start::Live, &BINDING, 0),
        Mutant::Forgets(Part::Kept) => pairs(Start::Bound, &BINDING, 0),
        _ => [spread(plain()), spread(faulty())].concat(),
    }
}

#[test]
fn every_mutant_is_noticed() {
    let began = Instant::now();
    let mut wrong = Vec::new();
    for (mutant, property) in mutants::ALL {
        let (schedules, violations) = run(
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
        println!("{mutant:?}: {violation}, after {schedules} schedules");
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

/// A change is refused because its session has expired. Then another instance, whose clock is behind, extends the
/// session, and an earlier attempt of the change arrives.
#[test]
fn a_change_that_was_refused_is_never_made() {
    let late = [Op::Add, Op::Take, Op::Renew].map(|op| in_time(&pairs(Start::Idle, &[Op::View, op], 1)));
    hold("refused changes", &late.concat());
}
