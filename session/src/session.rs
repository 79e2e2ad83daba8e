//! The session as handlers use it: a dictionary that records what was done to it.

use std::fmt;
use std::sync::{Arc, MutexGuard};

use serde::Serialize;
use serde::de::DeserializeOwned;

use self::request::RequestSession;
use self::state::{State, free};
use crate::core::value::{Reason, Value, ValueError};

mod computing;
pub(crate) mod flash;
pub(crate) mod found;
pub(crate) mod lazy;
mod life;
pub(crate) mod request;
pub(crate) mod sessions;
pub(crate) mod state;

/// A visitor's session: a dictionary of variables, kept on the server from login to logout.
///
/// Get it from [`Session::of`], change it, and return from your handler: the layer saves what really changed. A
/// `Session` is a handle; clones share one dictionary. Of its methods, only [`save`](Self::save), [`take`](Self::take)
/// and [`take_flashes`](Self::take_flashes) wait for the store. The layer saves the session when the handler has
/// returned the response. A handle that is used after that, in a task or a streamed body, reads what was saved and
/// cannot change it: a method that would change it returns an error if its return type allows one, and does nothing
/// otherwise. [`take_flashes`](Self::take_flashes) then returns no messages.
///
/// | Flask | here |
/// |---|---|
/// | `session['username'] = 'admin'` | `session.insert("username", "admin")?` |
/// | `'username' in session` | `session.contains_key("username")` |
/// | `session['username']`, `session.get('username')` | `session.get::<String>("username")?` |
/// | `session.pop('username', None)` | `session.pop::<String>("username")?` |
/// | `del session['username']` | `session.remove("username")` |
/// | `for name in session:` | `for name in session.keys()` |
/// | `len(session)`, `not session` | `session.len()`, `session.is_empty()` |
/// | `session.clear()` | `session.clear()` |
/// | `flash('Saved', 'success')` | `session.flash_as(FlashLevel::Success, "Saved")?` |
///
/// If another request changes *other* variables of the session at the same time, both changes are kept; if it changes
/// the *same* variable, the later write wins. A value that is computed from the one before belongs in
/// [`update`](Self::update) or [`increment`](Self::increment), which lose no concurrent change.
///
/// ```
/// use lambda_session::Session;
///
/// let session = Session::default();
/// session.insert("username", "admin")?;
/// assert!(session.contains_key("username"));
/// assert_eq!(session.get::<String>("username")?.as_deref(), Some("admin"));
/// assert_eq!(session.pop::<String>("username")?.as_deref(), Some("admin"));
/// assert!(session.is_empty());
/// # Ok::<(), lambda_session::ValueError>(())
/// ```
#[derive(Clone)]
#[cfg_attr(any(test, feature = "testing"), derive(Default))]
pub struct Session(pub(crate) Arc<RequestSession>);

