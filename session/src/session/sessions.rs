//! Lists and ends an owner's sessions, for handlers and other programs.

use std::sync::Arc;

use http::Request;

use super::Session;
use super::lazy::LazySession;
use crate::core::id::{OwnerKey, RecordKey};
use crate::core::time::Moment;
use crate::protocol::budget::Budget;
use crate::protocol::call::Told;
use crate::protocol::error::SessionError;
use crate::protocol::known::Known;
use crate::protocol::next::Task;
use crate::protocol::run::without_ids;
use crate::protocol::settings::Settings;

/// Lists and ends the sessions of owners.
///
/// A session gets its owner from [`Session::login`]. In a handler, call [`Sessions::of`] with the request, or take
/// `Sessions` as an axum extractor; elsewhere, call [`SessionLayer::sessions`](crate::SessionLayer::sessions).
///
/// When [`end_all`](Self::end_all) has returned, every session whose login was answered before the call is dead. A
/// login that runs at the same time is ended with them, fails with 409, or is in the next list. A session is in no list
/// until its handler calls `login`. If the answer to a login was lost, its session is listed until the idle timeout.
///
/// # Cost
///
/// | | store calls |
/// |---|---|
/// | a login with an owner | 1 write more than without; a view costs nothing more |
/// | the list of n sessions | 1 + n reads, and 1 write if some have ended |
/// | ending all n | 1 read, n writes, and 1 write for each 128 |
/// | every 32nd login into one list | up to 64 reads more, and 1 write if some have ended |
/// | a login beyond `max_sessions_per_owner` | n reads more, 1 write for each that it ends, and 1 write if some ended |
///
/// The list is one item per owner. An entry takes about 50 bytes (a key of 43 bytes and a number), so with every 20
/// sessions the next login costs one more write unit of DynamoDB. If an owner has 2,000 live sessions and no lower
/// maximum is set, the next login is refused with 429.
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
#[derive(Clone, Debug)]
pub struct Sessions {
    pub(crate) settings: Arc<Settings>,
    /// The session of the request that asks.
    pub(crate) current: Option<Session>,
}

/// One of an owner's sessions. Its times are seconds, as in the table. `UNIX_EPOCH + Duration::from_secs(created_at)`
/// is a [`SystemTime`](std::time::SystemTime).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ListedSession {
    /// The session's name for [`Sessions::end`]. It is not secret, and opens no session.
    pub handle: String,
    /// The label that [`Session::login_from`] was given.
    pub label: Option<String>,
    /// When the owner logged in or the session was renewed last, in seconds since 1970-01-01 UTC.
    pub created_at: u64,
    /// When the session was last used, in seconds since 1970-01-01 UTC. It may lag behind the last view by a tenth of
    /// the idle timeout, as the expiry may.
    pub last_seen: u64,
    /// When the session ends if no other request uses it, in seconds since 1970-01-01 UTC.
    pub expires_at: u64,
    /// Whether it is the session of the request that asks.
    pub current: bool,
    /// Whether it is [bound](crate::SessionLayerBuilder::bound) to its device.
    pub bound: bool,
}

impl Sessions {
    /// Returns access to the sessions in the store of the layer that `request` came through. The store calls of its
    /// methods share the request's time limit for store calls.
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
        let budget = lazy.0.budget.as_ref().ok_or_else(SessionError::no_layer)?;
        Ok(Self {
            settings: Arc::clone(&budget.settings),
            current: Some(Session(Arc::clone(&lazy.0))),
        })
    }

    /// Lists the live sessions of `owner`, newest first.
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
        let keys = known.list_of(&owner).into_iter().flat_map(|list| list.sessions.keys());
        let alive = keys.filter_map(|key| Some((key, &known.alive(key, &at)?.record)));
        let sessions = alive.map(|(key, record)| ListedSession {
            current: current.as_deref() == Some(key.as_str()),
            handle: key.as_str().to_owned(),
            label: record.label.clone(),
            created_at: record.created_at,
            last_seen: record.seen_at.unwrap_or(record.created_at),
            expires_at: record.expires_at,
            bound: record.is_bound(),
        });
        let mut sessions: Vec<_> = sessions.collect();
        sessions.sort_by(|a, b| (b.created_at, &b.handle).cmp(&(a.created_at, &a.handle)));
        Ok(sessions)
    }

    /// Ends the session with this `handle`. If it is the session of the request, its cookie is cleared, as by
    /// [`Session::end`]. Returns false if it is not a live session of `owner`, whether or not it is somebody else's.
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

    /// Ends all sessions of `owner`. If the session of the request is among them, its cookie is cleared, as by
    /// [`Session::end`].
    ///
    /// # Errors
    ///
    /// The store failed, or keeps no lists. Some sessions may have ended.
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
            // A login in this request makes a new session, which stays.
            && current.state().wanted.login.is_none()
        {
            current.end();
        }
    }

    /// Ends all sessions of the owner of `session`, except `session` itself. Does nothing if it has no owner.
    ///
    /// # Errors
    ///
    /// The store failed, or keeps no lists, or another request has given `session` a new ID since this one read it
    /// (409). Some sessions may have ended.
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

    /// Runs the task within the request's time for the store, or within a time of its own.
    async fn task(&self, task: Task) -> Result<(Known, Moment, Told), SessionError> {
        let of_request = self.current.as_ref().and_then(|current| current.0.budget.as_ref());
        let own = Budget::new(Arc::clone(&self.settings), None);
        let at = self.settings.moment();
        let ran = without_ids(of_request.unwrap_or(&own), &task, &at).await;
        let (known, told) = ran.inspect_err(SessionError::log)?;
        Ok((known, at, told))
    }
}
