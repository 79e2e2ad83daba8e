//! Every schedule of a few requests at once over the real layer, with faults.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

mod checks;
mod explore;
mod mutants;
mod scopes;
mod spec;
mod steps;
mod table;
mod world;

use explore::{Counts, explore};
use mutants::Mutant;
use scopes::{HARD, KINDS, OPS, STARTS, TIMES, in_time, pairs, rotated, spoiled, triples};
use world::{Scenario, Start, World};

/// How the scenarios are explored.
#[derive(Clone, Copy)]
struct Way {
    mutant: Option<Mutant>,
    /// Without the schedules that differ from another only in the order of independent moves.
    reduced: bool,
    /// See `History`.
    lenient: bool,
}

const USUAL: Way = Way {
    mutant: None,
    reduced: true,
    lenient: true,
};

/// Explores all scenarios, on all cores, up to so many violations.
fn run(scenarios: &[Scenario], way: Way, most: usize) -> (Counts, Vec<String>) {
    let next = AtomicUsize::new(0);
    let result = Mutex::new((Counts::default(), Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                // The deadline of a request needs a timer; no time passes for it here.
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
                let runtime = runtime.expect("a runtime");
                let _inside = runtime.enter();
                let mut world = World::new();
                while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
                    world.set_up(scenario.clone(), way.mutant);
                    let explored = explore(&mut world, way.reduced, |world| checks::check(world, way.lenient));
                    let mut result = result.lock().expect("no thread fails");
                    match explored {
                        Ok(counts) => result.0 += counts,
                        Err(broken) => result.1.push(broken),
                    }
                    if result.1.len() >= most {
                        return;
                    }
                }
            });
        }
    });
    result.into_inner().expect("no thread failed")
}

/// The scenarios in which a mutant shows, the smallest first.
fn revealing() -> Vec<Scenario> {
    let main = [Start::Live, Start::Owned, Start::Small, Start::Nothing, Start::Gone];
    let mut scenarios: Vec<_> = STARTS.into_iter().flat_map(|start| pairs(start, &OPS, 0)).collect();
    scenarios.extend(TIMES.into_iter().flat_map(|start| in_time(&pairs(start, &KINDS, 0))));
    scenarios.extend(spoiled(&pairs(Start::Live, &KINDS, 0)));
    scenarios.extend(spoiled(&pairs(Start::Old, &KINDS[..3], 0)));
    scenarios.extend(main.into_iter().flat_map(|start| pairs(start, &KINDS, 1)));
    scenarios.extend(in_time(&pairs(Start::Old, &KINDS[..3], 1)));
    scenarios
}

#[test]
fn every_mutant_is_noticed() {
    let scenarios = revealing();
    let mut wrong = Vec::new();
    for (mutant, property) in mutants::all() {
        let began = std::time::Instant::now();
        let (counts, violations) = run(&scenarios, Way { mutant: Some(mutant), ..USUAL }, 1);
        let noticed = violations.first().map_or("nothing", |violation| violation.split(':').next().unwrap_or_default());
        println!("{mutant:?}: {} ({} schedules, {:?})", violations.first().map_or("nothing", |violation| violation.lines().next().unwrap_or_default()), counts.schedules, began.elapsed());
        if noticed != property {
            wrong.push((mutant, property, noticed.to_owned()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn try_out() {
    let began = std::time::Instant::now();
    let lenient = std::env::var("LENIENT").is_err();
    let mut scenarios = Vec::new();
    let faults: usize = std::env::var("FAULTS").ok().and_then(|s| s.parse().ok()).unwrap_or(0);
    let ops: &[world::Op] = match std::env::var("OPS").as_deref() { Ok("KINDS") => &KINDS, Ok("HARD") => &HARD, _ => &OPS };
    let only = std::env::var("START").ok();
    for start in STARTS {
        if only.as_ref().is_some_and(|only| *only != format!("{start:?}")) { continue }
        let these = match std::env::var("KIND").as_deref() {
            Ok("time") => in_time(&pairs(start, ops, faults)),
            Ok("spoiled") => spoiled(&pairs(start, ops, faults)),
            Ok("rotated") => rotated(&pairs(start, ops, faults)),
            Ok("triples") => triples(start, ops, faults),
            _ => pairs(start, ops, faults),
        };
        scenarios.extend(these);
    }
    let (counts, all) = run(&scenarios, Way { lenient, ..USUAL }, 100_000);
    let mut kinds = std::collections::BTreeMap::new();
    for broken in all {
            let kind = broken.lines().next().unwrap_or_default().chars().take(40).collect::<String>();
            let line = broken.lines().nth(1).unwrap_or_default();
            let scenario: Vec<_> = line.split("op: ").skip(1).map(|s| s.split(',').next().unwrap_or_default().to_owned()).collect();
            let key = format!("{kind} {} {scenario:?}", line.split(',').next().unwrap_or_default());
            let known = kinds.entry(key).or_insert((0, broken.clone()));
            known.0 += 1;
            if broken.len() < known.1.len() { known.1 = broken; }
    }
    for (kind, (count, _)) in &kinds { println!("{count} {kind}"); }
    for (_, (_, text)) in kinds.iter().take(40) { println!("{text}\n-----"); }
    println!("{} scenarios {counts:?} {:?}", scenarios.len(), began.elapsed());
}
