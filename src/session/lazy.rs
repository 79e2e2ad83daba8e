//! A request's session before anybody has asked for it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::Request;
use tokio::sync::OnceCell;

use super::budget::Budget;
use super::commit::decide;
use super::dict::Session;
use super::error::SessionError;
use super::id::SessionId;
use super::record::{Clock, Moment, Record, Timeouts};
use super::save::{CookieAction, Presented, Save};
use super::store::Found;
use super::value::Data;

/// A request's session, not loaded yet. [`SessionLayer`](super::SessionLayer) puts it into the request's
/// extensions; a request that never loads it costs no store call.
///
/// ```
/// use http::{Request, Response};
/// use lambda_session::session::{LazySession, SessionError};
///
/// async fn greet(request: Request<String>) -> Response<String> {
///     match name(&request).await {
///         Ok(name) => Response::new(format!("Hello {}", name.as_deref().unwrap_or("stranger"))),
///         Err(error) => error.into_response(),
///     }
/// }
///
/// async fn name(request: &Request<String>) -> Result<Option<String>, SessionError> {
///     let session = LazySession::of(request)?.load().await?;
///     Ok(session.get("username").unwrap_or_default())
/// }
/// ```
#[derive(Clone)]
pub struct LazySession(Arc<Inner>);

struct Inner {
    budget: Budget,
    timeouts: Timeouts,
    clock: Clock,
    /// The ID in a cookie that verified.
    presented: Option<SessionId>,
    ended: AtomicBool,
    loaded: OnceCell<Loaded>,
}

struct Loaded {
    session: Session,
    /// The live record without its variables, which are in `session`.
    record: Option<Record>,
    /// Whether there is a record whose time has run out.
    expired: bool,
}

impl LazySession {
    pub(crate) fn new(budget: Budget, timeouts: Timeouts, clock: Clock, presented: Option<SessionId>) -> Self {
        Self(Arc::new(Inner {
            budget,
            timeouts,
            clock,
            presented,
            ended: AtomicBool::new(false),
            loaded: OnceCell::new(),
        }))
    }

    /// The session of `request`.
    ///
    /// # Errors
    ///
    /// [`SessionError::NoLayer`] if the request did not come through a `SessionLayer`.
    ///
    /// ```
    /// use http::Request;
    /// use lambda_session::session::{LazySession, SessionError};
    ///
    /// let error = LazySession::of(&Request::new(())).err();
    /// assert!(matches!(error, Some(SessionError::NoLayer)));
    /// ```
    pub fn of<B>(request: &Request<B>) -> Result<Self, SessionError> {
        request.extensions().get().cloned().ok_or(SessionError::NoLayer)
    }

