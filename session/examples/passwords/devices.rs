//! A cookie that shows that somebody has logged in to this account from this browser before, with the account's current
//! password. It logs nobody in: it only gives the browser its own number of attempts.
//!
//! Anyone who knows the password can get any number of such cookies. A change of password invalidates all of them;
//! otherwise each would allow attempts to guess the new one.
//!
//! <https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies>

use std::fmt;

use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Half a year.
const MAX_AGE: u32 = 180 * 24 * 60 * 60;

pub(crate) struct Devices {
    mac: Hmac<Sha256>,
    secure: bool,
}

impl Devices {
    /// After a rotation of the secret key, no browser is known until its next login.
    pub(crate) fn new(secret_key: &str, secure: bool) -> Self {
        let mut mac = Hmac::new_from_slice(secret_key.as_bytes()).expect("HMAC takes keys of any length");
        // Separates these MACs from those that the session layer makes with the same key.
        mac.update(b"passwords example, device cookie, version 1\0");
        Self { mac, secure }
    }

    /// The browser's device name, if somebody has logged in to the account from it while the password had this hash.
    pub(crate) fn known(&self, headers: &HeaderMap, account: &str, hash: &str) -> Option<String> {
        let cookies = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|all| all.to_str().ok());
        cookies.flat_map(|all| all.split("; ")).find_map(|pair| {
            let (device, mac) = pair.strip_prefix(self.name())?.strip_prefix('=')?.split_once('.')?;
            let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
            self.over(device, account, hash).verify_slice(&mac).ok()?;
            Some(device.to_owned())
        })
    }

    /// Makes a cookie for a browser from which somebody has logged in to the account. The hash is the current
    /// password's.
    pub(crate) fn cookie(&self, account: &str, hash: &str) -> HeaderValue {
        let device = getrandom::u64().map(u64::to_be_bytes).unwrap_or_default();
        let device = URL_SAFE_NO_PAD.encode(device);
        let mac = URL_SAFE_NO_PAD.encode(self.over(&device, account, hash).finalize().into_bytes());
        let secure = if self.secure { "; Secure" } else { "" };
        let cookie = format!(
            "{}={device}.{mac}; HttpOnly; SameSite=Lax; Path=/; Max-Age={MAX_AGE}{secure}",
            self.name()
        );
        HeaderValue::try_from(cookie).expect("base64 and the fixed text are visible ASCII")
    }

    fn over(&self, device: &str, account: &str, hash: &str) -> Hmac<Sha256> {
        self.mac
            .clone()
            .chain_update(device)
            .chain_update([0])
            .chain_update(account)
            .chain_update([0])
            .chain_update(hash)
    }

    fn name(&self) -> &'static str {
        if self.secure { "__Host-device" } else { "device" }
    }
}

/// `Debug` omits the key.
impl fmt::Debug for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Devices").finish_non_exhaustive()
    }
}
