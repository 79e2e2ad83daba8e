//! `cargo dynamodb`: the embedded DynamoDB alone, with the sessions table, for `sam local`.

use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;

use dev::command::{self, Failure, Stop};
use dev::dynamodb::{Embedded, table};

mod bridge;

const HELP: &str = "\
DynamoDB's API on this machine, with the sessions table, for `sam local start-api`

Usage: cargo dynamodb [--port N] [--data-dir DIR]

  --port N        listen on this port (8000; 0 = any free one)
  --data-dir DIR  keep the items in this directory; otherwise they end with the command
  --help          show this text

TABLE_NAME in the environment names the table (SessionsTable).";

#[tokio::main]
async fn main() -> ExitCode {
    command::exit(run().await)
}

async fn run() -> Result<(), Failure> {
    let Some(arguments) = command::arguments(std::env::args_os().skip(1), 8000)? else {
        command::say(HELP);
        return Ok(());
    };
    let mut stop = Stop::new()?;
    let table = std::env::var("TABLE_NAME").ok().filter(|name| !name.is_empty());
    let table = table.as_deref().unwrap_or(table::NAME);
    if let Some(directory) = &arguments.data_dir {
        command::make_directory(directory)?;
    }

    let here = command::listen(IpAddr::V4(Ipv4Addr::LOCALHOST), arguments.port).await?;
    let port = here.local_addr().map_err(Failure::run)?.port();
    let mut listeners = vec![here];
    let bridge = bridge::address();
    if let Some(ip) = bridge {
        listeners.push(command::listen(ip, port).await?);
    }

    let embedded = Embedded::start(listeners, table, arguments.data_dir.as_deref()).map_err(Failure::run)?;
    for endpoint in embedded.endpoints() {
        command::say(&format!("DynamoDB listens on {endpoint}"));
    }
    command::say(&match (bridge, cfg!(target_os = "linux")) {
        (None, true) => "There is no Docker bridge (docker0), so no container reaches it.".to_owned(),
        _ => format!("A container reaches it at http://host.docker.internal:{port}"),
    });
    command::say(&format!(
        "The table is {table}. Next, in another terminal: sam build && sam local start-api\nCtrl-C stops this."
    ));
    stop.requested().await;
    embedded.stop().await;
    Ok(())
}
