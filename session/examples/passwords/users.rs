//! The users: their names and the hashes of their passwords.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Mutex;
use std::time::UNIX_EPOCH;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::problem::Problem;
use crate::table::{lock, number, text, unavailable};

pub(crate) const NAME_RULE: &str = "A name has 1 to 64 letters a to z, digits, dots, dashes and underscores.";

/// The canonical spelling of a typed name. `None` if no user can have that name.
pub(crate) fn name(typed: &str) -> Option<String> {
    let name = typed.trim().to_ascii_lowercase();
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    ((1..=64).contains(&name.len()) && name.bytes().all(allowed)).then_some(name)
}

#[derive(Debug)]
pub(crate) enum Users {
    Table {
        client: Client,
        table: String,
    },
    /// For a run on your own machine.
    Memory(Mutex<HashMap<String, String>>),
}

impl Users {
    pub(crate) fn table(client: &Client, table: &str) -> Self {
        Self::Table {
            client: client.clone(),
            table: table.to_owned(),
        }
    }

    pub(crate) fn in_memory() -> Self {
        Self::Memory(Mutex::default())
    }

    /// The hash of the user's password.
    pub(crate) async fn find(&self, name: &str) -> Result<Option<String>, Problem> {
        let (client, table) = match self {
            Self::Table { client, table } => (client, table),
            Self::Memory(users) => return Ok(lock(users).get(name).cloned()),
        };
        let get = client.get_item().table_name(table).consistent_read(true);
        let found = get.key("name", text(name)).send().await;
        let item = found.map_err(|error| unavailable(&error))?.item;
        Ok(item.and_then(|mut item| match item.remove("password")? {
            AttributeValue::S(hash) => Some(hash),
            _ => None,
        }))
    }

    /// Adds a user. Returns `false` if somebody has that name.
    pub(crate) async fn add(&self, name: &str, hash: &str) -> Result<bool, Problem> {
        let (client, table) = match self {
            Self::Table { client, table } => (client, table),
            Self::Memory(users) => {
                return Ok(match lock(users).entry(name.to_owned()) {
                    Entry::Occupied(_) => false,
                    Entry::Vacant(free) => {
                        free.insert(hash.to_owned());
                        true
                    }
                });
            }
        };
        let now = UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
        let put = client
            .put_item()
            .table_name(table)
            .item("name", text(name))
            .item("password", text(hash))
            .item("created_at", number(now))
            // An item with the same hash is from an earlier attempt of this call whose reply was lost: no two salts are
            // equal.
            .condition_expression("attribute_not_exists(#name) OR #password = :password")
            .expression_attribute_names("#name", "name")
            .expression_attribute_names("#password", "password")
            .expression_attribute_values(":password", text(hash));
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

    /// Replaces the hash `old`. Returns `false` if the user has another hash by now.
    pub(crate) async fn change(&self, name: &str, old: &str, new: &str) -> Result<bool, Problem> {
        let (client, table) = match self {
            Self::Table { client, table } => (client, table),
            Self::Memory(users) => {
                return Ok(match lock(users).get_mut(name).filter(|hash| *hash == old) {
                    Some(hash) => {
                        new.clone_into(hash);
                        true
                    }
                    None => false,
                });
            }
        };
        let update = client
            .update_item()
            .table_name(table)
            .key("name", text(name))
            .update_expression("SET #password = :new")
            // The new hash is there if the reply to an earlier attempt of this call was lost.
            .condition_expression("#password IN (:old, :new)")
            .expression_attribute_names("#password", "password")
            .expression_attribute_values(":old", text(old))
            .expression_attribute_values(":new", text(new));
        match update.send().await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(error))
                if matches!(error.err(), UpdateItemError::ConditionalCheckFailedException(_)) =>
            {
                Ok(false)
            }
            Err(error) => Err(unavailable(&error)),
        }
    }
}
