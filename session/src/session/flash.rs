//! What is given to one request: a variable that is taken out of the session, and messages that are shown once.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::state::FLASHES;
use super::{Session, decode, encode};
use crate::core::edits::Step;
use crate::core::value::{Reason, Value, ValueError};
use crate::protocol::error::SessionError;

/// A message that is shown once, as [`Session::take_flashes`] returns it. It is displayed as its text.
///
/// ```
/// # async fn page() -> Result<(), lambda_session::SessionError> {
/// # let session = lambda_session::Session::default();
/// use lambda_session::FlashLevel;
///
/// session.flash_as(FlashLevel::Success, "Saved")?;
/// for flash in session.take_flashes().await? {
///     assert_eq!(format!("<p class={}>{flash}</p>", flash.level), "<p class=success>Saved</p>");
/// }
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(page()).unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct Flash {
    /// What kind of message it is.
    pub level: FlashLevel,
    /// The message.
    pub text: String,
}

/// The kinds of messages, which Flask calls categories. Displayed in lower case, as a class of a page's style.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FlashLevel {
    /// For whoever develops the site.
    Debug,
    /// The level of [`Session::flash`].
    #[default]
    Info,
    /// Something was done.
    Success,
    /// Something may need attention.
    Warning,
    /// Something could not be done.
    Error,
}

/// A message as it is stored: a text alone, as version 0.3 stores it, or its level and its text.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Info(String),
    Other(FlashLevel, String),
}

impl fmt::Display for Flash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl PartialEq<&str> for Flash {
    fn eq(&self, text: &&str) -> bool {
        self.text == *text
    }
}

impl FlashLevel {
    /// The level's name in lower case.
    ///
    /// ```
    /// assert_eq!(lambda_session::FlashLevel::Warning.as_str(), "warning");
    /// ```
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Success => "success",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for FlashLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Session {
    /// Takes the variable `name` out of the session, for this request alone: of several concurrent requests one gets
    /// it, and the others get `None`. Use it for what must serve once, such as the `state` of an OAuth login or the
    /// challenge of a passkey. ([`pop`](Self::pop) gives the value to each of two concurrent requests, because it
    /// removes the variable only when the session is saved.)
    ///
    /// One write removes the variable from the store before this method returns. If the request then fails, or drops
    /// the future of this method, the variable does not come back. A session that is left empty stays.
    ///
    /// # Errors
    ///
    /// The variable is not a `T`, and then it stays, unless another request has replaced it meanwhile. Or the session
    /// was saved for the last time, the store failed, or an earlier [`save`](Self::save) of this session did.
    ///
    /// ```
    /// # async fn callback() -> Result<(), lambda_session::SessionError> {
    /// # let session = lambda_session::Session::default();
    /// session.insert("oauth_state", "af0ifjsldkj")?;
    /// assert_eq!(session.take::<String>("oauth_state").await?.as_deref(), Some("af0ifjsldkj"));
    /// assert_eq!(session.take::<String>("oauth_state").await?, None);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(callback()).unwrap();
    /// ```
    pub async fn take<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, SessionError> {
        if self.get::<T>(name)?.is_some() && self.is_saved() {
            return Err(ValueError::new(name, Reason::Saved).into());
        }
        let taken = self.0.take(name).await?;
        Ok(taken.map(|value| decode(name, value)).transpose()?)
    }

    /// Adds a message that [`take_flashes`](Self::take_flashes) returns once, on this page or a later one: Flask's
    /// `flash`. Its level is [`FlashLevel::Info`]. After [`end`](Self::end), the message goes into a new session that
    /// holds nothing else.
    ///
    /// The variable `_flashes` holds the messages, so [`keys`](Self::keys) and [`len`](Self::len) count it, as in
    /// Flask.
    ///
    /// # Errors
    ///
    /// As for [`insert`](Self::insert), except that a message can be added after [`end`](Self::end).
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
        self.flash_as(FlashLevel::Info, message)
    }

    /// Adds a message of this level, as [`flash`](Self::flash) does: Flask's `flash(message, category)`.
    ///
    /// # Errors
    ///
    /// As for [`insert`](Self::insert), except that a message can be added after [`end`](Self::end).
    ///
    /// ```
    /// # use lambda_session::{FlashLevel, Session, SessionError};
    /// # fn save(session: &Session) -> Result<(), SessionError> {
    /// session.flash_as(FlashLevel::Error, "The card was declined")
    /// # }
    /// # save(&Session::default()).unwrap();
    /// ```
    pub fn flash_as(&self, level: FlashLevel, message: &str) -> Result<(), SessionError> {
        let text = message.to_owned();
        let step: Step = Arc::new(move |before| {
            let mut flashes = before.map(stored).unwrap_or_default();
            flashes.push(match level {
                FlashLevel::Info => Stored::Info(text.clone()),
                level => Stored::Other(level, text.clone()),
            });
            encode(flashes)
        });
        Ok(self.state().flash(step)?)
    }

    /// Takes the messages of [`flash`](Self::flash), oldest first: Flask's `get_flashed_messages`.
    ///
    /// They are [taken](Self::take): of several concurrent requests one gets them, and if the page that shows them
    /// fails, they do not come back. A `HEAD` request and a prefetch show nobody a page, so they take nothing and get
    /// nothing.
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
    pub async fn take_flashes(&self) -> Result<Vec<Flash>, SessionError> {
        if self.0.unseen {
            return Ok(Vec::new());
        }
        let taken = self.0.take(FLASHES).await?;
        Ok(taken.as_ref().map(flashes).unwrap_or_default())
    }
}

/// Returns the messages in the variable.
pub(crate) fn flashes(value: &Value) -> Vec<Flash> {
    let flashes = stored(value).into_iter().map(|stored| match stored {
        Stored::Info(text) => (FlashLevel::Info, text),
        Stored::Other(level, text) => (level, text),
    });
    flashes.map(|(level, text)| Flash { level, text }).collect()
}

/// A value of another type, which a program may have put there, counts as no messages.
fn stored(value: &Value) -> Vec<Stored> {
    value.decode().unwrap_or_default()
}
