//! A `SessionStore` of tower-sessions over a store of lambda-session.

use std::collections::{BTreeSet, HashMap};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lambda_session::{Data, OwnerKey, OwnerStore, Record, RecordKey, Sessions, Stored, Swap, Value, WriteToken};
use serde_json::{Value as Json, from_value, to_value};
use sha2::{Digest as _, Sha256};
use tower_sessions::cookie::time::{Duration, OffsetDateTime};
use tower_sessions::session::{self, Id};
use tower_sessions::session_store::{Error, Result};

/// The variable in which axum-login keeps the user's ID, as `user_id`: the site's own if it calls `with_data_key`.
const LOGIN: &str = "axum-login.data";
/// The variable in which a request keeps the record that it has read, and what its write tokens begin with. It is not
/// stored.
const READ: &str = "lambda-session.read";
/// The most bytes of a session's variables, in JSON. DynamoDB allows 400 KB, and bills each read and write by its size.
const MOST_BYTES: usize = 16 * 1024;
/// The longest that a session lives with one ID, in seconds: thirty days. Its owner's list is kept a day longer.
const LIFETIME: u64 = 30 * DAY;
const DAY: u64 = 24 * 60 * 60;
/// An owner's list is tidied when its length is a multiple of this number.
const TIDY_EVERY: usize = 32;
/// How many writes of other requests a save may meet.
const CONFLICTS: u32 = 10;
/// How many of its last writes a record remembers.
const WRITES: usize = 16;

/// The sessions of a tower-sessions site in `store`. `sessions` are those of the same store.
#[derive(Clone, Debug)]
pub(crate) struct TowerStore<S> {
    pub(crate) store: S,
    pub(crate) sessions: Sessions,
}

#[async_trait::async_trait]
impl<S: OwnerStore> tower_sessions::SessionStore for TowerStore<S> {
    /// Takes a new ID: after a logout, tower-sessions offers the one of the ended session again.
    async fn create(&self, record: &mut session::Record) -> Result<()> {
        record.id = Id::default();
        record.data.remove(READ);
        let (key, token) = (key(record.id), token(""));
        let mut next = Record::new(Data::new(), now(), 0);
        next.expires_at = expiry(record, &next);
        (next.lifetime, next.writes) = (Some(LIFETIME), vec![token.clone()]);
        next.data = merged(&next, &next, &record.data)?;
        self.own(&mut next, None, &key).await?;
        let swap = self.store.swap(&key, None, &Stored::Record(next.clone())).await;
        match swap.map_err(failed)? {
            Swap::Done => {}
            // The reply to the first attempt was lost.
            Swap::Found(Some(Stored::Record(found))) if found.writes.contains(&token) => {}
            // "Log out everywhere" has met this login on its way.
            Swap::Found(_) => return Err(ended()),
        }
        let read = to_value((next, token)).map_err(failed)?;
        record.data.insert(READ.to_owned(), read);
        Ok(())
    }

    /// Writes the variables that differ from those that the request has read, and leaves the others. If nothing was
    /// read, as after `Session::clear`, they replace what stands there now.
    async fn save(&self, record: &session::Record) -> Result<()> {
        let key = key(record.id);
        let (read, request): (Record, WriteToken) = match record.data.get(READ) {
            Some(read) => from_value(read.clone()).map_err(failed)?,
            None => (self.alive(&key).await?.ok_or_else(ended)?, token("")),
        };
        let ours = |token: &WriteToken| token.as_str().starts_with(request.as_str());
        let mut stands = read.clone();
        for conflicts in 0..CONFLICTS {
            if stands.expires_at <= now() {
                return Err(ended());
            }
            // Nobody else has written since this request read or saved. A write that keeps changes of others does not
            // count as the request's own: a later save of the request, which does not know them, would remove them.
            let undisturbed = conflicts == 0 || stands.writes.last().is_some_and(ours);
            let token = token(if undisturbed { request.as_str() } else { "" });
            let mut next = stands.clone();
            next.data = merged(&stands, if undisturbed { &stands } else { &read }, &record.data)?;
            // Only a request that wants it ends the session sooner; one that is slow does not.
            let wanted = expiry(record, &stands);
            next.expires_at = wanted.max(if wanted < read.expires_at { 0 } else { stands.expires_at });
            if next == stands && conflicts > 0 {
                return Ok(());
            }
            next.revision = stands.revision.saturating_add(1);
            next.writes.drain(..stands.writes.len().saturating_sub(WRITES - 1));
            next.writes.push(token.clone());
            self.own(&mut next, Some(&stands), &key).await?;
            let swap = self.store.swap(&key, Some(&stands), &Stored::Record(next)).await;
            match swap.map_err(failed)? {
                Swap::Done => return Ok(()),
                // The reply was lost. Others may have written since.
                Swap::Found(Some(Stored::Record(found))) if found.writes.contains(&token) => return Ok(()),
                Swap::Found(Some(Stored::Record(found))) => stands = found,
                Swap::Found(_) => return Err(ended()),
            }
            tokio::time::sleep(self.store.pause(conflicts + 1)).await;
        }
        Err(Error::Backend("too many requests change the session".to_owned()))
    }

