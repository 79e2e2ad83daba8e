//! The Lambda function: one handler for `/`, `/login` and `/logout`, over `lambda-session`.
//!
//! In reading order: `app` has the route table and the three views, `web` what they need of HTTP and HTML. `config`
//! reads the environment, `log` writes the log, `xray` sends traces, `lambda` has what only Lambda needs.

mod app;
mod config;
mod lambda;
mod log;
mod web;
mod xray;

use std::process::ExitCode;

use lambda_session::{DynamoDbStore, SessionLayer};

use crate::app::App;
use crate::config::Config;

/// A fifth of a page's instructions are the C library's `malloc` and `free`; this one saves most of them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// One thread: Lambda gives a function of this size less than one processor, and a view computes for a third of a
/// millisecond. Concurrent requests share the thread while they wait for the table.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            lambda::report_failed_start(&format!("lambda-session cannot start: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Error> {
    let config = Config::from_env(|name| std::env::var_os(name))?;
    lambda::require()?;
    log::start(&config);
    log::panics();
    let store = DynamoDbStore::from_env()?;
    let app = App::new(SessionLayer::from_env(store.clone())?.build()?);
    // Init has a whole processor; the first visitor has the share that the function's memory buys.
    store.warm_up().await;
    lambda::warm_up(&app).await;
    lambda::run(app, config.daemon.is_some()).await
}
