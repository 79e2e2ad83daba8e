//! Many requests at once in one process: what a request costs, compared with axum and tower-sessions.

use std::iter::repeat_n;
use std::path::Path;

use dev::event::Event;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::artifact::Artifacts;
use crate::rounds::median;
use crate::routes::cookie_of;
use crate::sandbox::{Sandbox, bytes};
use crate::world::World;
use crate::{Failure, say};

const IN_FLIGHT: usize = 16;
/// The requests of each program in a turn.
const REQUESTS: usize = 40;
const ROUNDS: usize = 9;

/// A program that takes part: its name, a running function, and a view in each of its sessions.
struct Contestant {
    name: &'static str,
    sandbox: Sandbox,
    views: Vec<Vec<u8>>,
    /// The CPU microseconds of a request, one value for each round.
    costs: Vec<f64>,
}

/// Measures each program: those whose sessions are in the table, and those that keep them in the process. All but the
/// app serve the same site: a view of five letters, and no log.
pub(crate) async fn run(artifacts: &Artifacts, world: &World) -> Result<Vec<Value>, Failure> {
    say("sixteen requests in flight");
    let mut contestants = Vec::new();
    for (name, program, store) in [
        ("table: the app", &artifacts.product, "dynamodb"),
        ("table: lambda-session", &artifacts.ours, "dynamodb"),
        ("table: tower-sessions", &artifacts.rival, "dynamodb"),
        ("memory: lambda-session", &artifacts.ours, "memory"),
        ("memory: tower-sessions", &artifacts.rival, "memory"),
    ] {
        let sandbox = start(program, store, world).await?;
        let mut views = Vec::new();
        for _ in 0..IN_FLIGHT {
            let login = bytes(Event::post_form("/login", &[("username", "admin")]));
            let cookie = cookie_of(&sandbox.invoke(&login).await?.0)?;
            views.push(bytes(Event::get("/").cookie(&cookie)));
        }
        contestants.push(Contestant {
            name,
            sandbox,
            views,
            costs: Vec::new(),
        });
    }
    for round in 0..=ROUNDS {
        for contestant in &mut contestants {
            let cost = contestant.turn().await?;
            // The first round lets the programs settle.
            if round > 0 {
                contestant.costs.push(cost);
            }
        }
    }
    let lines = contestants.iter().map(|Contestant { name, costs, .. }| {
        let cost = median(costs.clone()).unwrap_or_default();
        json!({
            "who": name,
            "view_cpu_us": cost.round(),
            "requests_per_second_and_core": (1e6 / cost).round(),
        })
    });
    Ok(lines.collect())
}

async fn start(program: &Path, store: &str, world: &World) -> Result<Sandbox, Failure> {
    let mut environment = world.environment(&world.plain);
    if store == "memory" {
        environment.retain(|(name, _)| name != "TABLE_NAME");
    }
    for (name, value) in [
        ("AWS_LAMBDA_MAX_CONCURRENCY", IN_FLIGHT.to_string()),
        ("STORE", store.to_owned()),
    ] {
        environment.push((name.to_owned(), value));
    }
    Sandbox::start(program, &environment).await
}

impl Contestant {
    /// Returns the CPU microseconds of a view, while this many are under way all the time.
    async fn turn(&self) -> Result<f64, Failure> {
        let before = self.sandbox.cpu()?;
        let mut visitors = JoinSet::new();
        for view in &self.views {
            let (caller, view) = (self.sandbox.caller(), view.clone());
            visitors.spawn(async move {
                for event in repeat_n(view, REQUESTS) {
                    caller.answer(event).await?;
                }
                Ok::<_, Failure>(())
            });
        }
        for outcome in visitors.join_all().await {
            outcome?;
        }
        let took = self.sandbox.cpu()?.saturating_sub(before);
        Ok(took.as_secs_f64() * 1e6 / (IN_FLIGHT * REQUESTS) as f64)
    }
}
