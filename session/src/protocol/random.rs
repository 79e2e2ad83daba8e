//! The operating system's random numbers.

use std::error::Error;

use super::error::SessionError;
use super::save::Fresh;
use crate::core::id::{ID_BYTES, SessionId};
use crate::core::record::WriteToken;

/// A new session ID that nobody can guess, and a new token for writes.
pub(crate) fn fresh() -> Result<Fresh, SessionError> {
    let id = SessionId::new(bytes::<ID_BYTES>()?);
    Ok(Fresh::new(id, WriteToken::new(bytes()?)))
}

/// A nonce for one sealed value.
#[cfg(feature = "sealed")]
pub(crate) fn nonce() -> Result<super::seal::Nonce, SessionError> {
    bytes()
}

#[expect(clippy::disallowed_methods, reason = "the one place that asks for random numbers")]
fn bytes<const LENGTH: usize>() -> Result<[u8; LENGTH], SessionError> {
    let mut bytes = [0; LENGTH];
    match getrandom::fill(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(error) => Err(SessionError::random(Box::<dyn Error + Send + Sync>::from(
            error.to_string(),
        ))),
    }
}
