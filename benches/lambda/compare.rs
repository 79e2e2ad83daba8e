//! Builds of the product against each other: how its profile, allocator and TLS provider were chosen.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::artifact::zipped;
use crate::event::Event;
use crate::rounds::{BLOCKS, Contestant, Figures, LEAD, ROUNDS, SETTLE, measure, starts};
use crate::sandbox::bytes;
use crate::world::World;
use crate::{Failure, say};

const REQUESTS: usize = 30;

/// Measures every program in `directory`, copies of `target/release/lambda-session` under names of their own, in interleaved
/// rounds, and prints a line for each.
pub(crate) fn run(directory: &Path, world: &World) -> Result<(), Failure> {
    let mut programs: Vec<PathBuf> = fs::read_dir(directory)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_, Failure>>()?;
    programs.sort();
    let name = |program: &Path| program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let at = |endpoint: &str| -> Result<Vec<_>, Failure> {
        let new = |program: &PathBuf| Contestant::new(name(program), program.clone(), world, endpoint);
        programs.iter().map(new).collect()
    };
    let plain = at(&world.plain)?;
    let tls = at(world.tls.as_deref().ok_or("the given DynamoDB is not behind TLS")?)?;
    let (mut figures, mut tls_figures) = (Figures::default(), Figures::default());
    for round in 1..=ROUNDS {
        say(&format!("round {round} of {ROUNDS}"));
        starts(&plain, &mut figures)?;
        starts(&tls, &mut tls_figures)?;
        warm(&plain, &mut figures)?;
    }
    println!(
        "{:<16} {:>7} {:>7} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "", "zip MB", "RSS MiB", "start ms", "view ms", "TLS start", "TLS view", "page us", "view us"
    );
    for program in &programs {
        let name = name(program);
        let median = |what: &str| figures.median(&format!("{name} {what}")).unwrap_or_default();
        let over_tls = |what: &str| tls_figures.median(&format!("{name} {what}")).unwrap_or_default();
        println!(
            "{name:<16} {:>7.2} {:>7.2} {:>9.2} {:>9.2} {:>9.2} {:>9.2} {:>9.1} {:>9.1}",
            zipped(program)? as f64 / 1e6,
            median("memory"),
            median("first poll"),
            median("first view"),
            over_tls("first poll"),
            over_tls("first view"),
            median("page"),
            median("view"),
        );
    }
    Ok(())
}

/// CPU time of a warm page and a warm view, and the memory that many of them take.
fn warm(contestants: &[Contestant], figures: &mut Figures) -> Result<(), Failure> {
    // One for each kind: views would leave pages a processor's cache full of the store's code.
    let mut sandboxes = Vec::new();
    for contestant in contestants {
        let view = Event::get("/").cookie(&contestant.cookie);
        sandboxes.push((contestant, "page", bytes(Event::get("/")), contestant.start()?));
        sandboxes.push((contestant, "view", bytes(view), contestant.start()?));
    }
    let mut samples: BTreeMap<String, (Vec<f64>, _)> = BTreeMap::new();
    for block in 0..=BLOCKS {
        let number = if block == 0 { SETTLE } else { REQUESTS };
        for (contestant, what, event, sandbox) in &mut sandboxes {
            measure(sandbox, vec![event.clone(); LEAD], &mut Default::default())?;
            let sample = samples.entry(format!("{} {what}", contestant.name)).or_default();
            measure(sandbox, vec![event.clone(); number], sample)?;
        }
        if block == 0 {
            samples.clear();
        }
        sandboxes.rotate_left(1);
        sandboxes.reverse();
    }
    for (name, (durations, cpu)) in samples {
        figures.add(name, cpu.as_secs_f64() * 1e6 / durations.len() as f64);
    }
    for (contestant, _, _, sandbox) in sandboxes.iter().filter(|(_, what, ..)| *what == "view") {
        let memory = sandbox.peak_memory()? as f64 / 1024.0 / 1024.0;
        figures.add(format!("{} memory", contestant.name), memory);
    }
    Ok(())
}
