//! Stores as trait objects. An `async fn` cannot be called on a trait object, so this module adds a method for each
//! that returns a boxed future. The other methods can be called as they are, because the `async` ones require `Self:
//! Sized`.

use std::future::Future;
use std::pin::Pin;

use super::{OwnerList, OwnerStore, Store, StoreError, Swap};
use crate::core::id::{OwnerKey, RecordKey};
use crate::core::record::{Record, Stored, Tombstone};

/// A store's answer, boxed.
pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Makes a future in its box. Optimised code writes it there at once; `Box::pin` would get it on the stack and copy it:
/// 6 KB for a call of DynamoDB.
pub(crate) fn boxed<F: Future>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    Box::into_pin(Box::write(Box::new_uninit(), make()))
}

/// A [`Store`] that can be a trait object.
pub(crate) trait AnyStore: Store {
    fn any_load<'a>(&'a self, key: &'a RecordKey) -> Boxed<'a, Option<Stored>>;
    fn any_swap<'a>(&'a self, key: &'a RecordKey, read: Option<&'a Record>, next: &'a Stored) -> Boxed<'a, Swap>;
    fn any_end<'a>(&'a self, key: &'a RecordKey, at: u64) -> Boxed<'a, Tombstone>;
}

impl<S: Store> AnyStore for S {
    fn any_load<'a>(&'a self, key: &'a RecordKey) -> Boxed<'a, Option<Stored>> {
        boxed(|| self.load(key))
    }

    fn any_swap<'a>(&'a self, key: &'a RecordKey, read: Option<&'a Record>, next: &'a Stored) -> Boxed<'a, Swap> {
        boxed(|| self.swap(key, read, next))
    }

    fn any_end<'a>(&'a self, key: &'a RecordKey, at: u64) -> Boxed<'a, Tombstone> {
        boxed(|| self.end(key, at))
    }
}

/// An [`OwnerStore`] as a trait object, which [`Store::owners`] returns. Every `OwnerStore` implements it
/// automatically.
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
        boxed(|| self.enlist(owner, key, at, until))
    }

    fn any_list<'a>(&'a self, owner: &'a OwnerKey) -> Boxed<'a, OwnerList> {
        boxed(|| self.list(owner))
    }

    fn any_strike<'a>(&'a self, owner: &'a OwnerKey, keys: &'a [RecordKey]) -> Boxed<'a, ()> {
        boxed(|| self.strike(owner, keys))
    }
}
