//! DynamoDB's HTTP API over a database inside this process: what the local commands and the tests use instead of AWS.
//!
//! The application cannot tell the difference: it talks to it through the same SDK client, over HTTP. One difference
//! helps the tests: nothing here deletes expired items while it runs (DynamoDB does, up to days late), so a record that
//! has expired stays in the table and must be recognised by whoever reads it. A file-backed database drops them when it
//! is opened, or it would grow for ever.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use dynoxide::{Database, DynoxideError, server};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub(crate) mod table;

/// How long `stop` waits for requests that are still running, or that a client never finishes sending.
const GRACE: Duration = Duration::from_secs(5);

/// A running embedded DynamoDB. Dropping it stops it too, without waiting for requests to finish.
pub(crate) struct Embedded {
    addresses: Vec<SocketAddr>,
    stop: watch::Sender<()>,
    servers: JoinSet<Result<(), String>>,
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
    pub(crate) fn start(
        listeners: impl IntoIterator<Item = TcpListener>,
        table: &str,
        data_dir: Option<&Path>,
    ) -> Result<Self, StartError> {
        let database = open(table, data_dir)?;
        let (stop, stopped) = watch::channel(());
        let mut addresses = Vec::new();
        let mut servers = JoinSet::new();
        for listener in listeners {
            addresses.push(listener.local_addr().map_err(StartError::new("its listener"))?);
            let mut stopped = stopped.clone();
            let stopped = async move {
                // An error means that the `Embedded` was dropped: a reason to stop as well.
                let _ = stopped.changed().await;
            };
            servers.spawn(server::serve_with_shutdown(listener, database.clone(), stopped));
        }
        Ok(Self {
            addresses,
            stop,
            servers,
        })
    }

    /// The URL of each listener, in the order they were given.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = String> {
        self.addresses.iter().map(|address| format!("http://{address}"))
    }

    /// Stops accepting, lets running requests finish and closes the database.
    pub(crate) async fn stop(mut self) {
        let _ = self.stop.send(());
        let finished = async { while self.servers.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(GRACE, finished).await;
    }
}

/// The embedded DynamoDB did not start. The message names the file.
#[derive(Debug)]
pub(crate) struct StartError(String);

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

fn open(table: &str, data_dir: Option<&Path>) -> Result<Database, StartError> {
    let Some(directory) = data_dir else {
        let database = Database::memory().map_err(StartError::new("a database in memory"))?;
        make_table(&database, table).map_err(StartError::new("a database in memory"))?;
        return Ok(database);
    };
    let file = directory.join("dynamodb.sqlite");
    let name = file.display().to_string();
    let path = file
        .to_str()
        .ok_or("its name is not UTF-8")
        .map_err(StartError::new(&name))?;
    let database = Database::new(path).map_err(StartError::new(&name))?;
    make_table(&database, table).map_err(StartError::new(&name))?;
    database.sweep_ttl().map_err(StartError::new(&name))?;
    Ok(database)
}

fn make_table(database: &Database, table: &str) -> Result<(), DynoxideError> {
    let mut definition = table::properties();
    definition["TableName"] = json!(table);
    let time_to_live = json!({
        "TableName": table,
        "TimeToLiveSpecification": definition["TimeToLiveSpecification"].take(),
    });
    match database.create_table(request(definition)?) {
        Err(DynoxideError::ResourceInUseException(_)) => return Ok(()),
        made => made?,
    };
    database.update_time_to_live(request(time_to_live)?)?;
    Ok(())
}

fn request<T: DeserializeOwned>(value: Value) -> Result<T, DynoxideError> {
    serde_json::from_value(value).map_err(|error| DynoxideError::SerializationException(error.to_string()))
}
