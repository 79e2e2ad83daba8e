//! The protocol by which a session's record changes: a pure function decides (`next`, with `save` and `owners`), and a
//! loop makes the store calls (`run`).

pub(crate) mod bind;
pub(crate) mod budget;
pub(crate) mod call;
pub(crate) mod error;
pub(crate) mod known;
pub(crate) mod next;
mod owners;
pub(crate) mod random;
pub(crate) mod run;
pub(crate) mod save;
#[cfg(feature = "sealed")]
pub(crate) mod seal;
mod sealing;
pub(crate) mod settings;
pub(crate) mod spans;
