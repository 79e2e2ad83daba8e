//! What sessions are made of: pure, without clock, randomness, environment, or AWS.

pub(crate) mod cookie;
pub(crate) mod edits;
pub(crate) mod id;
pub(crate) mod limits;
pub(crate) mod record;
pub(crate) mod time;
pub(crate) mod value;
