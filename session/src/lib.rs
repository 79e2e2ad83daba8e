//! Server-side login sessions for AWS Lambda.
//!
//! The session's data stay on the server, in DynamoDB, until a logout or a timeout ends the session. The browser holds
//! only a session ID, in a cookie that is signed with a secret key from the environment.
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
//!     lambda::serve(Router::new().route("/", get(count)).layer(sessions)).await
//! }
//! ```
//!
//! It needs `SECRET_KEY` and `TABLE_NAME` in its environment. The table of [`DynamoDbStore`] has a string partition key
//! `id` and TTL on `expires_at`. The function's role needs `dynamodb:GetItem`, `dynamodb:PutItem` and
//! `dynamodb:UpdateItem` on the table.
//!
//! The [`guide`] goes on from here: plain `lambda_http`, logins and protected pages, the names of Flask and
//! tower-sessions, tests, local runs, and tracing. [`Session`] documents the dictionary, [`SessionLayer::builder`] the
//! settings, and [`Sessions`] how to log a user out everywhere. The folder `examples` has programs to copy.
//! [`MemoryStore`] needs no AWS and is for tests.
//!
//! # What holds
//!
//! - After a logout, or a login that replaced a session, nothing revives the old session: no slow request, no retry,
//!   and no duplicate that the network delayed. On a global table with eventual consistency (MREC), this holds in each
//!   region separately.
//!   <!-- by_a_slide_that_lands_after_the_end by_an_update_that_lands_after_the_end by_a_create_whose_client_gave_up
//!   by_a_duplicate_of_the_create_of_a_login_over_a_session two_requests the_layer_around_it -->
//! - A session ends when it has been idle for too long or its lifetime is over, even if DynamoDB deletes it later. A
//!   [remembered](Session::remember) session ends at its own date instead.
//!   <!-- a_session_ends_after_the_idle_timeout_though_its_record_is_still_there every_write_knows_both_timeouts
//!   a_session_ends_with_its_lifetime_however_busy_it_is -->
//! - Two requests that change different variables of one session both take effect, and no [`Session::update`] or
//!   [`Session::increment`] is lost or counts twice.
//!   <!-- two_requests_that_change_different_variables_both_win
//!   parallel_increments_through_four_instances_count_once_each an_increment_counts_once
//!   a_late_duplicate_of_an_increment_is_not_counted -->
//! - A change that could not be saved is answered with an error, never dropped silently, and no cookie is sent without
//!   its record.
//!   <!-- in_every_order_what_was_accepted_is_saved_and_an_end_before_the_save_ends
//!   a_failed_save_fails_the_request_even_if_the_view_goes_on
//!   a_login_over_a_session_that_fails_at_any_step_hands_out_no_cookie -->
//! - A request that began before a login or logout in another tab changes nothing and leaves the cookie alone. If it
//!   tries to change variables and is not a login, it gets a 409. A logout also ends the session that a renewal in
//!   another tab has made of this one.
//!   <!-- a_write_with_the_cookie_of_before_is_a_conflict a_write_whose_read_was_overtaken_is_a_conflict
//!   a_view_with_the_cookie_of_before_is_nobodys_and_leaves_the_cookie_alone a_logout_ends_what_a_renewal_made -->
//! - When [`Sessions::end_all`] has returned, every session whose login was answered before the call has ended. A login
//!   that is under way during the call is ended, too, fails, or is in the next list.
//!   <!-- all_or_all_others_are_ended a_login_that_all_are_ended_under_fails_or_is_in_the_next_list
//!   a_login_over_a_session_that_all_are_ended_under_fails_or_is_in_the_next_list
//!   a_session_that_is_renewed_while_all_are_ended_is_ended_too -->
//! - A message of [`Session::flash`] is given to one request only, once.
//!   <!-- of_two_requests_at_once_one_gets_the_message a_message_whose_taking_lost_its_reply_is_shown_once -->
//! - Anyone who reads a sealed table learns no variable's value and no owner's name.
//!   <!-- what_was_sealed_opens_and_shows_nothing_before a_login_seals_anew_under_the_new_id_and_the_owner_too -->
//! - The `Max-Age` of a remembered session is sent only when the session gets an ID: with the login and with each
//!   renewal. No other request sends the cookie again.
//!   <!-- max_age_leaves_once -->
//! - A page that does not use the session costs no store call, and neither does a forged cookie.
//!   <!-- every_request_costs_what_the_table_says one_that_does_not_verify_costs_nothing -->
//!
//! See [`Store`] and [`OwnerStore`] for how.
//!
//! # Layout
//!
//! These are the steps of one request, in reading order:
//!
//! 1. [`SessionLayer`] (`web/layer`, built by `config/builder`, perhaps from `config/environment`) checks the
//!    signatures of the request's cookies (`core/cookie`, `core/id`). All its requests share its settings
//!    (`protocol/settings`). A guard outside or inside the layer may answer instead of the handler (`web/guard`).
//!    Outside of all, `web/error_page` makes pages of what they refuse and of what fails.
//! 2. The handler asks [`LazySession`] (`session/lazy`) for the session, which is loaded only then (`session/request`,
//!    `session/found`).
//! 3. The handler reads and changes the [`Session`] (`session`; its login and end are in `session/life`, its messages
//!    in `session/flash`), which keeps the changes (`session/state`, `core/edits`). `core/value` and `core/limits` say
//!    what a variable may hold.
//! 4. After the handler, or during it if the handler calls [`Session::save`], one pure function decides which store
//!    call comes next (`protocol/next`, with `save` and `owners` beside it) from everything that is known
//!    (`protocol/known`). It also decides the calls of a load, and those of [`Sessions`].
//! 5. One loop makes the calls (`protocol/run`) within the request's time (`protocol/budget`), and seals what goes to
//!    the store (`protocol/sealing`). The store keeps a [`Record`] or a [`Tombstone`] under each key (`core/record`).
//! 6. At the end, the layer sets or clears the cookie as the last successful save decided (`web/open`).
//!
//! If sessions are bound to their devices, the layer also looks for the second cookie, and answers the browser's own
//! requests (`web/bound`, with `core/bound` for what is signed and verified, and `protocol/bind`).

