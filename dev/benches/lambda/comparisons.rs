//! What each capability of the library costs, compared with the same without it, and with tower-sessions.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use dev::proxy::Proxy;
use serde_json::Value;

use crate::bound::bind;
use crate::programs::Programs;
use crate::requests::{log_in, login, post, session, view};
use crate::rounds::{Figures, round, rounds};
use crate::sandbox::Sandbox;
use crate::table::Row;
use crate::turn::{Ask, Turn};
use crate::world::World;
use crate::{Failure, say};

/// The requests that are under way at once.
const IN_FLIGHT: usize = 16;
/// The bytes of a variable.
const VARIABLE: usize = 20;

/// Pairs of turns, and the rows that compare them.
#[derive(Default)]
struct Pairs {
    turns: Vec<Turn>,
    rows: Vec<Row>,
}

/// A program, and what it is asked.
type Side<'a> = (&'a Rc<Sandbox>, Ask);

impl Pairs {
    fn add(&mut self, measure: String, one: Side<'_>, other: Side<'_>, floor: &'static str, target: Option<f64>) {
        let names = [measure.clone(), format!("{measure}, {floor}")];
        for (name, (sandbox, ask)) in names.iter().zip([one, other]) {
            self.turns.push(Turn::new(name.clone(), sandbox, ask));
        }
        let [of, against] = names.map(|name| format!("{name}, CPU"));
        self.rows.push(Row {
            measure,
            unit: "us",
            of,
            against,
            floor,
            target,
        });
    }

    /// Returns how each turn's request is answered, by the turn's name.
    async fn answers(&self) -> Result<BTreeMap<String, (Value, usize)>, Failure> {
        let mut answers = BTreeMap::new();
        for turn in &self.turns {
            answers.insert(turn.name.clone(), turn.answer().await?);
        }
        Ok(answers)
    }
}

/// Measures all pairs, each round in new processes, and returns their rows.
pub(crate) async fn run(programs: &Programs, world: &World, figures: &mut Figures) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for number in 1..=rounds() {
        say(&format!("capabilities: round {number} of {}", rounds()));
        programs.copy()?;
        let mut pairs = Pairs::default();
        sealed(&mut pairs, programs, world).await?;
        bound(&mut pairs, programs, world).await?;
        changes(&mut pairs, programs, world).await?;
        conflict(&mut pairs, programs, world).await?;
        load(&mut pairs, programs, world).await?;
        let before = pairs.answers().await?;
        round(&mut pairs.turns, figures).await?;
        // A session that has ended meanwhile would be cheaper, and answered differently.
        for (name, answer) in pairs.answers().await? {
            if before[&name] != answer {
                return Err(format!("{name} is answered otherwise at the end: {answer:?}").into());
            }
        }
        rows = pairs.rows;
    }
    Ok(rows)
}

async fn start(program: &Path, world: &World, more: &[(&str, &str)]) -> Result<Rc<Sandbox>, Failure> {
    let mut environment = world.environment(&world.plain);
    environment.extend(more.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())));
    Ok(Rc::new(Sandbox::start(program, &environment).await?))
}

/// The target that holds for sessions of up to ten variables.
fn up_to_ten(variables: usize) -> Option<f64> {
    (variables <= 10).then_some(1.05)
}

/// A view and an update of a sealed session, compared with those of one that is not sealed.
async fn sealed(pairs: &mut Pairs, programs: &Programs, world: &World) -> Result<(), Failure> {
    let mut sides = Vec::new();
    for sealed in ["true", "false"] {
        let more = [("SESSION_SEALED", sealed)];
        sides.push((
            start(&programs.product, world, &more).await?,
            start(&programs.ours, world, &more).await?,
        ));
    }
    for variables in [1, 10, 100] {
        let mut cookies = Vec::new();
        for (_, ours) in &sides {
            cookies.push(session(ours, variables, variables * VARIABLE).await?);
        }
        let view = |n: usize| (&sides[n].0, Ask::InARow(view(&cookies[n])));
        let update = |n: usize| (&sides[n].1, Ask::InARow(post("/update", &cookies[n])));
        for (what, of, against) in [("view", view(0), view(1)), ("update", update(0), update(1))] {
            let measure = format!("sealed {what}, {variables} variables");
            pairs.add(measure, of, against, "unsealed", up_to_ten(variables));
        }
    }
    Ok(())
}

