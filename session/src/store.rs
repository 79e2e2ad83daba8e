//! The contract between the session and the store of its records.

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

/// Keeps session records. The value under a key changes by compare-and-swap, until the session ends.
///
/// A store makes no decisions. It knows neither the time nor the timeouts. It may delete a record from
/// [`Record::expires_at`] on and a tombstone from [`Tombstone::expires_at`] on, but does not have to. The code above
/// the store decides, from what stands under the key, what a change means, whether a session is alive, and what follows
/// from a conflict.
///
/// Each method is one atomic step on one key. An error means that the step may or may not have been made, and may still
/// be made minutes later. A store may repeat a step whose answer was lost, so [`swap`](Self::swap) may find its own
/// write. A call that is dropped half-way must leave nothing half-written.
///
/// Write the methods as plain `async fn`; `session/examples/valkey` in the repository is a whole store.
/// `store_contract!` and, for owners, `owner_store_contract!` (feature `testing`) test what single calls can show. They
/// do not test that each step is atomic, that a dropped call leaves nothing half-written, or how long things are kept;
/// ensure that yourself.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// The limits of the store.
    fn limits(&self) -> Limits {
        Limits::NONE
    }

    /// Returns the store as an [`OwnerStore`]. The default is `None`. A store that implements [`OwnerStore`] must
    /// return `Some(self)`, or each login fails with [`SessionErrorKind::Owner`](crate::SessionErrorKind::Owner).
    fn owners(&self) -> Option<&dyn AnyOwnerStore> {
        None
    }

    /// The database's name in OpenTelemetry's `db.system.name`, if a call leaves the process. The calls' spans are
    /// client spans then.
    fn system(&self) -> Option<&'static str> {
        None
    }

    /// How long a write waits before the next attempt, after `conflicts` conflicts with other requests' writes (at
    /// least one). A store across a network returns a random time that grows, so that many concurrent writes succeed
    /// one after the other.
    fn pause(&self, conflicts: u32) -> Duration {
        let _ = conflicts;
        Duration::ZERO
    }

    /// Loads the value under the key, as of the last acknowledged write.
    fn load(&self, key: &RecordKey) -> impl Future<Output = Result<Option<Stored>, StoreError>> + Send
    where
        Self: Sized;

    /// Puts `next` under the key if the value there is still a record of the same [version](Record::version) as `read`,
    /// or, if `read` is `None`, if there is no value. Otherwise it returns [`Swap::Found`] with the value that is
    /// there.
    ///
    /// A store may write only the differences between `read` and `next`. If it writes the whole record, attributes of a
    /// newer version of this crate, which it does not know, are lost. `next` is never [`Stored::Malformed`].
    fn swap(
        &self,
        key: &RecordKey,
        read: Option<&Record>,
        next: &Stored,
    ) -> impl Future<Output = Result<Swap, StoreError>> + Send
    where
        Self: Sized;

    /// Replaces the value under the key by a tombstone, which [`Tombstone::of`] makes, even if there is no value. An
    /// existing tombstone is not changed. `at` is the time of the end, in seconds since 1970. Returns the tombstone
    /// that is under the key now.
    fn end(&self, key: &RecordKey, at: u64) -> impl Future<Output = Result<Tombstone, StoreError>> + Send
    where
        Self: Sized;
}

/// The outcome of [`Store::swap`].
#[derive(Clone, Debug, PartialEq)]
#[must_use = "if the swap found another value, it wrote nothing"]
#[expect(
    clippy::large_enum_variant,
    reason = "a box would be one more thing for the author of a store"
)]
pub enum Swap {
    /// `next` stands under the key.
    Done,
    /// Nothing was written, because the value under the key is not the one that was read. Holds the value that is
    /// there, or `None` if there is no value.
    Found(Option<Stored>),
}

/// A list of an owner's sessions: their keys, and when each was added, in seconds since 1970. It may name sessions that
/// have ended, or that do not exist yet.
pub type OwnerList = BTreeMap<RecordKey, u64>;

/// Keeps lists of owners' sessions, beside the records. Not every [`Store`] has this capability.
///
/// A login adds its key to the owner's list **before** it creates the record, so a list names every session whose login
/// was answered. Each method is safe to repeat, and may take effect minutes after it failed. [`enlist`](Self::enlist)
/// and [`list`](Self::list) are one atomic step each; [`strike`](Self::strike) may be several.
pub trait OwnerStore: Store {
    /// Adds `key` to the owner's list with the time `at`, and returns the list with it. The list may be deleted from
    /// `until` on. Both times are in seconds since 1970. `until` is a day later than needed, so a delayed call may
    /// overwrite it with an earlier time.
    fn enlist(
        &self,
        owner: &OwnerKey,
        key: &RecordKey,
        at: u64,
        until: u64,
    ) -> impl Future<Output = Result<OwnerList, StoreError>> + Send;

    /// Reads the owner's list, with everything that earlier acknowledged calls added.
    fn list(&self, owner: &OwnerKey) -> impl Future<Output = Result<OwnerList, StoreError>> + Send;

    /// Removes keys, each named once, from the owner's list. Keys that are not in the list are ignored.
    fn strike(&self, owner: &OwnerKey, keys: &[RecordKey]) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// The error of a store that could not answer.
#[derive(Clone)]
pub struct StoreError {
    kind: StoreErrorKind,
    pub(crate) source: Arc<dyn StdError + Send + Sync>,
}
/// The kinds of [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The store cannot be reached, is throttled or fails for now, and the retries are used up.
    Unavailable,
    /// The store refused, and no retry helps: permissions, a missing table, an invalid request.
    Rejected,
    /// The session would be larger than the store can hold.
    TooLarge,
}

impl StoreError {
    /// Makes an error of this kind with its cause. The log shows the cause unchanged, so pass an error code or a short
    /// text of your own: the text of a database's error may quote what was sent, and with it a session's variables.
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

/// The causes of `error`, without `error` itself.
pub(crate) fn causes(error: &(dyn StdError + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
