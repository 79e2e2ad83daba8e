//! A passkey in software, and the browser around it. It does what a test tells it, also what no authenticator does.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::site::{BASE_URL, HOST};

// The flags of authenticator data (WebAuthn Level 3, section 6.1).
const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 1 << 2;
const HAS_CREDENTIAL: u8 = 1 << 6;

/// A passkey on a device. A clone is a copy of it.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    /// The credential's ID.
    pub(crate) id: [u8; 16],
    /// The user handle, which a registration sets.
    pub(crate) user: Vec<u8>,
    /// The number of signatures. A registration is none.
    pub(crate) counter: u32,
    /// Whether the device counts. A passkey that is synchronised between devices does not.
    pub(crate) counts: bool,
    /// Whether the device has asked its user for a PIN.
    pub(crate) verifies: bool,
    /// The origin of the page, as the browser tells it.
    pub(crate) origin: String,
    /// The host for which the passkey was made.
    pub(crate) host: String,
    /// The private key, as PKCS #8.
    pub(crate) key: Vec<u8>,
}

impl Device {
    pub(crate) fn new() -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random);
        let id: ring::rand::Random<[u8; 16]> = ring::rand::generate(&random).expect("random numbers");
        Self {
            id: id.expose(),
            user: Vec::new(),
            counter: 0,
            counts: true,
            verifies: true,
            origin: BASE_URL.to_owned(),
            host: HOST.to_owned(),
            key: key.expect("a key").as_ref().to_vec(),
        }
    }

    /// The credential's ID, as the site's form has it.
    pub(crate) fn id(&self) -> String {
        encode(self.id)
    }

    /// Answers a registration's challenge, as the form has it that the script sends.
    pub(crate) fn create(&mut self, options: &Value) -> String {
        self.user = bytes(&options["user"]["id"]);
        let mut data = self.data(HAS_CREDENTIAL);
        data.extend([0; 16]);
        data.extend([0, 16]);
        data.extend(self.id);
        // The key as a map of COSE (RFC 9053, section 7.1.1): EC2, ES256, P-256, x and y.
        data.extend([0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32]);
        let key = self.key();
        // The first byte says that both coordinates follow.
        let (x, y) = key.public_key().as_ref()[1..].split_at(32);
        data.extend(x);
        data.extend([0x22, 0x58, 32]);
        data.extend(y);
        // A map in CBOR: the format "none", whose statement is empty, and the data.
        let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".to_vec();
        object.push(u8::try_from(data.len()).expect("less than 256 bytes"));
        object.extend(data);
        self.answer(&json!({
            "clientDataJSON": encode(self.client_data("webauthn.create", options)),
            "attestationObject": encode(object),
            "transports": ["internal"],
        }))
    }

    /// Answers an authentication's challenge.
    pub(crate) fn get(&mut self, options: &Value) -> String {
        self.counter += u32::from(self.counts);
        let data = self.data(0);
        let client_data = self.client_data("webauthn.get", options);
        let signed = [data.as_slice(), &Sha256::digest(&client_data)].concat();
        let signature = self.key().sign(&SystemRandom::new(), &signed).expect("a signature");
        self.answer(&json!({
            "clientDataJSON": encode(client_data),
            "authenticatorData": encode(data),
            "signature": encode(signature),
            "userHandle": encode(&self.user),
        }))
    }

    fn answer(&self, response: &Value) -> String {
        let id = self.id();
        let answer = json!({
            "id": id, "rawId": id, "type": "public-key", "response": response, "clientExtensionResults": {},
        });
        answer.to_string()
    }

    fn data(&self, flags: u8) -> Vec<u8> {
        let verified = if self.verifies { USER_VERIFIED } else { 0 };
        let mut data = Sha256::digest(&self.host).to_vec();
        data.push(USER_PRESENT | verified | flags);
        data.extend(self.counter.to_be_bytes());
        data
    }

    fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        let (challenge, origin) = (&options["challenge"], &self.origin);
        let data = json!({ "type": kind, "challenge": challenge, "origin": origin, "crossOrigin": false });
        data.to_string().into_bytes()
    }

    fn key(&self) -> EcdsaKeyPair {
        let random = SystemRandom::new();
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &self.key, &random).expect("a key")
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn bytes(text: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text.as_str().expect("a text")).expect("base64")
}
