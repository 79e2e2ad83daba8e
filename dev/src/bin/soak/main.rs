//! `cargo run -p dev --features proxy --bin soak`: mixed load on the compiled programs, with faults between them and
//! `DynamoDB`, for the given time.
//!
//! The app and the account example each run behind a Runtime API. Visitors act at random, keep a ledger of what they
//! were told, and compare it with what they find. Every minute a line says what happened. The first violation ends the
//! run. The run also fails if memory or descriptors have grown at its end.

use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dev::app;
use dev::command::{self, Failure, Stop};
use dev::dynamodb::{Embedded, table};
use dev::lambda::Lambda;
use dev::proxy::Proxy;
use lexopt::{Arg, Parser, ValueExt};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

mod account;
mod chance;
mod faults;
mod ledger;
mod site;
mod tally;
mod visitor;
mod watch;

use chance::Chance;
use site::Site;
use tally::Tally;
use watch::Watch;

const HELP: &str = "\
Mixed load through the compiled programs, with faults

Usage: cargo run -p dev --features proxy --bin soak -- [--minutes N] [--rate N] [--release] [--app PATH]
       [--account PATH]

  --minutes N     how long (60)
  --rate N        requests a second, together (20)
  --release       build the programs as they are deployed
  --app PATH      this program instead of the app that cargo builds
  --account PATH  this program instead of the example that cargo builds
  --help          show this text

It ends with status 1 at the first answer that contradicts an earlier one, and if memory or descriptors have grown.";

/// The visitors of each program.
const VISITORS: u32 = 8;

/// Short enough for expiries to move and sessions to end during the run.
const IDLE: Duration = Duration::from_mins(1);

const SECRET: &str = "a key for the soak that is longer than thirty-two bytes";

struct Arguments {
    minutes: u64,
    rate: u32,
    release: bool,
    app: Option<PathBuf>,
    account: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    command::exit(run().await)
}

fn arguments() -> Result<Option<Arguments>, Failure> {
    let mut read = Arguments {
        minutes: 60,
        rate: 20,
        release: false,
        app: None,
        account: None,
    };
    let mut parser = Parser::from_env();
    let usage = |error: lexopt::Error| Failure::Usage(error.to_string());
    while let Some(argument) = parser.next().map_err(usage)? {
        match argument {
            Arg::Long("minutes") => read.minutes = parser.value().and_then(|value| value.parse()).map_err(usage)?,
            Arg::Long("rate") => read.rate = parser.value().and_then(|value| value.parse()).map_err(usage)?,
            Arg::Long("release") => read.release = true,
            Arg::Long("app") => read.app = Some(parser.value().map_err(usage)?.into()),
            Arg::Long("account") => read.account = Some(parser.value().map_err(usage)?.into()),
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            other => return Err(usage(other.unexpected())),
        }
    }
    if read.minutes == 0 || read.rate == 0 {
        return Err(Failure::Usage("--minutes and --rate are at least 1".to_owned()));
    }
    Ok(Some(read))
}

async fn run() -> Result<(), Failure> {
    let Some(arguments) = arguments()? else {
        command::say(HELP);
        return Ok(());
    };
    let app = match arguments.app {
        Some(path) => path,
        None => app::program(arguments.release).await?,
    };
    let account = match arguments.account {
        Some(path) => path,
        None => app::account(arguments.release).await?,
    };
    let mut stop = Stop::new()?;
    let dynamodb = Embedded::in_memory().await;
    let proxy = Arc::new(Proxy::start(&dynamodb.endpoint()));
    proxy.keep_no_calls();
    let tally = Arc::new(Tally::default());
    faults::begin(&proxy, &tally);

    let programs = [
        ("app", start(&app, &proxy).await?),
        ("account", start(&account, &proxy).await?),
    ];
    let sites = programs
        .each_ref()
        .map(|(_, program)| Site::new(program.api().clone(), Arc::clone(&tally)));
    let pause = Duration::from_secs(2 * u64::from(VISITORS)) / arguments.rate;
    let mut visitors = JoinSet::new();
    let owners = account::Owners::default();
    for number in 0..VISITORS {
        let [app, account] = sites.clone();
        visitors.spawn(visitor::Visitor::new(app, number, Chance::new()).visit_for_ever(pause));
        visitors.spawn(account::Visitor::new(account, number, owners.clone(), Chance::new()).visit_for_ever(pause));
    }
    tokio::spawn(faults::connections(Arc::clone(&proxy), Arc::clone(&tally)));

    let process_ids = programs.each_ref().map(|(name, program)| (*name, program.process_id()));
    let mut watch = Watch::new(process_ids);
    let mut minutes = interval(Duration::from_mins(1));
    minutes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    minutes.tick().await;
    let began = Instant::now();
    command::say(watch::HEAD);
    let mut minute = 0;
    while minute < arguments.minutes {
        tokio::select! {
            _ = minutes.tick() => {
                minute += 1;
                command::say(&watch.look(minute, &tally)?);
            }
            Some(ended) = visitors.join_next() => return Err(violation(ended)),
            () = stop.requested() => break,
        }
    }
    visitors.abort_all();
    command::say(&format!(
        "{} minutes: {}",
        began.elapsed().as_secs() / 60,
        tally.summary()
    ));
    watch.judge()?;
    command::say(&watch.summary());
    Ok(())
}

/// Converts the end of a visitor, which stops only at a violation.
fn violation(ended: Result<String, tokio::task::JoinError>) -> Failure {
    Failure::Run(match ended {
        Ok(violation) => format!("VIOLATION: {violation}"),
        Err(error) => format!("a visitor failed: {error}"),
    })
}

async fn start(program: &std::path::Path, proxy: &Proxy) -> Result<Lambda, Failure> {
    let idle = IDLE.as_secs().to_string();
    let endpoint = proxy.endpoint();
    let environment = [
        ("SECRET_KEY", SECRET),
        ("TABLE_NAME", table::NAME),
        ("DYNAMODB_ENDPOINT", endpoint.as_str()),
        ("SESSION_IDLE_TIMEOUT", idle.as_str()),
        ("AWS_LAMBDA_MAX_CONCURRENCY", "16"),
        // Each password that the example verifies takes 19 MiB. glibc would keep these blocks for later ones, and the
        // growth of other memory would not show beside them. From this size on, a block is returned when it is freed.
        ("MALLOC_MMAP_THRESHOLD_", "1048576"),
    ];
    let started = Lambda::with_output(program, environment, Stdio::null(), Stdio::inherit()).await;
    started.map_err(|error| Failure::Run(format!("cannot start {}: {error}", program.display())))
}
