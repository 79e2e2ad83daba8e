//! Recovery codes, for a user who has lost every passkey.
//!
//! A code has 120 random bits, so nobody can guess one, and a fast hash keeps it as safe as a slow one would (NIST SP
//! 800-63B-4, section 3.1.2.2, asks for a slow one below 112 bits).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::problem::{BUG, Problem};

pub(crate) const HOW_MANY: usize = 8;

/// Digits and letters that nobody takes for another: neither i, l and o, nor u (Crockford's base 32).
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Draws new codes, for the user to keep. The site keeps their hashes.
pub(crate) fn draw() -> Result<Vec<String>, Problem> {
    (0..HOW_MANY).map(|_| code()).collect()
}

/// Six groups of four characters.
fn code() -> Result<String, Problem> {
    let mut code = String::new();
    for eight in 0..3 {
        let bytes = getrandom::u64().map_err(|_| BUG)?.to_be_bytes();
        for (nth, byte) in bytes.into_iter().enumerate() {
            if nth % 4 == 0 && (eight, nth) != (0, 0) {
                code.push('-');
            }
            code.push(char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]));
        }
    }
    Ok(code)
}

/// The hash of a code as somebody types it: in any case, with or without the dashes.
pub(crate) fn hash(typed: &str) -> String {
    let code: String = typed.chars().filter(char::is_ascii_alphanumeric).collect();
    let hash = Sha256::new()
        .chain_update("passkeys example, recovery code\0")
        .chain_update(code.to_ascii_lowercase());
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{HOW_MANY, draw, hash};

    #[test]
    fn a_code_is_readable_and_no_other_has_its_hash() {
        let codes = draw().expect("random numbers");
        let hashes: HashSet<_> = codes.iter().map(|code| hash(code)).collect();
        assert_eq!((codes.len(), hashes.len()), (HOW_MANY, HOW_MANY));
        for code in codes {
            let groups: Vec<_> = code.split('-').collect();
            assert!(
                groups.len() == 6 && groups.iter().all(|group| group.len() == 4),
                "{code}"
            );
            let typed = format!(" {} ", code.to_uppercase().replace('-', " "));
            assert_eq!(hash(&typed), hash(&code));
        }
    }
}
