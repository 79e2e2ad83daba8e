//! Limits on attempts, counted where every instance of the function sees the count.
//!
//! A counter is an item of the sessions' table, `attempts:` and a hash. It begins with the first attempt and ends a
//! quarter of an hour later. Attempts that are refused meanwhile neither count nor prolong it. An attempt counts before
//! the password is checked, and is taken back if it succeeds.
//!
//! The limits prevent guessing: strangers can guess at an account 50 times in a quarter of an hour. An attacker who
//! uses that up, from at least three addresses, keeps strangers out of the account for the rest of the quarter, and
//! again in the next. A browser from which somebody has logged in since the last change of password is not a stranger,
//! so the user is not kept out there (OWASP, "Slow Down Online Guessing Attacks with Device Cookies").

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Mutex;
use std::time::UNIX_EPOCH;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Config, retry::RetryConfig};
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lambda_session::lambda::SourceAddress;
use sha2::{Digest as _, Sha256};

use crate::problem::{Problem, UNAVAILABLE};
use crate::table::{lock, number, text, unavailable};

/// In seconds: how long a counter lasts.
const WINDOW: u64 = 15 * 60;

/// The number of attempts of one kind that pass in one window.
#[derive(Debug)]
pub(crate) struct Limit {
    what: &'static str,
    most: u32,
}

impl Limit {
    /// Logins from one address, to any account. Below `ACCOUNT`, so that one address cannot use that limit up.
    pub(crate) const ADDRESS: Self = Self::new("address", 20);
    /// Logins to one account from browsers that are not known devices (`devices`).
    pub(crate) const ACCOUNT: Self = Self::new("account", 50);
    /// Logins to one account from one known device.
    pub(crate) const DEVICE: Self = Self::new("device", 10);
    /// Passwords that are given again in one session, to change the password or to confirm who it is.
    pub(crate) const PROOFS: Self = Self::new("proofs", 10);
    /// Sign-ups from one address. Successful ones count, too.
    pub(crate) const SIGN_UPS: Self = Self::new("sign-ups", 10);

    const fn new(what: &'static str, most: u32) -> Self {
        Self { what, most }
    }
}

/// An attempt that counts.
#[derive(Debug)]
pub(crate) struct Attempt {
    key: String,
    ends: u64,
}

#[derive(Debug)]
pub(crate) enum Attempts {
    Table {
        client: Client,
        table: String,
    },
    /// For a run on your own machine. The values are the number of attempts and the end of the window.
    Memory(Mutex<HashMap<String, (u32, u64)>>),
}

/// The outcome of counting an attempt, with the end of the window.
enum Counted {
    Passed(u64),
    Limited(u64),
}

impl Attempts {
    pub(crate) fn table(client: &Client, table: &str) -> Self {
        Self::Table {
            client: client.clone(),
            table: table.to_owned(),
        }
    }

    pub(crate) fn in_memory() -> Self {
        Self::Memory(Mutex::default())
    }

    /// Counts an attempt, or refuses it with 429 until the window ends. If the table fails, the attempt fails.
    pub(crate) async fn begin(&self, limit: &Limit, whom: &str) -> Result<Attempt, Problem> {
        // Hashed, so that any name is a valid key. This does not hide an address, because all addresses can be tried.
        let hash = Sha256::new()
            .chain_update(limit.what)
            .chain_update([0])
            .chain_update(whom);
        let key = format!("attempts:{}", URL_SAFE_NO_PAD.encode(hash.finalize()));
        let now = UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
        let counted = match self {
            Self::Table { client, table } => {
                let update = client.update_item().table_name(table);
                count(&update.key("id", text(&key)), limit.most, now).await?
            }
            Self::Memory(windows) => count_in_memory(&mut lock(windows), &key, limit.most, now),
        };
        match counted {
            Counted::Passed(ends) => Ok(Attempt { key, ends }),
            Counted::Limited(ends) => {
                tracing::warn!(event = "limited", limit = limit.what, "too many attempts");
                let text = "That was tried too often. Please wait for a quarter of an hour.";
                Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, text).after(ends - now))
            }
        }
    }

    /// Takes back the attempts of a login that succeeded. If that fails, they count until the window ends.
    pub(crate) async fn forgive(&self, attempts: Vec<Attempt>) {
        for Attempt { key, ends } in attempts {
            let (client, table) = match self {
                Self::Table { client, table } => (client, table),
                Self::Memory(windows) => {
                    if let Some((attempts, _)) = lock(windows).get_mut(&key).filter(|(_, until)| *until == ends) {
                        *attempts -= 1;
                    }
                    continue;
                }
            };
            let update = client
                .update_item()
                .table_name(table)
                .key("id", text(key))
                .update_expression("SET attempts = attempts - :one")
                .condition_expression("expires_at = :ends AND attempts > :zero")
                .expression_attribute_values(":one", number(1))
                .expression_attribute_values(":zero", number(0))
                .expression_attribute_values(":ends", number(ends));
            // Without retries: after a lost reply, the attempt would be taken back twice.
            let once = Config::builder().retry_config(RetryConfig::disabled());
            if let Err(error) = update.customize().config_override(once).send().await {
                tracing::debug!(event = "not forgiven", "{error}");
            }
        }
    }
}