impl Session {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state()
    }

    /// Returns the variable `name`, if there is one. A variable that may hold `None` is read as an `Option`:
    /// `get::<Option<T>>`. For its encoded form, see [`get_value`](Self::get_value).
    ///
    /// # Errors
    ///
    /// The variable is not a `T`.
    ///
    /// ```
    /// # use lambda_session::Session;
    /// let session = Session::default();
    /// session.insert("visits", 3)?;
    /// assert_eq!(session.get::<u64>("visits")?, Some(3));
    /// assert_eq!(session.get::<u64>("missing")?, None);
    /// assert!(session.get::<bool>("visits").is_err());
    /// # Ok::<(), lambda_session::ValueError>(())
    /// ```
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ValueError> {
        self.get_value(name).map(|value| decode(name, value)).transpose()
    }

    /// Returns the encoded value of the variable `name`, if there is one. It has the exact digits of a number, and can
    /// be stored again by [`insert_value`](Self::insert_value).
    ///
    /// ```
    /// # use lambda_session::{Session, Value};
    /// let session = Session::default();
    /// session.insert("visits", 3)?;
    /// assert_eq!(session.get_value("visits"), Some(Value::encode(3)?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn get_value(&self, name: &str) -> Option<Value> {
        self.state().data().get(name).cloned()
    }

    /// Sets the variable `name`. Writing the value that it already has does not count as a change.
    ///
    /// # Errors
    ///
    /// The error names the variable, and nothing is changed. It is returned if the name is empty or one that the
    /// library keeps for itself (`_confirmed`, `_stamp`), if the value cannot be stored (it is not serializable,
    /// contains a number that is not finite or an empty set, or exceeds the store's [`Limits`](crate::Limits)), if the
    /// session would be larger than [`max_bytes`](crate::SessionLayerBuilder::max_bytes) or the store allows, after
    /// [`end`](Self::end), or after the session was saved.
    ///
    /// # Panics
    ///
    /// As [`Value::encode`].
    ///
    /// ```
    /// # use lambda_session::Session;
    /// let session = Session::default();
    /// session.insert("basket", vec!["tea", "milk"])?;
    /// let error = session.insert("ratio", f64::NAN).unwrap_err();
    /// assert_eq!(error.to_string(), "session variable \"ratio\": not a finite number");
    /// # Ok::<(), lambda_session::ValueError>(())
    /// ```
    pub fn insert<T: Serialize>(&self, name: &str, value: T) -> Result<(), ValueError> {
        let value = encode(value).map_err(|reason| ValueError::new(name, reason))?;
        self.insert_value(name, value)
    }

    /// Sets the variable `name` to an encoded value, such as [`remove`](Self::remove) and [`iter`](Self::iter) return.
    /// Like [`insert`](Self::insert), it returns nothing of the value before.
    ///
    /// # Errors
    ///
    /// As for [`insert`](Self::insert).
    ///
    /// ```
    /// # use lambda_session::{Session, Value};
    /// let session = Session::default();
    /// session.insert("draft", "tea")?;
    /// if let Some(value) = session.remove("draft") {
    ///     session.insert_value("note", value)?;
    /// }
    /// assert_eq!(session.get::<String>("note")?.as_deref(), Some("tea"));
    /// # Ok::<(), lambda_session::ValueError>(())
    /// ```
    pub fn insert_value(&self, name: &str, value: Value) -> Result<(), ValueError> {
        self.state().insert(name, value)
    }

    /// Removes the variable `name` and returns its encoded value. Removing a missing variable does not count as a
    /// change. A session without an [owner](Self::owner) that loses its last variable ends with the request, as after
    /// [`clear`](Self::clear).
    ///
    /// ```
    /// # use lambda_session::Session;
    /// let session = Session::default();
    /// session.insert("theme", "dark")?;
    /// assert!(session.remove("theme").is_some());
    /// assert!(session.remove("theme").is_none());
    /// # Ok::<(), lambda_session::ValueError>(())
    /// ```
    pub fn remove(&self, name: &str) -> Option<Value> {
        self.state().remove(name)
    }

    /// Removes the variable `name` and returns it: Flask's `session.pop(name, None)`.
    ///
    /// # Errors
    ///
    /// The variable is not a `T`, or the session was saved. The variable then stays.
    ///
    /// ```
    /// # use lambda_session::Session;
    /// let session = Session::default();
    /// session.insert("username", "admin")?;
    /// assert!(session.pop::<u64>("username").is_err());
    /// assert_eq!(session.pop::<String>("username")?.as_deref(), Some("admin"));
    /// assert_eq!(session.pop::<String>("username")?, None);
    /// # Ok::<(), lambda_session::ValueError>(())
    /// ```
    pub fn pop<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ValueError> {
        let Some(value) = self.get(name)? else { return Ok(None) };
        match self.remove(name) {
            Some(_) => Ok(Some(value)),
            None => Err(ValueError::new(name, Reason::Saved)),
        }
    }

    /// Sets the variable `name` to the result of `compute`, which gets the value before (`None` if there is none), and
    /// returns the result.
    ///
    /// If another request has changed the session meanwhile, `compute` is applied again to the newer value when the
    /// session is saved. So no update is lost, and no update counts twice, even if a write is repeated because its
    /// reply was lost. `compute` must be pure. The result that is returned is that of the first call. `compute` must
    /// not use the session itself.
    ///
    /// # Errors
    ///
    /// The variable is not a `T`, `compute` uses the session itself, or as for [`insert`](Self::insert).
    ///
    /// ```
    /// # use lambda_session::Session;
    /// let session = Session::default();
    /// let add = |basket: Option<Vec<String>>| {
    ///     let mut basket = basket.unwrap_or_default();
    ///     basket.push("tea".to_owned());
    ///     basket
    /// };
    /// session.update("basket", add)?;
    /// assert_eq!(session.update("basket", add)?, ["tea", "tea"]);
    /// # Ok::<(), lambda_session::ValueError>(())
    /// ```
    pub fn update<T, U>(
        &self,
        name: &str,
        compute: impl Fn(Option<T>) -> U + Send + Sync + 'static,
    ) -> Result<U, ValueError>
    where
        T: DeserializeOwned,
        U: Serialize + DeserializeOwned,
    {
        let session = computing::address(&self.0);
        let step = move |before: Option<&Value>| {
            let before = before.map(Value::decode).transpose().map_err(Reason::OtherType)?;
            let computed = computing::run(session, || compute(before));
            encode(computed.ok_or(Reason::OwnSession)?)
        };
        self.compute(name, step)
    }

    /// Adds `by` to the number `name`, which counts as 0 if it is missing, and returns the sum. Like
    /// [`update`](Self::update), it loses no concurrent change.
    ///
    /// # Errors
    ///
    /// The variable is not a whole number, the sum does not fit 64 bits, or as for [`insert`](Self::insert).
    ///
    /// ```
    /// # use lambda_session::Session;
    /// let session = Session::default();
    /// assert_eq!(session.increment("visits", 1)?, 1);
    /// assert_eq!(session.increment("visits", 2)?, 3);
    /// # Ok::<(), lambda_session::ValueError>(())
    /// ```
    pub fn increment(&self, name: &str, by: i64) -> Result<i64, ValueError> {
        let step = move |before: Option<&Value>| {
            let before: i64 = before.map_or(Ok(0), Value::decode).map_err(Reason::OtherType)?;
            encode(before.checked_add(by).ok_or(Reason::Overflow)?)
        };
        self.compute(name, step)
    }

    fn compute<T: DeserializeOwned>(
        &self,
        name: &str,
        step: impl Fn(Option<&Value>) -> Result<Value, Reason> + Send + Sync + 'static,
    ) -> Result<T, ValueError> {
        if computing::uses(&self.0) {
            return Err(ValueError::new(name, Reason::OwnSession));
        }
        free(name)?;
        let value = self.state().compute(name, Arc::new(step))?;
        decode(name, value)
    }

    /// Returns the variable `name`. If there is none, inserts the value that `make` returns: Flask's
    /// `session.setdefault`. If two requests insert at the same time, the value that is saved first stays, though each
    /// request gets its own.
    ///
    /// # Errors
    ///
    /// The variable is not a `T`, or as for [`insert`](Self::insert).
    ///
    /// ```
    /// # use lambda_session::Session;
    /// let session = Session::default();
    /// assert_eq!(session.get_or_insert_with("theme", || "dark".to_owned())?, "dark");
    /// assert_eq!(session.get_or_insert_with("theme", || "light".to_owned())?, "dark");
    /// # Ok::<(), lambda_session::ValueError>(())
    /// ```
    pub fn get_or_insert_with<T>(&self, name: &str, make: impl FnOnce() -> T) -> Result<T, ValueError>
    where
        T: Serialize + DeserializeOwned,
    {
        if let Some(value) = self.get(name)? {
            return Ok(value);
        }
        free(name)?;
        let value = make();
        let encoded = encode(&value).map_err(|reason| ValueError::new(name, reason))?;
        let step = move |before: Option<&Value>| Ok(before.unwrap_or(&encoded).clone());
        self.state().compute(name, Arc::new(step))?;
        Ok(value)
    }

    /// Returns the variable `name`, if there is one and it is a `T`. A value of another type, which an earlier version
    /// of the program may have left, is removed, so that it does not fail every later request. A value that another
    /// request has stored meanwhile stays.
    ///
    /// ```
    /// # use lambda_session::Session;
    /// let session = Session::default();
    /// session.insert("visits", "many")?;
    /// assert_eq!(session.get_or_discard::<u64>("visits"), None);
    /// assert!(!session.contains_key("visits"));
    /// # Ok::<(), lambda_session::ValueError>(())
    /// ```
    pub fn get_or_discard<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        self.get(name).unwrap_or_else(|_| {
            self.state().discard(name);
            None
        })
    }

    /// Returns whether there is a variable `name`: Flask's `name in session`.
    ///
    /// ```
    /// # use lambda_session::Session;
    /// assert!(!Session::default().contains_key("username"));
    /// ```
    #[must_use]
    pub fn contains_key(&self, name: &str) -> bool {
        self.state().data().contains_key(name)
    }

    /// Returns the names of all variables, sorted.
    ///
    /// ```
    /// # use lambda_session::Session;
    /// let session = Session::default();
    /// session.insert("username", "admin")?;
    /// assert_eq!(session.keys(), ["username"]);
    /// # Ok::<(), lambda_session::ValueError>(())
    /// ```
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.state().data().keys().cloned().collect()
    }

    /// Iterates over a snapshot of all variables, encoded and sorted by name.
    ///
    /// ```
    /// # use lambda_session::{Session, Value};
    /// let session = Session::default();
    /// session.insert("username", "admin")?;
    /// let (name, value) = session.iter().next().expect("one variable");
    /// assert_eq!((name.as_str(), value), ("username", Value::encode("admin")?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "iterating over a snapshot changes nothing"]
    pub fn iter(&self) -> std::collections::btree_map::IntoIter<String, Value> {
        self.state().data().clone().into_iter()
    }

    /// Returns the number of variables.
    ///
    /// ```
    /// # use lambda_session::Session;
    /// assert_eq!(Session::default().len(), 0);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.state().data().len()
    }

    /// Returns whether there are no variables.
    ///
    /// ```
    /// # use lambda_session::Session;
    /// assert!(Session::default().is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.state().data().is_empty()
    }

    /// Removes all variables. A session that is left empty ends with the request, as at a logout, unless it has an
    /// [owner](Self::owner). With `Users`, it logs the user out if `Users::stamp` is not empty, because it also removes
    /// the hash of the stamp that the login stored.
    ///
    /// ```
    /// # use lambda_session::Session;
    /// let session = Session::default();
    /// session.insert("username", "admin")?;
    /// session.clear();
    /// assert!(session.is_empty());
    /// # Ok::<(), lambda_session::ValueError>(())
    /// ```
    pub fn clear(&self) {
        self.state().clear();
    }
}

