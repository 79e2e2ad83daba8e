//! What is sealed on its way to the store, and opened on its way from it.
//!
//! A record is sealed if the layer wants it, or if it has been: then it stays so, whatever the layer wants.

use super::call::Opened;
use super::error::SessionError;
use crate::core::id::SessionId;
use crate::core::record::Record;

#[cfg(feature = "sealed")]
mod on {
    use std::sync::Arc;

    use super::{Opened, Record, SessionError, SessionId};
    use crate::protocol::random;
    use crate::protocol::seal::Seal;

    /// A sealed record with its seal opened; the name of the attribute that does not open if there is one.
    #[expect(clippy::unnecessary_wraps, reason = "without the feature it is an error")]
    pub(crate) fn open(id: &SessionId, stored: Record) -> Result<Result<Opened, &'static str>, SessionError> {
        let opened = Seal::of(id).open(&stored);
        Ok(opened.map(|record| Opened {
            record: Arc::new(record),
            stored: Arc::new(stored),
        }))
    }

    /// A record as it is to be stored. A value that is as it was `read` keeps its seal, so a store that writes only what differs writes
    /// only what was changed.
    pub(crate) fn seal(id: &SessionId, read: Option<&Opened>, record: &Record) -> Result<Record, SessionError> {
        Seal::of(id).seal(record, read, &mut random::nonce)
    }
}

/// Without the feature a sealed record does not open. It is not malformed: then a login would end a good session.
#[cfg(not(feature = "sealed"))]
mod off {
    use super::{Opened, Record, SessionError, SessionId};
    use crate::store::{StoreError, StoreErrorKind};

    pub(crate) fn open(_: &SessionId, _: Record) -> Result<Result<Opened, &'static str>, SessionError> {
        Err(error())
    }

    pub(crate) fn seal(_: &SessionId, _: Option<&Opened>, _: &Record) -> Result<Record, SessionError> {
        Err(error())
    }

    fn error() -> SessionError {
        let off = "the session is sealed, and lambda-session's feature `sealed` is off";
        StoreError::new(StoreErrorKind::Rejected, off).into()
    }
}

#[cfg(not(feature = "sealed"))]
pub(super) use off::{open, seal};
#[cfg(feature = "sealed")]
pub(super) use on::{open, seal};
