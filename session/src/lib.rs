//! Server-side login sessions for AWS Lambda.
//!
//! A session lasts from login to logout. Its data stay on the server, in DynamoDB, and die on time; the browser
//! holds only a session ID in a cookie, signed with a secret from the environment. The session is a dictionary, as
//! in Flask:
//!
//! ```
//! # use lambda_session::{Session, SessionError};
//! # fn view(session: &Session) -> Result<(), SessionError> {
//! session.insert("username", "admin")?; //                  session['username'] = 'admin'
//! if session.contains_key("username") { //                  if 'username' in session:
//!     let name: Option<String> = session.get("username")?; //   name = session['username']
//! }
//! session.pop::<String>("username")?; //                    session.pop('username', None)
//! # Ok(())
//! # }
//! # view(&Session::default()).unwrap();
//! ```
//!
//! A request's session comes from [`Session::of`], or is an extractor on axum (feature `axum`). [`SessionLayer`], a tower layer,
//! finds it by the request's cookie and saves what the handler did, so nothing has to be saved by hand. Whole functions are in
//! `lambda` (feature `lambda`) and in the `examples` folder.
//!
//! The table of [`DynamoDbStore`] needs a string partition key `id` and TTL on `expires_at`; the function may
//! `dynamodb:GetItem`, `dynamodb:PutItem` and `dynamodb:UpdateItem` on it. [`MemoryStore`] needs nothing, and is for tests.
//!
//! # What holds
//!
//! - After a logout, or a login that replaced a session, nothing revives it: no slow request, no retry, no
//!   duplicate that the network delayed.
//! - Two requests that change different variables of one session both win, and no [`Session::update`] or
//!   [`Session::increment`] is lost or counts twice.
//! - A change that could not be saved is answered with an error, never dropped, and no cookie leaves without its
//!   record.
//! - A request that began before a login or logout in another tab changes nothing and never touches the cookie: it gets 409.
//! - A page that needs no session costs no store call; a forged cookie costs none either.
//!
//! See [`Store`] for how.
//!
//! # Layout
//!
//! One request, in reading order:
//!
//! 1. [`SessionLayer`] (`layer`, made by `builder`, perhaps from the `environment`) checks the signatures of the request's cookies (`core/cookie`, `core/id`).
//! 2. The handler asks [`LazySession`] (`lazy`) for the session. Only now it is loaded: one [`Store`] call, within the request's
//!    `deadline`.
//! 3. The handler reads and changes the [`Session`] (`session`), which keeps what was done to it (`core/state`, `core/changes`;
//!    what a variable may hold is in `core/value` and `core/limits`).
//! 4. After the handler, one pure function decides what has to happen (`core/plan`; time is in `core/record`).
//! 5. The plan is carried out against the store, over whatever other requests did meanwhile (`save`).
//! 6. Last, and only if that succeeded, the cookie is set or cleared (`layer`).

#[cfg(feature = "axum")]
mod axum;
mod builder;
mod core;
mod deadline;
mod environment;
mod error;
mod guard;
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
mod store;
#[cfg(feature = "testing")]
pub mod testing;

pub use crate::core::changes::Changes;
pub use crate::core::cookie::attributes::SameSite;
pub use crate::core::cookie::{Keys, MIN_KEY_BYTES, ShortKey};
pub use crate::core::id::{OwnerKey, RecordKey};
pub use crate::core::limits::Limits;
pub use crate::core::record::{Moment, Record, Slide, WriteToken};
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
pub use owners::{ListedSession, Sessions};
pub use session::Session;
#[cfg(feature = "dynamodb")]
pub use store::dynamodb::DynamoDbStore;
pub use store::memory::MemoryStore;
pub use store::{Load, OwnerList, OwnerStore, Store, StoreError, StoreErrorKind, StoreFuture, WriteOutcome};
