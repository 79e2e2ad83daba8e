//! The session's life: who logged in, until when it lasts, and what is shown once.

use std::time::Duration;

use super::Session;
use crate::core::id::RecordKey;
use crate::protocol::error::{NO_LISTS, SessionError, SessionErrorKind};

impl Session {
    /// Asks for a new session ID and a new lifetime, keeping the variables. Call it at every login and other change
    /// of privilege, so that an ID planted or stolen before is worth nothing after ([OWASP], "Renew the Session ID
    /// After Any Privilege Level Change"). A session that has an owner keeps it, and one that is remembered ends when it would
    /// have; after [`clear`](Self::clear) neither.
    ///
    /// [OWASP]: https://cheatsheetseries.owasp.org/cheatsheets/Session_Management_Cheat_Sheet.html#renew-the-session-id-after-any-privilege-level-change
    ///
    /// ```
    /// # use lambda_session::Session;
    /// # fn login(session: &Session) -> Result<(), lambda_session::ValueError> {
    /// session.renew();
    /// session.insert("username", "admin")
    /// # }
    /// # login(&Session::default()).unwrap();
    /// ```
    #[doc(alias = "cycle_id")]
    #[doc(alias = "regenerate")]
    pub fn renew(&self) {
        self.state().renew();
    }

    /// Logs `owner` in: a new session ID, as [`renew`](Self::renew) makes, and from now on the session is in the list of
    /// this owner's sessions, which [`Sessions`](crate::Sessions) reads and ends. `owner` is what your users are told apart by,
    /// such as the primary key of their table. Nobody is asked for a password here.
    ///
    /// What the visitor put into the session before stays. Where another person may have used the browser,
    /// [`clear`](Self::clear) it.
    ///
    /// # Errors
    ///
    /// The name is empty or longer than 512 bytes, the store keeps no lists, or the session was ended or saved already.
    ///
    /// ```
    /// # use lambda_session::{Session, SessionError};
    /// # fn login(session: &Session) -> Result<(), SessionError> {
    /// session.login("user-4711")?;
    /// assert_eq!(session.owner().as_deref(), Some("user-4711"));
    /// # Ok(())
    /// # }
    /// # login(&Session::default()).unwrap();
    /// ```
    pub fn login(&self, owner: &str) -> Result<(), SessionError> {
        self.log_in(owner, None)
    }

    /// Logs `owner` in, as [`login`](Self::login) does, with a label that the list of the owner's sessions shows, such as
    /// "Firefox on Linux". It is kept as it is, even where variables are sealed.
    ///
    /// # Errors
    ///
    /// As for [`login`](Self::login), or the label is longer than 256 bytes.
    ///
    /// ```
    /// # use lambda_session::{Session, SessionError};
    /// # fn login(session: &Session) -> Result<(), SessionError> {
    /// session.login_from("user-4711", "Firefox on Linux")
    /// # }
    /// # login(&Session::default()).unwrap();
    /// ```
    pub fn login_from(&self, owner: &str, label: &str) -> Result<(), SessionError> {
        self.log_in(owner, Some(label))
    }

    fn log_in(&self, owner: &str, label: Option<&str>) -> Result<(), SessionError> {
        let no_lists = matches!(&self.0.visit, Some(visit) if visit.budget.store.owners().is_none());
        let problem = if owner.is_empty() || owner.len() > MOST_OWNER_BYTES {
            "an owner's name has 1 to 512 bytes"
        } else if label.is_some_and(|label| label.len() > MOST_LABEL_BYTES) {
            "a session's label has at most 256 bytes"
        } else if no_lists {
            NO_LISTS
        } else {
            return Ok(self.state().login(owner, label)?);
        };
        Err(SessionError::new(SessionErrorKind::Owner, problem))
    }

    /// Who is logged in, by [`login`](Self::login).
    ///
    /// ```
    /// # use lambda_session::Session;
    /// assert_eq!(Session::default().owner(), None);
    /// ```
    #[must_use]
    pub fn owner(&self) -> Option<String> {
        self.state().owner()
    }

    /// Makes the session outlive the browser and the idle timeout: it ends so long after this login, or after the layer's
    /// [maximum](crate::SessionLayerBuilder::max_remembered) if that is shorter. Whole seconds count, and
    /// at least one.
    ///
    /// The cookie's `Max-Age` leaves once, with the new session ID that this asks for. No view sends it again, so none that is
    /// late undoes a login or logout in another tab.
    ///
    /// ```
    /// # use lambda_session::Session;
    /// # let (session, ticked) = (Session::default(), true);
    /// use std::time::Duration;
    ///
    /// session.login("user-4711")?;
    /// if ticked {
    ///     session.remember(Duration::from_secs(30 * 24 * 60 * 60));
    /// }
    /// # Ok::<(), lambda_session::SessionError>(())
    /// ```
    pub fn remember(&self, duration: Duration) {
        self.state().remember(duration.as_secs());
    }

