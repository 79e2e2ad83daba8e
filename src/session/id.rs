//! The session ID: the secret in the cookie, and the key of the record that it opens.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// Bytes of randomness in an ID: 256 bits, four times the 64 that [OWASP] asks for.
///
/// [OWASP]: https://cheatsheetseries.owasp.org/cheatsheets/Session_Management_Cheat_Sheet.html#session-id-entropy
const LEN: usize = 32;

/// A session ID: 32 bytes from the operating system's random number generator.
///
/// Whoever knows it holds the session, so it leaves the process in one place only, the `Set-Cookie` header, and
/// its `Debug` shows nothing.
///
/// ```
/// use lambda_session::session::SessionId;
///
/// let id = SessionId::generate()?;
/// assert_eq!(format!("{id:?}"), "SessionId(..)");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SessionId([u8; LEN]);

impl SessionId {
    /// A new ID that nobody can guess.
    ///
    /// # Errors
    ///
    /// The operating system's generator failed.
    ///
    /// ```
    /// # use lambda_session::session::SessionId;
    /// assert!(SessionId::generate()? != SessionId::generate()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; LEN];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The one accepted spelling: 43 characters of base64url without padding (RFC 4648, section 5).
    pub(crate) fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// The ID that `text` spells, if it is the canonical spelling of one.
    pub(crate) fn decode(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; LEN];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(LEN) => Some(Self(bytes)),
            _ => None,
        }
    }

    /// Where this session's record is kept.
    ///
    /// ```
    /// # use lambda_session::session::SessionId;
    /// let id = SessionId::generate()?;
    /// assert_eq!(id.record_key(), id.clone().record_key());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn record_key(&self) -> RecordKey {
        RecordKey(URL_SAFE_NO_PAD.encode(Sha256::digest(self.0)))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(..)")
    }
}

/// The key under which a store keeps a session: the SHA-256 of its ID, base64url.
///
/// A store never sees an ID, so a copy of the table opens no session.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RecordKey(String);

impl RecordKey {
    /// A key as a store wrote it down, in a tombstone's `replaced_by`.
    ///
    /// ```
    /// # use lambda_session::session::RecordKey;
    /// let successor = RecordKey::from_stored("as it was written".to_owned());
    /// assert_eq!(successor.as_str(), "as it was written");
    /// ```
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The key as text, for a store to use.
    ///
    /// ```
    /// # use lambda_session::session::SessionId;
    /// // 256 bits in base64url.
    /// assert_eq!(SessionId::generate()?.record_key().as_str().len(), 43);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_decodes_to_itself() {
        let id = SessionId::generate().unwrap();
        assert_eq!(SessionId::decode(id.encode().as_bytes()), Some(id));
    }

    #[test]
    fn only_the_canonical_spelling_decodes() {
        let canonical = SessionId([0xff; LEN]).encode();
        assert_eq!(canonical.len(), 43);
        let last_bits_set = format!("{}9", &canonical[..42]);
        for text in [
            "",
            &canonical[..42],
            &format!("{canonical}="),
            &format!("{canonical}8"),
            &canonical.replace('_', "/"),
            &last_bits_set,
            &format!(" {}", &canonical[1..]),
        ] {
            assert_eq!(SessionId::decode(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn the_record_key_is_the_hash_of_the_id() {
        // printf '%064d' 0 | xxd -r -p | sha256sum | xxd -r -p | basenc --base64url
        let key = SessionId([0; LEN]).record_key();
        assert_eq!(key.as_str(), "Zmh6rfhivXdsj8GLjp-OIAiXFIVu4jOzkCpZHQ1fKSU");
    }

    #[test]
    fn debug_shows_neither_id_nor_key() {
        let id = SessionId([7; LEN]);
        assert_eq!(format!("{id:?} {:?}", id.record_key()), "SessionId(..) RecordKey(..)");
    }
}
