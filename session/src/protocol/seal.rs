//! Encrypts a session's variables and owner under a key that is derived from the session ID. The server does not store
//! the ID.
//!
//! The cipher is XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha), and HKDF-SHA256 (RFC 5869) derives its key. The nonce is
//! long enough to be random, so no counter has to be kept. The cipher is fast and safe on processors without AES
//! instructions. It is put together as the draft defines it: `chacha20` derives a key for each nonce, and `ring`, which
//! encrypts the calls of `DynamoDbStore`, too, encrypts with that key (RFC 8439). The crate `chacha20poly1305` takes
//! longer for a short value; the tests check that it opens what is sealed here.

use chacha20::{R20, hchacha};
use hkdf::Hkdf;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use serde_dynamo::AttributeValue;
use sha2::Sha256;

use super::call::Opened;
use super::error::SessionError;
use super::random;
use crate::core::id::SessionId;
use crate::core::record::Record;
use crate::core::value::Value;

/// The first part of HKDF's context, so that the derived key has no other purpose. The record's key, which is the ID's
/// hash, is the second part.
const CONTEXT: &[u8] = b"lambda-session/sealed/v1\0";

const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// The bytes that sealing adds to a value.
const ADDED_BYTES: usize = NONCE_BYTES + TAG_BYTES;

/// The place of a value in its record, in two parts. It is the associated data, so that an encrypted value cannot be
/// opened in another place.
type Place<'a> = [&'a [u8]; 2];

const OWNER: Place<'_> = [b"owner", b""];

fn variable(name: &str) -> Place<'_> {
    [b"variable\0", name.as_bytes()]
}

/// Seals and opens one session's record, with this key.
pub(crate) struct Seal([u8; 32]);

impl Seal {
    pub(crate) fn of(id: &SessionId) -> Self {
        Self(*id.seal_key(|id_bytes| {
            let mut key = [0; 32];
            Hkdf::<Sha256>::new(None, id_bytes)
                .expand_multi_info(&[CONTEXT, id.record_key().as_str().as_bytes()], &mut key)
                .expect("HKDF-SHA256 gives up to 8,160 bytes");
            key
        }))
    }

    /// Seals the record for the store. A value that is equal to the one in the record that was `read` keeps its
    /// encrypted form. Each other value gets a new nonce.
    ///
    /// # Errors
    ///
    /// The operating system gives no random numbers.
    pub(crate) fn seal(&self, record: &Record, read: Option<&Opened>) -> Result<Record, SessionError> {
        let read = read.filter(|read| read.stored.sealed);
        let seal = |(name, value): (&String, &Value)| {
            let same = read.filter(|read| read.record.data.get(name) == Some(value));
            let sealed = match same.and_then(|read| read.stored.data.get(name)) {
                Some(sealed) => sealed.clone(),
                None => self.value(variable(name), value, random::bytes()?),
            };
            Ok((name.clone(), sealed))
        };
        let data = record.data.iter().map(seal).collect::<Result<_, SessionError>>()?;
        Ok(Record {
            data,
            owner: match (&record.owner, read.and_then(|read| read.stored.owner.clone())) {
                (None, _) => None,
                (Some(_), Some(sealed)) => Some(sealed),
                (Some(owner), None) => Some(self.value(OWNER, owner, random::bytes()?)),
            },
            sealed: true,
            writes: record.writes.clone(),
            label: record.label.clone(),
            bound: record.bound.clone(),
            ..*record
        })
    }

    /// Opens a sealed record. The error is the name of the attribute that does not open.
    pub(crate) fn open(&self, sealed: &Record) -> Result<Record, &'static str> {
        let mut buffer = Vec::new();
        let mut open = |place, value| self.opened(place, value, &mut buffer);
        let variables = sealed.data.iter().map(|(name, value)| {
            let opened = open(variable(name), value).ok_or("data")?;
            Ok((name.clone(), opened))
        });
        let data = variables.collect::<Result<_, &str>>()?;
        let owner = sealed.owner.as_ref().map(|owner| open(OWNER, owner).ok_or("owner"));
        Ok(Record {
            data,
            owner: owner.transpose()?,
            writes: sealed.writes.clone(),
            label: sealed.label.clone(),
            bound: sealed.bound.clone(),
            ..*sealed
        })
    }

    /// Encrypts the value's DynamoDB JSON, and puts the nonce before it. A nonce is random, and is used once.
    fn value(&self, place: Place<'_>, value: &Value, nonce: [u8; NONCE_BYTES]) -> Value {
        let (key, short) = self.cipher(&nonce);
        let mut bytes = plain(value, nonce.to_vec());
        let tag = key
            .seal_in_place_separate_tag(short, Aad::from(place.concat()), &mut bytes[NONCE_BYTES..])
            .expect("a value is shorter than the 256 GiB that the cipher takes");
        bytes.extend_from_slice(tag.as_ref());
        Value(AttributeValue::B(bytes))
    }

    /// Opens a value. The values of a record share the buffer for their places and texts, which saves allocations.
    fn opened(&self, place: Place<'_>, value: &Value, buffer: &mut Vec<u8>) -> Option<Value> {
        let AttributeValue::B(bytes) = &value.0 else {
            return None;
        };
        let (nonce, encrypted) = bytes.split_first_chunk()?;
        buffer.clear();
        for part in place {
            buffer.extend_from_slice(part);
        }
        let place_bytes = buffer.len();
        buffer.extend_from_slice(encrypted);
        let (place, text) = buffer.split_at_mut(place_bytes);
        let (key, short) = self.cipher(nonce);
        let text = key.open_in_place(short, Aad::from(place), text).ok()?;
        parsed(text)
    }

    /// Returns the key and the nonce with which ChaCha20-Poly1305 does what XChaCha20-Poly1305 does with this nonce
    /// (draft-irtf-cfrg-xchacha, section 2.3).
    fn cipher(&self, nonce: &[u8; NONCE_BYTES]) -> (LessSafeKey, Nonce) {
        let (mut for_key, mut short) = ([0; 16], [0; 12]);
        for_key.copy_from_slice(&nonce[..16]);
        short[4..].copy_from_slice(&nonce[16..]);
        let key = hchacha::<R20>(&self.0.into(), &for_key.into());
        let key = UnboundKey::new(&CHACHA20_POLY1305, &key).expect("the key has 32 bytes");
        (LessSafeKey::new(key), Nonce::assume_unique_for_key(short))
    }
}

/// Appends the value's DynamoDB JSON.
fn plain(value: &Value, mut bytes: Vec<u8>) -> Vec<u8> {
    serde_json::to_writer(&mut bytes, value).expect("every value has a form in JSON");
    bytes
}

/// Reads what [`plain`] wrote, as `serde_json` does. Most values are texts without escapes, which need no parser.
fn parsed(json: &[u8]) -> Option<Value> {
    let text = json
        .strip_prefix(br#"{"S":""#)
        .and_then(|rest| rest.strip_suffix(br#""}"#));
    let needs_parser = |byte: &u8| matches!(byte, 0..b' ' | b'"' | b'\\');
    match text {
        Some(text) if !text.iter().any(needs_parser) => {
            let text = String::from_utf8(text.to_vec()).ok()?;
            Some(Value(AttributeValue::S(text)))
        }
        _ => serde_json::from_slice(json).ok(),
    }
}

/// Returns the bytes that a sealed variable takes.
pub(crate) fn sealed_size(name: &str, value: &Value) -> usize {
    name.len() + 1 + plain(value, Vec::new()).len() + ADDED_BYTES
}

#[cfg(test)]
mod tests;
