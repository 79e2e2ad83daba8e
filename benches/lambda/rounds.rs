//! The interleaved rounds: in each, product and floors take turns, so that what else the machine does hits them alike.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::artifact::Artifacts;
use crate::routes::{Floor, Turn, log_in, login};
use crate::sandbox::{Sandbox, bytes};
use crate::world::World;
use crate::{Failure, event::Event, say};

/// At least seven, for medians that hold.
pub(crate) const ROUNDS: usize = 15;
/// Starts a round for each kind of first request.
const STARTS: usize = 5;
pub(crate) const BLOCKS: usize = 10;
const REQUESTS: usize = 40;
pub(crate) const SETTLE: usize = 40;
/// Requests at the beginning of a turn that are not counted: the processor has to get used to this program again.
pub(crate) const LEAD: usize = 10;

/// What is measured, by name: one value a round.
#[derive(Default)]
pub(crate) struct Figures(BTreeMap<String, Vec<f64>>);

impl Figures {
    pub(crate) fn add(&mut self, name: String, value: f64) {
        self.0.entry(name).or_default().push(value);
    }

    /// The median over the rounds.
    pub(crate) fn median(&self, name: &str) -> Option<f64> {
        median(self.0.get(name)?.clone())
    }

    /// The median over the rounds of one in relation to another.
    pub(crate) fn ratio(&self, name: &str, floor: &str) -> Option<f64> {
        let pairs = self.0.get(name)?.iter().zip(self.0.get(floor)?);
        median(pairs.map(|(value, floor)| value / floor).collect())
    }
}

/// The middle value.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = values.get(middle)?;
    Some(if values.len() % 2 == 1 {
        *upper
    } else {
        f64::midpoint(values[middle - 1], *upper)
    })
}

/// Milliseconds.
pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// One that takes part in the rounds.
pub(crate) struct Contestant {
    pub(crate) name: String,
    program: PathBuf,
    environment: Vec<(String, String)>,
    /// The cookie of a session it finds alive; none where there are no sessions.
    pub(crate) cookie: String,
}

impl Contestant {
    /// `program`, with the store at `endpoint`.
    pub(crate) fn new(name: String, program: PathBuf, world: &World, endpoint: &str) -> Result<Self, Failure> {
        let environment = world.environment(endpoint);
        let cookie = match name.as_str() {
            "hello" => String::new(),
            _ => log_in(&mut Sandbox::start(&program, &environment)?)?,
        };
        Ok(Self {
            name,
            program,
            environment,
            cookie,
        })
    }

    /// A sandbox of its own.
    pub(crate) fn start(&self) -> Result<Sandbox, Failure> {
        Sandbox::start(&self.program, &self.environment)
    }

    /// A start for each kind of first request.
    fn first_requests(&self, samples: &mut Samples) -> Result<(), Failure> {
        let events = [
            ("first anonymous page", Event::get("/")),
            ("first login", login()),
            ("first view", Event::get("/").cookie(&self.cookie)),
        ];
        for (what, event) in events.into_iter().take(if self.cookie.is_empty() { 1 } else { 3 }) {
            let mut sandbox = self.start()?;
            let answer = sandbox.invoke(&bytes(event))?;
            answer.read()?;
            let mut add = |what: &str, duration| {
                let all: &mut Vec<f64> = samples.entry(format!("{} {what}", self.name)).or_default();
                all.push(ms(duration));
            };
            add(what, answer.duration);
            add("first poll", sandbox.first_poll);
        }
        Ok(())
    }
}

type Samples = BTreeMap<String, Vec<f64>>;

/// Starts of each in turn; the medians are the round's values.
pub(crate) fn starts<'a>(
    contestants: impl IntoIterator<Item = &'a Contestant> + Clone,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let mut samples = Samples::default();
    for _ in 0..STARTS {
        for contestant in contestants.clone() {
            contestant.first_requests(&mut samples)?;
        }
    }
    for (name, values) in samples {
        figures.add(name, median(values).unwrap_or_default());
    }
    Ok(())
}

