//! What a store needs in order to tell whose sessions there are.

use std::collections::BTreeMap;

use super::{Store, StoreFuture};
use crate::core::id::{OwnerKey, RecordKey};
use crate::core::moment::Moment;

/// A list of an owner's sessions: their keys, and when each was put there, in seconds since 1970. It may name sessions that
/// have ended, or that do not exist yet.
pub type OwnerList = BTreeMap<RecordKey, u64>;

/// Keeps lists of owners' sessions, beside the records: a capability that not every [`Store`] has.
///
/// A login puts its key into the owner's list **before** it creates the record, so a list names every session whose login was
/// answered. Each method is one atomic step on one list or record, is safe to repeat, and may happen minutes after it failed.
pub trait OwnerStore: Store {
    /// Puts `key` into the owner's list, as of `at`, and gives back the list with it. The list is kept at least until no session
    /// in it can be alive by the timeouts of `at`.
    fn enlist<'a>(&'a self, owner: &'a OwnerKey, key: &'a RecordKey, at: &'a Moment) -> StoreFuture<'a, OwnerList>;

    /// Reads the owner's list, with all that earlier acknowledged calls put there.
    fn list<'a>(&'a self, owner: &'a OwnerKey) -> StoreFuture<'a, OwnerList>;

    /// Takes keys, each named once, out of the owner's list. Those that are not in it are no error.
    fn strike<'a>(&'a self, owner: &'a OwnerKey, keys: &'a [RecordKey]) -> StoreFuture<'a, ()>;

    /// Leaves a tombstone under `key`, whatever stands there, and if nothing does: a login whose record does not stand yet finds it
    /// and fails. Gives back the key of the record that [replaced](Store::replace) the one that stood there, if one has.
    fn revoke<'a>(&'a self, key: &'a RecordKey, at: &'a Moment) -> StoreFuture<'a, Option<RecordKey>>;
}
