//! Whose sessions there are: what a login writes into its owner's list, and what is done with a list.
//!
//! The order of the steps is the protocol. A login is in the list before its record stands, so whoever reads the list and ends
//! what it names misses no session whose login was answered; and a tombstone under a key whose record does not stand yet makes that
//! login fail.

use std::collections::BTreeSet;

use futures_util::stream::{StreamExt as _, TryStreamExt as _, iter};

use crate::core::id::{OwnerKey, RecordKey};
use crate::core::moment::{Moment, Timeouts};
use crate::core::record::Record;
use crate::deadline::Budget;
use crate::error::{NO_LISTS, SessionError};
use crate::store::{Load, OwnerList, OwnerStore, Store, StoreError, StoreErrorKind, StoreFuture};

/// Most sessions in one list: about 120 KB of the 400 that a DynamoDB item may have.
const MOST_LISTED: usize = 2_000;

/// How often a login looks for sessions in the list that have ended: when the list has reached a multiple of this.
const SWEEP_EVERY: usize = 32;

/// How long a record may be missing, replaced or past its expiry, in seconds, until its key is struck from the list: a day. What is
/// under way takes minutes, a tombstone is kept for an hour, and clocks are rarely wrong by more than an hour.
const SETTLED: u64 = 24 * 60 * 60;

/// How long a login may be under way, in seconds, until it has failed in all likelihood.
const LOGIN: u64 = 60;

/// Most sessions that are ended before they are struck from the list, so that ending many gets on.
const CHUNK: usize = 128;

/// Store calls at once where many sessions are read or ended.
const AT_ONCE: usize = 16;

/// The lists, at one moment, within one deadline.
pub(crate) struct Owners<'a> {
    pub(crate) budget: &'a Budget,
    pub(crate) at: &'a Moment,
}

/// What stands under the keys of a list.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    pub(crate) alive: Vec<(RecordKey, Record)>,
    /// No record stands, but the login may be under way.
    pub(crate) pending: Vec<(RecordKey, u64)>,
    /// Ended for good.
    pub(crate) gone: Vec<RecordKey>,
    /// Whether one has run out of time, but not by so much that it has to somebody whose clock is behind.
    pub(crate) resting: bool,
}

