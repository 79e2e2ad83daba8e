//! Cookies that are made by the documented format, without the library: `<id>.<mac>`. The MAC is HMAC-SHA256 (RFC 2104)
//! over `lambda-session/cookie/v2`, a zero byte, the cookie's name, a zero byte, and the ID in base64url.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// The value of a cookie of this name for this ID.
pub(crate) fn cookie(secret: &[u8], name: &str, id: &str) -> String {
    let signed = format!("lambda-session/cookie/v2\0{name}\0{id}");
    format!("{id}.{}", URL_SAFE_NO_PAD.encode(hmac(secret, signed.as_bytes())))
}

/// HMAC, implemented here so that the tests share no code with the library.
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

/// An ID that the function never issued.
pub(crate) fn id(seed: u64) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(seed.to_be_bytes()))
}

/// The key under which the record of this ID is kept.
pub(crate) fn record_key(id: &str) -> String {
    let bytes = URL_SAFE_NO_PAD.decode(id).expect("an ID");
    URL_SAFE_NO_PAD.encode(Sha256::digest(bytes))
}
