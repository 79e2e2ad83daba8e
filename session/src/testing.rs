//! Helpers for tests: a handler with a session, and the contract of [`Store`](crate::Store) as a suite for any store.
//!
//! ```
//! # // A doctest cannot hold tests, so they are only compiled.
//! mod contract {
//!     lambda_session::store_contract!(lambda_session::MemoryStore::default());
//! }
//! ```
//!
//! The macro makes each rule of the contract a test of its own, with a new store. The tests need `tokio` with the
//! features `macros` and `rt` among your dev-dependencies. The expression may `.await`. A store that keeps the data of
//! earlier tests is fine, because no two tests use the same keys.
//!
//! `owner_store_contract!` does the same for an [`OwnerStore`](crate::OwnerStore).
//!
//! [`in_request`] tests a handler with a session, without a layer, a store or a network. A whole service is tested with
//! a [`MemoryStore`](crate::MemoryStore), a [`Browser`] and a [`Clock`].

mod browser;
mod handler;

pub use browser::{Browser, Page, visitor};
pub use handler::{Clock, in_request, is_ended, is_renewed};

/// Makes a function of each rule, and a macro that makes each of them a test. The first argument is `$`, because a
/// macro cannot write `$` for a macro that it defines.
macro_rules! rules {
    ($d:tt $module:ident $contract:ident $kind:ident $(async fn $rule:ident($store:ident) $body:block)*) => {
        $(
            pub async fn $rule($store: &impl $kind) $body
        )*

        /// Makes every rule of the contract a test over `$store`. See [`testing`](crate::testing).
        #[macro_export]
        macro_rules! $contract {
            ($d store:expr) => {
                $(
                    #[tokio::test]
                    async fn $rule() {
                        $d crate::testing::$module::$rule(&$d store).await;
                    }
                )*
            };
        }
    };
}

#[doc(hidden)]
pub mod owners;
#[doc(hidden)]
pub mod records;
#[doc(hidden)]
pub mod steps;