    /// Loads the session: one consistent read if the request has a cookie that verifies, none otherwise or when it
    /// is loaded already. A visitor without a session gets an empty one, which is kept only if you put something
    /// into it.
    ///
    /// # Errors
    ///
    /// [`SessionError::Store`] if the store failed. Answer with [`SessionError::into_response`].
    ///
    /// ```
    /// # use std::{convert::Infallible, sync::Arc};
    /// # use http::{Request, Response};
    /// # use lambda_session::session::{DynamoDbStore, Keys, LazySession, SessionLayer};
    /// # use tower::{Layer, ServiceExt, service_fn};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// # let store = Arc::new(DynamoDbStore::on_lambda("sessions", None));
    /// # let keys = Keys::new(b"a long and random secret of at least 32 bytes")?;
    /// # let sessions = SessionLayer::builder(store, keys).build()?;
    /// let service = sessions.layer(service_fn(async |request: Request<String>| {
    ///     let answer = match LazySession::of(&request) {
    ///         Ok(session) => session.load().await.map(|session| session.is_empty().to_string()),
    ///         Err(error) => Err(error),
    ///     };
    ///     Ok::<_, Infallible>(answer.map_or_else(|error| error.into_response(), Response::new))
    /// }));
    /// // No cookie, so no session and no store call.
    /// let response = service.oneshot(Request::new(String::new())).await?;
    /// assert_eq!(response.body(), "true");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn load(&self) -> Result<Session, SessionError> {
        let loaded = self.0.loaded.get_or_try_init(|| self.0.load());
        let loaded = loaded.await.inspect_err(SessionError::log)?;
        if self.0.ended.load(Ordering::Relaxed) {
            loaded.session.end();
        }
        Ok(loaded.session.clone())
    }

    /// Ends the session, as [`Session::end`] does, but without the read if it is not loaded.
    ///
    /// ```
    /// # use std::{convert::Infallible, sync::Arc};
    /// # use http::{Request, Response};
    /// # use lambda_session::session::{DynamoDbStore, Keys, LazySession, SessionLayer};
    /// # use tower::{Layer, ServiceExt, service_fn};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// # let store = Arc::new(DynamoDbStore::on_lambda("sessions", None));
    /// # let keys = Keys::new(b"a long and random secret of at least 32 bytes")?;
    /// # let sessions = SessionLayer::builder(store, keys).build()?;
    /// let logout = sessions.layer(service_fn(async |request: Request<String>| {
    ///     match LazySession::of(&request) {
    ///         Ok(session) => session.end(),
    ///         Err(error) => return Ok(error.into_response()),
    ///     }
    ///     Ok::<_, Infallible>(Response::new("logged out".to_owned()))
    /// }));
    /// let response = logout.oneshot(Request::new(String::new())).await?;
    /// assert_eq!(response.body(), "logged out");
    /// # Ok(())
    /// # }
    /// ```
    pub fn end(&self) {
        self.0.ended.store(true, Ordering::Relaxed);
        if let Some(loaded) = self.0.loaded.get() {
            loaded.session.end();
        }
    }

    /// Whether the answer may depend on the session, or changes it.
    pub(crate) fn is_used(&self) -> bool {
        self.0.loaded.initialized() || self.0.ended.load(Ordering::Relaxed)
    }

    /// How many store calls the request has made.
    ///
    /// ```
    /// # use std::{convert::Infallible, sync::Arc};
    /// # use http::{Request, Response};
    /// # use lambda_session::session::{DynamoDbStore, Keys, LazySession, SessionLayer};
    /// # use tower::{Layer, ServiceExt, service_fn};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// # let store = Arc::new(DynamoDbStore::on_lambda("sessions", None));
    /// # let keys = Keys::new(b"a long and random secret of at least 32 bytes")?;
    /// # let sessions = SessionLayer::builder(store, keys).build()?;
    /// let service = sessions.layer(service_fn(async |_: Request<String>| {
    ///     Ok::<_, Infallible>(Response::new("a page that needs no session".to_owned()))
    /// }));
    /// let response = service.oneshot(Request::new(String::new())).await?;
    /// let session = response.extensions().get::<LazySession>();
    /// assert_eq!(session.map(LazySession::store_calls), Some(0));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn store_calls(&self) -> u32 {
        self.0.budget.calls()
    }

    /// Saves what the handler did.
    pub(crate) async fn save(&self) -> Result<CookieAction, SessionError> {
        self.try_save().await.inspect_err(SessionError::log)
    }

    async fn try_save(&self) -> Result<CookieAction, SessionError> {
        let at = &self.0.moment();
        let save = Save {
            store: &self.0.budget,
            at,
        };
        if let (true, Some(id)) = (self.0.ended.load(Ordering::Relaxed), &self.0.presented) {
            return save.end(&id.record_key()).await;
        }
        let Some(loaded) = self.0.loaded.get() else {
            return Ok(CookieAction::Keep);
        };
        let edits = loaded.session.close();
        let decision = decide(loaded.record.as_ref(), &edits, at);
        let presented = match (&self.0.presented, &loaded.record) {
            (Some(id), Some(record)) => Presented::Live {
                key: id.record_key(),
                record: Record {
                    data: edits.loaded,
                    ..*record
                },
            },
            (Some(id), None) if loaded.expired && edits.ended => return save.end(&id.record_key()).await,
            (Some(id), None) if loaded.expired => Presented::Expired(id.record_key()),
            _ => Presented::Nothing,
        };
        save.carry_out(decision, presented, &edits.changes).await
    }
}

impl Inner {
    fn moment(&self) -> Moment {
        Moment {
            now: (self.clock)(),
            timeouts: self.timeouts,
        }
    }

    async fn load(&self) -> Result<Loaded, SessionError> {
        let found = match &self.presented {
            Some(id) => self.find(id).await?,
            None => Found::Gone,
        };
        let expired = found == Found::Expired;
        let Found::Live(record) = found else {
            return Ok(Loaded {
                session: Session::default(),
                record: None,
                expired,
            });
        };
        Ok(Loaded {
            session: Session::new(record.data),
            record: Some(Record {
                data: Data::new(),
                ..record
            }),
            expired,
        })
    }

    async fn find(&self, id: &SessionId) -> Result<Found, SessionError> {
        let key = id.record_key();
        let at = self.moment();
        let found = self.budget.call(|store| store.load(&key, &at)).await?;
        if let Found::Malformed(reason) = &found {
            tracing::warn!(
                event = "malformed record",
                reason,
                "a session record is malformed and counts as none"
            );
        }
        Ok(found)
    }
}

impl fmt::Debug for LazySession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazySession")
            .field("loaded", &self.0.loaded.initialized())
            .finish_non_exhaustive()
    }
}