impl Owners<'_> {
    /// Puts the session that is about to stand under `key` into its owner's list, and sees to it that there are not too many.
    /// The sessions `ending` are about to end.
    pub(crate) async fn enlist(
        &self,
        owner: &OwnerKey,
        key: &RecordKey,
        ending: &[RecordKey],
        most: Option<usize>,
    ) -> Result<(), SessionError> {
        let enlist = self.budget.call("owners.enlist", |store| {
            capable(store, |owners| owners.enlist(owner, key, self.at))
        });
        let mut others = enlist.await?;
        let listed = others.len();
        others.retain(|other, _| other != key && !ending.contains(other));
        let many = most.is_some_and(|most| others.len() >= most);
        if !many && listed % SWEEP_EVERY != 0 && listed <= MOST_LISTED {
            return Ok(());
        }
        let found = match self.look(others).await {
            Ok(found) => found,
            // Then the next login looks.
            Err(error) if !many && listed <= MOST_LISTED => {
                tracing::debug!(?error, "a list of sessions was not looked at");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.strike_quietly(owner, &found.gone).await;
        let alive = found
            .alive
            .into_iter()
            .map(|(key, record)| (true, record.created_at, key));
        // A login that has failed goes before every session.
        let under_way = |enlisted: u64| enlisted.saturating_add(LOGIN) > self.at.now;
        let pending = found
            .pending
            .into_iter()
            .map(|(key, enlisted)| (under_way(enlisted), enlisted, key));
        let mut standing: Vec<_> = alive.chain(pending).collect();
        standing.sort_unstable();
        if let Some(most) = most {
            let excess = (standing.len() + 1).saturating_sub(most);
            let oldest = standing.drain(..excess).map(|(.., key)| key).collect();
            self.end(owner, oldest, None).await?;
        }
        if standing.len() >= MOST_LISTED {
            self.strike(owner, std::slice::from_ref(key)).await?;
            return Err(SessionError::too_many_sessions());
        }
        Ok(())
    }

    pub(crate) async fn list(&self, owner: &OwnerKey) -> Result<OwnerList, SessionError> {
        Ok(self
            .budget
            .call("owners.list", |store| capable(store, |owners| owners.list(owner)))
            .await?)
    }

    async fn strike(&self, owner: &OwnerKey, keys: &[RecordKey]) -> Result<(), SessionError> {
        if keys.is_empty() {
            return Ok(());
        }
        Ok(self
            .budget
            .call("owners.strike", |store| {
                capable(store, |owners| owners.strike(owner, keys))
            })
            .await?)
    }

    pub(crate) async fn strike_quietly(&self, owner: &OwnerKey, keys: &[RecordKey]) {
        if let Err(error) = self.strike(owner, keys).await {
            tracing::debug!(?error, "ended sessions stay in their owner's list for now");
        }
    }

    pub(crate) async fn check_not_replaced(&self, key: &RecordKey) -> Result<(), SessionError> {
        match self.budget.call("store.load", |store| store.load(key, self.at)).await? {
            Load::Replaced(_) => Err(SessionError::conflict()),
            _ => Ok(()),
        }
    }

    /// Reads what stands under the keys.
    pub(crate) async fn look(&self, list: OwnerList) -> Result<Looked, SessionError> {
        // What was alive a day ago may be alive to somebody whose clock is behind, and whose timeouts are longer. An expiry is the
        // same to all.
        let earlier = Moment {
            now: self.at.now.saturating_sub(SETTLED),
            timeouts: Timeouts {
                lifetime: u64::MAX,
                remembered: u64::MAX,
                ..self.at.timeouts
            },
        };
        let reads = self.many("store.load", list, move |store, (key, enlisted)| {
            Box::pin(async move {
                let found = store.load(&key, &earlier).await?;
                Ok((key, enlisted, found))
            })
        });
        let mut looked = Looked::default();
        for (key, enlisted, found) in reads.await? {
            match found {
                Load::Live(record) if record.is_alive(self.at) => looked.alive.push((key, record)),
                Load::Absent if enlisted > earlier.now => looked.pending.push((key, enlisted)),
                Load::Live(_) => looked.resting = true,
                // Whoever follows a session from one renewal to the next goes by the list.
                Load::Replaced(_) if enlisted > earlier.now => {}
                Load::Malformed(_) => {}
                Load::Absent | Load::Ended(_) | Load::Replaced(_) | Load::Expired => looked.gone.push(key),
            }
        }
        Ok(looked)
    }

    /// Ends the sessions under these keys, and those that replaced one of them meanwhile, if the list names them: whoever
    /// renewed a session has it from that session.
    pub(crate) async fn end(
        &self,
        owner: &OwnerKey,
        keys: Vec<RecordKey>,
        but: Option<&RecordKey>,
    ) -> Result<(), SessionError> {
        let keys: Vec<_> = keys.into_iter().filter(|key| Some(key) != but).collect();
        for chunk in keys.chunks(CHUNK) {
            self.end_chunk(owner, chunk.to_vec(), but).await?;
        }
        Ok(())
    }

    async fn end_chunk(
        &self,
        owner: &OwnerKey,
        mut next: Vec<RecordKey>,
        but: Option<&RecordKey>,
    ) -> Result<(), SessionError> {
        let mut ended = BTreeSet::new();
        while !next.is_empty() {
            ended.extend(next.iter().cloned());
            let at = *self.at;
            let revoked = self.many("owners.revoke", next, move |store, key| {
                Box::pin(async move { capable(store, |owners| owners.revoke(&key, &at)).await })
            });
            let successors: BTreeSet<_> = revoked.await?.into_iter().flatten().collect();
            next = successors
                .difference(&ended)
                .filter(|key| Some(*key) != but)
                .cloned()
                .collect();
            if !next.is_empty() {
                let list = self.list(owner).await?;
                next.retain(|key| list.contains_key(key));
            }
        }
        let ended: Vec<_> = ended.into_iter().collect();
        self.strike(owner, &ended).await
    }

    /// Makes a store call for each of these, some at once.
    async fn many<K: Send, T: Send>(
        &self,
        name: &'static str,
        of: impl IntoIterator<Item = K, IntoIter: ExactSizeIterator + Send>,
        call: impl for<'a> Fn(&'a dyn Store, K) -> StoreFuture<'a, T> + Send,
    ) -> Result<Vec<T>, SessionError> {
        let of = of.into_iter();
        if of.len() == 0 {
            return Ok(Vec::new());
        }
        let all = self.budget.call_many(name, of.len(), |store| {
            let calls = iter(of).map(move |one| call(store, one));
            Box::pin(calls.buffer_unordered(AT_ONCE).try_collect())
        });
        Ok(all.await?)
    }
}

/// The call of a store that keeps lists.
fn capable<'a, T: Send + 'a>(
    store: &'a dyn Store,
    call: impl FnOnce(&'a dyn OwnerStore) -> StoreFuture<'a, T>,
) -> StoreFuture<'a, T> {
    match store.owners() {
        Some(owners) => call(owners),
        None => Box::pin(std::future::ready(Err(StoreError::new(
            StoreErrorKind::Rejected,
            NO_LISTS,
        )))),
    }
}
