//! The interleaved rounds. In each, the programs take turns, so that other work on the machine affects them alike.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use crate::programs::Programs;
use crate::requests::{log_in, login, view};
use crate::sandbox::{Sandbox, ms};
use crate::turn::{Ask, Sample, Turn};
use crate::world::World;
use crate::{Failure, say};

/// The rounds of a run whose figures count. `BENCH_ROUNDS` sets another number, to try the bench.
pub(crate) const ROUNDS: usize = 15;
/// The starts of each program in a round, for each kind of first request.
const STARTS: usize = 5;
/// How often each program has its turn in a round, with warm and with cold caches.
const BLOCKS: usize = 10;
const COLD: usize = 20;
/// The requests of a turn.
const REQUESTS: usize = 40;
/// The requests at the beginning of a turn that are not counted, because the processor has to get used to this program
/// again.
const LEAD: usize = 10;
/// An endpoint on which nothing listens.
const NOBODY: &str = "http://127.0.0.1:1";

/// Returns the number of rounds.
pub(crate) fn rounds() -> usize {
    let given = std::env::var("BENCH_ROUNDS").ok().and_then(|given| given.parse().ok());
    given.filter(|rounds| *rounds > 0).unwrap_or(ROUNDS)
}

/// The values that are measured, by name: one for each round.
#[derive(Default)]
pub(crate) struct Figures(BTreeMap<String, Vec<f64>>);

impl Figures {
    pub(crate) fn add(&mut self, name: String, value: f64) {
        self.0.entry(name).or_default().push(value);
    }

    /// Returns the median over the rounds.
    pub(crate) fn median(&self, name: &str) -> Option<f64> {
        median(self.0.get(name)?.clone())
    }

    /// Returns the median over the rounds of one figure's ratio to another.
    pub(crate) fn ratio(&self, name: &str, floor: &str) -> Option<f64> {
        let pairs = self.0.get(name)?.iter().zip(self.0.get(floor)?);
        median(pairs.map(|(value, floor)| value / floor).collect())
    }
}

/// Returns the middle value, or the upper one of two.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// A program that takes part in the rounds, and the requests with which it is measured, by name.
struct Contestant<'a> {
    name: &'static str,
    program: &'a Path,
    environment: Vec<(String, String)>,
    requests: Vec<(&'static str, Vec<u8>)>,
}

/// Measures starts, requests with warm caches and with cold ones, and memory, of the app and of the programs that do
/// less.
pub(crate) async fn run(programs: &Programs, world: &World, figures: &mut Figures) -> Result<(), Failure> {
    const STORE: &[&str] = &["view", "login"];
    let (plain, tls) = (Some(world.plain.as_str()), world.tls.as_deref());
    let app = Sandbox::start(&programs.product, &world.environment(&world.plain)).await?;
    let (page, _) = app.invoke(&view("")).await?;
    drop(app);
    let mut contestants = Vec::new();
    for (name, program, endpoint, requests) in [
        ("hello", &programs.hello, plain, &["page"][..]),
        ("getitem", &programs.getitem, plain, STORE),
        ("parts", &programs.parts, plain, STORE),
        ("product", &programs.product, plain, STORE),
        // Their pages are compared with *hello*'s, so the store's code must not be in the caches either.
        ("parts, pages", &programs.parts, plain, &["page"]),
        ("product, pages", &programs.product, plain, &["page"]),
        // A session by hand, with the app's page for an anonymous visitor and its headers, ready-made.
        ("hand", &programs.hand, plain, STORE),
        ("hand, pages", &programs.hand, plain, &["page"]),
        // Its warm-up finds no store.
        ("product alone", &programs.product, Some(NOBODY), &["page"]),
        ("getitem, TLS", &programs.getitem, tls, &["view"]),
        ("product, TLS", &programs.product, tls, &["view"]),
    ] {
        let Some(endpoint) = endpoint else { continue };
        let mut environment = world.environment(endpoint);
        if name.starts_with("hand") {
            environment.push(("PAGE".to_owned(), page.to_string()));
        }
        let mut events = Vec::new();
        for &request in requests {
            let event = match request {
                "view" => view(&log_in(&Sandbox::start(program, &environment).await?).await?),
                "login" => login(),
                _ => view(""),
            };
            events.push((request, event));
        }
        contestants.push(Contestant {
            name,
            program,
            environment,
            requests: events,
        });
    }
    let mut caches = Caches::new();
    for round in 1..=rounds() {
        say(&format!("programs: round {round} of {}", rounds()));
        programs.copy()?;
        starts(&contestants, figures).await?;
        requests(&contestants, figures, &mut caches).await?;
    }
    Ok(())
}

