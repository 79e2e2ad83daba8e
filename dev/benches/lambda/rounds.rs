//! The interleaved rounds. In each, product and floors take turns, so that other work on the machine affects them
//! alike.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::artifact::Artifacts;
use crate::routes::{Caches, Route, log_in};
use crate::sandbox::Sandbox;
use crate::world::World;
use crate::{Failure, say};

/// At least seven rounds are needed for stable medians.
pub(crate) const ROUNDS: usize = 15;
/// The starts of each program in a round, for each kind of first request.
const STARTS: usize = 5;
/// An endpoint on which nothing listens.
const NOBODY: &str = "http://127.0.0.1:1";
const BLOCKS: usize = 10;
const REQUESTS: usize = 40;
/// The requests of each program with cold caches in a round.
const COLD: usize = 20;
/// The requests at the beginning of a turn that are not counted, because the processor has to get used to this program
/// again.
const LEAD: usize = 10;

/// The values that are measured, by name: one for each round.
#[derive(Default)]
pub(crate) struct Figures(BTreeMap<String, Vec<f64>>);

impl Figures {
    fn add(&mut self, name: String, value: f64) {
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
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// A program that takes part in the rounds.
struct Contestant {
    name: &'static str,
    program: PathBuf,
    environment: Vec<(String, String)>,
    /// The cookie of a live session; empty if the program has no sessions.
    cookie: String,
    /// The requests that are measured.
    routes: &'static [Route],
}

impl Contestant {
    async fn start(&self) -> Result<Sandbox, Failure> {
        Sandbox::start(&self.program, &self.environment).await
    }
}

/// Measures start-up, warm requests, and requests with cold caches, with the store at `endpoint`.
pub(crate) async fn run(artifacts: &Artifacts, world: &World, endpoint: &str) -> Result<Figures, Failure> {
    const STORE: &[Route] = &[Route::View, Route::Login];
    let mut contestants = Vec::new();
    for (name, program, routes) in [
        ("hello", &artifacts.hello, &[Route::Anonymous][..]),
        ("getitem", &artifacts.getitem, STORE),
        ("limit", &artifacts.limit, STORE),
        ("parts", &artifacts.parts, STORE),
        // Like *hello*. What the store's code leaves in the processor's caches is measured with the store's requests.
        ("product page", &artifacts.product, &[Route::Anonymous]),
        ("parts page", &artifacts.parts, &[Route::Anonymous]),
        ("product", &artifacts.product, STORE),
        // Its warm-up finds no store.
        ("product alone", &artifacts.product, &[Route::Anonymous]),
    ] {
        // *limit* speaks no TLS, and no row shows *parts* over TLS.
        if ["limit", "parts", "parts page"].contains(&name) && endpoint.starts_with("https:") {
            continue;
        }
        let environment = world.environment(if name == "product alone" { NOBODY } else { endpoint });
        let cookie = match routes {
            [Route::Anonymous] => String::new(),
            _ => log_in(&Sandbox::start(program, &environment).await?).await?,
        };
        contestants.push(Contestant {
            name,
            program: program.clone(),
            environment,
            cookie,
            routes,
        });
    }
    let mut figures = Figures::default();
    let mut others = Others::new();
    for round in 1..=ROUNDS {
        say(&format!("{endpoint}: round {round} of {ROUNDS}"));
        first_requests(&contestants, &mut figures).await?;
        warm_requests(&contestants, &mut figures, &mut others).await?;
    }
    Ok(figures)
}

/// Starts each program several times, in turns, for each kind of first request. The medians are the round's values.
async fn first_requests(contestants: &[Contestant], figures: &mut Figures) -> Result<(), Failure> {
    let mut samples: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for _ in 0..STARTS {
        for contestant in contestants {
            for route in contestant.routes {
                let sandbox = contestant.start().await?;
                let (_, duration) = sandbox.invoke(&route.event(&contestant.cookie)).await?;
                let mut add = |what: &str, duration| {
                    let name = format!("{} {what}", contestant.name);
                    samples.entry(name).or_default().push(ms(duration));
                };
                add(&format!("first {}", route.name()), duration);
                add("first poll", sandbox.first_poll);
            }
        }
    }
    for (name, values) in samples {
        figures.add(name, median(values).unwrap_or_default());
    }
    Ok(())
}

async fn warm_requests(contestants: &[Contestant], figures: &mut Figures, others: &mut Others) -> Result<(), Failure> {
    let mut turns = Vec::new();
    let mut sandboxes = Vec::new();
    for (number, contestant) in contestants.iter().enumerate() {
        sandboxes.push(contestant.start().await?);
        turns.extend(contestant.routes.iter().map(|route| (number, *route)));
    }
    let mut samples: BTreeMap<String, (Vec<f64>, Duration)> = BTreeMap::new();
    for block in 0..=BLOCKS {
        for &(number, route) in &turns {
            let (contestant, sandbox) = (&contestants[number], &sandboxes[number]);
            let event = route.event(&contestant.cookie);
            measure(sandbox, &event, LEAD).await?;
            let (durations, cpu) = measure(sandbox, &event, REQUESTS).await?;
            let sample = samples
                .entry(format!("{} {}", contestant.name, route.name()))
                .or_default();
            sample.0.extend(durations);
            sample.1 += cpu;
        }
        if block == 0 {
            // The programs have settled now.
            samples.clear();
        }
        // The order of the programs matters a little.
        turns.rotate_left(1);
        turns.reverse();
    }
    add(figures, samples);
    // The same processes, so that only the caches differ.
    let mut samples: BTreeMap<String, (Vec<f64>, Duration)> = BTreeMap::new();
    for _ in 0..COLD {
        for &(number, route) in &turns {
            let (contestant, sandbox) = (&contestants[number], &sandboxes[number]);
            let event = route.event(&contestant.cookie);
            others.take_the_caches();
            let (durations, cpu) = measure(sandbox, &event, 1).await?;
            let sample = samples
                .entry(format!("{} {}{}", contestant.name, Caches::Cold.prefix(), route.name()))
                .or_default();
            sample.0.extend(durations);
            sample.1 += cpu;
        }
        turns.rotate_left(1);
    }
    add(figures, samples);
    for (contestant, sandbox) in contestants.iter().zip(&sandboxes) {
        figures.add(format!("{} memory", contestant.name), sandbox.peak_memory());
    }
    Ok(())
}

fn add(figures: &mut Figures, samples: BTreeMap<String, (Vec<f64>, Duration)>) {
    for (name, (durations, cpu)) in samples {
        figures.add(format!("{name} cpu"), cpu.as_secs_f64() * 1e6 / durations.len() as f64);
        figures.add(format!("{name} p50"), median(durations).unwrap_or_default());
    }
}

/// Lambda's other guests. Between two requests of a function they use the processor and its caches.
pub(crate) struct Others(Vec<u8>);

impl Others {
    /// More than a processor's caches hold.
    const MEMORY: usize = 48 * 1024 * 1024;
    /// The bytes of a cache line.
    const LINE: usize = 64;

    pub(crate) fn new() -> Self {
        Self(vec![0; Self::MEMORY])
    }

    pub(crate) fn take_the_caches(&mut self) {
        for byte in self.0.iter_mut().step_by(Self::LINE) {
            *byte = byte.wrapping_add(1);
        }
        std::hint::black_box(&mut self.0);
    }
}

/// Measures the same event this many times. Returns the milliseconds of each, and the CPU time of all.
pub(crate) async fn measure(sandbox: &Sandbox, event: &[u8], times: usize) -> Result<(Vec<f64>, Duration), Failure> {
    let before = sandbox.cpu()?;
    let mut durations = Vec::with_capacity(times);
    for _ in 0..times {
        durations.push(ms(sandbox.invoke(event).await?.1));
    }
    Ok((durations, sandbox.cpu()?.saturating_sub(before)))
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