    async fn load(&self, id: &Id) -> Result<Option<session::Record>> {
        let Some(record) = self.alive(&key(*id)).await? else {
            return Ok(None);
        };
        let decoded = |(name, value): (&String, &Value)| Ok((name.clone(), value.decode().map_err(failed)?));
        let mut data: HashMap<_, _> = record.data.iter().map(decoded).collect::<Result<_>>()?;
        let expires_at = Duration::seconds(i64::try_from(record.expires_at).unwrap_or(i64::MAX));
        let expiry_date = OffsetDateTime::UNIX_EPOCH.saturating_add(expires_at);
        data.insert(READ.to_owned(), to_value((record, token(""))).map_err(failed)?);
        let id = *id;
        Ok(Some(session::Record { id, data, expiry_date }))
    }

    /// Leaves a tombstone, which no write replaces.
    async fn delete(&self, id: &Id) -> Result<()> {
        self.store.end(&key(*id), now()).await.map(drop).map_err(failed)
    }
}

impl<S: OwnerStore> TowerStore<S> {
    async fn alive(&self, key: &RecordKey) -> Result<Option<Record>> {
        Ok(match self.store.load(key).await.map_err(failed)? {
            Some(Stored::Record(record)) if record.expires_at > now() => Some(record),
            _ => None,
        })
    }

    /// Names axum-login's user as the owner: in the owner's list first, so that the list misses no session.
    async fn own(&self, next: &mut Record, before: Option<&Record>, key: &RecordKey) -> Result<()> {
        let login: Option<Json> = next.data.get(LOGIN).and_then(|it| it.decode().ok());
        let owner = match &login.unwrap_or_default()["user_id"] {
            Json::Null => None,
            Json::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        next.owner = owner.as_ref().map(Value::encode).transpose().map_err(failed)?;
        next.seen_at = owner.as_ref().map(|_| now());
        if let Some(owner) = owner.filter(|_| before.is_none_or(|before| before.owner != next.owner)) {
            let (list, until) = (OwnerKey::new(&owner), now() + LIFETIME + DAY);
            let list = self.store.enlist(&list, key, now(), until).await.map_err(failed)?;
            if list.len().is_multiple_of(TIDY_EVERY) {
                // Removes the sessions that have ended from the list. If it fails, a later login does it.
                let _ = self.sessions.list(&owner).await;
            }
        }
        Ok(())
    }
}

/// The variables of `stands` with the changes that lead from `base` to `wanted`. Fails if they grow beyond the most.
fn merged(stands: &Record, base: &Record, wanted: &HashMap<String, Json>) -> Result<Data> {
    let (mut merged, base) = (stands.data.clone(), &base.data);
    for name in base.keys().chain(wanted.keys()).collect::<BTreeSet<_>>() {
        let before = base.get(name).map(Value::decode::<Json>).transpose().map_err(failed)?;
        match wanted.get(name).filter(|_| name != READ) {
            same if same == before.as_ref() => {}
            Some(value) => drop(merged.insert(name.clone(), Value::encode(value).map_err(failed)?)),
            None => drop(merged.remove(name)),
        }
    }
    let size = bytes(&merged)?;
    if size > MOST_BYTES && size > bytes(&stands.data)? {
        return Err(Error::Backend(format!("a session has at most {MOST_BYTES} bytes")));
    }
    Ok(merged)
}

fn bytes(data: &Data) -> Result<usize> {
    serde_json::to_vec(data).map(|json| json.len()).map_err(failed)
}

fn key(id: Id) -> RecordKey {
    RecordKey::from_stored(URL_SAFE_NO_PAD.encode(Sha256::digest(id.0.to_le_bytes())))
}

/// A token for one write of the request whose tokens begin with `request`.
fn token(request: &str) -> WriteToken {
    WriteToken::from_stored(format!("{request}{}", &Id::default().to_string()[..8]))
}

fn now() -> u64 {
    u64::try_from(OffsetDateTime::now_utc().unix_timestamp()).unwrap_or_default()
}

fn expiry(wanted: &session::Record, record: &Record) -> u64 {
    let wanted = u64::try_from(wanted.expiry_date.unix_timestamp()).unwrap_or_default();
    wanted.clamp(record.created_at, record.created_at.saturating_add(LIFETIME))
}

fn ended() -> Error {
    Error::Backend("the session has ended".to_owned())
}

fn failed(error: impl std::fmt::Debug) -> Error {
    Error::Backend(format!("{error:?}"))
}
