//! Whose sessions there are: what a login writes into its owner's list, and what is done with a list.
//!
//! The order of the steps is the protocol. A login is in the list before its record stands, so whoever reads the list and ends
//! what it names misses no session whose login was answered; and a tombstone under a key whose record does not stand yet makes that
//! login fail.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use futures_util::stream::{StreamExt as _, TryStreamExt as _, iter};
use http::Request;

use crate::core::id::{OwnerKey, RecordKey};
use crate::core::record::{Moment, Record, Timeouts};
use crate::deadline::Budget;
use crate::error::SessionError;
use crate::lazy::LazySession;
use crate::request::{Clock, RequestSession};
use crate::session::Session;
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

/// The sessions of owners: list them, end one, end all.
///
/// A session gets its owner from [`Session::login`]. In a handler, take [`Sessions::of`] the request, or `Sessions` as an axum
/// extractor; elsewhere, take it from [`SessionLayer::sessions`](crate::SessionLayer::sessions).
///
/// Exact: when [`end_all`](Self::end_all) has returned, every session whose login was answered before it began is dead, and a login
/// that is under way meanwhile is ended with them, fails with 409, or is in the next list. A list is one read and one for each
/// session in it; a view of a page costs nothing more than before. Sessions from before their function called `login` are in no
/// list. A login whose answer was lost is in the list until it has been idle for too long.
///
/// ```
/// use http::{Request, Response};
/// use lambda_session::{Session, SessionError, Sessions};
///
/// async fn log_out_everywhere_else(request: Request<String>) -> Result<Response<String>, SessionError> {
///     let session = Session::of(&request).await?;
///     Sessions::of(&request)?.end_others(&session).await?;
///     Ok(Response::new("done".to_owned()))
/// }
/// ```
#[derive(Clone)]
pub struct Sessions {
    store: Arc<dyn Store>,
    timeouts: Timeouts,
    clock: Clock,
    request: Option<Arc<RequestSession>>,
}

/// One of an owner's sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedSession {
    /// What [`Sessions::end`] takes. No secret: it opens no session.
    pub handle: String,
    /// What [`Session::login_from`] was given.
    pub label: Option<String>,
    /// When the owner logged in, in seconds since 1970-01-01 UTC.
    pub created_at: u64,
    /// When the session was last used, in seconds since 1970-01-01 UTC. As exact as the expiry: it may be a tenth of the idle
    /// timeout older than the last view.
    pub last_seen: u64,
    /// When it ends if nobody comes until then, in seconds since 1970-01-01 UTC.
    pub expires_at: u64,
    /// Whether it is the session of the request that asks.
    pub current: bool,
}

impl Sessions {
    pub(crate) fn new(store: Arc<dyn Store>, timeouts: Timeouts, clock: Clock) -> Self {
        Self {
            store,
            timeouts,
            clock,
            request: None,
        }
    }

    /// The sessions of the store that `request`'s session is in, within the request's deadline.
    ///
    /// # Errors
    ///
    /// The request did not come through a [`SessionLayer`](crate::SessionLayer).
    ///
    /// ```
    /// use http::Request;
    /// use lambda_session::{SessionErrorKind, Sessions};
    ///
    /// let error = Sessions::of(&Request::new(())).unwrap_err();
    /// assert_eq!(error.kind(), SessionErrorKind::NoLayer);
    /// ```
    pub fn of<B>(request: &Request<B>) -> Result<Self, SessionError> {
        Self::from_lazy(&LazySession::of(request)?)
    }

    pub(crate) fn from_lazy(lazy: &LazySession) -> Result<Self, SessionError> {
        let request = lazy.0.request().ok_or_else(SessionError::no_layer)?;
        Ok(Self {
            store: request.records.budget.store(),
            timeouts: request.timeouts,
            clock: Arc::clone(&request.clock),
            request: Some(Arc::clone(&lazy.0)),
        })
    }

