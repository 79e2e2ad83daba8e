//! The pure half: no clock, no randomness, no store. What a session is, and what has to happen to it.

pub(crate) mod changes;
pub(crate) mod cookie;
pub(crate) mod id;
pub(crate) mod limits;
pub(crate) mod moment;
pub(crate) mod plan;
pub(crate) mod record;
#[cfg(feature = "sealed")]
pub(crate) mod seal;
pub(crate) mod state;
pub(crate) mod value;
