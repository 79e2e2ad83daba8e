//! DynamoDB's HTTP API over a database inside this process. The local commands and the tests use it instead of AWS.
//!
//! The application talks to it through the same SDK client, over HTTP, and cannot tell the difference. One difference
//! helps the tests: no expired item is deleted while it runs (DynamoDB deletes them, up to days late), so an expired
//! record stays in the table, and the library must recognise it. A file-backed database deletes expired items when it
//! is opened, so that it does not grow for ever.
//!
//! It refuses every request that a web page could have sent: one with an `Origin`, or with a `Host` that is not its
//! own.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use dynoxide::Database;
use http::uri::{Authority, InvalidUri};
use serde_json::Value;
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

/// A running embedded DynamoDB. Dropping it stops it as well, without waiting for requests to finish.
pub struct Embedded {
    database: Database,
    table: String,
    addresses: Vec<SocketAddr>,
    hosts: Hosts,
    stop: watch::Sender<()>,
    servers: JoinSet<()>,
}

impl Embedded {
    /// Serves on listeners that are already bound, so that the caller can say which address was taken. Needs a Tokio
    /// runtime.
    ///
    /// Makes the table if it does not exist. With a directory the items are kept there in a file, otherwise in memory.
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
                // An error means that the `Embedded` was dropped, which stops the server as well.
                let _ = stopped.changed().await;
            }));
        }
        Ok(Self {
            database,
            table: table.to_owned(),
            addresses,
            hosts,
            stop,
            servers,
        })
    }

    /// Starts an empty one with the sessions table, in memory, on a port of its own, for a test.
    ///
    /// # Panics
    ///
    /// There is no free port.
    pub async fn in_memory() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        Self::start([listener], table::NAME, None).expect("a database in memory")
    }

    /// Returns the URL of each listener, in the order in which they were given.
    pub fn endpoints(&self) -> impl Iterator<Item = String> {
        self.addresses.iter().map(|address| format!("http://{address}"))
    }

    /// Returns the URL of the first listener.
    ///
    /// # Panics
    ///
    /// It was started without listeners.
    pub fn endpoint(&self) -> String {
        self.endpoints().next().expect("a listener")
    }

    /// Answers under one more host, such as `localhost:8443`, for a server that passes requests on unchanged.
    ///
    /// # Errors
    ///
    /// `host` is not a valid host.
    pub fn answer_as(&self, host: &str) -> Result<(), InvalidUri> {
        self.hosts.add(host.parse::<Authority>()?);
        Ok(())
    }

    /// Edits every item of the table, each as DynamoDB's JSON, without a request: as time does, or somebody at the
    /// console.
    ///
    /// # Panics
    ///
    /// An edited item is not an item any more.
    pub fn edit(&self, edit: impl FnMut(&mut Value)) {
        database::edit(&self.database, &self.table, edit).expect("items");
    }

    /// Stops accepting, lets running requests finish and closes the database.
    pub async fn stop(mut self) {
        let _ = self.stop.send(());
        let finished = async { while self.servers.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(GRACE, finished).await;
    }
}

/// `Debug` omits the database, which has none.
impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
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
