//! Seals records on their way to the store, and opens them on their way back.
//!
//! A record is sealed if the layer asks for it, or if it was sealed before: a sealed record stays sealed, whatever the
//! layer asks for. Without the feature `sealed`, a request that reads its sealed record fails. The record does not
//! count as malformed, because then a login would end a valid session.

use super::call::Opened;
use super::error::SessionError;
use crate::core::id::SessionId;
use crate::core::record::Record;
#[cfg(not(feature = "sealed"))]
use crate::store::{StoreError, StoreErrorKind};

/// Opens a sealed record. The inner error is the name of the attribute that does not open.
#[cfg(feature = "sealed")]
#[expect(clippy::unnecessary_wraps, reason = "without the feature it fails")]
pub(super) fn open(id: &SessionId, stored: Record) -> Result<Result<Opened, &'static str>, SessionError> {
    let opened = super::seal::Seal::of(id).open(&stored);
    Ok(opened.map(|record| Opened {
        record: record.into(),
        stored: stored.into(),
    }))
}

/// Seals a record for the store. A value that is equal to the one that was `read` keeps its encrypted form, so a store
/// that writes only differences writes only what changed.
#[cfg(feature = "sealed")]
pub(super) fn seal(id: &SessionId, read: Option<&Opened>, record: &Record) -> Result<Record, SessionError> {
    super::seal::Seal::of(id).seal(record, read)
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
