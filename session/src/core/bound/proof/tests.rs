use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::*;

const CHALLENGE: &str = "the challenge";

/// A proof with an RSA key of 2,048 bits, which OpenSSL made and forgot.
const RSA_2048: &str = "\
     eyJhbGciOiJSUzI1NiIsInR5cCI6ImRic2Mrand0IiwiandrIjp7Imt0eSI6IlJTQSIsIm4iOiJ2MlFwNmlnZkdZMEFPUEp2a002a2xkVXRhV3FX\
     Z3Zkdlg3NjFtY25HcHAwRUY0enBmWFNUZExKSUdiLTFnR25uVndhaGRQeWhINFF3bDA3ODBjYmJMZEI2bTR4WEVnRzV0UktMQ3dFUjAzUTJMV1FF\
     cmw1RWxPM0NRaGFVanM2alFjZ0Y1elNnRkY0YmExclZWa2wwZkNicVhFYlByWkl0UmZkSUNDMlFJN1hhS3NQMTlTdUZTZmJ6enI0ZWwwZ082cndu\
     MWd4QnVwcG1HNU1TVTNReHRrcjMwaDBJOWNsTGZRbUZwV2Itd2pjTGtFeWhDZGNjREhKNmNIeXVDdUMwTFg0NGZjYnEyNHl3cktMcTNhRDlKd1l5\
     TVZ6WVJQbllUQlpsV2NoNE5tbmQtNkNzb251VlhfOHEzMFZKM3VqbTRkS2ZubVQ2RUJyWHRuanlNMlhwN3ciLCJlIjoiQVFBQiJ9fQ.eyJqdGkiO\
     iJ0aGUgY2hhbGxlbmdlIn0.lGSkrWDWbssldnjGIfsjTS9i-GXesxfxl0ZfP9SmzAR28PnqBjwJx7iOceT9qaefjDCuvIy9gLvfY3KnkSb7ZmFsk\
     ibutwvEkekJMLJ92twpolhR2WPBmJBo2WOKEGlnSQCmwwFitwmOXuHacJu-gRE-IVDiD0nV_tS51jEhINa1jtWQGBnMp_tTBQfakW5G_0Tp9pTtV\
     uKa1ZTCGyvy7syzmuo_UcAa1UJ74qymkXu1IcX-vpGyvb85D0uowOrRmuZVpQzZVsU-0fYzB7pvpG1ZhR9HqmT_jkcJ0DyyQkJeVZxTPfSc8in-Q\
     -GFeYT0x_2_X_xqRwC4fEc4_w_0Nw";

/// The same with 1,024 bits.
const RSA_1024: &str = "\
     eyJhbGciOiJSUzI1NiIsInR5cCI6ImRic2Mrand0IiwiandrIjp7Imt0eSI6IlJTQSIsIm4iOiI3S1Z0eTZwOUNWQzA1UmVNc2d5VkVnQXRDd0RT\
     SV9qVExUR3U4RlgwNU9lTHlsWTNtdzYtVU13ZmQ3b3RKckYtekU2SExlaXJEVDlBa1ZTUEk5S0x3MF9Jak8yX3RoMHU2eTBLZm43UWIwaG0xLWNV\
     N2NDQXRBNFRLV0JFTHBoUkk5bzNodjdRVVhON1hoTEdSYVRYdDR3b1BFcERCaGxhd1g5TDk1LUV4UFUiLCJlIjoiQVFBQiJ9fQ.eyJqdGkiOiJ0a\
     GUgY2hhbGxlbmdlIn0.byO__Y8m8_4crehAxo59v2Kcq1_v7an7SF-z1qdgc2ZHi5TnC0ZIOHRmqiIS7cGXmGr3uhhuxRyKSzlFxNpUkLnN1AJeO\
     ox3gJjwwJUpWCUC4A1Akb1EZlCB8FuIT3HRnSO3rSKFjHgw4i_e8xgew0iVnbOKlkOys-4ULq1CzNA";

/// A device, which has a key that nobody copies.
struct Device(EcdsaKeyPair);

