//! The contract between the session and whatever keeps its records.

#[cfg(feature = "dynamodb")]
pub(crate) mod dynamodb;
pub(crate) mod erased;
pub(crate) mod memory;

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::core::id::{OwnerKey, RecordKey};
use crate::core::limits::Limits;
use crate::core::record::{Record, Stored, Tombstone};

pub use erased::AnyOwnerStore;

/// Keeps session records: under each key a register, which changes by compare-and-swap, or ends.
///
/// A store judges nothing. It knows no time and no timeouts. It may delete a record from [`Record::expires_at`] on and a tombstone
/// from [`Tombstone::expires_at`] on, and need not. What a change means, whether a session is alive and what a conflict leads to is
/// decided above it, from what stands under the key.
///
/// Each method is one atomic step on one key. An error means that the step may or may not have been made, and may still be made
/// minutes later; a store may repeat a step whose answer was lost, so [`swap`](Self::swap) may find what it wrote itself. A call that is
/// dropped half-way must leave nothing half-written.
///
/// Write the methods as plain `async fn`; `examples/valkey.rs` is a whole store. `store_contract!` and, for owners,
/// `owner_store_contract!` (feature `testing`) test what single calls show. That each step is atomic, that a dropped call leaves
/// nothing half-written and how long things are kept is for you to ensure.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// What the store can hold.
    fn limits(&self) -> Limits {
        Limits::NONE
    }

    /// The store as one that keeps lists of owners' sessions, if it does: `Some(self)` for a store that is an [`OwnerStore`].
    fn owners(&self) -> Option<&dyn AnyOwnerStore> {
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

    /// What stands under the key, as of the last acknowledged write.
    fn load(&self, key: &RecordKey) -> impl Future<Output = Result<Option<Stored>, StoreError>> + Send
    where
        Self: Sized;

    /// Puts `next` under the key if `read` still stands there: a record of the same [version](Record::version), or nothing. Else tells
    /// what stands there.
    ///
    /// A store may write only what differs between `read` and `next`. If it writes a record whole, attributes of a newer version of this
    /// crate, which it does not know, are lost. `next` is never [`Stored::Malformed`].
    fn swap(
        &self,
        key: &RecordKey,
        read: Option<&Record>,
        next: &Stored,
    ) -> impl Future<Output = Result<Swap, StoreError>> + Send
    where
        Self: Sized;

    /// Leaves a tombstone under the key, whatever stands there, and if nothing does: what [`Tombstone::of`] makes of it, `at` being
    /// seconds since 1970. A tombstone stays as it is. Gives back the tombstone that stands there now.
    fn end(&self, key: &RecordKey, at: u64) -> impl Future<Output = Result<Tombstone, StoreError>> + Send
    where
        Self: Sized;
}

/// What [`Store::swap`] came to.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a swap that found something else has not happened"]
pub enum Swap {
    /// `next` stands there.
    Done,
    /// What stands there is not what was read.
    Found(Option<Stored>),
}

/// A list of an owner's sessions: their keys, and when each was put there, in seconds since 1970. It may name sessions that
/// have ended, or that do not exist yet.
pub type OwnerList = BTreeMap<RecordKey, u64>;

/// Keeps lists of owners' sessions, beside the records: a capability that not every [`Store`] has.
///
/// A login puts its key into the owner's list **before** it creates the record, so a list names every session whose login was
/// answered. Each method is safe to repeat, and may happen minutes after it failed. [`enlist`](Self::enlist) and [`list`](Self::list) are
/// one atomic step each; [`strike`](Self::strike) may be several.
pub trait OwnerStore: Store {
    /// Puts `key` into the owner's list, as of `at`, and gives back the list with it. The list may be deleted from `until` on. Both are
    /// seconds since 1970; `until` has a day to spare, so a call that was delayed may move it back.
    fn enlist(
        &self,
        owner: &OwnerKey,
        key: &RecordKey,
        at: u64,
        until: u64,
    ) -> impl Future<Output = Result<OwnerList, StoreError>> + Send;

    /// Reads the owner's list, with all that earlier acknowledged calls put there.
    fn list(&self, owner: &OwnerKey) -> impl Future<Output = Result<OwnerList, StoreError>> + Send;

    /// Takes keys, each named once, out of the owner's list. Those that are not in it are no error.
    fn strike(&self, owner: &OwnerKey, keys: &[RecordKey]) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Why a store could not answer.
#[derive(Clone)]
pub struct StoreError {
    kind: StoreErrorKind,
    pub(crate) source: Arc<dyn StdError + Send + Sync>,
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

/// The causes of `error`, without itself.
pub(crate) fn causes(error: &(dyn StdError + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
