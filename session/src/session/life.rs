//! The session's life: who is logged in, how long it lasts, and when it ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::state::CONFIRMED;
#[cfg(feature = "axum")]
use super::state::STAMP;
use super::{Session, encode};
use crate::core::edits::Step;
use crate::core::id::RecordKey;
use crate::core::time::Lifetime;
use crate::core::value::Value;
use crate::protocol::error::{NO_LISTS, SessionError, SessionErrorKind};

impl Session {
    /// Asks for a new session ID and a new lifetime, keeping the variables. Call it at every login and other change of
    /// privilege, so that an ID that was planted or stolen before becomes worthless ([OWASP], "Renew the Session ID
    /// After Any Privilege Level Change"). The session keeps its owner and its own [lifetime](Self::lifetime), and a
    /// session that outlives the browser without an idle timeout keeps its end, unless you call [`clear`](Self::clear).
    /// (express-session's `regenerate` begins an empty session: that is `renew` and `clear`.)
    ///
    /// A session that is [bound](crate::SessionLayerBuilder::bound) stays bound to its device, unless you call
    /// [`clear`](Self::clear).
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
    /// What a visitor without an owner had stays, such as a basket; call [`clear`](Self::clear) if another person may
    /// have used the browser. What the session of another owner held before this request goes, so that nobody gets
    /// another user's role. What this request has written stays. After [`end`](Self::end), a login begins a new
    /// session.
    ///
    /// A login starts a new [binding](crate::SessionLayerBuilder::bound), to the device that sends the login. Call this
    /// method only after a proof such as a password. Otherwise somebody who has copied the cookies of a bound session
    /// could bind the new session to another device.
    ///
    /// # Errors
    ///
    /// The name is empty or longer than 512 bytes, the store keeps no lists, or the session was already saved.
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
    /// Of a longer label, the first 256 bytes are kept, or a few less, so that no character is cut.
    ///
    /// # Errors
    ///
    /// As for [`login`](Self::login).
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
        } else if no_lists {
            NO_LISTS
        } else {
            let label = label.map(|label| &label[..label.floor_char_boundary(MOST_LABEL_BYTES)]);
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

    /// Records that whoever is logged in has just proved their identity in this way, such as by `"password"` or
    /// `"passkey"`. Ask for a proof again before what a thief of the session must not do, such as a change of the
    /// password (OWASP ASVS 5.0, 7.5), and look at [`confirmed`](Self::confirmed) there.
    ///
    /// Call it after [`login`](Self::login) if the visitor has given a proof for the login. Where a proof is given
    /// again, call [`renew`](Self::renew), too: otherwise a stolen copy of the cookie is confirmed along with the
    /// session. A renewal and another login of the same owner keep the proofs; a login of anybody else and
    /// [`clear`](Self::clear) drop them. The variable `_confirmed` holds them. Only this method and
    /// [`confirm_at`](Self::confirm_at) set it.
    ///
    /// # Errors
    ///
    /// As for [`insert`](Self::insert).
    ///
    /// ```
    /// # use lambda_session::{Session, SessionError};
    /// # fn login(session: &Session) -> Result<(), SessionError> {
    /// session.login("user-4711")?;
    /// session.confirm("password")?;
    /// assert!(session.confirmed("password").is_some());
    /// assert_eq!(session.confirmed("passkey"), None);
    /// # Ok(())
    /// # }
    /// # login(&Session::default()).unwrap();
    /// ```
    pub fn confirm(&self, how: &str) -> Result<(), SessionError> {
        self.confirm_at(how, self.0.now())
    }

    /// Notes a proof of this time, in seconds since 1970-01-01 UTC, as [`confirm`](Self::confirm) does: the `auth_time`
    /// of OpenID Connect, for example. A time that is still to come counts as now, and a proof of an earlier time than
    /// one that is known changes nothing.
    ///
    /// # Errors
    ///
    /// As for [`insert`](Self::insert).
    ///
    /// ```
    /// # use lambda_session::{Session, SessionError};
    /// # fn callback(session: &Session, auth_time: u64) -> Result<(), SessionError> {
    /// session.confirm_at("provider", auth_time)?;
    /// assert_eq!(session.confirmed("provider"), Some(auth_time));
    /// # Ok(())
    /// # }
    /// # callback(&Session::default(), 1_700_000_000).unwrap();
    /// ```
    pub fn confirm_at(&self, how: &str, time: u64) -> Result<(), SessionError> {
        let (how, time) = (how.to_owned(), time.min(self.0.now()));
        let step: Step = Arc::new(move |before| {
            let mut proofs = before.map(proofs).unwrap_or_default();
            let latest = proofs.entry(how.clone()).or_default();
            *latest = time.max(*latest);
            encode(proofs)
        });
        self.state().compute(CONFIRMED, step)?;
        Ok(())
    }

    /// Returns when whoever is logged in last proved it in this way, in seconds since 1970-01-01 UTC; `None` if never
    /// in this session.
    ///
    /// ```
    /// # use lambda_session::Session;
    /// assert_eq!(Session::default().confirmed("password"), None);
    /// ```
    #[must_use]
    pub fn confirmed(&self, how: &str) -> Option<u64> {
        self.state().data().get(CONFIRMED).map(proofs)?.remove(how)
    }

    /// Returns whether whoever is logged in proved it in this way during the last `time`, by the layer's clock. It
    /// counts in whole seconds.
    ///
    /// ```
    /// # use lambda_session::{Session, SessionError};
    /// use std::time::Duration;
    ///
    /// # let session = Session::default();
    /// session.confirm("password")?;
    /// assert!(session.confirmed_within("password", Duration::from_secs(10 * 60)));
    /// # Ok::<(), SessionError>(())
    /// ```
    #[must_use]
    pub fn confirmed_within(&self, how: &str, time: Duration) -> bool {
        let since = self.0.now().saturating_sub(time.as_secs());
        self.confirmed(how).is_some_and(|confirmed| confirmed > since)
    }

    /// Returns the hash of the user's stamp with which [`set_stamp`](Self::set_stamp) was called last.
    #[cfg(feature = "axum")]
    pub(crate) fn stamp(&self) -> Option<String> {
        self.state().data().get(STAMP)?.decode().ok()
    }

    /// Keeps the hash of the stamp of the user who has just been logged in.
    #[cfg(feature = "axum")]
    pub(crate) fn set_stamp(&self, stamp: Option<&str>) -> Result<(), SessionError> {
        let mut state = self.state();
        match stamp {
            Some(stamp) => {
                let stamp = encode(stamp)?;
                state.compute(STAMP, Arc::new(move |_| Ok(stamp.clone())))?;
            }
            None => drop(state.remove(STAMP)),
        }
        Ok(())
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
        self.lifetime(Lifetime::default().at_most(duration).beyond_browser());
    }

    /// Gives this session a lifetime of its own, shorter or longer than the layer's, but at most the layer's
    /// [maximum](crate::SessionLayerBuilder::max_remembered). The session gets a new ID, and its new lifetime begins
    /// when it is saved. A [renewal](Self::renew) keeps the lifetime, and begins it anew unless the session outlives
    /// the browser without an idle timeout, in which case its end stays. A [login](Self::login) in another request goes
    /// back to the layer's timeouts, and so does `Lifetime::default()`.
    ///
    /// The `Max-Age` of a session that outlives the browser is the longest time for which it can live, up to 400 days,
    /// after which browsers delete the cookie (RFC 6265bis, section 5.5).
    ///
    /// ```
    /// # use lambda_session::{Lifetime, Session};
    /// # let session = Session::default();
    /// use std::time::Duration;
    ///
    /// const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    ///
    /// session.login("user-4711")?;
    /// session.lifetime(Lifetime::default().idle(30 * DAY).at_most(365 * DAY).beyond_browser());
    /// assert!(session.is_remembered());
    /// # Ok::<(), lambda_session::SessionError>(())
    /// ```
    #[doc(alias = "set_expiry")]
    pub fn lifetime(&self, lifetime: Lifetime) {
        self.state().lifetime(lifetime);
    }

    /// Returns whether the session outlives the browser.
    ///
    /// ```
    /// # use lambda_session::Session;
    /// assert!(!Session::default().is_remembered());
    /// ```
    #[must_use]
    pub fn is_remembered(&self) -> bool {
        self.state().is_remembered()
    }

    /// Saves now what the layer would save after the handler. Use it for changes that must be durable before a side
    /// effect, such as a payment. The session can be changed afterwards, and later changes are saved as usual, but not
    /// after [`end`](Self::end).
    ///
    /// # Errors
    ///
    /// The same as those with which the layer would answer. The request is then answered with this error, whatever the
    /// handler returns, and nothing more is saved. One more error leaves the response as it is: the session was changed
    /// after it had been saved for the last time, so the change is lost.
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
    /// it is saved, and after [`end`](Self::end).
    ///
    /// ```
    /// # use lambda_session::Session;
    /// assert_eq!(Session::default().created_at(), None);
    /// ```
    #[must_use]
    pub fn created_at(&self) -> Option<u64> {
        self.state().lasting().map(|(_, record)| record.created_at)
    }

    /// Returns when the session ends if no other request uses it, in seconds since 1970-01-01 UTC; `None` until it is
    /// saved, and after [`end`](Self::end).
    ///
    /// ```
    /// # use lambda_session::Session;
    /// # let session = Session::default();
    /// use std::time::{Duration, UNIX_EPOCH};
    ///
    /// // As a `SystemTime`:
    /// let end = session.expires_at().map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
    /// # assert_eq!(end, None);
    /// ```
    #[must_use]
    pub fn expires_at(&self) -> Option<u64> {
        self.state().lasting().map(|(_, record)| record.expires_at)
    }

    /// Returns whether the session is [bound](crate::SessionLayerBuilder::bound) to the visitor's device.
    ///
    /// ```
    /// # use lambda_session::Session;
    /// assert!(!Session::default().is_bound());
    /// ```
    #[must_use]
    pub fn is_bound(&self) -> bool {
        self.state().live().is_some_and(|(_, record)| record.is_bound())
    }

    /// Ends the session, as at a logout: its variables are deleted, its ID becomes invalid on the server, and the
    /// cookie is cleared. The cookie is cleared even if the request brought none, because an answer on its way may have
    /// set one. Nothing can be written to the session any more, until [`login`](Self::login) begins a new one.
    ///
    /// ```
    /// # use lambda_session::Session;
    /// let session = Session::default();
    /// session.insert("username", "admin")?;
    /// session.end();
    /// assert!(session.is_empty());
    /// assert!(session.insert("username", "admin").is_err());
    /// session.login("user-4711")?; // a new session, which has nothing of the one before
    /// # Ok::<(), lambda_session::SessionError>(())
    /// ```
    #[doc(alias = "destroy")]
    #[doc(alias = "flush")]
    #[doc(alias = "logout")]
    #[doc(alias = "purge")]
    pub fn end(&self) {
        self.state().end();
    }
}

/// Reads the proofs, each with its time. A value of another type counts as no proofs.
fn proofs(value: &Value) -> BTreeMap<String, u64> {
    value.decode().unwrap_or_default()
}

/// The longest name of an owner, in bytes. A name is the key of a user, not a document.
const MOST_OWNER_BYTES: usize = 512;
const MOST_LABEL_BYTES: usize = 256;
