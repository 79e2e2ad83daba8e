//! The Lambda function: one handler for `/`, `/login` and `/logout`, with sessions of `lambda-session`.
//!
//! In reading order: `app` has the route table and the views, and `web` the form, the headers and the pages that they
//! use. `config` reads the environment, `log` writes the log, `xray` sends traces, and `lambda` connects the app to
//! Lambda.

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

// The C library's `malloc` and `free` are a fifth of a page's instructions. Through its feature `override`, mimalloc
// takes their place. As a `#[global_allocator]`, it would be asked for the alignment of each block, which takes 7,000
// instructions of a view. Other systems than Linux, on which the app only runs for its developers, keep their own.
#[cfg(target_os = "linux")]
use mimalloc as _;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// One thread suffices: Lambda gives a function of this size less than one processor, and a view computes for a third
/// of a millisecond. While a request waits for the table, the thread serves others.
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
    let log = log::start(&config);
    let store = DynamoDbStore::from_env()?;
    let sessions = SessionLayer::from_env(store.clone())?.build()?;
    let app = App::new(sessions, config.hsts_subdomains, log);
    // During init Lambda gives the function a whole processor, and afterwards only the share that its memory size buys.
    store.warm_up().await;
    lambda::warm_up(&app).await;
    lambda::run(app, config.daemon.is_some()).await
}
