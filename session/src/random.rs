//! The operating system's random numbers.

use std::error::Error;

use crate::core::id::{ID_BYTES, SessionId};
use crate::core::record::WriteToken;
use crate::error::SessionError;

/// A new session ID that nobody can guess.
pub(crate) fn session_id() -> Result<SessionId, SessionError> {
    bytes::<ID_BYTES>().map(SessionId::new)
}

/// A new token for a write.
pub(crate) fn write_token() -> Result<WriteToken, SessionError> {
    bytes().map(WriteToken::new)
}

/// A nonce for one sealed value.
#[cfg(feature = "sealed")]
pub(crate) fn nonce() -> Result<crate::core::seal::Nonce, SessionError> {
    bytes()
}

/// A fraction of one, for pauses; the half where there are no random numbers.
#[cfg(feature = "dynamodb")]
pub(crate) fn fraction() -> f64 {
    bytes().map_or(0.5, |byte: [u8; 2]| {
        f64::from(u16::from_le_bytes(byte)) / f64::from(u16::MAX)
    })
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
