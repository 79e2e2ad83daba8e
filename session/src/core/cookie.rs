//! The cookie: a session ID and the proof that this application issued it.
//!
//! Its value is `<id>.<mac>`, both base64url without padding. The MAC is HMAC-SHA256 (RFC 2104) over a fixed context,
//! the cookie's name and the ID. It is checked in constant time before any store call, so a forged cookie costs no
//! call.

pub(crate) mod attributes;

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderValue, header};
use sha2::Sha256;
use thiserror::Error;

use self::attributes::Attributes;
use super::id::SessionId;

/// The fewest bytes that a secret key may have: the output of SHA-256, as RFC 2104, section 3 recommends.
pub const MIN_KEY_BYTES: usize = 32;

/// Signed first, so that a MAC made with the same key for another purpose never verifies here. The cookie's name and a
/// zero byte are signed next: if two layers share a key, neither accepts the other's cookie.
const CONTEXT: &[u8] = b"lambda-session/cookie/v2\0";

const ID_CHARS: usize = 43;
const MAC_BYTES: usize = 32;

/// The ID, a dot, and the MAC in base64url.
const VALUE_BYTES: usize = ID_CHARS + 1 + 43;

/// The error of a secret key with fewer than [`MIN_KEY_BYTES`] bytes.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("a secret key needs at least {MIN_KEY_BYTES} bytes, this one has {bytes}")]
#[non_exhaustive]
pub struct ShortKey {
    /// How many bytes the refused key has.
    pub bytes: usize,
}

/// The secret keys: the first one signs, and all of them verify.
///
/// ```
/// use lambda_session::Keys;
///
/// let keys = Keys::new(b"a long and random secret of at least 32 bytes")?
///     .with_fallback(b"the key before it, until its sessions have ended")?;
/// assert_eq!(format!("{keys:?}"), "Keys(..)");
/// assert!(Keys::new(b"short").is_err());
/// # Ok::<(), lambda_session::ShortKey>(())
/// ```
#[derive(Clone)]
pub struct Keys(Vec<Hmac<Sha256>>);

impl Keys {
    /// Makes keys that sign and verify with `secret`.
    ///
    /// # Errors
    ///
    /// Returns [`ShortKey`] if `secret` has fewer than [`MIN_KEY_BYTES`] bytes.
    ///
    /// ```
    /// use lambda_session::{Keys, ShortKey};
    ///
    /// assert!(Keys::new(b"a long and random secret of at least 32 bytes").is_ok());
    /// assert_eq!(Keys::new(b"short").unwrap_err().bytes, 5);
    /// ```
    pub fn new(secret: &[u8]) -> Result<Self, ShortKey> {
        Self(Vec::new()).with_fallback(secret)
    }

    /// Adds an older key that still verifies. Remove it when the sessions that it signed have ended: one lifetime after
    /// the last of them began, or, if your program remembers sessions, after the longest time for which it does.
    ///
    /// # Errors
    ///
    /// Returns [`ShortKey`] if `secret` has fewer than [`MIN_KEY_BYTES`] bytes.
    ///
    /// ```
    /// # use lambda_session::Keys;
    /// let keys = Keys::new(b"the new key, which signs from now on")?
    ///     .with_fallback(b"the key before it, until its sessions have ended")?;
    /// # Ok::<(), lambda_session::ShortKey>(())
    /// ```
    pub fn with_fallback(mut self, secret: &[u8]) -> Result<Self, ShortKey> {
        match Hmac::new_from_slice(secret) {
            Ok(key) if secret.len() >= MIN_KEY_BYTES => self.0.push(key),
            _ => return Err(ShortKey { bytes: secret.len() }),
        }
        Ok(self)
    }

    /// These keys, for what is signed in this context for the cookie `name`.
    pub(crate) fn with_context(&self, context: &[u8], name: &str) -> Self {
        let within = |key: &Hmac<Sha256>| key.clone().chain_update(context).chain_update(name).chain_update([0]);
        Self(self.0.iter().map(within).collect())
    }

    /// The MAC of `text` in base64url.
    pub(crate) fn mac(&self, text: &str) -> String {
        let mac = self.0[0].clone().chain_update(text).finalize();
        URL_SAFE_NO_PAD.encode(mac.into_bytes())
    }

    /// Whether one of these keys made this MAC of `text`. It is compared in constant time.
    pub(crate) fn made(&self, text: impl AsRef<[u8]>, mac: &[u8]) -> bool {
        let mut claimed = [0; MAC_BYTES];
        let is_mac = URL_SAFE_NO_PAD.decode_slice(mac, &mut claimed) == Ok(MAC_BYTES);
        let verifies = |key: &Hmac<_>| key.clone().chain_update(text.as_ref()).verify_slice(&claimed).is_ok();
        is_mac && self.0.iter().any(verifies)
    }

    fn sign(&self, id: &str) -> String {
        format!("{id}.{}", self.mac(id))
    }