// docs.rs shows which feature each item needs.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod config;
mod core;
#[cfg(test)]
#[path = "../tests/exhaustive/mod.rs"]
mod exhaustive;
#[doc = include_str!("../guide.md")]
pub mod guide {}
/// Compiles the code on the package's front page.
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

pub use crate::core::bound::Binding;
pub use crate::core::cookie::attributes::SameSite;
pub use crate::core::cookie::{Keys, MIN_KEY_BYTES, ShortKey};
pub use crate::core::id::{OwnerKey, RecordKey};
pub use crate::core::limits::Limits;
pub use crate::core::record::{Record, Stored, Tombstone, Version, WriteToken};
pub use crate::core::refusal::Refusal;
pub use crate::core::time::Lifetime;
pub use crate::core::value::{CodecError, Data, Value, ValueError, ValueErrorKind};
pub use config::builder::{BuildError, SessionLayerBuilder};
pub use config::environment::EnvironmentError;
pub use protocol::budget::Deadline;
pub use protocol::error::{SessionError, SessionErrorKind};
pub use session::Session;
pub use session::flash::{Flash, FlashLevel};
pub use session::found::Absence;
pub use session::lazy::LazySession;
pub use session::sessions::{ListedSession, Sessions};
#[cfg(feature = "dynamodb")]
pub use store::dynamodb::DynamoDbStore;
pub use store::memory::MemoryStore;
pub use store::{AnyOwnerStore, OwnerList, OwnerStore, Store, StoreError, StoreErrorKind, Swap};
pub use web::body::ResponseBody;
pub use web::error_page::{ErrorPageLayer, ErrorPageService};
pub use web::guard::login_page::LoginPage;
pub use web::guard::next::local_path;
pub use web::guard::require_login::{RequireLoginLayer, RequireLoginService};
pub use web::guard::same_origin::{SameOriginLayer, SameOriginService};
pub use web::layer::{SessionLayer, SessionService};
pub use web::open::OpenSession;
#[cfg(feature = "axum")]
pub use web::users::{Auth, CurrentUser, Users};
