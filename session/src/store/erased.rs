//! Stores behind a pointer: an `async fn` cannot be called through one, so each is given a boxed twin here.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::{OwnerList, OwnerStore, Store, StoreError, Swap};
use crate::core::id::{OwnerKey, RecordKey};
use crate::core::limits::Limits;
use crate::core::record::{Record, Stored, Tombstone};

/// A store's answer, boxed.
pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Any [`Store`].
pub(crate) trait AnyStore: fmt::Debug + Send + Sync + 'static {
    fn limits(&self) -> Limits;
    fn owners(&self) -> Option<&dyn AnyOwnerStore>;
    fn system(&self) -> Option<&'static str>;
    fn pause(&self, conflicts: u32) -> Duration;
    fn load<'a>(&'a self, key: &'a RecordKey) -> Boxed<'a, Option<Stored>>;
    fn swap<'a>(&'a self, key: &'a RecordKey, read: Option<&'a Record>, next: &'a Stored) -> Boxed<'a, Swap>;
    fn end<'a>(&'a self, key: &'a RecordKey, at: u64) -> Boxed<'a, Tombstone>;
}

impl<S: Store> AnyStore for S {
    fn limits(&self) -> Limits {
        Store::limits(self)
    }

    fn owners(&self) -> Option<&dyn AnyOwnerStore> {
        Store::owners(self)
    }

    fn system(&self) -> Option<&'static str> {
        Store::system(self)
    }

    fn pause(&self, conflicts: u32) -> Duration {
        Store::pause(self, conflicts)
    }

    fn load<'a>(&'a self, key: &'a RecordKey) -> Boxed<'a, Option<Stored>> {
        Box::pin(Store::load(self, key))
    }

    fn swap<'a>(&'a self, key: &'a RecordKey, read: Option<&'a Record>, next: &'a Stored) -> Boxed<'a, Swap> {
        Box::pin(Store::swap(self, key, read, next))
    }

    fn end<'a>(&'a self, key: &'a RecordKey, at: u64) -> Boxed<'a, Tombstone> {
        Box::pin(Store::end(self, key, at))
    }
}

/// Any [`OwnerStore`]: what [`Store::owners`] gives. Every `OwnerStore` is one; there is nothing to implement.
pub trait AnyOwnerStore: Sync {
    #[doc(hidden)]
    fn any_enlist<'a>(&'a self, owner: &'a OwnerKey, key: &'a RecordKey, at: u64, until: u64) -> Boxed<'a, OwnerList>;
    #[doc(hidden)]
    fn any_list<'a>(&'a self, owner: &'a OwnerKey) -> Boxed<'a, OwnerList>;
    #[doc(hidden)]
    fn any_strike<'a>(&'a self, owner: &'a OwnerKey, keys: &'a [RecordKey]) -> Boxed<'a, ()>;
}

impl<S: OwnerStore> AnyOwnerStore for S {
    fn any_enlist<'a>(&'a self, owner: &'a OwnerKey, key: &'a RecordKey, at: u64, until: u64) -> Boxed<'a, OwnerList> {
        Box::pin(OwnerStore::enlist(self, owner, key, at, until))
    }

    fn any_list<'a>(&'a self, owner: &'a OwnerKey) -> Boxed<'a, OwnerList> {
        Box::pin(OwnerStore::list(self, owner))
    }

    fn any_strike<'a>(&'a self, owner: &'a OwnerKey, keys: &'a [RecordKey]) -> Boxed<'a, ()> {
        Box::pin(OwnerStore::strike(self, owner, keys))
    }
}
