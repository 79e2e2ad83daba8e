//! The session ID, which is the secret in the cookie, and the key of its record.

use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Bytes of randomness in an ID: 256 bits, four times the 64 that [OWASP] asks for.
///
/// [OWASP]: https://cheatsheetseries.owasp.org/cheatsheets/Session_Management_Cheat_Sheet.html#session-id-entropy
pub(crate) const ID_BYTES: usize = 32;

/// A session ID: 32 bytes from the operating system's random number generator.
///
/// Anyone who knows it has the session, so it leaves the process in one place only, the `Set-Cookie` header, and its
/// `Debug` shows nothing.
#[derive(Clone)]
pub(crate) struct SessionId {
    bytes: [u8; ID_BYTES],
    derived: Arc<Derived>,
}

/// The keys that are derived from an ID. The clones of an ID share them, and each is computed at its first use only.
/// With the memory store, the record's key takes a tenth of the instructions of a request that only reads the session.
/// The sealing key takes ten times as many instructions as the record's key.
#[derive(Default)]
struct Derived {
    record_key: OnceLock<RecordKey>,
    #[cfg(feature = "sealed")]
    seal_key: OnceLock<[u8; 32]>,
}

impl PartialEq for SessionId {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for SessionId {}

impl SessionId {
    /// Makes an ID of bytes that nobody can guess.
    pub(crate) fn new(random: [u8; ID_BYTES]) -> Self {
        Self {
            bytes: random,
            derived: Arc::default(),
        }
    }

    /// The key that seals this session's record, which `derive` makes of the ID.
    #[cfg(feature = "sealed")]
    pub(crate) fn seal_key(&self, derive: impl FnOnce(&[u8; ID_BYTES]) -> [u8; 32]) -> &[u8; 32] {
        self.derived.seal_key.get_or_init(|| derive(&self.bytes))
    }

    /// Encodes the ID in the only accepted spelling: 43 characters of base64url without padding (RFC 4648, section 5).
    pub(crate) fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes)
    }

    /// Decodes `text` if it is the canonical spelling of an ID.
    pub(crate) fn decode(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; ID_BYTES];
        let is_id = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) == Ok(ID_BYTES);
        is_id.then(|| Self::new(bytes))
    }

    /// The key of this session's record.
    pub(crate) fn record_key(&self) -> &RecordKey {
        self.derived
            .record_key
            .get_or_init(|| RecordKey(URL_SAFE_NO_PAD.encode(Sha256::digest(self.bytes)).into()))
    }
}

/// The key under which a store keeps a session: the SHA-256 of its ID, base64url.
///
/// A store never sees an ID, so nobody can open a session with a copy of the table.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordKey(Arc<str>);

impl RecordKey {
    /// Makes a key of the text that a store has kept, such as a tombstone's `replaced_by`.
    ///
    /// ```
    /// # use lambda_session::RecordKey;
    /// let successor = RecordKey::from_stored("as it was written".to_owned());
    /// assert_eq!(successor.as_str(), "as it was written");
    /// ```
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text.into())
    }

    /// The key that equals this handle of a session, if it has the form of one.
    pub(crate) fn from_handle(text: &str) -> Option<Self> {
        SessionId::decode(text.as_bytes()).map(|_| Self(text.into()))
    }

    /// The key as text, for a store to use.
    ///
    /// ```
    /// # use lambda_session::RecordKey;
    /// assert_eq!(RecordKey::from_stored("a key".to_owned()).as_str(), "a key");
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Hashed first, so that no owner's key equals the key of a session.
const OWNER: &[u8] = b"lambda-session/owner/v1\0";

/// The key under which a store keeps the list of an owner's sessions: the SHA-256 of a fixed context and the owner's
/// name, base64url.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerKey(String);

impl OwnerKey {
    /// Makes the key of this owner's list.
    ///
    /// ```
    /// # use lambda_session::OwnerKey;
    /// assert_eq!(OwnerKey::new("admin").as_str().len(), 43);
    /// ```
    #[must_use]
    pub fn new(owner: &str) -> Self {
        let hash = Sha256::new().chain_update(OWNER).chain_update(owner).finalize();
        Self(URL_SAFE_NO_PAD.encode(hash))
    }

    /// The key as text, for a store to use.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

show_name_only!(SessionId, RecordKey, OwnerKey);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_decodes_to_itself() {
        let id = SessionId::new([5; ID_BYTES]);
        assert_eq!(SessionId::decode(id.encode().as_bytes()), Some(id));
    }

    #[test]
    fn only_the_canonical_spelling_decodes() {
        let canonical = SessionId::new([0xff; ID_BYTES]).encode();
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
        let id = SessionId::new([0; ID_BYTES]);
        let key = id.record_key();
        assert_eq!(key.as_str(), "Zmh6rfhivXdsj8GLjp-OIAiXFIVu4jOzkCpZHQ1fKSU");
    }

    #[test]
    fn the_owner_key_is_the_hash_of_the_context_and_the_name() {
        // printf 'lambda-session/owner/v1\0admin' | sha256sum | xxd -r -p | basenc --base64url
        assert_eq!(
            OwnerKey::new("admin").as_str(),
            "Siuqgr-RguTuZXCCd-t83EDLY3aQfiirDZMYcB7a_1Y"
        );
        assert_eq!(format!("{:?}", OwnerKey::new("admin")), "OwnerKey(..)");
    }

    #[test]
    fn debug_shows_neither_id_nor_key() {
        let id = SessionId::new([7; ID_BYTES]);
        assert_eq!(format!("{id:?} {:?}", id.record_key()), "SessionId(..) RecordKey(..)");
    }
}
