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
    IDLE, LIFETIME, START, admin, after, changed, create, created, data, end, ended_at, key, live, load, number,
    replace, replaced_at, set, text, update,
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
    life:
        what_was_created_is_loaded,
        nothing_is_absent,
        a_second_create_is_refused_and_changes_nothing,
        a_late_create_after_the_end_finds_the_tombstone,
        a_late_create_after_an_update_changes_nothing,
        a_session_expires_at_the_second_its_idle_timeout_ends,
        a_session_expires_at_the_second_its_lifetime_ends_whatever_its_expiry_says,
        what_a_login_said_comes_back,
        an_update_may_seal_a_record_and_its_owner,
        a_remembered_session_outlives_the_lifetime_and_ends_at_its_expiry,
        a_remembered_session_ends_at_the_longest_time_that_is_allowed,
        writes_and_slides_move_when_the_owner_was_seen,
    ;
    writes:
        an_update_changes_what_it_names_counts_and_moves_the_expiry,
        an_update_sets_and_removes_at_once,
        an_update_is_refused_when_the_revision_moved,
        an_update_whose_revision_does_not_follow_is_refused,
        the_tokens_of_the_last_sixteen_changes_come_back,
        an_update_never_passes_the_lifetime,
        a_slide_between_read_and_update_does_no_harm,
        an_update_never_shrinks_the_expiry,
        variables_with_hard_names_are_set_and_removed,
        a_thousand_variables_change_at_once,
        a_slide_moves_the_expiry_and_nothing_else,
        a_slide_is_refused_when_the_expiry_moved,
        nothing_that_is_not_alive_is_updated_or_slid,
    ;
    ends:
        a_replaced_session_tells_the_revision_it_was_replaced_at,
        replacing_again_by_the_same_successor_is_done,
        of_two_logins_the_first_replaces,
        a_session_that_changed_is_not_replaced,
        what_is_not_alive_is_not_replaced,
        an_ended_session_is_told_as_ended,
        a_session_is_ended_whatever_its_revision,
        a_session_is_ended_at_its_revision_only,
        ending_twice_is_done,
        ending_what_is_not_there_is_refused_and_writes_nothing,
        an_expired_session_can_be_ended,
        a_logout_after_a_login_keeps_the_successor,
        a_session_replaced_by_a_login_is_not_ended_for_being_empty,
        a_tombstone_tells_the_last_changes,
    ;
}

rules! {
    $ owner_rules owner_store_contract
    owners:
        a_list_names_what_was_put_there_and_when,
        nobody_has_an_empty_list,
        a_list_is_its_owners_alone,
        putting_a_key_there_again_is_done,
        what_is_struck_is_no_longer_named,
        striking_what_is_not_there_makes_no_list,
        more_sessions_than_one_write_strikes_are_listed_and_struck,
        a_revoked_session_has_ended,
        a_revoked_session_tells_its_last_changes,
        a_key_revoked_before_its_record_stands_is_taken,
        revoking_again_is_done,
        revoking_a_replaced_session_tells_its_successor,
        a_list_is_no_session,
    ;
}
