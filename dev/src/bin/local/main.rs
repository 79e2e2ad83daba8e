//! `cargo local`: the whole app on this machine, which needs nothing but Rust.
//!
//! The app runs as its own program, the one that is deployed, behind a Runtime API. This command provides what
//! surrounds it on AWS: DynamoDB (embedded, on a port of its own), the secret key, and the events that Lambda makes of
//! HTTP requests.

use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::thread;

use dev::app;
use dev::command::{self, Failure, Stop};
use dev::dynamodb::{Embedded, table};
use dev::lambda::Lambda;
use tokio::net::TcpListener;

mod secret;
mod server;

const HELP: &str = "\
The whole app on this machine, over an embedded DynamoDB

Usage: cargo local [--port N] [--data-dir DIR]

  --port N        listen on this port (3000; 0 = any free one)
  --data-dir DIR  keep the sessions and the secret key in this directory; otherwise they end with the command
  --help          show this text

The app's environment variables (SECRET_KEY, SESSION_IDLE_TIMEOUT, ...) work as on Lambda.";

/// The number of requests that the app serves at once.
const CONCURRENCY: &str = "16";

#[tokio::main]
async fn main() -> ExitCode {
    command::exit(run().await)
}

async fn run() -> Result<(), Failure> {
    let Some(arguments) = command::arguments(std::env::args_os().skip(1), 3000)? else {
        command::say(HELP);
        return Ok(());
    };
    let mut stop = Stop::new()?;
    let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let listener = command::listen(localhost, arguments.port).await?;
    // The directory is removed when this value is dropped, so the value lives as long as the files are needed.
    let temporary = match &arguments.data_dir {
        Some(directory) => command::make_directory(directory).map(|()| None)?,
        None => Some(tempfile::tempdir().map_err(Failure::run)?),
    };
    let directory = temporary.as_ref().map(tempfile::TempDir::path);
    let directory = directory.or(arguments.data_dir.as_deref()).unwrap_or(Path::new("."));
    let key = match std::env::var_os("SECRET_KEY") {
        Some(key) => key,
        None => secret::keep(directory)?.into(),
    };
    let inner = command::listen(localhost, 0).await?;
    let embedded = Embedded::start([inner], table::NAME, Some(directory)).map_err(Failure::run)?;

    let program = tokio::select! {
        program = app::program(false) => program?,
        () = stop.requested() => return Ok(()),
    };
    let (lines, writer) = io::pipe().map_err(Failure::run)?;
    let environment = environment(key, &embedded.endpoint());
    let function = Lambda::with_output(&*program, environment, Stdio::from(writer), Stdio::inherit());
    let mut function = function
        .await
        .map_err(|error| Failure::Run(format!("cannot start the app, {}: {error}", program.display())))?;
    let outcome = serve(&mut function, listener, lines, &mut stop, arguments.data_dir.as_deref()).await;
    embedded.stop().await;
    outcome
}

/// Serves from the start of the app until it ends, or the command is asked to stop.
async fn serve(
    function: &mut Lambda,
    listener: TcpListener,
    lines: io::PipeReader,
    stop: &mut Stop,
    data_dir: Option<&Path>,
) -> Result<(), Failure> {
    let address = listener.local_addr().map_err(Failure::run)?.to_string();
    let api = function.api().clone();
    tokio::select! {
        // The app asks for events as soon as it has checked its configuration.
        () = api.polled(1) => {}
        ended = function.ended() => {
            copy(lines).await;
            return Err(has_ended("did not start", ended));
        }
        () = stop.requested() => return Ok(()),
    }
    let kept = data_dir.map_or("end with this command".to_owned(), |dir| {
        format!("are kept in {}", dir.display())
    });
    command::say(&format!(
        "http://{address}\n\
         This demo trusts any name that is typed: there is no password.\n\
         Sessions and secret key {kept}. Ctrl-C stops it."
    ));
    let copied = tokio::spawn(copy(lines));
    let outcome = tokio::select! {
        () = server::serve(listener, api, address, stop.requested()) => Ok(()),
        ended = function.ended() => Err(has_ended("has ended", ended)),
    };
    function.kill().await;
    let _ = copied.await;
    outcome
}

fn has_ended(how: &str, status: io::Result<ExitStatus>) -> Failure {
    match status {
        Ok(status) => Failure::Run(format!("the app {how}: {status}")),
        Err(error) => Failure::Run(format!("the app {how}: {error}")),
    }
}

/// Passes the app's log on, after the lines of this command, until the app ends.
async fn copy(mut lines: io::PipeReader) {
    let (done, copied) = tokio::sync::oneshot::channel();
    // A thread of its own, because the runtime waits for its own threads to end.
    thread::spawn(move || {
        let _ = io::copy(&mut lines, &mut io::stdout());
        let _ = done.send(());
    });
    let _ = copied.await;
}

/// Returns the caller's environment, without variables that could lead the app to AWS, and with those that lead it
/// here.
fn environment(key: OsString, endpoint: &str) -> Vec<(OsString, OsString)> {
    let kept = ["AWS_LAMBDA_LOG_LEVEL", "AWS_LAMBDA_LOG_FORMAT"];
    let ours = [
        ("SECRET_KEY", key),
        ("TABLE_NAME", table::NAME.into()),
        ("DYNAMODB_ENDPOINT", endpoint.into()),
        ("SESSION_COOKIE_SECURE", "false".into()),
        ("AWS_LAMBDA_MAX_CONCURRENCY", CONCURRENCY.into()),
    ];
    std::env::vars_os()
        .filter(|(name, _)| match name.to_str() {
            Some(name) => kept.contains(&name) || !name.starts_with("AWS_"),
            None => true,
        })
        .chain(ours.map(|(name, value)| (name.into(), value)))
        .collect()
}
