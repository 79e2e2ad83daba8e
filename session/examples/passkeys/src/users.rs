//! The users: who they are, and all ways in which they log in.
//!
//! A user is one item, found by the user's ID. It is replaced as a whole, and only if nobody has replaced it since it
//! was read. So whatever two requests do to one user at the same time, both happen, one after the other: a login that
//! advances a passkey's counter, another passkey, a removal, a recovery code.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use lambda_session::Users;
use serde::{Deserialize, Serialize};
use webauthn_rs::prelude::{Passkey, Uuid};

use crate::problem::{BUG, Problem, UNAVAILABLE};
use crate::table::{lock, text, unavailable};

/// One user.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct User {
    /// The user handle of WebAuthn, which each of the user's passkeys contains. It is also the number of the account,
    /// for a login by password or recovery code.
    pub(crate) id: Uuid,
    /// What the pages and the browser call the user. Several users may have the same name, because nobody is found by
    /// it.
    pub(crate) name: String,
    pub(crate) keys: Vec<Key>,
    /// The hash of the password, if the user has set one.
    pub(crate) password: Option<String>,
    /// The hashes of the recovery codes that were not used yet.
    pub(crate) codes: Vec<String>,
    /// Drawn anew when one way to log in ends. The same write then ends the sessions that began before.
    pub(crate) stamp: String,
}

/// A passkey of a user.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Key {
    /// What the user calls the device.
    pub(crate) label: String,
    pub(crate) passkey: Passkey,
}

impl User {
    pub(crate) fn new(id: Uuid, name: String, key: Key) -> Self {
        Self {
            id,
            name,
            keys: vec![key],
            password: None,
            codes: Vec::new(),
            stamp: random(),
        }
    }
}

/// A text that nobody can guess and that no two calls return.
pub(crate) fn random() -> String {
    Uuid::new_v4().to_string()
}

/// What is kept of a user: the version, which each write draws anew, and the user as JSON.
type Kept = (String, String);

/// All users. Clones are the same users.
#[derive(Clone, Debug)]
pub(crate) enum People {
    Table {
        client: Client,
        table: String,
    },
    /// For a run on your own machine.
    Memory(Arc<Mutex<HashMap<Uuid, Kept>>>),
}

impl People {
    pub(crate) fn table(client: &Client, table: &str) -> Self {
        Self::Table {
            client: client.clone(),
            table: table.to_owned(),
        }
    }

    pub(crate) fn in_memory() -> Self {
        Self::Memory(Arc::default())
    }

    pub(crate) async fn by_id(&self, id: Uuid) -> Result<Option<User>, Problem> {
        let kept = self.read(id).await?;
        kept.map(|(_, json)| decode(&json)).transpose()
    }

    /// Adds a user, whose ID was drawn for the purpose.
    pub(crate) async fn add(&self, user: &User) -> Result<(), Problem> {
        let is_added = self.write(user.id, None, encode(user)?).await?;
        is_added.then_some(()).ok_or(BUG)
    }

    /// Changes a user by `step`, which sees what was written last, and again if another request has written meanwhile.
    /// Returns the changed user; `None` if there is no such user. Nothing is written if `step` fails or changes
    /// nothing.
    pub(crate) async fn change(
        &self,
        id: Uuid,
        step: impl Fn(&mut User) -> Result<(), Problem>,
    ) -> Result<Option<User>, Problem> {
        for _ in 0..MOST_ROUNDS {
            let Some((version, before)) = self.read(id).await? else {
                return Ok(None);
            };
            let mut user = decode(&before)?;
            step(&mut user)?;
            let after = encode(&user)?;
            if after == before || self.write(id, Some(&version), after).await? {
                return Ok(Some(user));
            }
        }
        Err(UNAVAILABLE)
    }

    async fn read(&self, id: Uuid) -> Result<Option<Kept>, Problem> {
        let (client, table) = match self {
            Self::Table { client, table } => (client, table),
            Self::Memory(users) => return Ok(lock(users).get(&id).cloned()),
        };
        let get = client.get_item().table_name(table).consistent_read(true);
        let found = get.key("id", text(id.to_string())).send().await;
        let Some(mut item) = found.map_err(|error| unavailable(&error))?.item else {
            return Ok(None);
        };
        let mut attribute = |name| match item.remove(name) {
            Some(AttributeValue::S(value)) => Ok(value),
            _ => Err(BUG),
        };
        Ok(Some((attribute("version")?, attribute("user")?)))
    }

    /// Writes a user. Returns `false` if the user's version is another than `old`; without one there must be no user.
    async fn write(&self, id: Uuid, old: Option<&str>, json: String) -> Result<bool, Problem> {
        let new = random();
        let (client, table) = match self {
            Self::Table { client, table } => (client, table),
            Self::Memory(users) => {
                let mut users = lock(users);
                let is_old = users.get(&id).map(|(version, _)| version.as_str()) == old;
                if is_old {
                    users.insert(id, (new, json));
                }
                return Ok(is_old);
            }
        };
        let put = client
            .put_item()
            .table_name(table)
            .item("id", text(id.to_string()))
            .item("version", text(&new))
            .item("user", text(json))
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":new", text(&new));
        // The new version is there if the reply to an earlier attempt of this call was lost.
        let put = match old {
            Some(old) => put
                .condition_expression("#version IN (:old, :new)")
                .expression_attribute_values(":old", text(old)),
            None => put.condition_expression("attribute_not_exists(#version) OR #version = :new"),
        };
        match put.send().await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(error))
                if matches!(error.err(), PutItemError::ConditionalCheckFailedException(_)) =>
            {
                Ok(false)
            }
            Err(error) => Err(unavailable(&error)),
        }
    }
}

/// How often a change is tried if other requests change the same user at the same time.
const MOST_ROUNDS: usize = 8;

impl Users for People {
    type User = User;
    type Permission = ();
    type Error = &'static str;

    fn id(&self, user: &User) -> String {
        user.id.to_string()
    }

    fn stamp(&self, user: &User) -> String {
        user.stamp.clone()
    }

    async fn find(&self, id: &str) -> Result<Option<User>, &'static str> {
        let Ok(id) = Uuid::parse_str(id) else { return Ok(None) };
        self.by_id(id).await.map_err(|_| "the users' table failed")
    }
}

fn encode(user: &User) -> Result<String, Problem> {
    serde_json::to_string(user).map_err(|_| BUG)
}

fn decode(json: &str) -> Result<User, Problem> {
    serde_json::from_str(json).map_err(|_| BUG)
}