impl Device {
    fn new() -> Self {
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap())
    }

    fn point(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.public_key())
    }

    fn jwk(&self) -> Value {
        let (x, y) = self.0.public_key().as_ref()[1..].split_at(32);
        let [x, y] = [x, y].map(|part| URL_SAFE_NO_PAD.encode(part));
        json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y })
    }

    fn header(&self) -> Value {
        json!({ "typ": "dbsc+jwt", "alg": "ES256", "jwk": self.jwk() })
    }

    fn sign(&self, header: &Value, payload: &Value) -> String {
        let [header, payload] = [header, payload].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{payload}");
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn proof(&self) -> String {
        self.sign(&self.header(), &json!({ "jti": CHALLENGE }))
    }
}

/// Whether the proof is one, and its signature is that of the key that it brings.
fn proves_its_own(text: &str) -> bool {
    Proof::read(text).is_some_and(|proof| proof.key.as_ref().is_some_and(|key| proof.verifies(key)))
}

#[test]
fn a_proof_of_each_algorithm_is_read_and_verified() {
    let device = Device::new();
    for text in [device.proof(), RSA_2048.to_owned()] {
        let proof = Proof::read(&text).unwrap();
        assert_eq!(proof.challenge, CHALLENGE);
        assert!(proves_its_own(&text));
    }
    let text = device.proof();
    assert_eq!(Proof::read(&text).unwrap().key, Some(device.point()));
    assert!(!Proof::read(&text).unwrap().verifies(&Device::new().point()));
    // A refresh brings no key.
    let text = device.sign(
        &json!({ "typ": "dbsc+jwt", "alg": "ES256" }),
        &json!({ "jti": CHALLENGE, "iat": 1 }),
    );
    let proof = Proof::read(&text).unwrap();
    assert!(proof.key.is_none() && proof.verifies(&device.point()));
}

#[test]
fn a_small_key_is_refused() {
    assert!(Proof::read(RSA_1024).is_none());
    // Even if the record holds it.
    let header = json!({ "typ": "dbsc+jwt", "alg": "RS256" });
    let text = Device::new().sign(&header, &json!({ "jti": CHALLENGE }));
    let small = URL_SAFE_NO_PAD.encode([255; 128]);
    assert!(!Proof::read(&text).unwrap().verifies(&small));
}

#[test]
fn a_proof_does_not_choose_the_algorithm_of_the_key() {
    let device = Device::new();
    let rsa = Proof::read(RSA_2048).unwrap();
    let elliptic = device.proof();
    let elliptic = Proof::read(&elliptic).unwrap();
    assert!(!rsa.verifies(&device.point()) && !elliptic.verifies(rsa.key.as_ref().unwrap()));
    for algorithm in ["none", "None", "HS256", "ES384", "PS256", "EdDSA", "es256", "RS256", ""] {
        let mut header = device.header();
        header["alg"] = algorithm.into();
        assert!(
            !proves_its_own(&device.sign(&header, &json!({ "jti": CHALLENGE }))),
            "{algorithm}"
        );
        header.as_object_mut().unwrap().remove("jwk");
        let text = device.sign(&header, &json!({ "jti": CHALLENGE }));
        let verified = Proof::read(&text).is_some_and(|proof| proof.verifies(&device.point()));
        assert!(!verified, "{algorithm}");
    }
    let (unsigned, _) = RSA_2048.rsplit_once('.').unwrap();
    assert!(!proves_its_own(&format!("{unsigned}.")));
}

