//! Marks that are kept for a day: which logout tokens were used, which of the provider's sessions have ended, and when
//! all sessions of a subject were ended.
//!
//! A mark is an item of the sessions' table, which deletes it as it deletes sessions. Its name contains a `:`, so it is
//! never taken for a session.

use std::collections::HashMap;
use std::sync::Mutex;

use aws_sdk_dynamodb::Client;

use crate::now;
use crate::problem::Problem;
use crate::table::{lock, number, text, unavailable};

/// In seconds: how long a mark counts.
const A_DAY: u64 = 24 * 60 * 60;

#[derive(Debug)]
pub(crate) enum Marks {
    Table {
        client: Client,
        table: String,
    },
    /// For a run on your own machine. The values are the times at which the marks were set.
    Memory(Mutex<HashMap<String, u64>>),
}

impl Marks {
    pub(crate) fn table(client: &Client, table: &str) -> Self {
        Self::Table {
            client: client.clone(),
            table: table.to_owned(),
        }
    }

    pub(crate) fn in_memory() -> Self {
        Self::Memory(Mutex::default())
    }

    /// Sets a mark with the current time.
    pub(crate) async fn set(&self, name: &str) -> Result<(), Problem> {
        let (client, table) = match self {
            Self::Table { client, table } => (client, table),
            Self::Memory(marks) => {
                let mut marks = lock(marks);
                marks.retain(|_, set_at| *set_at + A_DAY > now());
                marks.insert(name.to_owned(), now());
                return Ok(());
            }
        };
        let put = client
            .put_item()
            .table_name(table)
            .item("id", text(name))
            .item("expires_at", number(now() + A_DAY));
        put.send().await.map_err(|error| unavailable(&error))?;
        Ok(())
    }

    /// Whether the mark is set.
    pub(crate) async fn has(&self, name: &str) -> Result<bool, Problem> {
        Ok(self.set_at(name).await?.is_some())
    }

    /// When the mark was last set, in seconds since 1970.
    pub(crate) async fn set_at(&self, name: &str) -> Result<Option<u64>, Problem> {
        let set_at = match self {
            Self::Table { client, table } => {
                let get = client.get_item().table_name(table).consistent_read(true);
                let found = get.key("id", text(name)).send().await;
                let item = found.map_err(|error| unavailable(&error))?.item;
                let expires_at: Option<u64> = item.and_then(|item| item.get("expires_at")?.as_n().ok()?.parse().ok());
                expires_at.map(|expires_at| expires_at.saturating_sub(A_DAY))
            }
            Self::Memory(marks) => lock(marks).get(name).copied(),
        };
        Ok(set_at.filter(|set_at| set_at + A_DAY > now()))
    }
}
