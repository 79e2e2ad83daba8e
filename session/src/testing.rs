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

#[doc(hidden)]
pub mod steps;

use self::steps::{
    IDLE, START, admin, change, changed, create, created, end, key, load, number, put, record, set_theme, text,
};

/// Lists the rules once: for the tests that `store_contract` makes of them, and for their export. The first argument is `$`, which
/// a macro cannot write for the one it defines.
macro_rules! rules {
    ($d:tt $rules:ident $contract:ident $($module:ident: $($rule:ident,)* ;)*) => {
        $(
            #[expect(missing_docs, clippy::missing_panics_doc, reason = "a rule's name says what it asks for")]
            mod $module;
        )*

        #[doc(hidden)]
        pub mod $rules {
            $($(pub use super::$module::$rule;)*)*
        }

        /// Makes every rule of the contract a test over `$store`. See [`testing`](crate::testing).
        #[macro_export]
        macro_rules! $contract {
            ($d store:expr) => {
                $($(
                    #[tokio::test]
                    async fn $rule() {
                        $d crate::testing::$rules::$rule(&$d store).await;
                    }
                )*)*
            };
        }
    };
}

rules! {
    $ rules store_contract
    records:
        nothing_stands_under_a_new_key,
        what_was_put_there_is_loaded,
        a_second_record_is_refused_and_told_what_stands,
        a_swap_puts_the_next_record_there,
        a_swap_moves_times_alone,
        a_swap_of_another_version_is_refused_and_told_what_stands,
        a_swap_that_is_made_again_finds_what_it_wrote,
        a_swap_where_nothing_stands_is_refused_and_leaves_nothing,
        a_store_judges_no_times,
        a_swap_may_seal_a_record_and_its_owner,
        the_tokens_of_the_last_changes_come_back,
        variables_with_hard_names_are_set_and_removed,
        a_thousand_variables_change_at_once,
        a_swap_may_leave_a_tombstone,
        an_end_leaves_a_tombstone_whatever_stands_there,
        an_end_takes_a_key_where_nothing_stands,
        what_was_under_way_when_a_session_ended_finds_the_tombstone,
    ;
}

rules! {
    $ owner_rules owner_store_contract
    owners:
        a_store_gives_its_lists,
        a_list_names_what_was_put_there_and_when,
        nobody_has_an_empty_list,
        a_list_is_its_owners_alone,
        putting_a_key_there_again_is_done,
        what_is_struck_is_no_longer_named,
        striking_what_is_not_there_makes_no_list,
        more_sessions_than_one_write_strikes_are_listed_and_struck,
        a_list_is_no_session,
    ;
}
