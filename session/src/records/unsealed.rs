//! Without the feature `sealed` nothing is sealed, and what is does not open.

#![expect(
    clippy::unused_self,
    clippy::unnecessary_wraps,
    reason = "as where something is sealed"
)]

use crate::core::changes::Changes;
use crate::core::id::SessionId;
use crate::core::record::Record;
use crate::error::SessionError;
use crate::store::{Load, StoreError, StoreErrorKind};

#[derive(Debug)]
pub(super) struct Sealing;

impl Sealing {
    pub(super) fn new(_: bool) -> Self {
        Self
    }

    /// Not malformed: then the next write would end a good session.
    pub(super) fn open(&self, _: &SessionId, _: Record) -> Result<Load, SessionError> {
        let off = "the session is sealed, and lambda-session's feature `sealed` is off";
        Err(StoreError::new(StoreErrorKind::Rejected, off).into())
    }

    pub(super) fn record(&self, _: &SessionId, _: &Record) -> Result<Option<Record>, SessionError> {
        Ok(None)
    }

    pub(super) fn update(
        &self,
        _: &SessionId,
        _: &Record,
        _: &Changes,
    ) -> Result<Option<(Record, Changes)>, SessionError> {
        Ok(None)
    }
}