fn encode<T: Serialize>(value: T) -> Result<Value, Reason> {
    Value::encode(value).map_err(Reason::NotSerializable)
}

fn decode<T: DeserializeOwned>(name: &str, value: Value) -> Result<T, ValueError> {
    let decoded = value.decode().map_err(Reason::OtherType);
    decoded.map_err(|reason| ValueError::new(name, reason))
}

impl IntoIterator for &Session {
    type Item = (String, Value);
    type IntoIter = std::collections::btree_map::IntoIter<String, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Shows names and types only, because the values are the visitor's data.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.state().data()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::time::{Moment, Timeouts};

    #[test]
    fn a_handle_that_outlives_the_save_still_reads_but_is_told_that_it_cannot_write() {
        let at = Moment {
            now: 1_800_000_000,
            timeouts: Timeouts::default(),
        };
        let session = Session::default();
        session.insert("username", "admin").unwrap();
        let late = session.clone();
        assert!(session.state().close(&at).is_some());
        assert_eq!(late.get::<String>("username").unwrap().as_deref(), Some("admin"));
        let error = late.insert("theme", "dark").unwrap_err();
        assert_eq!(
            error.to_string(),
            "session variable \"theme\": the session was saved already, nothing can be stored in it any more"
        );
        assert!(late.remove("username").is_none());
        assert!(late.pop::<String>("username").is_err());
        late.clear();
        late.end();
        assert_eq!(late.len(), 1);
        assert!(session.state().close(&at).is_none(), "a session is closed only once");
    }

