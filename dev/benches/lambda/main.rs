//! `cargo bench -p dev`: the release binary behind a Lambda Runtime API, compared with the least that could do the
//! same.
//!
//! The floors (`dev/benches/floor`) are *hello*, a static page; *getitem*, one bare `GetItem` or `PutItem` with the
//! SDK; and *limit*, one signed `GetItem` over a blocking socket and nothing else. The product's figures are ratios to
//! them, measured in turns, with warm caches and with cold ones. `dev/benches/rival` is one site on axum, with
//! tower-sessions and with this library. It also contains *parts*, which does what *getitem* does, with the client, the
//! runtime and the allocator of the product. `DYNAMODB_ENDPOINT` and `TABLE_NAME` name another `DynamoDB` than the
//! embedded one. The figures are written to `target/bench.json`, and the chart to `dev/benches/ratios.svg`.

#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::fs;
use std::path::Path;

mod artifact;
mod bound;
mod chart;
mod growth;
mod load;
mod owners;
mod processor;
mod report;
mod rounds;
mod routes;
mod sandbox;
mod share;
mod world;

type Failure = Box<dyn std::error::Error + Send + Sync>;

// One thread, so that the Runtime API and the function share a processor, as on Lambda.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [serve, table, host] = arguments.as_slice()
        && serve == world::SERVE
    {
        return world::serve(table, host).await;
    }
    if !arguments.iter().any(|argument| argument == "--bench") {
        // `cargo test --benches` tests only that the bench compiles.
        return Ok(());
    }
    if !cfg!(target_os = "linux") {
        return Err("the bench needs Linux, because it reads CPU times from /proc".into());
    }
    let artifacts = artifact::Artifacts::build()?;
    let world = world::World::start()?;
    processor::of_functions()?;
    let mut rows = report::rows(&rounds::run(&artifacts, &world, &world.plain).await?);
    rows.push(report::artifact_row(&artifacts)?);
    if let Some(endpoint) = &world.tls {
        rows.extend(report::tls_rows(&rounds::run(&artifacts, &world, endpoint).await?));
    }
    let traffic = growth::traffic(&artifacts, &world).await?;
    rows.extend(report::traffic_rows(&traffic));
    let sections = [
        ("growth", growth::run(&artifacts, &world).await?),
        ("sealed", growth::sealed(&artifacts, &world).await?),
        ("bound", bound::run(&artifacts, &world).await?),
        ("load", load::run(&artifacts, &world).await?),
        ("share", share::run(&artifacts, &world).await?),
        ("owners", owners::run(&artifacts, &world).await?),
    ];
    report::print(&rows, &traffic, &sections);

    let json = artifact::target().join("bench.json");
    let figures = report::to_json(&rows, &traffic, &sections);
    fs::write(&json, format!("{figures:#}\n"))?;
    let svg = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/ratios.svg");
    fs::write(&svg, chart::draw(&figures))?;
    say(&format!("figures in {}, chart in {}", json.display(), svg.display()));
    Ok(())
}

/// Prints a line of progress.
fn say(text: &str) {
    eprintln!("bench: {text}");
}
