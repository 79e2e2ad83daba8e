//! Cookies made from the documented format, without the library: `<id>.<mac>`. The MAC is HMAC-SHA256 (RFC 2104) over
//! `lambda-session/cookie/v2`, a zero byte, the cookie's name, a zero byte and the ID as it is spelled.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// Returns the value of a cookie of this name for this ID.
pub(crate) fn cookie(secret: &[u8], name: &str, id: &str) -> String {
    let signed = format!("lambda-session/cookie/v2\0{name}\0{id}");
    format!("{id}.{}", URL_SAFE_NO_PAD.encode(hmac(secret, signed.as_bytes())))
}

/// HMAC written out, so that the tests share no code with what they test.
fn hmac(secret: &[u8], message: &[u8]) -> [u8; 32] {
    let mut key = [0; 64];
    if secret.len() > key.len() {
        key[..32].copy_from_slice(&Sha256::digest(secret));
    } else {
        key[..secret.len()].copy_from_slice(secret);
    }
    let pad = |byte: u8| key.map(|part| part ^ byte).to_vec();
    let inner = Sha256::digest([pad(0x36), message.to_vec()].concat());
    Sha256::digest([pad(0x5c), inner.to_vec()].concat()).into()
}

/// Whether this value of a cookie of this name was signed with one of these keys, and is in its only spelling.
pub(crate) fn verifies(secrets: &[&[u8]], name: &str, value: &str) -> bool {
    let Some((id, _)) = value.split_once('.') else {
        return false;
    };
    let canonical = URL_SAFE_NO_PAD.decode(id).is_ok_and(|bytes| bytes.len() == 32);
    canonical && secrets.iter().any(|secret| cookie(secret, name, id) == value)
}

/// Returns an ID that nobody was given.
pub(crate) fn id(seed: u64) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(seed.to_be_bytes()))
}

/// Returns the key under which the record of this ID is kept.
pub(crate) fn record_key(id: &str) -> String {
    let bytes = URL_SAFE_NO_PAD.decode(id).expect("an ID");
    URL_SAFE_NO_PAD.encode(Sha256::digest(bytes))
}
