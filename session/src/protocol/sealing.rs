//! What is sealed on its way to the store, and opened on its way from it.
//!
//! A record is sealed if the layer wants it, or if it has been: then it stays so, whatever the layer wants. Without the feature a sealed
//! record does not open. It is not malformed: then a login would end a good session.

use super::call::Opened;
use super::error::SessionError;
use crate::core::id::SessionId;
use crate::core::record::Record;
#[cfg(not(feature = "sealed"))]
use crate::store::{StoreError, StoreErrorKind};

/// A sealed record with its seal opened; the name of the attribute that does not open if there is one.
#[cfg(feature = "sealed")]
#[expect(clippy::unnecessary_wraps, reason = "without the feature it is an error")]
pub(super) fn open(id: &SessionId, stored: Record) -> Result<Result<Opened, &'static str>, SessionError> {
    let opened = super::seal::Seal::of(id).open(&stored);
    Ok(opened.map(|record| Opened {
        record: record.into(),
        stored: stored.into(),
    }))
}

/// A record as it is to be stored. A value that is as it was `read` keeps its seal, so a store that writes only what differs writes
/// only what was changed.
#[cfg(feature = "sealed")]
pub(super) fn seal(id: &SessionId, read: Option<&Opened>, record: &Record) -> Result<Record, SessionError> {
    super::seal::Seal::of(id).seal(record, read, &mut super::random::bytes)
}

#[cfg(not(feature = "sealed"))]
pub(super) fn open(_: &SessionId, _: Record) -> Result<Result<Opened, &'static str>, SessionError> {
    Err(StoreError::new(StoreErrorKind::Rejected, OFF).into())
}

#[cfg(not(feature = "sealed"))]
pub(super) fn seal(_: &SessionId, _: Option<&Opened>, _: &Record) -> Result<Record, SessionError> {
    Err(StoreError::new(StoreErrorKind::Rejected, OFF).into())
}

#[cfg(not(feature = "sealed"))]
const OFF: &str = "the session is sealed, and lambda-session's feature `sealed` is off";