    fn verify(&self, value: &[u8]) -> Option<SessionId> {
        let (id, mac) = value.split_at_checked(ID_CHARS)?;
        self.made(id, mac.strip_prefix(b".")?).then(|| SessionId::decode(id))?
    }
}

show_name_only!(Keys);

/// The name, the attributes and the keys of the session cookie.
#[derive(Clone, Debug)]
pub(crate) struct SessionCookie {
    pub(crate) name: Cow<'static, str>,
    pub(crate) secure: bool,
    /// The attributes as they are written after each value.
    tail: Box<str>,
    keys: Keys,
}

impl SessionCookie {
    /// Takes a name and attributes that the layer's builder has checked.
    pub(crate) fn with(name: Cow<'static, str>, attributes: &Attributes, keys: &Keys) -> Self {
        Self {
            secure: attributes.secure,
            tail: attributes.tail().into(),
            keys: keys.with_context(CONTEXT, &name),
            name,
        }
    }

    /// Uses the default attributes, except for `Secure`.
    #[cfg(test)]
    pub(crate) fn new(name: Cow<'static, str>, secure: bool, keys: &Keys) -> Self {
        let attributes = Attributes {
            secure,
            ..Attributes::default()
        };
        Self::with(name, &attributes, keys)
    }

    /// The session IDs that a request presents, each once. Cookies of our name that do not verify are ignored, because
    /// a neighbour subdomain can set them.
    pub(crate) fn read(&self, headers: &HeaderMap) -> Vec<SessionId> {
        let mut ids = Vec::new();
        for id in values(headers, &self.name).filter_map(|value| self.keys.verify(value)) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids
    }

    /// The `Set-Cookie` value that issues `id`, for `max_age` seconds or until the browser is closed.
    pub(crate) fn issue(&self, id: &SessionId, max_age: Option<u64>) -> HeaderValue {
        set_cookie(&self.name, &self.keys.sign(&id.encode()), &self.tail, max_age)
    }

    /// The `Set-Cookie` value that removes the cookie. Browsers identify a cookie by its name, `Domain`, `Path` and
    /// `Partitioned`, so it carries the same attributes.
    pub(crate) fn clear(&self) -> HeaderValue {
        set_cookie(&self.name, "", &self.tail, Some(0))
    }
}

