//! `cargo bench`: the release binary behind a Lambda Runtime API, beside the least that could do the same.
//!
//! The floors (`benches/floor`) are *hello*, a static page, and *getitem*, one bare `GetItem` or `PutItem`. What the
//! product takes is a ratio to them, measured in turns. `DYNAMODB_ENDPOINT` and `TABLE_NAME` name another `DynamoDB`
//! than the embedded one. The figures go to `target/bench.json`, the chart to `benches/ratios.svg`.
//!
//! `cargo bench -- --compare DIR` measures the programs in `DIR`, builds of the product, against each other.

#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::fs;
use std::path::Path;

#[path = "../../examples/embedded/mod.rs"]
mod embedded;
#[expect(dead_code, reason = "the tests need more of it")]
#[path = "../../tests/it/support/event.rs"]
mod event;
#[path = "../../tests/it/support/tls.rs"]
mod tls;

mod artifact;
mod chart;
mod compare;
mod growth;
mod processor;
mod report;
mod rounds;
mod routes;
mod sandbox;
mod world;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [serve, table] = arguments.as_slice()
        && serve == world::SERVE
    {
        return world::serve(table);
    }
    if !arguments.iter().any(|argument| argument == "--bench") {
        // `cargo test --benches`: it compiles, which is all there is to test.
        return Ok(());
    }
    if !cfg!(target_os = "linux") {
        return Err("CPU times come from /proc: the bench needs Linux, as Lambda is".into());
    }
    if let [compare, directory, ..] = arguments.as_slice()
        && compare == "--compare"
    {
        let world = world::World::start()?;
        processor::of_functions()?;
        return compare::run(directory.as_ref(), &world);
    }
    let artifacts = artifact::Artifacts::build()?;
    let world = world::World::start()?;
    processor::of_functions()?;
    let figures = rounds::run(&artifacts, &world)?;
    let traffic = growth::traffic(&artifacts, &world)?;
    let growth = growth::run(&artifacts, &world)?;
    let mut rows = report::rows(&figures);
    rows.push(report::artifact_row(&artifacts)?);
    rows.extend(report::traffic_rows(&traffic));
    if let Some(endpoint) = &world.tls {
        rows.extend(report::tls_rows(&rounds::over_tls(&artifacts, &world, endpoint)?));
    }
    report::print(&rows, &traffic, &growth);

    let json = artifact::target().join("bench.json");
    fs::write(&json, format!("{:#}\n", report::to_json(&rows, &traffic, &growth)))?;
    let svg = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/ratios.svg");
    fs::write(&svg, chart::draw(&serde_json::from_slice(&fs::read(&json)?)?))?;
    say(&format!("figures in {}, chart in {}", json.display(), svg.display()));
    Ok(())
}

/// A line of progress.
fn say(text: &str) {
    eprintln!("bench: {text}");
}