    /// Adds a message that [`take_flashes`](Self::take_flashes) gives back once, on this page or a later one: Flask's `flash`.
    /// After [`end`](Self::end) it goes into a new session that holds nothing else.
    ///
    /// The messages are in the variable `_flashes`.
    ///
    /// # Errors
    ///
    /// As for [`insert`](Self::insert).
    ///
    /// ```
    /// # async fn logout() -> Result<(), lambda_session::SessionError> {
    /// # let session = lambda_session::Session::default();
    /// session.end();
    /// session.flash("You are logged out")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn flash(&self, message: &str) -> Result<(), SessionError> {
        Ok(self.state().flash(message)?)
    }

    /// Takes the messages of [`flash`](Self::flash), oldest first: Flask's `get_flashed_messages`.
    ///
    /// They are taken out of the store at once, by one write if there are any, so of two requests only one gets them. The
    /// page that shows them may still fail; they do not come back.
    ///
    /// # Errors
    ///
    /// The store failed, or another [`save`](Self::save) of this session did. Then they are not taken, or it is not known
    /// whether they are.
    ///
    /// ```
    /// # async fn page() -> Result<(), lambda_session::SessionError> {
    /// # let session = lambda_session::Session::default();
    /// session.flash("Saved")?;
    /// assert_eq!(session.take_flashes().await?, ["Saved"]);
    /// assert!(session.take_flashes().await?.is_empty());
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(page()).unwrap();
    /// ```
    pub async fn take_flashes(&self) -> Result<Vec<String>, SessionError> {
        self.0.take_flashes().await
    }

    /// Saves now what the layer would save after the handler: for what has to be durable before a side effect, such as a
    /// payment. The session can be changed further, and what is done to it then is saved as usual; after
    /// [`end`](Self::end) it can not.
    ///
    /// # Errors
    ///
    /// As the layer would answer. Then the request is answered with this error, whatever the handler returns, and nothing
    /// further is saved.
    ///
    /// ```
    /// # async fn pay(session: lambda_session::Session) -> Result<(), lambda_session::SessionError> {
    /// session.insert("order", "paid")?;
    /// session.save().await?;
    /// // From here on every other request sees it.
    /// # Ok(())
    /// # }
    /// ```
    pub async fn save(&self) -> Result<(), SessionError> {
        self.0.save_now().await
    }

    /// Whether the session was saved, so that nothing can be changed any more.
    ///
    /// ```
    /// # use lambda_session::Session;
    /// assert!(!Session::default().is_saved());
    /// ```
    #[must_use]
    pub fn is_saved(&self) -> bool {
        self.state().saved
    }

    /// What a list of sessions calls this one, if it is saved: no secret. A login or a renewal changes it, when it is saved.
    ///
    /// ```
    /// # use lambda_session::Session;
    /// assert_eq!(Session::default().handle(), None);
    /// ```
    #[must_use]
    pub fn handle(&self) -> Option<String> {
        self.key().map(|key| key.as_str().to_owned())
    }

    pub(super) fn key(&self) -> Option<RecordKey> {
        self.state().live().map(|(id, _)| id.record_key())
    }

    /// When the session was created or last logged in, in seconds since 1970-01-01 UTC; `None` if it is not saved yet.
    ///
    /// ```
    /// # use lambda_session::Session;
    /// assert_eq!(Session::default().created_at(), None);
    /// ```
    #[must_use]
    pub fn created_at(&self) -> Option<u64> {
        self.state().live().map(|(_, record)| record.created_at)
    }

    /// When the session ends if nobody comes until then, in seconds since 1970-01-01 UTC; `None` if it is not saved yet.
    ///
    /// ```
    /// # use lambda_session::Session;
    /// assert_eq!(Session::default().expires_at(), None);
    /// ```
    #[must_use]
    pub fn expires_at(&self) -> Option<u64> {
        self.state().live().map(|(_, record)| record.expires_at)
    }

    /// Ends the session, as at a logout: its variables are gone, its ID is dead on the server and the cookie is cleared.
    ///
    /// ```
    /// # use lambda_session::Session;
    /// let session = Session::default();
    /// session.insert("username", "admin")?;
    /// session.end();
    /// assert!(session.is_empty());
    /// assert!(session.insert("username", "admin").is_err());
    /// # Ok::<(), lambda_session::ValueError>(())
    /// ```
    #[doc(alias = "destroy")]
    #[doc(alias = "flush")]
    #[doc(alias = "logout")]
    #[doc(alias = "purge")]
    pub fn end(&self) {
        self.state().end();
    }
}

/// An owner's name is a key of a user table, not a document.
const MOST_OWNER_BYTES: usize = 512;
const MOST_LABEL_BYTES: usize = 256;
