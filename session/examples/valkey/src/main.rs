//! How to write a store: sessions in Valkey, or in Redis from version 7 on, and a server that counts visits over it.
//!
//! Start it with `VALKEY_URL=redis://127.0.0.1 SECRET_KEY=$(openssl rand -hex 32) SESSION_COOKIE_SECURE=false cargo run
//! -p valkey -- --port 3000`. The server must evict nothing (`maxmemory-policy noeviction`) and lose no answered write
//! (`appendfsync always`). This is an example and not a product: nobody but its tests runs it.

use std::{collections::HashMap, env, time::Duration};

use axum::{Router, routing::get};
use lambda_session::{AnyOwnerStore, OwnerKey, OwnerList, OwnerStore, Record, RecordKey, Session, SessionError};
use lambda_session::{SessionLayer, Store, StoreError, StoreErrorKind, Stored, Swap, Tombstone, lambda};
use redis::{FromRedisValue, RedisError, ToRedisArgs, aio, cmd};

/// Puts a version, a value and their expiry under a key if the version there is the first argument; otherwise returns
/// what stands there. A script is one step. Because clocks differ, a value is kept for at least ten minutes.
const SWAP: &str = "
    local found = redis.call('HMGET', KEYS[1], 'version', 'value')
    if (found[1] or '') ~= ARGV[1] then return found end
    redis.call('HSET', KEYS[1], 'version', ARGV[2], 'value', ARGV[3])
    redis.pcall('EXPIREAT', KEYS[1], math.max(ARGV[4], redis.call('TIME')[1] + 600)) -- Fails if too far off: no expiry.
    return false";

/// Adds a key to a list. The list's expiry never moves back, so a delayed call does not shorten it.
const ENLIST: &str = "
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
    local expiry = math.max(ARGV[3], redis.call('TIME')[1] + 600)
    redis.pcall('EXPIREAT', KEYS[1], expiry, redis.call('TTL', KEYS[1]) < 0 and 'NX' or 'GT')
    return redis.call('HGETALL', KEYS[1])";

/// Keeps a hash for each session (a `version` to compare, a `value` in JSON) and for each owner (keys and times).
#[derive(Clone, Debug)]
pub(crate) struct ValkeyStore(aio::ConnectionManager);

type Found = (Option<String>, Option<Vec<u8>>); // The version and the value that stand under a key.

impl ValkeyStore {
    /// Connects at the first call, and again if the connection was lost. A call has half a second by default.
    pub(crate) fn open(url: &str) -> Result<Self, RedisError> {
        let config = aio::ConnectionManagerConfig::new().set_number_of_retries(1);
        aio::ConnectionManager::new_lazy_with_config(redis::Client::open(url)?, config).map(Self)
    }

    async fn call<T: FromRedisValue>(&self, name: &str, arguments: impl ToRedisArgs) -> Result<T, StoreError> {
        let (mut call, mut connection) = (cmd(name), self.0.clone());
        call.arg(arguments).query_async(&mut connection).await.map_err(failed)
    }

    /// Replaces this version with `next`, or returns what stands there instead.
    async fn replace(&self, key: &RecordKey, read: &str, next: &Stored) -> Result<Option<Found>, StoreError> {
        let (version, expiry) = match next {
            Stored::Record(record) => (version(record), record.expires_at),
            Stored::Tombstone(tombstone) => ("ended".to_owned(), tombstone.expires_at()),
            _ => Default::default(),
        };
        let value = serde_json::to_vec(next).map_err(|error| StoreError::new(StoreErrorKind::Rejected, error))?;
        let swap = (SWAP, 1, name("record", key.as_str()), read, version, value, expiry);
        self.call("EVAL", swap).await
    }
}

impl Store for ValkeyStore {
    fn owners(&self) -> Option<&dyn AnyOwnerStore> {
        Some(self)
    }

    fn system(&self) -> Option<&'static str> {
        Some("redis") // OpenTelemetry has no name of Valkey's own.
    }

    fn pause(&self, conflicts: u32) -> Duration {
        let random = getrandom::u32().unwrap_or_default();
        Duration::from_millis((random % 4_u32.pow(conflicts.clamp(1, 5) - 1)).into())
    }

    async fn load(&self, key: &RecordKey) -> Result<Option<Stored>, StoreError> {
        let read = (name("record", key.as_str()), "version", "value");
        self.call("HMGET", read).await.map(stored)
    }

    async fn swap(&self, key: &RecordKey, read: Option<&Record>, next: &Stored) -> Result<Swap, StoreError> {
        let found = self.replace(key, &read.map(version).unwrap_or_default(), next).await?;
        Ok(found.map_or(Swap::Done, |found| Swap::Found(stored(found))))
    }

    async fn end(&self, key: &RecordKey, at: u64) -> Result<Tombstone, StoreError> {
        let mut found = Found::default();
        loop {
            let version = found.0.clone().unwrap_or_default();
            let left = Tombstone::of(stored(found).as_ref(), at);
            match self.replace(key, &version, &Stored::Tombstone(left.clone())).await? {
                None => return Ok(left),
                Some(other) => found = other,
            }
        }
    }
}

impl OwnerStore for ValkeyStore {
    async fn enlist(&self, owner: &OwnerKey, key: &RecordKey, at: u64, until: u64) -> Result<OwnerList, StoreError> {
        let enlist = (ENLIST, 1, name("owner", owner.as_str()), key.as_str(), at, until);
        self.call("EVAL", enlist).await.map(times)
    }

    async fn list(&self, owner: &OwnerKey) -> Result<OwnerList, StoreError> {
        self.call("HGETALL", name("owner", owner.as_str())).await.map(times)
    }

    async fn strike(&self, owner: &OwnerKey, keys: &[RecordKey]) -> Result<(), StoreError> {
        let keys: Vec<_> = keys.iter().map(RecordKey::as_str).collect(); // An empty one, too: HDEL needs at least one.
        self.call("HDEL", (name("owner", owner.as_str()), "", keys)).await
    }
}

fn name(kind: &str, key: &str) -> String {
    format!("sessions:{kind}:{key}")
}

fn version(record: &Record) -> String {
    let version = record.version();
    format!("{} {} {:?}", version.revision, version.expires_at, version.seen_at)
}

fn stored((version, value): Found) -> Option<Stored> {
    let malformed = |_| Stored::Malformed("no record in JSON".to_owned());
    version.map(|_| serde_json::from_slice(&value.unwrap_or_default()).unwrap_or_else(malformed))
}

fn times(list: HashMap<String, String>) -> OwnerList {
    let named = |(key, at): (String, String)| Some((RecordKey::from_stored(key), at.parse().ok()?));
    list.into_iter().filter_map(named).collect()
}

/// Reports only the code of the server's error, because the rest may quote what was sent.
fn failed(error: RedisError) -> StoreError {
    use StoreErrorKind::{Rejected, Unavailable};
    match error.code().unwrap_or_else(|| error.category()) {
        _ if error.is_io_error() => StoreError::new(Unavailable, error),
        code @ ("BUSY" | "LOADING" | "MASTERDOWN" | "MISCONF" | "READONLY") => StoreError::new(Unavailable, code),
        code => StoreError::new(Rejected, code),
    }
}

#[tokio::main]
async fn main() -> Result<(), lambda::Error> {
    let count = |session: Session| async move {
        Ok::<_, SessionError>(format!("Visit number {}", session.increment("visits", 1)?))
    };
    let sessions = SessionLayer::from_env(ValkeyStore::open(&env::var("VALKEY_URL")?)?)?.build()?;
    lambda::serve(Router::new().route("/", get(count)).layer(sessions)).await
}
