//! The contract between the session and whatever keeps its records.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::{fmt, result};

use super::id::RecordKey;
use super::record::{Moment, Record};
use super::value::{Data, Value};

/// What a [`Store`]'s methods return.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = result::Result<T, StoreError>> + Send + 'a>>;

/// Keeps session records. Six operations, each one atomic step on one record, none of which can lose or revive.
///
/// A record is **alive** at a [`Moment`] if it is well-formed, has not ended, its `expires_at` is later than now and
/// its `created_at` later than [`Moment::oldest_creation`]. Conditions are judged by the store in the same atomic
/// step as the write. A condition that does not hold is [`Written::Refused`], never an error; an error means that
/// the write may or may not have happened, and every operation is safe to repeat then.
///
/// An ended session leaves a **tombstone** for an hour rather than nothing, so that a write that was delayed in the
/// network finds it instead of a free key.
///
/// Methods return boxed futures so that the layer can hold any store; write them as `Box::pin(async move { … })`.
pub trait Store: Send + Sync + 'static {
    /// Reads what earlier acknowledged writes left, never something older. Whatever is not alive is not a session, and
    /// never an error.
    fn load<'a>(&'a self, key: &'a RecordKey, at: &'a Moment) -> StoreFuture<'a, Found>;

    /// Writes a new record if the key is free. If it is not, that is success: a key is the hash of a fresh random
    /// ID, so what stands there is this call's own earlier attempt.
    fn create<'a>(&'a self, key: &'a RecordKey, record: &'a Record) -> StoreFuture<'a, ()>;

    /// Changes variables, counts the revision up and moves the expiry, if the record is alive, its revision is the one
    /// read and its expiry not later than the [`Update`]'s. What the store keeps beside the variables named in the
    /// update stays as it is.
    fn update<'a>(&'a self, key: &'a RecordKey, update: &'a Update<'a>, at: &'a Moment) -> StoreFuture<'a, Written>;

    /// Moves the expiry, if the record is alive and its expiry is still the one read. One attempt, no retry:
    /// nothing is lost when it fails.
    fn slide<'a>(&'a self, key: &'a RecordKey, slide: Slide, at: &'a Moment) -> StoreFuture<'a, Written>;

    /// Turns the record into a tombstone that names its successor, if it is alive and its revision is the one read,
    /// or if it is that very tombstone already.
    fn replace<'a>(
        &'a self,
        key: &'a RecordKey,
        revision: u64,
        successor: &'a RecordKey,
        at: &'a Moment,
    ) -> StoreFuture<'a, Written>;

    /// Turns the record into a tombstone, if it exists and, where a revision is given, still has that one and was
    /// not replaced by a login. A record that has ended already is ended again.
    fn end<'a>(&'a self, key: &'a RecordKey, revision: Option<u64>, at: &'a Moment) -> StoreFuture<'a, Written>;
}

/// What [`Store::load`] found.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// A session that is alive.
    Live(Record),
    /// The tombstone of a session that a login replaced, with the revision that the login took over. What the login
    /// made of it is the business of whoever logged in, and never read.
    Replaced(u64),
    /// A session whose time has run out and that is still kept. A write of a request that was made before may be on
    /// its way and give it more time.
    Expired,
    /// Nothing, or a session that ended.
    Gone,
    /// A record that is no session, and what is wrong with it (never its content). It counts as gone.
    Malformed(String),
}

/// What became of a conditional write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a refused write has not happened"]
pub enum Written {
    /// It is written.
    Done,
    /// Its condition did not hold; nothing is written.
    Refused,
}

/// A change of a session's variables.
pub struct Update<'a> {
    read: &'a Record,
    changes: Vec<(&'a str, Option<&'a Value>)>,
}

impl<'a> Update<'a> {
    /// A change of `read`, as the layer makes it: the variables that differ, with their new values, and `None` for
    /// those that go.
    ///
    /// ```
    /// use lambda_session::session::store::Update;
    /// use lambda_session::session::{Data, Moment, Record, Timeouts, Value};
    ///
    /// let at = Moment { now: 1_000_000, timeouts: Timeouts::default() };
    /// let read = Record::new(Data::from([("old".to_owned(), Value::Bool(true))]), &at);
    /// let dark = Value::S("dark".to_owned());
    /// let update = Update::new(&read, [("theme", Some(&dark)), ("old", None)]);
    /// assert_eq!(update.changes().len(), 2);
    /// ```
    pub fn new(read: &'a Record, changes: impl IntoIterator<Item = (&'a str, Option<&'a Value>)>) -> Self {
        Self {
            read,
            changes: changes.into_iter().collect(),
        }
    }