    /// The sessions of `owner` that are alive, newest first.
    ///
    /// # Errors
    ///
    /// The store failed, or keeps no lists.
    ///
    /// ```
    /// # use lambda_session::{SessionError, Sessions};
    /// # async fn page(sessions: Sessions) -> Result<(), SessionError> {
    /// for session in sessions.list("user-4711").await? {
    ///     println!("{} since {}", session.label.unwrap_or_default(), session.created_at);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn list(&self, owner: &str) -> Result<Vec<ListedSession>, SessionError> {
        let current = self
            .request
            .as_ref()
            .and_then(|request| Session(Arc::clone(request)).handle());
        let owner = OwnerKey::new(owner);
        let listed = self.within(async |owners| {
            let list = owners.list(&owner).await?;
            let found = owners.look(list).await?;
            owners.strike_quietly(&owner, &found.gone).await;
            Ok(found.alive)
        });
        let sessions = listed.await?.into_iter().map(|(key, record)| ListedSession {
            current: current.as_deref() == Some(key.as_str()),
            handle: key.as_str().to_owned(),
            label: record.label,
            created_at: record.created_at,
            last_seen: record.seen_at.unwrap_or(record.created_at),
            expires_at: record.expires_at,
        });
        let mut sessions: Vec<_> = sessions.collect();
        sessions.sort_by(|a, b| (b.created_at, &b.handle).cmp(&(a.created_at, &a.handle)));
        Ok(sessions)
    }

    /// Ends the session that a list calls `handle`. If it is the session of the request, its cookie is cleared, as
    /// [`Session::end`] does. False if it is not one of `owner`'s that are alive: nothing is told of
    /// anybody else's.
    ///
    /// # Errors
    ///
    /// The store failed, or keeps no lists.
    ///
    /// ```
    /// # use lambda_session::{SessionError, Sessions};
    /// # async fn end(sessions: Sessions, handle: &str) -> Result<(), SessionError> {
    /// if !sessions.end("user-4711", handle).await? {
    ///     println!("there is no such session");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn end(&self, owner: &str, handle: &str) -> Result<bool, SessionError> {
        let owner = OwnerKey::new(owner);
        let key = RecordKey::from_stored(handle.to_owned());
        let ended = self.within(async |owners| {
            let mut list = owners.list(&owner).await?;
            let Some(enlisted) = list.remove(&key) else {
                return Ok(false);
            };
            let found = owners.look(OwnerList::from([(key.clone(), enlisted)])).await?;
            let alive = !found.alive.is_empty() || !found.pending.is_empty() || found.resting;
            if alive {
                owners.end(&owner, vec![key.clone()], None).await?;
            }
            Ok(alive)
        });
        let alive = ended.await?;
        if alive {
            self.end_current_if(|current| current.handle().as_deref() == Some(handle));
        }
        Ok(alive)
    }

    /// Ends all sessions of `owner`. If the session of the request is among them, its cookie is cleared, as [`Session::end`] does.
    ///
    /// # Errors
    ///
    /// The store failed, or keeps no lists. Then some may have ended.
    ///
    /// ```
    /// # use lambda_session::{SessionError, Sessions};
    /// # async fn suspend(sessions: Sessions) -> Result<(), SessionError> {
    /// sessions.end_all("user-4711").await
    /// # }
    /// ```
    pub async fn end_all(&self, owner: &str) -> Result<(), SessionError> {
        self.end_all_but(owner, None).await?;
        self.end_current_if(|current| current.owner().as_deref() == Some(owner));
        Ok(())
    }

    fn end_current_if(&self, is_meant: impl FnOnce(&Session) -> bool) {
        if let Some(request) = &self.request {
            let session = Session(Arc::clone(request));
            // A login of this request makes another.
            if is_meant(&session) && !session.state().logs_in() {
                session.end();
            }
        }
    }

    /// Ends all sessions of the owner of `session`, but not that one. Without an owner there is nothing to end.
    ///
    /// # Errors
    ///
    /// The store failed, or keeps no lists. Then some may have ended.
    ///
    /// ```
    /// # use lambda_session::{Session, SessionError, Sessions};
    /// # async fn change_password(session: Session, sessions: Sessions) -> Result<(), SessionError> {
    /// sessions.end_others(&session).await?;
    /// session.renew();
    /// # Ok(())
    /// # }
    /// ```
    pub async fn end_others(&self, session: &Session) -> Result<(), SessionError> {
        match session.owner() {
            Some(owner) => {
                self.end_all_but(&owner, session.handle().map(RecordKey::from_stored))
                    .await
            }
            None => Ok(()),
        }
    }

    async fn end_all_but(&self, owner: &str, but: Option<RecordKey>) -> Result<(), SessionError> {
        let owner = OwnerKey::new(owner);
        let ended = self.within(async |owners| {
            let list = owners.list(&owner).await?;
            if let Some(but) = &but {
                // Another tab of the same browser may have renewed it: then the list names what it has become.
                owners.check_not_replaced(but).await?;
            }
            owners.end(&owner, list.into_keys().collect(), but.as_ref()).await
        });
        ended.await
    }

    /// Does it within the request's deadline, or one of its own.
    async fn within<T>(
        &self,
        task: impl AsyncFnOnce(Owners<'_>) -> Result<T, SessionError>,
    ) -> Result<T, SessionError> {
        let at = &Moment {
            now: (self.clock)(),
            timeouts: self.timeouts,
        };
        let request = self.request.as_ref().and_then(|request| request.request());
        let own = Budget::new(Arc::clone(&self.store), None);
        let budget = request.map_or(&own, |request| &request.records.budget);
        task(Owners { budget, at }).await.inspect_err(SessionError::log)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

/// The lists, at one moment, within one deadline.
pub(crate) struct Owners<'a> {
    pub(crate) budget: &'a Budget,
    pub(crate) at: &'a Moment,
}

/// What stands under the keys of a list.
#[derive(Debug, Default)]
struct Looked {
    alive: Vec<(RecordKey, Record)>,
    /// No record stands, but the login may be under way.
    pending: Vec<(RecordKey, u64)>,
    /// Ended for good.
    gone: Vec<RecordKey>,
    /// Whether one has run out of time, but not by so much that it has to somebody whose clock is behind.
    resting: bool,
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
        let enlist = self
            .budget
            .call(|store| capable(store, |owners| owners.enlist(owner, key, self.at)));
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

    async fn list(&self, owner: &OwnerKey) -> Result<OwnerList, SessionError> {
        Ok(self
            .budget
            .call(|store| capable(store, |owners| owners.list(owner)))
            .await?)
    }

    async fn strike(&self, owner: &OwnerKey, keys: &[RecordKey]) -> Result<(), SessionError> {
        if keys.is_empty() {
            return Ok(());
        }
        Ok(self
            .budget
            .call(|store| capable(store, |owners| owners.strike(owner, keys)))
            .await?)
    }

    async fn strike_quietly(&self, owner: &OwnerKey, keys: &[RecordKey]) {
        if let Err(error) = self.strike(owner, keys).await {
            tracing::debug!(?error, "ended sessions stay in their owner's list for now");
        }
    }

    async fn check_not_replaced(&self, key: &RecordKey) -> Result<(), SessionError> {
        match self.budget.call(|store| store.load(key, self.at)).await? {
            Load::Replaced(_) => Err(SessionError::conflict()),
            _ => Ok(()),
        }
    }

    /// Reads what stands under the keys.
    async fn look(&self, list: OwnerList) -> Result<Looked, SessionError> {
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
        let reads = self.many(list, move |store, (key, enlisted)| {
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
                Load::Absent | Load::Ended | Load::Replaced(_) | Load::Expired => looked.gone.push(key),
            }
        }
        Ok(looked)
    }

    /// Ends the sessions under these keys, and those that replaced one of them meanwhile, if the list names them: whoever
    /// renewed a session has it from that session.
    async fn end(&self, owner: &OwnerKey, keys: Vec<RecordKey>, but: Option<&RecordKey>) -> Result<(), SessionError> {
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
            let revoked = self.many(next, move |store, key| {
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
        of: impl IntoIterator<Item = K, IntoIter: ExactSizeIterator + Send>,
        call: impl for<'a> Fn(&'a dyn Store, K) -> StoreFuture<'a, T> + Send,
    ) -> Result<Vec<T>, SessionError> {
        let of = of.into_iter();
        if of.len() == 0 {
            return Ok(Vec::new());
        }
        self.budget.count(of.len() - 1);
        let all = self.budget.call(|store| {
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
            "this store keeps no lists of owners' sessions",
        )))),
    }
}
