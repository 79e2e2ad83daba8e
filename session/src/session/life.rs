//! The session's life: who is logged in, how long it lasts, and which messages are shown once.

use std::time::Duration;

use super::Session;
use crate::core::id::RecordKey;
use crate::protocol::error::{NO_LISTS, SessionError, SessionErrorKind};

impl Session {
    /// Asks for a new session ID and a new lifetime, keeping the variables. Call it at every login and other change of
    /// privilege, so that an ID that was planted or stolen before becomes worthless ([OWASP], "Renew the Session ID
    /// After Any Privilege Level Change"). The session keeps its owner, and a session that is remembered keeps its end,
    /// unless you call [`clear`](Self::clear).
    ///
    /// [OWASP]: <https://cheatsheetseries.owasp.org/cheatsheets/Session_Management_Cheat_Sheet.html>
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

    /// Logs `owner` in. The session gets a new ID, as by [`renew`](Self::renew), and enters the list of this owner's
    /// sessions, which [`Sessions`](crate::Sessions) reads and ends. `owner` identifies one of your users: it can be
    /// the primary key of your user table. This method checks no password.
    ///
    /// Variables from before the login stay. Call [`clear`](Self::clear) if another person may have used the browser.
    ///
    /// # Errors
    ///
    /// The name is empty or longer than 512 bytes, the store keeps no lists, or the session was already ended or saved.
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

    /// Logs `owner` in, as [`login`](Self::login) does, with a label that the list of the owner's sessions shows, such
    /// as "Firefox on Linux". The label is not encrypted, even if the variables are sealed.
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
        let no_lists = matches!(&self.0.budget, Some(budget) if budget.settings.store.owners().is_none());
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

    /// Returns the owner that [`login`](Self::login) has set.
    ///
    /// ```
    /// # use lambda_session::Session;
    /// assert_eq!(Session::default().owner(), None);
    /// ```
    #[must_use]
    pub fn owner(&self) -> Option<String> {
        self.state().owner()
    }

    /// Makes the session outlive the browser and the idle timeout. It ends this long after it is saved, or after the
    /// layer's [maximum](crate::SessionLayerBuilder::max_remembered) if that is shorter. The duration counts in whole
    /// seconds, and is at least one second.
    ///
    /// The session gets a new ID, and the cookie's `Max-Age` is sent once, with that ID. Views do not send it again, so
    /// a delayed answer to a view does not undo a login or logout in another tab.
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

    /// Adds a message that [`take_flashes`](Self::take_flashes) returns once, on this page or a later one: Flask's
    /// `flash`. After [`end`](Self::end), the message goes into a new session that holds nothing else.
    ///
    /// The variable `_flashes` holds the messages.
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
    /// If there are any in the store, one write removes them before this method returns, so only one of two concurrent
    /// requests gets them. If the page that shows them fails, they do not come back.
    ///
    /// # Errors
    ///
    /// The store failed, or an earlier [`save`](Self::save) of this session did. The messages are then not taken, or it
    /// is unknown whether they are.
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

    /// Saves now what the layer would save after the handler. Use it for changes that must be durable before a side
    /// effect, such as a payment. The session can be changed afterwards, and later changes are saved as usual, but not
    /// after [`end`](Self::end).
    ///
    /// # Errors
    ///
    /// The same as those with which the layer would answer. The request is then answered with this error, whatever the
    /// handler returns, and nothing more is saved.
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

    /// Returns whether the session was saved for the last time, so that it cannot be changed any more.
    ///
    /// ```
    /// # use lambda_session::Session;
    /// assert!(!Session::default().is_saved());
    /// ```
    #[must_use]
    pub fn is_saved(&self) -> bool {
        self.state().saved
    }

    /// Returns the public handle of the session, which a list of sessions shows; `None` until the session is saved. The
    /// handle is not secret. It changes when a login or a renewal is saved.
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
        self.state().live().map(|(id, _)| id.record_key().clone())
    }

    /// Returns when the session was created, renewed or logged in last, in seconds since 1970-01-01 UTC; `None` until
    /// it is saved.
    ///
    /// ```
    /// # use lambda_session::Session;
    /// assert_eq!(Session::default().created_at(), None);
    /// ```
    #[must_use]
    pub fn created_at(&self) -> Option<u64> {
        self.state().live().map(|(_, record)| record.created_at)
    }

    /// Returns when the session ends if no other request uses it, in seconds since 1970-01-01 UTC; `None` until it is
    /// saved.
    ///
    /// ```
    /// # use lambda_session::Session;
    /// assert_eq!(Session::default().expires_at(), None);
    /// ```
    #[must_use]
    pub fn expires_at(&self) -> Option<u64> {
        self.state().live().map(|(_, record)| record.expires_at)
    }

    /// Ends the session, as at a logout: its variables are deleted, its ID becomes invalid on the server, and the
    /// cookie is cleared.
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

/// The longest name of an owner, in bytes. A name is the key of a user, not a document.
const MOST_OWNER_BYTES: usize = 512;
const MOST_LABEL_BYTES: usize = 256;
