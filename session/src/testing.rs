//! For tests: a handler with a session in it, and the contract of [`Store`](crate::Store) as a suite that any store runs.
//!
//! ```
//! # // A doctest cannot hold tests, so they are only compiled.
//! mod contract {
//!     lambda_session::store_contract!(lambda_session::MemoryStore::default());
//! }
//! ```
//!
//! makes each rule a test of its own, over a new store each. It needs `tokio` with its features `macros` and `rt` among your
//! dev-dependencies. The expression may `.await`; a store that keeps what earlier tests left is fine, because no two tests use
//! the same keys.
//!
//! `owner_store_contract!` does the same for an [`OwnerStore`](crate::OwnerStore).
//!
//! A handler is tested with a session in it, without a layer, a store or a network: see [`in_request`]. A whole service is tested over a
//! [`MemoryStore`](crate::MemoryStore), with a [`Clock`] to set.

mod handler;

pub use handler::{Clock, in_request, is_ended, is_renewed};

/// Makes a function of each rule, and of all of them the macro that makes each a test. The first argument is `$`, which a macro
/// cannot write for the one it defines.
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
