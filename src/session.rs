//! Server-side sessions: the data stay in a store, the client holds a signed ID.
//!
//! One request, in reading order:
//!
//! 1. [`SessionLayer`] reads the cookie and checks its signature: a [`SessionId`], or none (`cookie`, `id`).
//! 2. The handler asks its [`LazySession`] for the session. Only now it is loaded: one [`Store`] call (`lazy`).
//! 3. The handler reads and changes the [`Session`], a dictionary that remembers what was done to it (`dict`,
//!    `edits`).
//! 4. After the handler, a pure function decides what has to happen: nothing, slide the expiry, create, update,
//!    replace or end (`commit`).
//! 5. The decision is carried out against the store, over whatever other requests did meanwhile (`save`).
//! 6. Last, and only if that succeeded, the cookie is set or cleared (`layer`).
//!
//! Time is in `record`, what a variable may hold in `value`, the contract of stores in [`store`], and DynamoDB in
//! [`dynamodb`].

mod budget;
mod builder;
mod commit;
mod cookie;
mod dict;
pub mod dynamodb;
mod edits;
mod error;
mod id;
mod layer;
mod lazy;
mod record;
mod save;
pub mod store;
mod value;

pub use builder::{BuildError, SessionLayerBuilder};
pub use cookie::{Keys, MIN_KEY_BYTES, ShortKey};
pub use dict::Session;
pub use dynamodb::DynamoDbStore;
pub use error::SessionError;
pub use id::{RecordKey, SessionId};
pub use layer::{SessionLayer, SessionService};
pub use lazy::LazySession;
pub use record::{Clock, Moment, Record, Timeouts};
pub use store::{Store, StoreError, StoreErrorKind};
pub use value::{Data, MAX_DATA_BYTES, MAX_DEPTH, Value, ValueError};