    #[test]
    fn what_is_removed_or_replaced_makes_room_and_no_more_than_it_took() {
        let half = "x".repeat(490);
        let session = Session::default();
        let limits = crate::Limits {
            bytes: 1_000,
            ..crate::Limits::NONE
        };
        *session.state() = State::new(Vec::new(), limits, false);
        session.insert("a", &half).unwrap();
        session.insert("b", &half).unwrap();
        session.insert("b", format!("{half}y")).unwrap();
        assert!(session.insert("c", &half).is_err());
        session.remove("a");
        session.insert("c", &half).unwrap();
        assert!(session.insert("d", "x".repeat(100)).is_err());
    }

    #[test]
    fn an_error_names_types_and_never_shows_a_value() {
        let session = Session::default();
        session.insert("pin", 4711).unwrap();
        let error = session.get::<u8>("pin").unwrap_err();
        assert_eq!(error.to_string(), "session variable \"pin\": a Number is not a u8");
        assert_eq!(format!("{session:?}"), "{\"pin\": Number}");
        assert!(!format!("{error:?}").contains("4711"));
    }

    #[test]
    fn a_session_counts_and_lists_its_variables() {
        let session = Session::default();
        assert!(session.is_empty());
        session.insert("username", "admin").unwrap();
        session.insert("theme", "dark").unwrap();
        assert!(!session.is_empty());
        assert_eq!(session.len(), 2);
        let names: Vec<_> = (&session).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["theme", "username"]);
        assert_eq!(session.keys(), names);
    }
}
