//! Server-side login sessions for AWS Lambda.
//!
//! A session lasts from login to logout. Its data stay on the server, in DynamoDB, and die on time; the browser
//! holds only a session ID in a cookie, signed with a secret from the environment.
//!
//! ```toml
//! [dependencies]
//! axum = "0.8" # or plain lambda_http = "1.3" with tower = "0.5"
//! lambda-session = { version = "0.4", features = ["axum", "lambda"] } # for plain lambda_http: features = ["lambda"]
//! tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
//! ```
//!
//! A whole function, which counts each visitor's visits:
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use lambda_session::{DynamoDbStore, Session, SessionError, SessionLayer, lambda};
//!
//! async fn count(session: Session) -> Result<String, SessionError> {
//!     let visits = session.increment("visits", 1)?;
//!     Ok(format!("Visit number {visits}"))
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), lambda::Error> {
//!     let sessions = SessionLayer::from_env(DynamoDbStore::from_env()?)?.build()?;
//!     lambda::run(Router::new().route("/", get(count)).layer(sessions)).await
//! }
//! ```
//!
//! It needs `SECRET_KEY` and `TABLE_NAME` in its environment. The table of [`DynamoDbStore`] has a string partition key `id` and TTL
//! on `expires_at`; the function may `dynamodb:GetItem`, `dynamodb:PutItem` and `dynamodb:UpdateItem` on it.
//!
//! Go on with the [`guide`]: plain `lambda_http`, logins and protected pages, Flask's and tower-sessions' names, tests, and running it
//! on your own machine, seeing where the time goes. [`Session`] has the dictionary, [`SessionLayer::builder`] the settings, [`Sessions`] "log out
//! everywhere". The folder `examples` has programs to copy. [`MemoryStore`] needs no AWS, and is for tests.
//!
//! # What holds
//!
//! - After a logout, or a login that replaced a session, nothing revives it: no slow request, no retry, no
//!   duplicate that the network delayed. On a global table with eventual consistency (MREC) this holds in each region by itself.
//!   <!-- by_a_slide_that_lands_after_the_end by_an_update_that_lands_after_the_end by_a_create_whose_client_gave_up
//!   by_a_duplicate_of_the_create_of_a_login_over_a_session two_requests_with_a_fault -->
//! - A session ends when it has been idle for too long or its lifetime is over, however late DynamoDB deletes it.
//!   <!-- a_session_ends_after_the_idle_timeout_though_its_record_is_still_there every_write_knows_both_timeouts
//!   a_session_ends_with_its_lifetime_however_busy_it_is -->
//! - Two requests that change different variables of one session both win, and no [`Session::update`] or
//!   [`Session::increment`] is lost or counts twice.
//!   <!-- two_requests_that_change_different_variables_both_win parallel_increments_through_four_instances_count_once_each
//!   an_increment_counts_once a_late_duplicate_of_an_increment_is_not_counted -->
//! - A change that could not be saved is answered with an error, never dropped, and no cookie leaves without its
//!   record.
//!   <!-- in_every_order_what_was_accepted_is_saved_and_an_end_before_the_save_ends
//!   a_failed_save_fails_the_request_even_if_the_view_goes_on a_login_over_a_session_that_fails_at_any_step_hands_out_no_cookie -->
//! - A request that began before a login or logout in another tab changes nothing and never touches the cookie. If it is no login,
//!   and wants to change something, it gets 409. A logout ends what a renewal in another tab has made of the session.
//!   <!-- a_write_with_the_cookie_of_before_is_a_conflict a_write_whose_read_was_overtaken_is_a_conflict
//!   a_view_with_the_cookie_of_before_is_nobodys_and_leaves_the_cookie_alone a_logout_ends_what_a_renewal_made -->
//! - When [`Sessions::end_all`] has returned, every session whose login was answered before it began is dead. A login that
//!   is under way meanwhile is ended with them, fails, or is in the next list.
//!   <!-- all_or_all_others_are_ended a_login_that_all_are_ended_under_fails_or_is_in_the_next_list
//!   a_login_over_a_session_that_all_are_ended_under_fails_or_is_in_the_next_list
//!   a_session_that_is_renewed_while_all_are_ended_is_ended_too -->
//! - A message of [`Session::flash`] is given to one request, once.
//!   <!-- of_two_requests_at_once_one_gets_the_message a_message_whose_taking_lost_its_reply_is_shown_once -->
//! - Anyone who reads a sealed table learns no variable's value and no owner's name.
//!   <!-- what_was_sealed_opens_and_shows_nothing_before a_login_seals_anew_under_the_new_id_and_the_owner_too -->
//! - The `Max-Age` of a session that is remembered leaves once, with its login: no view touches the cookie.
//!   <!-- max_age_leaves_once -->
//! - A page that needs no session costs no store call; a forged cookie costs none either.
//!   <!-- every_request_costs_what_the_table_says one_that_does_not_verify_costs_nothing -->
//!
//! See [`Store`] and [`OwnerStore`] for how.
//!
//! # Layout
//!
//! One request, in reading order:
//!
//! 1. [`SessionLayer`] (`web/layer`, made by `config/builder`, perhaps from `config/environment`) checks the signatures of the request's
//!    cookies (`core/cookie`, `core/id`). A guard before or after it may answer instead of the handler (`web/guard`).
//! 2. The handler asks [`LazySession`] (`session/lazy`) for the session. Only now it is loaded (`session/request`, `session/found`).
//! 3. The handler reads and changes the [`Session`] (`session`; its login, messages and end are in `session/life`), which keeps what was
//!    done to it (`session/state`, `core/edits`; what a variable may hold is in `core/value` and `core/limits`).
//! 4. After the handler, or in the middle of it by [`Session::save`], one pure function says which call the store gets next
//!    (`protocol/next`, with `save` and `owners` beside it), from all that is known (`protocol/known`). A load is such a task, too, and so is all
//!    that [`Sessions`] does.
//! 5. One loop makes the calls (`protocol/run`), within the request's `protocol/budget`, sealing what goes to the store
//!    (`protocol/sealing`). What stands there is a [`Record`] or a [`Tombstone`] (`core/record`).
//! 6. Last, and only if that succeeded, the cookie is set or cleared (`web/layer`).

// On docs.rs each item says which feature it needs.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod config;
mod core;
#[cfg(test)]
#[path = "../tests/exhaustive/mod.rs"]
mod exhaustive;
#[doc = include_str!("../guide.md")]
pub mod guide {}
/// The registry's page: what it begins with has to compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
mod protocol;
mod session;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod web;

#[cfg(feature = "lambda")]
#[doc(inline)]
pub use web::lambda;

pub use crate::core::cookie::attributes::SameSite;
pub use crate::core::cookie::{Keys, MIN_KEY_BYTES, ShortKey};
pub use crate::core::id::{OwnerKey, RecordKey};
pub use crate::core::limits::Limits;
pub use crate::core::record::{Record, Stored, Tombstone, Version, WriteToken};
pub use crate::core::value::{CodecError, Data, Value, ValueError, ValueErrorKind};
pub use config::builder::{BuildError, SessionLayerBuilder};
pub use config::environment::EnvironmentError;
pub use protocol::budget::Deadline;
pub use protocol::error::{SessionError, SessionErrorKind};
pub use session::Session;
pub use session::lazy::LazySession;
pub use session::sessions::{ListedSession, Sessions};
#[cfg(feature = "dynamodb")]
pub use store::dynamodb::DynamoDbStore;
pub use store::memory::MemoryStore;
pub use store::{AnyOwnerStore, OwnerList, OwnerStore, Store, StoreError, StoreErrorKind, Swap};
pub use web::guard::Refusal;
pub use web::guard::next::local_path;
pub use web::guard::require_login::{RequireLoginLayer, RequireLoginService};
pub use web::guard::same_origin::{SameOriginLayer, SameOriginService};
pub use web::layer::{SessionLayer, SessionService};
