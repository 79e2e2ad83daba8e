//! The session as its users see it: a dictionary that remembers what was done to it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::edits::Edits;
use super::value::{Data, Reason, Value, ValueError};

/// A visitor's session: a dictionary of variables, kept on the server from login to logout.
///
/// Get it from [`LazySession::load`](super::LazySession::load), change it, and return from your handler: the layer
/// saves what really changed. It is a handle; clones share one dictionary. No method waits, so nothing is locked
/// across an `.await`. Once the response has left the handler, the session is saved: a handle that lives on, in a task
/// or a streamed body, still reads, but changes nothing any more.
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
///
/// If another request changes *other* variables of the session at the same time, both changes are kept; if it
/// changes the *same* variable, the later write wins.
///
/// ```
/// use lambda_session::session::Session;
///
/// let session = Session::default();
/// session.insert("username", "admin")?;
/// assert!(session.contains_key("username"));
/// assert_eq!(session.get::<String>("username")?.as_deref(), Some("admin"));
/// assert_eq!(session.pop::<String>("username")?.as_deref(), Some("admin"));
/// assert!(session.is_empty());
/// # Ok::<(), lambda_session::session::ValueError>(())
/// ```
#[derive(Clone, Default)]
pub struct Session(Arc<Mutex<Edits>>);

impl Session {
    pub(crate) fn new(loaded: Data) -> Self {
        Self(Arc::new(Mutex::new(Edits::of(loaded))))
    }

    fn edits(&self) -> MutexGuard<'_, Edits> {
        // A panic between two edits leaves each of them whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was done, for the layer to save. From now on nothing can be changed; whoever kept a handle still reads
    /// what there was.
    pub(crate) fn close(&self) -> Edits {
        let shared = Arc::strong_count(&self.0) > 1;
        let mut edits = self.edits();
        let kept = if shared { edits.clone() } else { Edits::default() };
        let taken = std::mem::replace(&mut *edits, kept);
        edits.saved = true;
        taken
    }

    /// The variable `name`, if there is one.
    ///
    /// # Errors
    ///
    /// It is not a `T`.
    ///
    /// ```
    /// # use lambda_session::session::Session;
    /// let session = Session::default();
    /// session.insert("visits", 3)?;
    /// assert_eq!(session.get::<u64>("visits")?, Some(3));
    /// assert_eq!(session.get::<u64>("missing")?, None);
    /// assert!(session.get::<bool>("visits").is_err());
    /// # Ok::<(), lambda_session::session::ValueError>(())
    /// ```
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ValueError> {
        self.edits().decode(name)
    }

    /// Sets the variable `name`. Writing the value it already has is no change.
    ///
    /// # Errors
    ///
    /// Nothing is changed and the error names the variable, if the name is empty or longer than 65,535 bytes, if the
    /// value cannot be stored (not serializable, a number that is not finite or passes DynamoDB's 38 digits, an empty
    /// set, lists and maps nested too deep), if the session would pass DynamoDB's 400 KB, after [`end`](Self::end), or after the session
    /// was saved.
    ///
    /// ```
    /// # use lambda_session::session::Session;
    /// let session = Session::default();
    /// session.insert("basket", vec!["tea", "milk"])?;
    /// let error = session.insert("ratio", f64::NAN).unwrap_err();
    /// assert_eq!(error.to_string(), "session variable \"ratio\": not a finite number");
    /// # Ok::<(), lambda_session::session::ValueError>(())
    /// ```
    pub fn insert<T: Serialize>(&self, name: &str, value: T) -> Result<(), ValueError> {
        serde_dynamo::to_attribute_value(value)
            .map_err(Reason::NotSerializable)
            .and_then(|value| self.edits().insert(name, value))
            .map_err(|reason| ValueError::new(name, reason))
    }

    /// Sets the variable `name` to a value as it is stored, such as [`remove`](Self::remove) and [`iter`](Self::iter)
    /// give it.
    ///
    /// # Errors
    ///
    /// As for [`insert`](Self::insert).
    ///
    /// ```
    /// # use lambda_session::session::{Session, Value};
    /// let session = Session::default();
    /// session.insert("draft", "tea")?;
    /// if let Some(value) = session.remove("draft") {
    ///     session.insert_value("note", value)?;
    /// }
    /// assert_eq!(session.get::<String>("note")?.as_deref(), Some("tea"));
    /// # Ok::<(), lambda_session::session::ValueError>(())
    /// ```
    pub fn insert_value(&self, name: &str, value: Value) -> Result<(), ValueError> {
        let inserted = self.edits().insert(name, value);
        inserted.map_err(|reason| ValueError::new(name, reason))
    }

    /// Takes the variable `name` out and gives it back undecoded. Removing what is not there is no change.
    ///
    /// ```
    /// # use lambda_session::session::Session;
    /// let session = Session::default();
    /// session.insert("theme", "dark")?;
    /// assert!(session.remove("theme").is_some());
    /// assert!(session.remove("theme").is_none());
    /// # Ok::<(), lambda_session::session::ValueError>(())
    /// ```
    pub fn remove(&self, name: &str) -> Option<Value> {
        self.edits().remove(name)
    }

