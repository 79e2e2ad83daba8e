//! The operating system's random numbers.

use super::error::SessionError;
use super::save::Fresh;
use crate::core::id::SessionId;
use crate::core::record::WriteToken;

/// Generates a session ID that nobody can guess, and a token for writes.
pub(crate) fn fresh() -> Result<Fresh, SessionError> {
    let (id, token) = (SessionId::new(bytes()?), WriteToken::new(bytes()?));
    Ok(Fresh { id, token })
}

/// Generates bytes that nobody can guess.
#[expect(clippy::disallowed_methods, reason = "all random numbers come from here")]
pub(crate) fn bytes<const LENGTH: usize>() -> Result<[u8; LENGTH], SessionError> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).map_err(|error| SessionError::random(&error.to_string()))?;
    Ok(bytes)
}
