//! The proof that a browser has a session's private key: a JWT (RFC 7519) in a signed JSON object (RFC 7515).
//!
//! Only what a browser sends is read, so a general library for JWTs, with its algorithms and its choice of keys, would
//! be more to check than these lines. `ring` verifies the signature.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// The algorithms that are accepted, as the browser is told them.
pub(crate) const ALGORITHMS: &str = "ES256 RS256";

/// The most bytes of a proof. A longer one is refused. One with an RSA key of 4,096 bits is shorter.
pub(crate) const MOST_BYTES: usize = 4096;

/// The bytes of a coordinate on the curve P-256. A point is a 4 and two of them (SEC 1, section 2.3.3).
const COORDINATE: usize = 32;

/// The bytes of an RSA key's modulus: 2,048 to 4,096 bits.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=512;

/// The only exponent of RSA that is accepted, which all hardware uses: 65,537.
const EXPONENT: [u8; 3] = [1, 0, 1];

/// A proof that was read, and whose signature was not verified yet.
#[derive(Debug)]
pub(crate) struct Proof<'a> {
    signed: &'a str,
    signature: Vec<u8>,
    algorithm: Algorithm,
    /// The key that a registration brings, in base64url.
    pub(crate) key: Option<String>,
    /// The challenge that it answers.
    pub(crate) challenge: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Algorithm {
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "RS256")]
    Rs256,
}

#[derive(Deserialize)]
struct Header {
    typ: String,
    alg: Algorithm,
    jwk: Option<Jwk>,
    /// Extensions that have to be understood (RFC 7515, section 4.1.11). There are none.
    crit: Option<IgnoredAny>,
}

/// A public key. Any other member is refused, because it may be a part of a private key (RFC 7518, section 6).
#[derive(Deserialize)]
#[serde(tag = "kty", deny_unknown_fields)]
enum Jwk {
    #[serde(rename = "EC")]
    Ec { crv: String, x: String, y: String },
    #[serde(rename = "RSA")]
    Rsa { n: String, e: String },
}

#[derive(Deserialize)]
struct Payload {
    jti: String,
}

impl<'a> Proof<'a> {
    /// Reads a proof, without trusting it yet; `None` if it is not one.
    pub(crate) fn read(text: &'a str) -> Option<Self> {
        if text.len() > MOST_BYTES {
            return None;
        }
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let header: Header = serde_json::from_slice(&decoded(header)?).ok()?;
        let payload: Payload = serde_json::from_slice(&decoded(payload)?).ok()?;
        if header.typ != "dbsc+jwt" || header.crit.is_some() {
            return None;
        }
        let key = match header.jwk {
            Some(jwk) => Some(jwk.key(header.alg)?),
            None => None,
        };
        Some(Self {
            signed,
            signature: decoded(signature)?,
            algorithm: header.alg,
            key,
            challenge: payload.jti,
        })
    }

    /// Whether the private key of this public key made the signature.
    pub(crate) fn verifies(&self, key: &str) -> bool {
        let (message, signature) = (self.signed.as_bytes(), &self.signature);
        let Some(key) = decoded(key) else { return false };
        let verified = match self.algorithm {
            Algorithm::Es256 => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(message, signature),
            Algorithm::Rs256 => {
                let key = RsaPublicKeyComponents {
                    n: key,
                    e: EXPONENT.to_vec(),
                };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
        };
        verified.is_ok()
    }
}

impl Jwk {
    /// The key as a record keeps it: the point of an elliptic curve, or the modulus of an RSA key.
    fn key(self, algorithm: Algorithm) -> Option<String> {
        let key = match (algorithm, self) {
            (Algorithm::Es256, Self::Ec { crv, x, y }) if crv == "P-256" => {
                let [x, y] = [decoded(&x)?, decoded(&y)?];
                (x.len() == COORDINATE && y.len() == COORDINATE).then(|| [&[4_u8][..], &x, &y].concat())?
            }
            (Algorithm::Rs256, Self::Rsa { n, e }) if decoded(&e)? == EXPONENT => {
                // A number has no leading zero (RFC 7518, section 2), so a key has one spelling.
                let modulus = decoded(&n)?;
                (MODULUS.contains(&modulus.len()) && modulus[0] != 0).then_some(modulus)?
            }
            _ => return None,
        };
        Some(URL_SAFE_NO_PAD.encode(key))
    }
}

/// Decodes base64url in its only accepted spelling, without padding.
fn decoded(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests;
