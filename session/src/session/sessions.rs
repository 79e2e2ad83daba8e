//! Whose sessions there are, as handlers and other programs ask: list them, end one, end all.

use std::fmt;
use std::sync::Arc;

use http::Request;

use super::Session;
use super::lazy::LazySession;
use super::request::Clock;
use crate::core::id::{OwnerKey, RecordKey};
use crate::core::time::{Moment, Timeouts};
use crate::protocol::budget::Budget;
use crate::protocol::call::Told;
use crate::protocol::error::SessionError;
use crate::protocol::known::Known;
use crate::protocol::next::Task;
use crate::protocol::run::Run;
use crate::store::erased::AnyStore;

/// The sessions of owners: list them, end one, end all.
///
/// A session gets its owner from [`Session::login`]. In a handler, take [`Sessions::of`] the request, or `Sessions` as an axum
/// extractor; elsewhere, take it from [`SessionLayer::sessions`](crate::SessionLayer::sessions).
///
/// Exact: when [`end_all`](Self::end_all) has returned, every session whose login was answered before it began is dead, and a login
/// that is under way meanwhile is ended with them, fails with 409, or is in the next list. Sessions from before their function called
/// `login` are in no list. A login whose answer was lost is shown by the list until it has been idle for too long.
///
/// # Cost
///
/// | | calls of the store |
/// |---|---|
/// | a login with an owner | 1 write more than without; a view costs nothing more |
/// | the list of n sessions | 1 + n reads, and 1 write if some have ended |
/// | ending all n | 1 read, n writes, and 1 write for each 128 |
/// | every 32nd login into one list | up to 64 reads more, and 1 write if some have ended |
/// | with `max_sessions_per_owner`, a login that finds so many | n reads more, 1 write for each that it ends, and 1 write if some have ended |
///
/// The list is one item per owner. An entry takes about 50 bytes, a key of 43 and a number, so each 20 sessions cost DynamoDB one write unit
/// more at the next login. Of 2,000 that are alive at once, the next login is refused with 429.
///
/// # Examples
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
    store: Arc<dyn AnyStore>,
    timeouts: Timeouts,
    clock: Clock,
    /// That of the request that asks.
    current: Option<Session>,
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
    pub(crate) fn new(store: Arc<dyn AnyStore>, timeouts: Timeouts, clock: Clock) -> Self {
        Self {
            store,
            timeouts,
            clock,
            current: None,
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
        let visit = lazy.0.visit.as_ref().ok_or_else(SessionError::no_layer)?;
        Ok(Self {
            store: Arc::clone(&visit.budget.store),
            timeouts: visit.timeouts,
            clock: Arc::clone(&visit.clock),
            current: Some(Session(Arc::clone(&lazy.0))),
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
        let current = self.current.as_ref().and_then(Session::handle);
        let owner = OwnerKey::new(owner);
        let (known, at, _) = self.task(Task::List(owner.clone())).await?;
        let keys = known.list_of(&owner).into_iter().flat_map(|list| list.keys());
        let records = keys.filter_map(|key| Some((key, &known.record(key)?.stored)));
        let alive = records.filter(|(_, record)| record.is_alive(&at));
        let sessions = alive.map(|(key, record)| ListedSession {
            current: current.as_deref() == Some(key.as_str()),
            handle: key.as_str().to_owned(),
            label: record.label.clone(),
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
        let Some(key) = RecordKey::from_handle(handle) else {
            return Ok(false);
        };
        let (known, _, told) = self.task(Task::End(OwnerKey::new(owner), key)).await?;
        if told == Told::Missing {
            return Ok(false);
        }
        self.end_current_if(|current| current.key().is_some_and(|key| known.ended.contains(&key)));
        Ok(true)
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
        self.task(Task::EndAll(OwnerKey::new(owner), None)).await?;
        self.end_current_if(|current| current.owner().as_deref() == Some(owner));
        Ok(())
    }

    fn end_current_if(&self, is_meant: impl FnOnce(&Session) -> bool) {
        if let Some(current) = &self.current
            && is_meant(current)
            // A login of this request makes another.
            && current.state().wanted.login.is_none()
        {
            current.end();
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
        if let Some(owner) = session.owner() {
            let others = Task::EndAll(OwnerKey::new(&owner), session.key());
            self.task(others).await?;
        }
        Ok(())
    }

    /// Carries the task out within the request's deadline, or one of its own.
    async fn task(&self, task: Task) -> Result<(Known, Moment, Told), SessionError> {
        let at = Moment {
            now: (self.clock)(),
            timeouts: self.timeouts,
        };
        let visit = self.current.as_ref().and_then(|current| current.0.visit.as_ref());
        let own = Budget::new(Arc::clone(&self.store), None);
        let run = Run {
            budget: visit.map_or(&own, |visit| &visit.budget),
            ids: &[],
            sealed: false,
            at: &at,
        };
        let mut known = Known::default();
        let told = run.task(&mut known, &task).await.inspect_err(SessionError::log)?;
        Ok((known, at, told))
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}