/// Start-up and warm requests, over plain HTTP.
pub(crate) fn run(artifacts: &Artifacts, world: &World) -> Result<Figures, Failure> {
    let mut figures = Figures::default();
    let of = |name: &str, program: &Path| Contestant::new(name.to_owned(), program.to_owned(), world, &world.plain);
    let hello = of("hello", &artifacts.hello)?;
    let getitem = of("getitem", &artifacts.getitem)?;
    let product = of("product", &artifacts.product)?;
    let cold = of("cold", &artifacts.cold)?;
    for round in 1..=ROUNDS {
        say(&format!("round {round} of {ROUNDS}"));
        starts([&hello, &getitem, &product, &cold], &mut figures)?;
        warm_requests(&hello, &getitem, &product, &mut figures)?;
    }
    Ok(figures)
}

fn warm_requests(
    hello: &Contestant,
    getitem: &Contestant,
    product: &Contestant,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let (mut page, mut store, mut own) = (hello.start()?, getitem.start()?, product.start()?);
    // Like *hello*: what the store's code leaves of the processor's caches is measured with the store's requests.
    let mut pages = product.start()?;
    let mut samples: BTreeMap<String, (Vec<f64>, Duration)> = BTreeMap::new();
    let mut turns = Turn::all();
    for block in 0..=BLOCKS {
        let number = if block == 0 { SETTLE } else { REQUESTS };
        for turn in &turns {
            let mut events = match turn {
                Turn::Floor(floor) => vec![floor.event(&product.cookie); LEAD + number],
                Turn::Route(route) => route.events(&mut own, LEAD + number)?,
            };
            let sandbox = match turn {
                Turn::Floor(Floor::Page) => &mut page,
                Turn::Floor(_) => &mut store,
                Turn::Route(route) if route.calls() == 0 => &mut pages,
                Turn::Route(_) => &mut own,
            };
            let counted = events.split_off(LEAD);
            measure(sandbox, events, &mut Default::default())?;
            measure(sandbox, counted, samples.entry(turn.name().to_owned()).or_default())?;
        }
        if block == 0 {
            samples.clear();
        }
        // Who follows whom matters a little.
        turns.rotate_left(1);
        turns.reverse();
    }
    for (name, (mut durations, cpu)) in samples {
        figures.add(format!("{name} cpu"), cpu.as_secs_f64() * 1e6 / durations.len() as f64);
        durations.sort_by(f64::total_cmp);
        figures.add(format!("{name} p99"), durations[durations.len() * 99 / 100]);
        figures.add(format!("{name} p50"), median(durations).unwrap_or_default());
    }
    for (name, sandbox) in [("hello", page), ("getitem", store), ("product", own)] {
        figures.add(
            format!("{name} memory"),
            sandbox.peak_memory()? as f64 / 1024.0 / 1024.0,
        );
    }
    Ok(())
}

/// Adds what these events take, one after the other.
pub(crate) fn measure(
    sandbox: &mut Sandbox,
    events: Vec<Vec<u8>>,
    (durations, cpu): &mut (Vec<f64>, Duration),
) -> Result<(), Failure> {
    let before = sandbox.cpu()?;
    let mut answers = Vec::with_capacity(events.len());
    for event in events {
        answers.push(sandbox.invoke(&event)?);
    }
    *cpu += sandbox.cpu()?.saturating_sub(before);
    for answer in answers {
        answer.read()?;
        durations.push(ms(answer.duration));
    }
    Ok(())
}

/// Starts over TLS, with the warm-up and without it.
pub(crate) fn over_tls(artifacts: &Artifacts, world: &World, endpoint: &str) -> Result<Figures, Failure> {
    let mut figures = Figures::default();
    let of = |name: &str, program: &Path| Contestant::new(name.to_owned(), program.to_owned(), world, endpoint);
    let contestants = [
        of("getitem", &artifacts.getitem)?,
        of("product", &artifacts.product)?,
        of("cold", &artifacts.cold)?,
    ];
    for round in 1..=ROUNDS {
        say(&format!("TLS, round {round} of {ROUNDS}"));
        starts(&contestants, &mut figures)?;
        for contestant in &contestants {
            let view = bytes(Event::get("/").cookie(&contestant.cookie));
            let mut sandbox = contestant.start()?;
            let mut samples = Default::default();
            measure(&mut sandbox, vec![view.clone(); SETTLE], &mut Default::default())?;
            measure(&mut sandbox, vec![view; REQUESTS], &mut samples)?;
            figures.add(
                format!("{} view", contestant.name),
                median(samples.0).unwrap_or_default(),
            );
        }
    }
    Ok(figures)
}
