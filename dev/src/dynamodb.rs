//! DynamoDB's HTTP API over a database inside this process: what the local commands and the tests use instead of AWS.
//!
//! The application talks to it through the same SDK client, over HTTP, and cannot tell the difference. One difference
//! helps the tests: nothing here deletes expired items while it runs (DynamoDB does, up to days late), so a record that
//! has expired stays in the table and must be recognised by whoever reads it. A file-backed database drops them when it
//! is opened, or it would grow for ever.
//!
//! It refuses every request that a web page could have sent: one with an `Origin`, or with a `Host` that is not its own.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use http::uri::{Authority, InvalidUri};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::hosts::Hosts;
use crate::http1;

mod api;
mod database;
mod hosts;
pub mod table;

/// How long `stop` waits for requests that are still running, or that a client never finishes sending.
const GRACE: Duration = Duration::from_secs(5);

/// A running embedded DynamoDB. Dropping it stops it too, without waiting for requests to finish.
#[derive(Debug)]
pub struct Embedded {
    addresses: Vec<SocketAddr>,
    hosts: Hosts,
    stop: watch::Sender<()>,
    servers: JoinSet<()>,
}

impl Embedded {
    /// Serves on listeners that are already bound, so that the caller can say which address was taken. Needs a Tokio
    /// runtime.
    ///
    /// Makes the table unless it exists. With a directory the items are kept there in a file, else in memory.
    ///
    /// # Errors
    ///
    /// The database file cannot be opened or written, or a listener has no address.
    pub fn start(
        listeners: impl IntoIterator<Item = TcpListener>,
        table: &str,
        data_dir: Option<&Path>,
    ) -> Result<Self, StartError> {
        let database = database::open(table, data_dir)?;
        let hosts = Hosts::default();
        let (stop, stopped) = watch::channel(());
        let mut addresses = Vec::new();
        let mut servers = JoinSet::new();
        for listener in listeners {
            let address = listener.local_addr().map_err(StartError::new("its listener"))?;
            addresses.push(address);
            hosts.add_address(address);
            let (database, allowed) = (database.clone(), hosts.clone());
            let connected = move || {
                let (database, allowed) = (database.clone(), allowed.clone());
                move |request| api::answer(database.clone(), allowed.clone(), request)
            };
            let mut stopped = stopped.clone();
            servers.spawn(http1::serve(listener, connected, async move {
                // An error means that the `Embedded` was dropped: a reason to stop as well.
                let _ = stopped.changed().await;
            }));
        }
        Ok(Self {
            addresses,
            hosts,
            stop,
            servers,
        })
    }

    /// An empty one with the sessions table, in memory, on a port of its own: what a test needs.
    ///
    /// # Panics
    ///
    /// There is no free port.
    pub async fn in_memory() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        Self::start([listener], table::NAME, None).expect("a database in memory")
    }

    /// The URL of each listener, in the order they were given.
    pub fn endpoints(&self) -> impl Iterator<Item = String> {
        self.addresses.iter().map(|address| format!("http://{address}"))
    }

    /// The URL of the first listener.
    ///
    /// # Panics
    ///
    /// It was started without listeners.
    pub fn endpoint(&self) -> String {
        self.endpoints().next().expect("a listener")
    }

    /// Answers under one more host, as in `localhost:8443`: for whatever passes requests on to it unchanged.
    ///
    /// # Errors
    ///
    /// That is no host.
    pub fn answer_as(&self, host: &str) -> Result<(), InvalidUri> {
        self.hosts.add(host.parse::<Authority>()?);
        Ok(())
    }

    /// Stops accepting, lets running requests finish and closes the database.
    pub async fn stop(mut self) {
        let _ = self.stop.send(());
        let finished = async { while self.servers.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(GRACE, finished).await;
    }
}

/// The embedded DynamoDB did not start. The message names the file.
#[derive(Debug)]
pub struct StartError(String);

impl StartError {
    fn new<E: fmt::Display>(what: &str) -> impl FnOnce(E) -> Self {
        move |error| Self(format!("the embedded DynamoDB cannot use {what}: {error}"))
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}
