//! `cargo bench -p dev`: the app and the library's capabilities, compared with programs that do less.
//!
//! `dev/benches/README.md` says what is compared, and how. In reading order: `table` has the rows and their targets,
//! `rounds` measures the app, `comparisons` the library's capabilities. `programs`, `sandbox` and `world` build, start
//! and connect what is measured; `turn` and `requests` are what it is asked.

#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::fs;

use serde_json::json;

mod bound;
mod chart;
mod comparisons;
mod processor;
mod programs;
mod requests;
mod rounds;
mod sandbox;
mod table;
mod turn;
mod world;

type Failure = Box<dyn std::error::Error + Send + Sync>;

// One thread, so that the Runtime API and the function share a processor, as on Lambda.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [serve, table] = arguments.as_slice()
        && serve == world::SERVE
    {
        return world::serve(table).await;
    }
    if !arguments.iter().any(|argument| argument == "--bench") {
        // `cargo test --benches` tests only that the bench compiles.
        return Ok(());
    }
    let programs = programs::Programs::build()?;
    fs::create_dir_all(programs::target().join("bench"))?;
    let world = world::World::start()?;
    processor::stay(true)?;
    let mut figures = rounds::Figures::default();
    for (name, program) in [("product", &programs.product), ("getitem", &programs.getitem)] {
        figures.add(format!("{name}: zipped"), programs::zipped(program)?);
    }
    rounds::run(&programs, &world, &mut figures).await?;
    let capabilities = comparisons::run(&programs, &world, &mut figures).await?;
    let app = table::lines(&table::rows(), &figures);
    let capabilities = table::lines(&capabilities, &figures);
    table::print(app.iter().chain(&capabilities));
    if rounds::rounds() < rounds::ROUNDS {
        say("too few rounds: these figures are not written to files");
        return Ok(());
    }
    let json = programs::target().join("bench.json");
    let figures = json!({ "rounds": rounds::rounds(), "app": app, "capabilities": capabilities });
    fs::write(&json, format!("{figures:#}\n"))?;
    let svg = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/ratios.svg");
    fs::write(svg, chart::draw(&app))?;
    say(&format!("figures in {}, chart in {svg}", json.display()));
    Ok(())
}

/// Prints a line of progress.
fn say(text: &str) {
    eprintln!("bench: {text}");
}