    /// The record as it was read; the update holds only while its revision stands.
    ///
    /// ```
    /// # use lambda_session::session::store::Update;
    /// # use lambda_session::session::{Data, Moment, Record, Timeouts, Value};
    /// #
    /// # let at = Moment { now: 1_000_000, timeouts: Timeouts::default() };
    /// # let read = Record::new(Data::from([("old".to_owned(), Value::Bool(true))]), &at);
    /// # let dark = Value::S("dark".to_owned());
    /// # let update = Update::new(&read, [("theme", Some(&dark)), ("old", None)]);
    /// assert_eq!(update.read().revision, 0);
    /// ```
    #[must_use]
    pub fn read(&self) -> &'a Record {
        self.read
    }

    /// The variables that change, with their new values; `None` for those that go.
    ///
    /// ```
    /// # use lambda_session::session::store::Update;
    /// # use lambda_session::session::{Data, Moment, Record, Timeouts, Value};
    /// #
    /// # let at = Moment { now: 1_000_000, timeouts: Timeouts::default() };
    /// # let read = Record::new(Data::from([("old".to_owned(), Value::Bool(true))]), &at);
    /// # let dark = Value::S("dark".to_owned());
    /// # let update = Update::new(&read, [("theme", Some(&dark)), ("old", None)]);
    /// assert_eq!(update.changes(), [("theme", Some(&dark)), ("old", None)]);
    /// ```
    #[must_use]
    pub fn changes(&self) -> &[(&'a str, Option<&'a Value>)] {
        &self.changes
    }

    /// The expiry to set. It never shrinks: not by a clock that is behind, and not by an update that is delayed while
    /// views slide the expiry, which is why a store asks for an expiry not later than this.
    ///
    /// ```
    /// # use lambda_session::session::store::Update;
    /// # use lambda_session::session::{Data, Moment, Record, Timeouts, Value};
    /// #
    /// # let at = Moment { now: 1_000_000, timeouts: Timeouts::default() };
    /// # let read = Record::new(Data::from([("old".to_owned(), Value::Bool(true))]), &at);
    /// # let dark = Value::S("dark".to_owned());
    /// # let update = Update::new(&read, [("theme", Some(&dark)), ("old", None)]);
    /// let later = Moment { now: 1_000_060, ..at };
    /// assert_eq!(update.expires_at(&later), read.expires_at + 60);
    /// ```
    #[must_use]
    pub fn expires_at(&self, at: &Moment) -> u64 {
        at.expiry(self.read.created_at).max(self.read.expires_at)
    }

    /// All variables as they will be.
    ///
    /// ```
    /// # use lambda_session::session::store::Update;
    /// # use lambda_session::session::{Data, Moment, Record, Timeouts, Value};
    /// #
    /// # let at = Moment { now: 1_000_000, timeouts: Timeouts::default() };
    /// # let read = Record::new(Data::from([("old".to_owned(), Value::Bool(true))]), &at);
    /// # let dark = Value::S("dark".to_owned());
    /// # let update = Update::new(&read, [("theme", Some(&dark)), ("old", None)]);
    /// assert_eq!(update.data(), Data::from([("theme".to_owned(), dark.clone())]));
    /// ```
    #[must_use]
    pub fn data(&self) -> Data {
        let mut data = self.read.data.clone();
        for (name, value) in &self.changes {
            match value {
                Some(value) => data.insert((*name).to_owned(), (*value).clone()),
                None => data.remove(*name),
            };
        }
        data
    }
}

/// A change of a session's expiry, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slide {
    /// The expiry that was read.
    pub from: u64,
    /// The expiry to set.
    pub to: u64,
}

/// Why a store could not answer.
#[derive(Clone)]
pub struct StoreError {
    kind: StoreErrorKind,
    source: Arc<dyn StdError + Send + Sync>,
}

/// The kinds of [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// It cannot be reached, is throttled or broken for now; retries are used up.
    Unavailable,
    /// It refused in a way no retry mends: permissions, a missing table, an invalid request.
    Rejected,
    /// The session would be larger than the store's items can be: 400 KB in DynamoDB.
    TooLarge,
}

impl StoreError {
    /// An error of this kind with its cause.
    ///
    /// ```
    /// use lambda_session::session::{StoreError, StoreErrorKind};
    ///
    /// let error = StoreError::new(StoreErrorKind::Unavailable, "connection refused");
    /// assert_eq!(error.to_string(), "the session store is unavailable");
    /// ```
    pub fn new(kind: StoreErrorKind, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            kind,
            source: Arc::from(source.into()),
        }
    }

    /// What kind of failure it is.
    ///
    /// ```
    /// # use lambda_session::session::{StoreError, StoreErrorKind};
    /// let error = StoreError::new(StoreErrorKind::TooLarge, "500 KB");
    /// assert_eq!(error.kind(), StoreErrorKind::TooLarge);
    /// ```
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            StoreErrorKind::Unavailable => "the session store is unavailable",
            StoreErrorKind::Rejected => "the session store rejected the request",
            StoreErrorKind::TooLarge => "the session is larger than the 400 KB that fit a DynamoDB item",
        })
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreError({:?}: {})", self.kind, self.source)
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}
