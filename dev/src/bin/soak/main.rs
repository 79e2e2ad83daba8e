//! `cargo run -p dev --features proxy --bin soak`: mixed load on the compiled programs, with faults between them and
//! `DynamoDB`, for the given time.
//!
//! The app and the account example each run behind a Runtime API. Visitors act at random, keep a ledger of what they
//! were told, and compare it with what they find. Every minute a line says what happened. The first violation ends the
//! run. The run also fails if memory or descriptors have grown at its end.

use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use dev::app;
use dev::command::{self, Failure, Stop};
use dev::dynamodb::{Embedded, table};
use dev::lambda::Lambda;
use dev::proxy::Proxy;
use lexopt::{Arg, Parser, ValueExt};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

mod faults;
mod ledger;
mod site;
mod tally;
mod visitor;
mod watch;

use site::{Kind, Site};
use tally::Tally;
use visitor::{Owner, Visitor};
use watch::Watch;

const HELP: &str = "\
Mixed load through the compiled programs, with faults

Usage: cargo run -p dev --features proxy --bin soak -- [--minutes N]

  --minutes N     how long (60)
  --help          show this text

It ends with status 1 at the first answer that contradicts an earlier one, and if memory or descriptors have grown.";

/// The visitors of each program.
const VISITORS: u32 = 8;

/// A visitor's pause on average: together they send twenty requests a second.
const PAUSE: Duration = Duration::from_millis(800);

/// Short enough for expiries to move and sessions to end during the run.
const IDLE: Duration = Duration::from_mins(1);

#[tokio::main]
async fn main() -> ExitCode {
    command::exit(run().await)
}

/// Returns the minutes, or `None` if the help text is asked for.
fn arguments() -> Result<Option<u32>, Failure> {
    let mut minutes = 60;
    let mut parser = Parser::from_env();
    let usage = |error: lexopt::Error| Failure::Usage(error.to_string());
    while let Some(argument) = parser.next().map_err(usage)? {
        match argument {
            Arg::Long("minutes") => minutes = parser.value().and_then(|value| value.parse()).map_err(usage)?,
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            other => return Err(usage(other.unexpected())),
        }
    }
    Ok(Some(minutes))
}

async fn run() -> Result<(), Failure> {
    let Some(minutes) = arguments()? else {
        command::say(HELP);
        return Ok(());
    };
    let programs = [app::program(false).await?, app::account(false).await?];
    let mut stop = Stop::new()?;
    let dynamodb = Embedded::in_memory().await;
    let proxy = Arc::new(Proxy::start(&dynamodb.endpoint()));
    proxy.keep_no_calls();
    let tally = Arc::new(Tally::default());
    faults::begin(&proxy, &tally);

    let app = Arc::new(start(&programs[0], &proxy).await?);
    let account = Arc::new(start(&programs[1], &proxy).await?);
    let mut visitors = JoinSet::new();
    let owners: [Arc<Owner>; 2] = Default::default();
    for number in 0..VISITORS {
        let site = Site::new(Kind::App, &app, &tally);
        visitors.spawn(Visitor::new(site, number, &Arc::default()).visit_for_ever());
        let site = Site::new(Kind::Account, &account, &tally);
        let owner = &owners[number as usize % owners.len()];
        visitors.spawn(Visitor::new(site, number, owner).visit_for_ever());
    }
    tokio::spawn(faults::connections(Arc::clone(&proxy), Arc::clone(&tally)));

    let mut watch = Watch::new([("app", &*app), ("account", &*account)]);
    let mut clock = interval(Duration::from_mins(1));
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    clock.tick().await;
    let mut minute = 0;
    while minute < minutes {
        tokio::select! {
            _ = clock.tick() => {
                minute += 1;
                command::say(&format!("minute {minute}: {}{}", watch.look()?, tally.summary()));
            }
            Some(ended) = visitors.join_next() => return Err(Failure::Run(match ended {
                Ok(violation) => format!("VIOLATION: {violation}"),
                Err(error) => format!("a visitor failed: {error}"),
            })),
            () = stop.requested() => break,
        }
    }
    visitors.abort_all();
    let judged = watch.judge()?;
    command::say(&format!(
        "no violation in {minute} minutes: {}; {judged}",
        tally.summary()
    ));
    Ok(())
}

async fn start(program: &Path, proxy: &Proxy) -> Result<Lambda, Failure> {
    let (idle, endpoint) = (IDLE.as_secs().to_string(), proxy.endpoint());
    let environment = [
        ("SECRET_KEY", "a key for the soak that is longer than thirty-two bytes"),
        ("TABLE_NAME", table::NAME),
        ("DYNAMODB_ENDPOINT", &endpoint),
        ("SESSION_IDLE_TIMEOUT", &idle),
        ("AWS_LAMBDA_MAX_CONCURRENCY", "16"),
        // Each password that the example verifies takes 19 MiB. glibc would keep these blocks for later ones, and the
        // growth of other memory would not show beside them. From this size on, a block is returned when it is freed.
        ("MALLOC_MMAP_THRESHOLD_", "1048576"),
    ];
    let started = Lambda::with_output(program, environment, Stdio::null(), Stdio::inherit()).await;
    started.map_err(|error| Failure::Run(format!("cannot start {}: {error}", program.display())))
}
