//! Passwords and their hashes.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization as _;

use crate::problem::{BUG, Problem};

/// OWASP's Authentication Cheat Sheet and NIST SP 800-63B-4 require 15 characters if the password is the only factor,
/// and no rule about which characters.
const FEWEST_CHARACTERS: usize = 15;

/// The hash with which an unknown name's password is compared. No password has this hash. Its parameters are those of
/// all hashes, so the comparison takes the same time.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$fpd7umMP33J5hGaZliMfMA$iYHevSSvc/dB3rZNfP3u8/XfMVXs/jAwHkejO1Q1Teg";

/// Each hash takes 19 MiB and a processor, and a small function has neither to spare.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

/// Refuses a password that is easy to guess, with a sentence for the user.
pub(crate) fn check(password: &str, name: &str) -> Result<(), &'static str> {
    let password = normal(password);
    if password.chars().count() < FEWEST_CHARACTERS {
        return Err("A password needs at least 15 characters, such as four or five words.");
    }
    if password.to_lowercase().replace(name, "").chars().count() < FEWEST_CHARACTERS / 2 {
        return Err("A password must be more than your name.");
    }
    Ok(())
}

/// The password in normal form C: some keyboards type an é as one code point, and others as two (NIST SP 800-63B-4,
/// section 3.1.1.2).
fn normal(password: &str) -> String {
    password.nfc().collect()
}

/// 19 MiB, two passes, one lane: the first of the equivalent choices in OWASP's Password Storage Cheat Sheet.
fn argon2id() -> Argon2<'static> {
    let parameters = Params::new(19 * 1024, 2, 1, None).expect("parameters within argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
}

/// Whether `password` has this hash. Without a hash, because there is no such user, it takes as long.
pub(crate) async fn is_right(hash: Option<&str>, password: String) -> Result<bool, Problem> {
    let is_user = hash.is_some();
    let hash = hash.unwrap_or(NOBODYS).to_owned();
    let is_right = on_another_thread(move || {
        let hash = PasswordHash::new(&hash).map_err(|_| BUG)?;
        Ok(argon2id().verify_password(normal(&password).as_bytes(), &hash).is_ok())
    });
    Ok(is_right.await? && is_user)
}

/// Hashes a new password, with a salt of its own.
pub(crate) async fn hash(password: String) -> Result<String, Problem> {
    on_another_thread(move || {
        let hash = argon2id()
            .hash_password(normal(&password).as_bytes())
            .map_err(|_| BUG)?;
        Ok(hash.to_string())
    })
    .await
}

/// Runs `work` on a thread where it blocks no other request.
async fn on_another_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let permit = AT_ONCE.acquire().await.map_err(|_| BUG)?;
    let done = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work()
    });
    done.await.map_err(|_| BUG)?
}