/// The values of the cookies with this name that a request presents.
pub(crate) fn values<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let pairs = headers.get_all(header::COOKIE).iter();
    let pairs = pairs.flat_map(|value| value.as_bytes().split(|&byte| byte == b';'));
    pairs.filter_map(|pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

/// The `Set-Cookie` value with these attributes after the cookie's value.
pub(crate) fn set_cookie(name: &str, value: &str, tail: &str, max_age: Option<u64>) -> HeaderValue {
    let line = match max_age {
        None => format!("{name}={value}{tail}"),
        Some(seconds) => format!("{name}={value}{tail}; Max-Age={seconds}"),
    };
    let mut header = HeaderValue::try_from(line)
        .expect("the builder allows only visible ASCII in name and attributes, and base64url is visible ASCII");
    header.set_sensitive(true);
    header
}

#[cfg(test)]
mod tests {
    use super::attributes::SameSite;
    use super::*;
    use crate::core::id::ID_BYTES;

    #[test]
    fn keys_never_show_themselves() {
        let keys = Keys::new(b"a long and random secret of at least 32 bytes").unwrap();
        assert_eq!(format!("{keys:?}"), "Keys(..)");
    }

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
    const OTHER: &[u8] = b"another secret key of 32 bytes!!";

    fn cookie(keys: Keys) -> SessionCookie {
        SessionCookie::new("session".into(), false, &keys)
    }

    fn request(cookies: &[&str]) -> HeaderMap {
        cookies
            .iter()
            .map(|value| (header::COOKIE, HeaderValue::from_bytes(value.as_bytes()).unwrap()))
            .collect()
    }

    /// The ID with this number, and the value of its cookie `session`.
    fn issued(keys: &Keys, number: u8) -> (SessionId, String) {
        let id = SessionId::new([number; ID_BYTES]);
        let value = keys.with_context(CONTEXT, "session").sign(&id.encode());
        (id, value)
    }

    #[test]
    fn the_signature_is_frozen() {
        // python3: b64url(hmac.new(SECRET, b"lambda-session/cookie/v2\0session\0" + b"A" * 43, "sha256").digest())
        let keys = Keys::new(SECRET).unwrap();
        let id = SessionId::decode(&[b'A'; 43]).unwrap();
        assert_eq!(
            cookie(keys).issue(&id, None),
            format!(
                "session={}.Cko5udCTd51nN_nw5yc01ubLOSGYEzElwk1w50F1rjI; HttpOnly; SameSite=Lax; Path=/",
                "A".repeat(43)
            )
        );
    }

    #[test]
    fn every_attribute_is_written_and_clearing_carries_the_same() {
        let all = Attributes {
            secure: true,
            domain: Some("example.com".into()),
            path: "/shop".into(),
            same_site: SameSite::None,
            partitioned: true,
        };
        let strict = Attributes {
            same_site: SameSite::Strict,
            ..Attributes::default()
        };
        let plain = Attributes {
            secure: false,
            ..Attributes::default()
        };
        let keys = Keys::new(SECRET).unwrap();
        let id = SessionId::new([1; ID_BYTES]);
        for (attributes, tail) in [
            (
                all,
                "HttpOnly; SameSite=None; Path=/shop; Domain=example.com; Secure; Partitioned",
            ),
            (strict, "HttpOnly; SameSite=Strict; Path=/; Secure"),
            (Attributes::default(), "HttpOnly; SameSite=Lax; Path=/; Secure"),
            (plain, "HttpOnly; SameSite=Lax; Path=/"),
        ] {
            let cookie = SessionCookie::with("shop".into(), &attributes, &keys);
            let value = cookie.keys.sign(&id.encode());
            assert_eq!(value.len(), VALUE_BYTES);
            assert_eq!(cookie.issue(&id, None), format!("shop={value}; {tail}"));
            assert!(
                cookie.issue(&id, None).is_sensitive(),
                "no `Debug` of the headers shows it"
            );
            let kept = format!("shop={value}; {tail}; Max-Age=2592000");
            assert_eq!(cookie.issue(&id, Some(2_592_000)), kept);
            assert_eq!(cookie.clear(), format!("shop=; {tail}; Max-Age=0"));
        }
    }

    #[test]
    fn what_was_issued_is_read_among_neighbours() {
        let keys = Keys::new(SECRET).unwrap();
        let (id, value) = issued(&keys, 1);
        let cookie = cookie(keys);
        for headers in [
            vec![format!("session={value}")],
            vec![format!("a=b;session={value};c")],
            vec![
                "naïve=ü".to_owned(),
                format!("xsession=1; session=forged;  session={value} "),
            ],
            vec![format!("session={value}; session={value}")],
        ] {
            let headers: Vec<_> = headers.iter().map(String::as_str).collect();
            assert_eq!(
                cookie.read(&request(&headers)),
                std::slice::from_ref(&id),
                "{headers:?}"
            );
        }
    }

    #[test]
    fn nothing_but_what_was_issued_is_read() {
        let keys = Keys::new(SECRET).unwrap();
        let (id, value) = issued(&keys, 1);
        let (_, second) = issued(&keys, 2);
        let (_, foreign) = issued(&Keys::new(OTHER).unwrap(), 1);
        let (bare, mac) = value.split_once('.').unwrap();
        let other_mac = second.split_once('.').unwrap().1;
        let cookie = cookie(keys);
        for presented in [
            String::new(),
            "session".to_owned(),
            "session=".to_owned(),
            format!("session={bare}"),
            format!("session={bare}."),
            format!("session={}", &value[..value.len() - 1]),
            format!("session={value}A"),
            format!("session={value}="),
            format!("session=\"{value}\""),
            format!("session={}", value.replace('.', "%2E")),
            format!("session={bare}.{other_mac}"),
            format!("session={mac}.{bare}"),
            format!("session={foreign}"),
            format!("Session={value}"),
            format!("session ={value}"),
        ] {
            assert_eq!(cookie.read(&request(&[&presented])), [], "{presented:?} for {id:?}");
        }
    }

    #[test]
    fn a_cookie_under_another_name_does_not_verify() {
        let keys = Keys::new(SECRET).unwrap();
        let (_, value) = issued(&keys, 1);
        let other = SessionCookie::new("backoffice".into(), false, &keys);
        assert_eq!(other.read(&request(&[&format!("backoffice={value}")])), []);
    }

    #[test]
    fn all_that_verify_are_read_in_order_and_each_once() {
        let keys = Keys::new(SECRET).unwrap();
        let pairs: Vec<_> = (0..20).map(|number| issued(&keys, number)).collect();
        let values: Vec<_> = pairs.iter().map(|(_, value)| format!("session={value}")).collect();
        let line = [values.join("; "), values[3].clone()].join("; ");
        let ids: Vec<_> = pairs.into_iter().map(|(id, _)| id).collect();
        assert_eq!(cookie(keys).read(&request(&[&line])), ids);
    }

    #[test]
    fn fallbacks_verify_but_do_not_sign() {
        let (id, old) = issued(&Keys::new(OTHER).unwrap(), 1);
        let rotated = Keys::new(SECRET).unwrap().with_fallback(OTHER).unwrap();
        assert_eq!(
            rotated.with_context(CONTEXT, "session").verify(old.as_bytes()),
            Some(id)
        );

        let (_, new) = issued(&rotated, 1);
        let old_only = Keys::new(OTHER).unwrap().with_context(CONTEXT, "session");
        assert!(old_only.verify(new.as_bytes()).is_none());
    }

    #[test]
    fn a_short_key_is_refused_with_its_length() {
        let error = Keys::new(&[b'x'; 31]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a secret key needs at least 32 bytes, this one has 31"
        );
    }
}
