//! A request's session before anybody has asked for it.

use std::fmt;
use std::sync::Arc;

use http::{Extensions, Request};
use tokio::sync::Mutex;

use crate::core::cookie::SessionCookie;
use crate::core::id::{RecordKey, SessionId};
use crate::core::plan::{Done, Found, Opened, plan};
use crate::core::record::{Moment, Timeouts};
use crate::core::state::State;
use crate::deadline::Budget;
use crate::error::SessionError;
use crate::save::{CookieAction, Save, Saved};
use crate::session::Session;
use crate::store::Load;

/// Tells the time in seconds since 1970-01-01 UTC.
pub(crate) type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// A request's session, not loaded yet. [`SessionLayer`](crate::SessionLayer) puts it into the request's
/// extensions; a request that never loads it costs no store call.
///
/// ```
/// use http::{Request, Response};
/// use lambda_session::{LazySession, SessionError};
///
/// async fn page(request: Request<String>) -> Result<Response<String>, SessionError> {
///     let session = LazySession::of(&request)?;
///     if request.uri().path() == "/about" {
///         return Ok(Response::new("a page that needs no session".to_owned()));
///     }
///     let name: Option<String> = session.load().await?.get("username")?;
///     Ok(Response::new(format!("Hello {}", name.as_deref().unwrap_or("stranger"))))
/// }
/// ```
#[derive(Clone)]
pub struct LazySession(Arc<Inner>);

struct Inner {
    budget: Budget,
    timeouts: Timeouts,
    clock: Clock,
    cookie: Arc<SessionCookie>,
    /// The IDs in the cookies that verified.
    presented: Vec<SessionId>,
    session: Session,
    /// Held while the session is read, so that it is read once.
    reading: Mutex<()>,
}

impl LazySession {
    pub(crate) fn new(
        budget: Budget,
        timeouts: Timeouts,
        clock: Clock,
        cookie: Arc<SessionCookie>,
        presented: Vec<SessionId>,
        state: State,
    ) -> Self {
        Self(Arc::new(Inner {
            budget,
            timeouts,
            clock,
            cookie,
            presented,
            session: Session::new(state),
            reading: Mutex::default(),
        }))
    }

    /// The session of `request`.
    ///
    /// # Errors
    ///
    /// The request did not come through a [`SessionLayer`](crate::SessionLayer).
    ///
    /// ```
    /// use http::Request;
    /// use lambda_session::{LazySession, SessionErrorKind};
    ///
    /// let error = LazySession::of(&Request::new(())).unwrap_err();
    /// assert_eq!(error.kind(), SessionErrorKind::NoLayer);
    /// ```
    pub fn of<B>(request: &Request<B>) -> Result<Self, SessionError> {
        Self::in_extensions(request.extensions())
    }

    pub(crate) fn in_extensions(extensions: &Extensions) -> Result<Self, SessionError> {
        extensions.get().cloned().ok_or_else(SessionError::no_layer)
    }

    /// Loads the session, as [`Session::of`] does.
    ///
    /// # Errors
    ///
    /// The store failed.
    ///
    /// ```
    /// # use http::Request;
    /// # use lambda_session::{LazySession, SessionError};
    /// # async fn view(request: Request<()>) -> Result<(), SessionError> {
    /// let session = LazySession::of(&request)?.load().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn load(&self) -> Result<Session, SessionError> {
        let Inner { session, reading, .. } = &*self.0;
        if !self.is_used() {
            let _one_at_a_time = reading.lock().await;
            if !self.is_used() {
                let found = self.0.find().await.inspect_err(SessionError::log)?;
                session.state().found(found);
            }
        }
        Ok(session.clone())
    }

    /// Ends the session, as [`Session::end`] does, but without the read if it is not loaded.
    ///
    /// ```
    /// # use http::Request;
    /// # use lambda_session::{LazySession, SessionError};
    /// # fn logout(request: &Request<()>) -> Result<(), SessionError> {
    /// LazySession::of(request)?.end();
    /// # Ok(())
    /// # }
    /// ```
    pub fn end(&self) {
        self.0.session.end();
    }

    /// How many store calls the request has made.
    ///
    /// ```
    /// # use http::Response;
    /// # use lambda_session::LazySession;
    /// # fn log(response: &Response<String>) {
    /// // The layer leaves the session in the response, too.
    /// let calls = response.extensions().get().map_or(0, LazySession::store_calls);
    /// # }
    /// ```
    #[must_use]
    pub fn store_calls(&self) -> u32 {
        self.0.budget.calls()
    }

    /// Whether a layer for this cookie made it.
    pub(crate) fn is_of(&self, cookie: &SessionCookie) -> bool {
        self.0.cookie.name() == cookie.name()
    }

    /// Whether the answer may depend on the session, or changes it.
    pub(crate) fn is_used(&self) -> bool {
        let state = self.0.session.state();
        state.is_read() || state.is_ended()
    }

    /// Saves what the handler did.
    pub(crate) async fn save(&self) -> Result<CookieAction, SessionError> {
        self.try_save().await.inspect_err(SessionError::log)
    }

    async fn try_save(&self) -> Result<CookieAction, SessionError> {
        let Some((mut found, done)) = self.0.session.state().close() else {
            return Ok(CookieAction::Keep);
        };
        if done.ended {
            found.keys = self.0.keys();
        }
        let saved = self.carry_out(found, done).await;
        let mut state = self.0.session.state();
        match saved {
            Ok((action, record)) => {
                if let Some(record) = record {
                    state.saved_as(record);
                }
                Ok(action)
            }
            Err(error) => {
                state.not_saved();
                Err(error)
            }
        }
    }

    async fn carry_out(&self, found: Found, done: Done) -> Result<Saved, SessionError> {
        let at = &self.0.moment();
        let plan = plan(found, done, at)?;
        let store = &self.0.budget;
        Save { store, at }.carry_out(plan).await
    }
}

impl Inner {
    fn moment(&self) -> Moment {
        Moment {
            now: (self.clock)(),
            timeouts: self.timeouts,
        }
    }

    fn keys(&self) -> Vec<RecordKey> {
        self.presented.iter().map(SessionId::record_key).collect()
    }

    /// What the request's cookies open. Nearly always there is one, or none.
    async fn find(&self) -> Result<Found, SessionError> {
        let keys = self.keys();
        let at = self.moment();
        let mut opened = Opened::Absent;
        for key in &keys {
            let loaded = self.budget.call(|store| store.load(key, &at)).await?;
            opened = match (opened, loaded) {
                (Opened::Live(..) | Opened::Several, Load::Live(_)) => Opened::Several,
                (Opened::Live(key, record), _) => Opened::Live(key, record),
                (_, Load::Live(record)) => Opened::Live(key.clone(), Arc::new(record)),
                (Opened::Several, _) => Opened::Several,
                (Opened::Ended, _) | (_, Load::Replaced(_) | Load::Ended) => Opened::Ended,
                (_, Load::Expired) => Opened::Lapsed,
                (_, Load::Malformed(reason)) => {
                    tracing::warn!(
                        event = "malformed record",
                        reason,
                        "a session record is malformed and counts as none"
                    );
                    Opened::Lapsed
                }
                (opened, Load::Absent) => opened,
            };
        }
        Ok(Found { keys, session: opened })
    }
}

impl fmt::Debug for LazySession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let read = self.0.session.state().is_read();
        f.debug_struct("LazySession")
            .field("read", &read)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod orders;