#[test]
fn a_key_that_is_not_exactly_a_public_one_is_refused() {
    let device = Device::new();
    let jwk = device.jwk();
    let with = |name: &str, value: Value| {
        let mut jwk = jwk.clone();
        jwk[name] = value;
        jwk
    };
    let x = jwk["x"].as_str().unwrap();
    let n = "A".repeat(342);
    for wrong in [
        with("d", x.into()),
        with("k", x.into()),
        with("n", n.into()),
        with("n", Value::Null),
        with("kty", "RSA".into()),
        with("kty", "oct".into()),
        with("crv", "P-384".into()),
        with("crv", "secp256k1".into()),
        with("x", x[..42].into()),
        with("x", format!("{x}=").into()),
        with("x", format!("{x}AAAA").into()),
        with("y", Value::Null),
        with("y", 1.into()),
        json!({ "kty": "RSA", "n": "AAAA", "e": "AQAB" }),
        json!({ "kty": "RSA", "n": "A".repeat(683), "e": "AQAB" }),
        json!({ "kty": "RSA", "n": "A".repeat(342), "e": "AQAB", "d": "AAAA" }),
        json!([]),
        json!("key"),
    ] {
        let mut header = device.header();
        header["jwk"] = wrong.clone();
        assert!(
            !proves_its_own(&device.sign(&header, &json!({ "jti": CHALLENGE }))),
            "{wrong}"
        );
    }
    let (start, rest) = RSA_2048.split_once('.').unwrap();
    let header: Value = serde_json::from_slice(&decoded(start).unwrap()).unwrap();
    let n = decoded(header["jwk"]["n"].as_str().unwrap()).unwrap();
    let with_zero = URL_SAFE_NO_PAD.encode([vec![0], n].concat());
    for (name, wrong) in [("e", "Aw"), ("e", "AAEAAQ"), ("n", with_zero.as_str())] {
        let mut header = header.clone();
        header["jwk"][name] = wrong.into();
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        assert!(Proof::read(&format!("{header}.{rest}")).is_none(), "{wrong}");
    }
}

#[test]
fn a_point_that_is_not_on_the_curve_verifies_nothing() {
    let device = Device::new();
    let mut header = device.header();
    header["jwk"]["y"] = header["jwk"]["x"].clone();
    let text = device.sign(&header, &json!({ "jti": CHALLENGE }));
    assert!(Proof::read(&text).is_some() && !proves_its_own(&text));

    let random = SystemRandom::new();
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &random).unwrap();
    let other = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, key.as_ref(), &random).unwrap();
    let other = URL_SAFE_NO_PAD.encode(other.public_key());
    let text = device.proof();
    assert!(!Proof::read(&text).unwrap().verifies(&other));
}

#[test]
fn another_text_is_no_proof() {
    let device = Device::new();
    let payload = json!({ "jti": CHALLENGE });
    let header = |name: &str, value: Value| {
        let mut header = device.header();
        header[name] = value;
        device.sign(&header, &payload)
    };
    let right = device.proof();
    for text in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        format!("{right}="),
        format!("{right}."),
        format!(" {right}"),
        format!("\"{right}\""),
        right.replacen('.', "..", 1),
        header("typ", "JWT".into()),
        header("typ", Value::Null),
        header("crit", json!(["b64"])),
        device.sign(&device.header(), &json!({})),
        device.sign(&device.header(), &json!({ "jti": 1 })),
        device.sign(&device.header(), &json!([])),
        device.sign(&json!("header"), &payload),
        device.sign(&device.header(), &json!({ "jti": "A".repeat(MOST_BYTES) })),
        "A".repeat(1_000_000),
    ] {
        assert!(!proves_its_own(&text), "{text:.200}");
    }
    let twice = right.replacen(
        right.split('.').next().unwrap(),
        &URL_SAFE_NO_PAD.encode(format!("{{\"alg\":\"none\",{}", &device.header().to_string()[1..])),
        1,
    );
    assert!(Proof::read(&twice).is_none(), "a header with two algorithms");
}

#[test]
fn a_proof_has_at_most_4096_bytes() {
    let device = Device::new();
    let long = |more| device.sign(&device.header(), &json!({ "jti": CHALLENGE, "more": "A".repeat(more) }));
    let most = (MOST_BYTES / 2..MOST_BYTES)
        .find(|&more| long(more).len() >= MOST_BYTES)
        .unwrap();
    assert_eq!(long(most).len(), 4096);
    assert!(proves_its_own(&long(most)) && !proves_its_own(&long(most + 1)));
}

#[test]
fn every_changed_byte_of_a_proof_breaks_it() {
    let right = Device::new().proof();
    assert!(proves_its_own(&right));
    for place in 0..right.len() {
        for byte in [b'A', b'B', b'.'] {
            let mut changed = right.clone().into_bytes();
            if changed[place] != byte {
                changed[place] = byte;
                assert!(!proves_its_own(&String::from_utf8(changed).unwrap()), "{place}");
            }
        }
    }
}
