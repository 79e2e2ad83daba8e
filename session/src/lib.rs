//! Server-side login sessions for AWS Lambda.
//!
//! A session lasts from login to logout. Its data stay on the server, in DynamoDB, and die on time; the browser
//! holds only a session ID in a cookie, signed with a secret from the environment.
//!
//! ```toml
//! [dependencies]
//! axum = "0.8" # or plain lambda_http = "1.3" with tower = "0.5"
//! lambda-session = { version = "0.3", features = ["axum", "lambda"] } # for plain lambda_http: features = ["lambda"]
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
//!   and wants to change something, it gets 409.
//!   <!-- a_write_with_the_cookie_of_before_is_a_conflict a_write_whose_read_was_overtaken_is_a_conflict
//!   a_view_with_the_cookie_of_before_is_nobodys_and_leaves_the_cookie_alone -->
//! - When [`Sessions::end_all`] has returned, every session whose login was answered before it began is dead. A login that
//!   is under way meanwhile is ended with them, fails, or is in the next list.
//!   <!-- all_or_all_others_are_ended a_login_that_all_are_ended_under_fails_or_is_in_the_next_list
//!   a_login_over_a_session_that_all_are_ended_under_fails_or_is_in_the_next_list
//!   a_session_that_is_renewed_while_all_are_ended_is_ended_too -->
//! - A message of [`Session::flash`] is given to one request, once.
//!   <!-- of_two_requests_at_once_one_gets_the_message a_message_whose_taking_lost_its_reply_is_shown_once -->
//! - Who reads a sealed table learns no variable's value and no owner's name.
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
//! 1. [`SessionLayer`] (`layer`, made by `builder`, perhaps from the `environment`) checks the signatures of the request's cookies
//!    (`core/cookie`, `core/id`). A guard before or after it may answer instead of the handler (`guard`).
//! 2. The handler asks [`LazySession`] (`lazy`) for the session. Only now it is loaded (`request`): one [`Store`] call, within the
//!    request's `deadline`, through `records`, which opens what is sealed (`core/seal`).
//! 3. The handler reads and changes the [`Session`] (`session`; its login, messages and end are in `session/life`), which keeps what was
//!    done to it (`core/state`, `core/changes`; what a variable may hold is in `core/value` and `core/limits`).
//! 4. After the handler, or in the middle of it by [`Session::save`], one pure function decides what has to happen (`core/plan`; time is
//!    in `core/moment`).
//! 5. The plan is carried out against the store, over whatever other requests did meanwhile (`save`). A login is in its owner's list
//!    before its record stands (`owners`, which also reads and ends what a list names, for `sessions`).
//! 6. Last, and only if that succeeded, the cookie is set or cleared (`layer`).

#[cfg(feature = "axum")]
mod axum;
mod builder;
mod core;
mod deadline;
mod environment;
mod error;
mod guard;
#[doc = include_str!("../guide.md")]
pub mod guide {}
#[cfg(feature = "lambda")]
pub mod lambda;
mod layer;
mod lazy;
mod owners;
mod random;
mod records;
mod request;
mod save;
mod session;
mod sessions;
mod spans;
mod store;
#[cfg(feature = "testing")]
pub mod testing;

pub use crate::core::changes::Changes;
pub use crate::core::cookie::attributes::SameSite;
pub use crate::core::cookie::{Keys, MIN_KEY_BYTES, ShortKey};
pub use crate::core::id::{OwnerKey, RecordKey};
pub use crate::core::limits::Limits;
pub use crate::core::moment::Moment;
pub use crate::core::record::{Record, Slide, Tombstone, WriteToken};
pub use crate::core::value::{CodecError, Data, Value, ValueError, ValueErrorKind};
pub use builder::{BuildError, SessionLayerBuilder};
pub use deadline::Deadline;
pub use environment::EnvironmentError;
pub use error::{SessionError, SessionErrorKind};
pub use guard::Refusal;
pub use guard::next::local_path;
pub use guard::require_login::{RequireLoginLayer, RequireLoginService};
pub use guard::same_origin::{SameOriginLayer, SameOriginService};
pub use layer::{SessionLayer, SessionService};
pub use lazy::LazySession;
pub use session::Session;
pub use sessions::{ListedSession, Sessions};
#[cfg(feature = "dynamodb")]
pub use store::dynamodb::DynamoDbStore;
pub use store::memory::MemoryStore;
pub use store::{Load, OwnerList, OwnerStore, Store, StoreError, StoreErrorKind, StoreFuture, WriteOutcome};