/// Makes one conditional write, or two if an earlier window has ended. A write whose reply was lost counts twice, which
/// is the safe side.
async fn count(update: &UpdateItemFluentBuilder, most: u32, now: u64) -> Result<Counted, Problem> {
    let ends = now + WINDOW;
    let write = |expression: &str, condition: &str| {
        update
            .clone()
            .update_expression(expression)
            .condition_expression(condition)
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":ends", number(ends))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    };
    // More than one round is needed only if another request begins a window at the same time.
    for _ in 0..3 {
        let counted = write(
            "SET attempts = if_not_exists(attempts, :zero) + :one, expires_at = if_not_exists(expires_at, :ends)",
            "attribute_not_exists(id) OR (expires_at > :now AND attempts < :most)",
        )
        .expression_attribute_values(":zero", number(0))
        .expression_attribute_values(":most", number(most));
        let found = match outcome(counted).await? {
            Ok(until) => return Ok(Counted::Passed(until)),
            Err(until) => until,
        };
        if found > now {
            return Ok(Counted::Limited(found));
        }
        let begun = write("SET attempts = :one, expires_at = :ends", "expires_at <= :now");
        if outcome(begun).await?.is_ok() {
            return Ok(Counted::Passed(ends));
        }
    }
    Err(UNAVAILABLE)
}

/// Returns the end of the window: `Ok` if the condition held, `Err` if it did not.
async fn outcome(write: UpdateItemFluentBuilder) -> Result<Result<u64, u64>, Problem> {
    let ends = |item: Option<&HashMap<String, AttributeValue>>| {
        let value = item.and_then(|item| item.get("expires_at")?.as_n().ok()?.parse().ok());
        value.unwrap_or_default()
    };
    match write.send().await {
        Ok(output) => Ok(Ok(ends(output.attributes()))),
        Err(SdkError::ServiceError(error)) => match error.err() {
            UpdateItemError::ConditionalCheckFailedException(failed) => Ok(Err(ends(failed.item()))),
            _ => Err(unavailable(&SdkError::ServiceError(error))),
        },
        Err(error) => Err(unavailable(&error)),
    }
}

fn count_in_memory(windows: &mut HashMap<String, (u32, u64)>, key: &str, most: u32, now: u64) -> Counted {
    windows.retain(|_, (_, until)| *until > now);
    let (attempts, until) = windows.entry(key.to_owned()).or_insert((0, now + WINDOW));
    if *attempts >= most {
        return Counted::Limited(*until);
    }
    *attempts += 1;
    Counted::Passed(*until)
}

/// The origin of a request, as attempts are counted.
pub(crate) struct Address(pub(crate) String);

impl<S: Sync> FromRequestParts<S> for Address {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let told = parts.extensions.get().map(|SourceAddress(address)| *address);
        // Clients that cannot be told apart share one limit.
        Ok(Self(told.map_or_else(String::new, network)))
    }
}

/// An IPv4 address, or the network of an IPv6 address, because providers give each customer 2⁶⁴ addresses and more.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).to_string(),
    }
}
