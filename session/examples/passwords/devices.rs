//! A cookie that says that somebody has logged in to this account from this browser before, with the password that it has now. It
//! opens nothing: it only gives the browser an allowance of attempts of its own.
//!
//! Whoever knows the password can have any number of such cookies. After a change of password all of them are worth nothing, or each
//! would be an allowance to guess the new one.
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
    /// After the secret key was rotated, all browsers are strangers until the next login.
    pub(crate) fn new(secret_key: &str, secure: bool) -> Self {
        let mut mac = Hmac::new_from_slice(secret_key.as_bytes()).expect("HMAC takes keys of any length");
        // What the session layer signs with the same key is no device, and the other way round.
        mac.update(b"passwords example, device cookie, version 1\0");
        Self { mac, secure }
    }

    /// The browser's own name, if somebody has logged in to the account from it while the password had this hash.
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

    /// A cookie for a browser that somebody has logged in to the account from. The hash is the present password's.
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