/// Starts each program several times, in turns, for each kind of first request. The medians are the round's values.
async fn starts(contestants: &[Contestant<'_>], figures: &mut Figures) -> Result<(), Failure> {
    let mut samples: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for _ in 0..STARTS {
        for contestant in contestants {
            for (request, event) in &contestant.requests {
                let sandbox = Sandbox::start(contestant.program, &contestant.environment).await?;
                let cpu = sandbox.cpu()?;
                let (_, first) = sandbox.invoke(event).await?;
                let name = contestant.name;
                for (figure, duration) in [
                    (format!("{name}: start"), sandbox.first_poll),
                    (format!("{name}: start, CPU"), cpu),
                    (format!("{name}: first {request}"), first),
                ] {
                    samples.entry(figure).or_default().push(ms(duration));
                }
            }
        }
    }
    for (name, values) in samples {
        figures.add(name, median(values).unwrap_or_default());
    }
    Ok(())
}

async fn requests(contestants: &[Contestant<'_>], figures: &mut Figures, caches: &mut Caches) -> Result<(), Failure> {
    let (mut turns, mut sandboxes) = (Vec::new(), Vec::new());
    for contestant in contestants {
        let sandbox = Rc::new(Sandbox::start(contestant.program, &contestant.environment).await?);
        for (request, event) in &contestant.requests {
            let name = format!("{}: {request}", contestant.name);
            turns.push(Turn::new(name, &sandbox, Ask::InARow(event.clone())));
        }
        sandboxes.push((contestant.name, sandbox));
    }
    round(&mut turns, figures).await?;
    // In the same processes, so that only the caches differ.
    let mut cold: BTreeMap<String, Sample> = BTreeMap::new();
    for _ in 0..COLD {
        for turn in turns.iter().filter(|turn| turn.name.ends_with("view")) {
            caches.overwrite();
            cold.entry(turn.name.clone()).or_default().add(turn.take(1).await?);
        }
        turns.rotate_left(1);
    }
    for (name, sample) in cold {
        figures.add(format!("{name}, cold"), sample.microseconds());
    }
    for (name, sandbox) in sandboxes {
        figures.add(format!("{name}: peak memory"), sandbox.memory("VmHWM")?);
        figures.add(format!("{name}: memory"), sandbox.memory("VmRSS")?);
    }
    Ok(())
}

/// Lets each have its turn several times, and adds what a request has taken.
pub(crate) async fn round(turns: &mut [Turn], figures: &mut Figures) -> Result<(), Failure> {
    let mut samples: BTreeMap<String, Sample> = BTreeMap::new();
    for block in 0..=BLOCKS {
        for turn in &*turns {
            turn.take(LEAD).await?;
            let sample = turn.take(REQUESTS).await?;
            samples.entry(turn.name.clone()).or_default().add(sample);
        }
        if block == 0 {
            // The programs have settled now.
            samples.clear();
        }
        // The order of the programs matters a little.
        turns.rotate_left(1);
        turns.reverse();
    }
    for (name, sample) in samples {
        figures.add(format!("{name}, CPU"), sample.microseconds());
        if let Some(p50) = median(sample.durations) {
            figures.add(format!("{name}, median"), p50);
        }
    }
    Ok(())
}

/// The processor's caches, in which other guests of the host leave nothing between two requests of a function.
struct Caches(Vec<u8>);

impl Caches {
    /// More bytes than a processor's caches hold.
    const SIZE: usize = 48 * 1024 * 1024;
    /// The bytes of a cache line.
    const LINE: usize = 64;

    fn new() -> Self {
        Self(vec![0; Self::SIZE])
    }

    fn overwrite(&mut self) {
        for byte in self.0.iter_mut().step_by(Self::LINE) {
            *byte = byte.wrapping_add(1);
        }
        std::hint::black_box(&mut self.0);
    }
}