    /// Takes the variable `name` out: Flask's `session.pop(name, None)`.
    ///
    /// # Errors
    ///
    /// It is not a `T`; then it stays.
    ///
    /// ```
    /// # use lambda_session::session::Session;
    /// let session = Session::default();
    /// session.insert("username", "admin")?;
    /// assert!(session.pop::<u64>("username").is_err());
    /// assert_eq!(session.pop::<String>("username")?.as_deref(), Some("admin"));
    /// assert_eq!(session.pop::<String>("username")?, None);
    /// # Ok::<(), lambda_session::session::ValueError>(())
    /// ```
    pub fn pop<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ValueError> {
        let mut edits = self.edits();
        let value = edits.decode(name)?;
        edits.remove(name);
        Ok(value)
    }

    /// Whether there is a variable `name`: Flask's `name in session`.
    ///
    /// ```
    /// # use lambda_session::session::Session;
    /// assert!(!Session::default().contains_key("username"));
    /// ```
    #[must_use]
    pub fn contains_key(&self, name: &str) -> bool {
        self.edits().get(name).is_some()
    }

    /// The names of all variables, sorted.
    ///
    /// ```
    /// # use lambda_session::session::Session;
    /// let session = Session::default();
    /// session.insert("username", "admin")?;
    /// assert_eq!(session.keys(), ["username"]);
    /// # Ok::<(), lambda_session::session::ValueError>(())
    /// ```
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.iter().map(|(name, _)| name).collect()
    }

    /// All variables as they are now, undecoded and sorted by name.
    ///
    /// ```
    /// # use lambda_session::session::{Session, Value};
    /// let session = Session::default();
    /// session.insert("username", "admin")?;
    /// let (name, value) = session.iter().next().expect("one variable");
    /// assert_eq!((name.as_str(), value), ("username", Value::S("admin".into())));
    /// # Ok::<(), lambda_session::session::ValueError>(())
    /// ```
    #[must_use = "iterating over a snapshot changes nothing"]
    pub fn iter(&self) -> std::collections::btree_map::IntoIter<String, Value> {
        self.edits().now().into_iter()
    }

    /// How many variables there are.
    ///
    /// ```
    /// # use lambda_session::session::Session;
    /// assert_eq!(Session::default().len(), 0);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.edits().iter().count()
    }

    /// Whether there are no variables.
    ///
    /// ```
    /// # use lambda_session::session::Session;
    /// assert!(Session::default().is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.edits().iter().next().is_none()
    }

    /// Takes all variables out. A session left empty ends with the request, as at a logout.
    ///
    /// ```
    /// # use lambda_session::session::Session;
    /// let session = Session::default();
    /// session.insert("username", "admin")?;
    /// session.clear();
    /// assert!(session.is_empty());
    /// # Ok::<(), lambda_session::session::ValueError>(())
    /// ```
    pub fn clear(&self) {
        self.edits().clear();
    }

    /// Asks for a new session ID and a new lifetime, keeping the variables. Call it at every login and other change
    /// of privilege, so that an ID planted or stolen before is worth nothing after ([OWASP], "Renew the Session ID
    /// After Any Privilege Level Change").
    ///
    /// [OWASP]: https://cheatsheetseries.owasp.org/cheatsheets/Session_Management_Cheat_Sheet.html#renew-the-session-id-after-any-privilege-level-change
    ///
    /// ```
    /// # use lambda_session::session::Session;
    /// # fn login(session: &Session) -> Result<(), lambda_session::session::ValueError> {
    /// session.renew();
    /// session.insert("username", "admin")
    /// # }
    /// # login(&Session::default()).unwrap();
    /// ```
    pub fn renew(&self) {
        self.edits().renewed = true;
    }

    /// Ends the session: its variables are gone, its ID is dead on the server and the cookie is cleared.
    ///
    /// ```
    /// # use lambda_session::session::Session;
    /// let session = Session::default();
    /// session.insert("username", "admin")?;
    /// session.end();
    /// assert!(session.is_empty());
    /// assert!(session.insert("username", "admin").is_err());
    /// # Ok::<(), lambda_session::session::ValueError>(())
    /// ```
    pub fn end(&self) {
        let mut edits = self.edits();
        edits.clear();
        edits.ended = true;
    }
}

impl IntoIterator for &Session {
    type Item = (String, Value);
    type IntoIter = std::collections::btree_map::IntoIter<String, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Names and types only: the values are the visitor's.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.edits().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_that_outlives_the_save_still_reads_but_is_told_that_it_cannot_write() {
        let session = Session::default();
        session.insert("username", "admin").unwrap();
        let late = session.clone();
        assert_eq!(session.close().iter().count(), 1);
        assert_eq!(late.get::<String>("username").unwrap().as_deref(), Some("admin"));
        let error = late.insert("theme", "dark").unwrap_err();
        assert_eq!(
            error.to_string(),
            "session variable \"theme\": the session was saved already, nothing can be stored in it any more"
        );
    }

    #[test]
    fn what_is_removed_or_replaced_makes_room_and_no_more_than_it_took() {
        let half = "x".repeat(crate::session::MAX_DATA_BYTES / 2 - 10);
        let session = Session::default();
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
