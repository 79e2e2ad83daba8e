//! Only a value that was sealed for its place opens, and the sealed form never changes.

use std::array::from_fn;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use ring::hkdf;

use super::*;
use crate::core::value::Data;

static ID: LazyLock<SessionId> = LazyLock::new(|| SessionId::new([7; 32]));

fn record() -> Record {
    let data = Data::from([
        ("username".to_owned(), Value::encode("admin").unwrap()),
        ("visits".to_owned(), Value::encode(3).unwrap()),
    ]);
    let mut record = Record::new(data, 1_000_000, 1_001_800);
    record.owner = Some(Value::encode("user-4711").unwrap());
    record
}

fn sealed() -> Record {
    Seal::of(&ID).seal(&record(), None).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    match &value.0 {
        AttributeValue::B(bytes) => bytes.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_sealed_opens_and_shows_nothing_before() {
    let sealed = sealed();
    let opened = Seal::of(&ID).open(&sealed).unwrap();
    assert_eq!(
        opened,
        Record {
            sealed: true,
            ..record()
        }
    );
    let shown = format!("{:?}", serde_json::to_string(&sealed).unwrap());
    for secret in ["admin", "user-4711"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn what_was_moved_changed_or_cut_does_not_open() {
    let opens = |record: &Record| Seal::of(&ID).open(record).is_ok();
    assert!(
        Seal::of(&SessionId::new([8; 32])).open(&sealed()).is_err(),
        "another session's"
    );

    let mut swapped = sealed();
    let (name, visits) = (swapped.data["username"].clone(), swapped.data["visits"].clone());
    swapped.data.insert("username".to_owned(), visits);
    assert!(!opens(&swapped), "the value of another variable");
    swapped.data.insert("username".to_owned(), name.clone());
    assert!(opens(&swapped));
    swapped.owner = Some(name);
    assert!(!opens(&swapped), "a variable as the owner");

    let whole = bytes(&sealed().data["username"]);
    for bit in 0..whole.len() * 8 {
        let mut changed = whole.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let mut record = sealed();
        record
            .data
            .insert("username".to_owned(), Value(AttributeValue::B(changed)));
        assert!(!opens(&record), "bit {bit}");
    }
    for length in 0..whole.len() {
        let mut record = sealed();
        record.data.insert(
            "username".to_owned(),
            Value(AttributeValue::B(whole[..length].to_vec())),
        );
        assert!(!opens(&record), "{length} bytes");
    }
    let mut plain = sealed();
    plain
        .data
        .insert("username".to_owned(), Value::encode("admin").unwrap());
    assert!(!opens(&plain), "not sealed at all");
}

#[test]
fn one_write_keeps_replaces_adds_and_removes_variables() {
    let seal = Seal::of(&ID);
    let mut before = record();
    before.data.insert("theme".to_owned(), Value::encode("dark").unwrap());
    let stored = seal.seal(&before, None).unwrap();
    let read = Opened {
        record: seal.open(&stored).unwrap().into(),
        stored: stored.into(),
    };

    let mut next = Record::clone(&read.record);
    next.data.remove("theme");
    next.data.insert("visits".to_owned(), Value::encode(4).unwrap());
    next.data.insert("basket".to_owned(), Value::encode(["tea"]).unwrap());
    let sealed = seal.seal(&next, Some(&read)).unwrap();
    assert_eq!(seal.open(&sealed).unwrap(), next);
    let kept = |name: &str| sealed.data[name] == read.stored.data[name];
    assert!(kept("username") && !kept("visits"));
    assert_eq!(sealed.owner, read.stored.owner);
}

#[test]
fn every_value_is_counted_as_it_is_stored() {
    let record = record();
    for (name, value) in &sealed().data {
        let counted = sealed_size(name, &record.data[name]);
        assert_eq!(counted, name.len() + 1 + bytes(value).len(), "{name}");
    }
}

/// Opens a value with other implementations: HKDF by `ring`, and the whole XChaCha20-Poly1305 by `RustCrypto`, whose
/// function for the key of a nonce is the one that is used here.
fn opened_by_others(id: [u8; 32], place: &[u8], sealed: &[u8]) -> Vec<u8> {
    let record_key = SessionId::new(id).record_key().clone();
    let info = [b"lambda-session/sealed/v1\0", record_key.as_str().as_bytes()];
    let derived = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(&id);
    let mut key = [0; 32];
    derived
        .expand(&info, hkdf::HKDF_SHA256)
        .unwrap()
        .fill(&mut key)
        .unwrap();
    let (nonce, encrypted) = sealed.split_first_chunk().unwrap();
    let payload = Payload {
        msg: encrypted,
        aad: place,
    };
    let cipher = XChaCha20Poly1305::new(&key.into());
    cipher.decrypt(&XNonce::from(*nonce), payload).unwrap()
}

#[test]
fn the_form_is_frozen_and_another_implementation_opens_it() {
    let sealed = sealed();
    let username = bytes(&sealed.data["username"]);
    assert_eq!(
        opened_by_others([7; 32], b"variable\0username", &username),
        br#"{"S":"admin"}"#
    );
    let owner = bytes(sealed.owner.as_ref().unwrap());
    assert_eq!(opened_by_others([7; 32], b"owner", &owner), br#"{"S":"user-4711"}"#);
    // The cipher has other code for other lengths of the text and of the name.
    let nonce: [u8; NONCE_BYTES] = from_fn(|n| u8::try_from(n).unwrap());
    let texts = (0..=1_100).chain([10_000, 300_000]).map(|length| (length, 1));
    for (length, name) in texts.chain((0..=40).map(|name| (0, name))) {
        let (text, name) = ("a".repeat(length), "n".repeat(name));
        let sealed = Seal::of(&ID).value(variable(&name), &Value::encode(&text).unwrap(), nonce);
        let opened = opened_by_others([7; 32], &variable(&name).concat(), &bytes(&sealed));
        assert_eq!(
            opened,
            format!(r#"{{"S":"{text}"}}"#).as_bytes(),
            "{length} bytes of {name}"
        );
        assert_eq!(
            Seal::of(&ID).opened(variable(&name), &sealed, &mut Vec::new()),
            Some(Value::encode(&text).unwrap())
        );
    }
    let fixed = Seal::of(&ID).value(variable("username"), &record().data["username"], [1; NONCE_BYTES]);
    let frozen = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBpqMU0BqjlsXTt6v6bL2zJObUPKklUG2K-2FUs5I";
    assert_eq!(URL_SAFE_NO_PAD.encode(bytes(&fixed)), frozen);
}

#[test]
fn a_value_is_read_as_serde_json_reads_it() {
    let texts = (0..=u8::MAX).map(|byte| String::from(char::from(byte)));
    let texts = texts.chain(["", "{", "\u{1f375}", "tea and milk", r#"","S":""#, r"\u0041"].map(str::to_owned));
    for text in texts {
        let value = Value::encode(&text).unwrap();
        assert_eq!(parsed(&plain(&value, Vec::new())), Some(value), "{text:?}");
    }
    for value in [
        Value::encode(-2.5),
        Value::encode(["tea", "milk"]),
        Value::encode(None::<u8>),
    ] {
        let value = value.unwrap();
        assert_eq!(parsed(&plain(&value, Vec::new())), Some(value));
    }
    let bytes = (0..=u8::MAX).map(|byte| [br#"{"S":"a"#, &[byte][..], br#"z"}"#].concat());
    let others = [
        r#"{"S":"a","S":"b"}"#,
        r#"{"S":"\u0041"}"#,
        r#"{"S":""#,
        r#"{"S":"}"#,
        r#"{"S":"a"} "#,
        "",
    ];
    for json in bytes.chain(others.map(|other| other.as_bytes().to_vec())) {
        assert_eq!(
            parsed(&json),
            serde_json::from_slice(&json).ok(),
            "{:?}",
            json.escape_ascii().to_string()
        );
    }
}

/// The example of draft-irtf-cfrg-xchacha-03, section 2.2.1.
#[test]
fn a_nonce_gives_the_key_that_the_draft_computes() {
    let key: [u8; 32] = from_fn(|n| u8::try_from(n).unwrap());
    let nonce = [0, 0, 0, 9, 0, 0, 0, 0x4a, 0, 0, 0, 0, 0x31, 0x41, 0x59, 0x27];
    let expected = [
        0x82, 0x41, 0x3b, 0x42, 0x27, 0xb2, 0x7b, 0xfe, 0xd3, 0x0e, 0x42, 0x50, 0x8a, 0x87, 0x7d, 0x73, //
        0xa0, 0xf9, 0xe4, 0xd5, 0x8a, 0x74, 0xa8, 0x53, 0xc1, 0x2e, 0xc4, 0x13, 0x26, 0xd3, 0xec, 0xdc,
    ];
    assert_eq!(hchacha::<R20>(&key.into(), &nonce.into())[..], expected);
}