/// A view of a session that is bound to its device, compared with one that is not, and a refresh with a login.
async fn bound(pairs: &mut Pairs, programs: &Programs, world: &World) -> Result<(), Failure> {
    let plain = start(&programs.product, world, &[]).await?;
    let bound = start(&programs.product, world, &[("SESSION_BOUND", "true")]).await?;
    let cookie = log_in(&plain).await?;
    let (bound_view, refresh) = bind(&bound).await?;
    for (measure, of, against, floor, target) in [
        ("bound view", bound_view, view(&cookie), "unbound", 1.03),
        ("refresh of a bound session", refresh, login(), "login", 1.00),
    ] {
        let (of, against) = (Ask::InARow(of), Ask::InARow(against));
        pairs.add(measure.to_owned(), (&bound, of), (&plain, against), floor, Some(target));
    }
    Ok(())
}

/// `update` compared with a `get` and an `insert`, and `take` with `pop`.
async fn changes(pairs: &mut Pairs, programs: &Programs, world: &World) -> Result<(), Failure> {
    let site = start(&programs.ours, world, &[]).await?;
    for variables in [1, 10] {
        let cookie = session(&site, variables, variables * VARIABLE).await?;
        let plain = |path| Ask::InARow(post(path, &cookie));
        pairs.add(
            format!("update, {variables} variables"),
            (&site, plain("/update")),
            (&site, plain("/insert")),
            "insert",
            up_to_ten(variables),
        );
        let after_update = |path| Ask::After {
            first: post("/update", &cookie),
            then: post(path, &cookie),
        };
        pairs.add(
            format!("take, {variables} variables"),
            (&site, after_update("/take")),
            (&site, after_update("/pop")),
            "pop",
            up_to_ten(variables),
        );
    }
    Ok(())
}

/// An update that meets a conflict, compared with one that meets none.
async fn conflict(pairs: &mut Pairs, programs: &Programs, world: &World) -> Result<(), Failure> {
    let proxy = Rc::new(Proxy::start(&world.plain));
    proxy.keep_no_calls();
    let site = start(&programs.ours, world, &[("DYNAMODB_ENDPOINT", &proxy.endpoint())]).await?;
    let by = start(&programs.ours, world, &[]).await?;
    let event = post("/update", &log_in(&by).await?);
    let undisturbed = Ask::InARow(event.clone());
    pairs.add(
        "update that meets a conflict".to_owned(),
        (&site, Ask::Overtaken { event, proxy, by }),
        (&site, undisturbed),
        "undisturbed",
        Some(2.10),
    );
    Ok(())
}

/// One site with this library and with tower-sessions, each with a store in its process and with the table, and with
/// many requests under way. Ahead by a fifth is 1 / 1.2.
async fn load(pairs: &mut Pairs, programs: &Programs, world: &World) -> Result<(), Failure> {
    let in_flight = IN_FLIGHT.to_string();
    for (store, target) in [("table", 1.0 / 1.2), ("memory", 1.00)] {
        let more = [("STORE", store), ("AWS_LAMBDA_MAX_CONCURRENCY", in_flight.as_str())];
        let ours = start(&programs.ours, world, &more).await?;
        let rival = start(&programs.rival, world, &more).await?;
        let mut cookies = [Vec::new(), Vec::new()];
        for _ in 0..IN_FLIGHT {
            cookies[0].push(log_in(&ours).await?);
            cookies[1].push(log_in(&rival).await?);
        }
        for (what, event) in [
            ("view", view as fn(&str) -> Vec<u8>),
            ("change", |cookie| post("/update", cookie)),
        ] {
            let at_once = |cookies: &[String]| Ask::AtOnce(cookies.iter().map(|cookie| event(cookie)).collect());
            pairs.add(
                format!("{what} on axum, 16 at once, {store}"),
                (&ours, at_once(&cookies[0])),
                (&rival, at_once(&cookies[1])),
                "tower",
                Some(target),
            );
        }
    }
    Ok(())
}
