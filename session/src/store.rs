//! The contract between the session and whatever keeps its records.

#[cfg(feature = "dynamodb")]
pub(crate) mod dynamodb;
pub(crate) mod memory;
pub(crate) mod owners;

use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, result};

use crate::core::changes::Changes;
use crate::core::id::RecordKey;
use crate::core::limits::Limits;
use crate::core::moment::Moment;
use crate::core::record::{Record, Slide, Tombstone};

pub use owners::{OwnerList, OwnerStore};

/// What a [`Store`]'s methods return.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = result::Result<T, StoreError>> + Send + 'a>>;

/// Keeps session records: six operations, each one atomic step on one record, so that none loses an acknowledged write or
/// revives an ended session.
///
/// A record is **alive** at a [`Moment`] if it is well-formed, has not ended, its `expires_at` is later than now and
/// its `created_at` later than [`Moment::oldest_creation`], or, if it is `remembered`, later than
/// [`Moment::oldest_remembered`]. Conditions are judged by the store in the same atomic
/// step as the write. A condition that does not hold is [`WriteOutcome::ConditionFailed`], never an error. An error means that
/// the write may or may not have happened, and may still happen minutes later; every operation is safe to repeat then.
///
/// An ended session leaves a **tombstone** for an hour rather than nothing, so that a write that was delayed in the
/// network finds it instead of a free key. It keeps the revision and the tokens of the last changes, by which a request whose reply
/// was lost finds out whether its change was done before the end.
///
/// Methods return boxed futures so that the layer can hold any store; write them as `Box::pin(async move { … })`. A store whose
/// calls the handler drops half-way must leave no record half-written.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// What the store can hold.
    fn limits(&self) -> Limits {
        Limits::NONE
    }

    /// The store as one that keeps lists of owners' sessions, if it does: `Some(self)` for a store that is an [`OwnerStore`].
    fn owners(&self) -> Option<&dyn OwnerStore> {
        None
    }

    /// What the store is, by OpenTelemetry's `db.system.name`, if a call of it leaves the process: then the calls' spans are a
    /// client's.
    fn system(&self) -> Option<&'static str> {
        None
    }

    /// How long a write waits before it is tried again, after so many conflicts with other requests' writes, of which there is at
    /// least one. A store across a network gives a random time that grows, so that many at once get through one after the other.
    fn pause(&self, conflicts: u32) -> Duration {
        let _ = conflicts;
        Duration::ZERO
    }

    /// Reads what earlier acknowledged writes left, never something older. Whatever is not alive is not a session, and
    /// never an error.
    fn load<'a>(&'a self, key: &'a RecordKey, at: &'a Moment) -> StoreFuture<'a, Load>;

    /// Writes a new record if the key is free. If it is not, what stands there stays as it is: a key is the hash of a fresh
    /// random ID, so it is this call's own earlier attempt, or the tombstone of [`OwnerStore::revoke`].
    fn create<'a>(&'a self, key: &'a RecordKey, record: &'a Record) -> StoreFuture<'a, WriteOutcome>;

    /// Puts `next` in the place of the record, if that is alive, its revision is the one before `next`'s, and its expiry is not
    /// later than `next`'s. `changes` are the variables in which the two differ: a store may write them alone, beside the other attributes. `sealed` and
    /// `owner` differ when a record is sealed for the first time. What the
    /// store keeps beside a record's attributes stays as it is.
    fn update<'a>(
        &'a self,
        key: &'a RecordKey,
        next: &'a Record,
        changes: &'a Changes,
        at: &'a Moment,
    ) -> StoreFuture<'a, WriteOutcome>;

    /// Sets `expires_at` and, if it is given, `seen_at`, if the record is alive and its expiry is still the one read. One attempt, no retry:
    /// nothing is lost when it fails.
    fn slide<'a>(&'a self, key: &'a RecordKey, slide: Slide, at: &'a Moment) -> StoreFuture<'a, WriteOutcome>;

    /// Turns the record into a tombstone that names its successor, if it is alive and its revision is the one read,
    /// or if it is that very tombstone already.
    fn replace<'a>(
        &'a self,
        key: &'a RecordKey,
        revision: u64,
        successor: &'a RecordKey,
        at: &'a Moment,
    ) -> StoreFuture<'a, WriteOutcome>;

    /// Turns the record into a tombstone, whatever it holds, if it exists and, where a revision is given, still has that one
    /// and was not replaced by a login. A record that has ended already is ended again.
    fn end<'a>(&'a self, key: &'a RecordKey, revision: Option<u64>, at: &'a Moment) -> StoreFuture<'a, WriteOutcome>;
}

/// What [`Store::load`] found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Load {
    /// A session that is alive.
    Live(Record),
    /// The tombstone of a session that a login replaced, with the revision that the login took over. What the login
    /// made of it is the business of whoever logged in, and never read.
    Replaced(Tombstone),
    /// The tombstone of a session that ended.
    Ended(Tombstone),
    /// A session whose time has run out and that is still kept. A write of a request that was made before may be on
    /// its way and give it more time.
    Expired,
    /// Nothing.
    Absent,
    /// A record that is no session, and what is wrong with it (never its content).
    Malformed(String),
}

/// What became of a conditional write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a write whose condition failed has not happened"]
pub enum WriteOutcome {
    /// It is written.
    Applied,
    /// Its condition did not hold; nothing is written.
    ConditionFailed,
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
    /// The session would be larger than the store can hold.
    TooLarge,
}

impl StoreError {
    /// An error of this kind with its cause.
    ///
    /// ```
    /// use lambda_session::{StoreError, StoreErrorKind};
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
    /// # use lambda_session::{StoreError, StoreErrorKind};
    /// let error = StoreError::new(StoreErrorKind::TooLarge, "500 KB");
    /// assert_eq!(error.kind(), StoreErrorKind::TooLarge);
    /// ```
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    pub(crate) fn into_source(self) -> Arc<dyn StdError + Send + Sync> {
        self.source
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            StoreErrorKind::Unavailable => "the session store is unavailable",
            StoreErrorKind::Rejected => "the session store rejected the request",
            StoreErrorKind::TooLarge => "the session is larger than the store can hold",
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
