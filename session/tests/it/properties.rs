//! A cookie opens a session exactly when the tests' own HMAC agrees.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{HeaderValue, Request, Response, header};
use lambda_session::{Keys, Record, RecordKey, Session, SessionLayer, Store, StoreError, Stored, Swap, Tombstone};
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::runtime::{Builder, Runtime};
use tower::{Layer, ServiceExt, service_fn};

use crate::support::forge;

const NAME: &str = "__Host-session";

const KEYS: [&[u8]; 3] = [
    b"the key that signs, 32 bytes or more",
    b"the key before it, 32 bytes or more",
    b"somebody else's key, 32 bytes or more",
];

/// A store that holds nothing, and remembers which records were asked for.
#[derive(Clone, Debug, Default)]
struct Asked(Arc<Mutex<BTreeSet<String>>>);

impl Store for Asked {
    async fn load(&self, key: &RecordKey) -> Result<Option<Stored>, StoreError> {
        self.0.lock().expect("one thread").insert(key.as_str().to_owned());
        Ok(None)
    }

    async fn swap(&self, _: &RecordKey, _: Option<&Record>, _: &Stored) -> Result<Swap, StoreError> {
        unreachable!("nothing is stored")
    }

    async fn end(&self, _: &RecordKey, _: u64) -> Result<Tombstone, StoreError> {
        unreachable!("nothing is stored")
    }
}

/// Returns the keys of the records that a request with these `Cookie` headers asks for.
fn opened(runtime: &Runtime, headers: &[Vec<u8>]) -> BTreeSet<String> {
    let asked = Asked::default();
    let keys = Keys::new(KEYS[0])
        .and_then(|keys| keys.with_fallback(KEYS[1]))
        .expect("keys");
    let layer = SessionLayer::builder(asked.clone(), keys).build().expect("a layer");
    let service = layer.layer(service_fn(async |request: Request<String>| {
        Session::of(&request).await.expect("a session");
        Ok::<_, Infallible>(Response::new(String::new()))
    }));
    let mut request = Request::new(String::new());
    for header in headers {
        let value = HeaderValue::from_bytes(header).expect("no control characters");
        request.headers_mut().append(header::COOKIE, value);
    }
    let Ok(response) = runtime.block_on(service.oneshot(request));
    assert!(!response.headers().contains_key(header::SET_COOKIE));
    std::mem::take(&mut asked.0.lock().expect("one thread"))
}

/// Returns the same by the documented format, without the library: all that verify, but none if there are more than
/// four.
fn should_open(headers: &[Vec<u8>]) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for header in headers {
        for pair in header.split(|byte| *byte == b';') {
            let Ok(pair) = std::str::from_utf8(pair) else { continue };
            let Some((NAME, value)) = pair.trim_matches([' ', '\t']).split_once('=') else {
                continue;
            };
            if forge::verifies(&KEYS[..2], NAME, value) {
                ids.extend(value.split('.').next());
            }
        }
    }
    if ids.len() > 4 {
        ids.clear();
    }
    ids.into_iter().map(forge::record_key).collect()
}

/// Makes a cookie of a few IDs and keys, or one that was tampered with, or any text.
fn pair() -> impl Strategy<Value = Vec<u8>> {
    let signed_name = prop_oneof![9 => Just(NAME), 1 => Just("session")];
    let signed = (0..8_u64, 0..KEYS.len(), signed_name)
        .prop_map(|(id, key, name)| forge::cookie(KEYS[key], name, &forge::id(id)));
    let name = prop_oneof![
        6 => Just("__Host-session="),
        1 => Just("session="),
        1 => Just("__host-session="),
        1 => Just(" __Host-session="),
        1 => Just("__Host-session"),
        1 => Just("")
    ];
    let tampered = (signed.clone(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(value, place, byte)| {
        let mut bytes = value.into_bytes();
        let place = place.index(bytes.len());
        bytes[place] = byte.max(b' ');
        bytes
    });
    let cut = (signed.clone(), 0..90_usize).prop_map(|(value, length)| value[..length.min(value.len())].into());
    let spaced = (signed.clone(), "[ \t=\"A]{0,2}").prop_map(|(value, more)| format!("{value}{more}").into_bytes());
    let value = prop_oneof![
        4 => signed.prop_map(String::into_bytes),
        2 => tampered,
        1 => cut,
        1 => spaced,
        1 => vec(any::<u8>(), 0..100)
    ];
    (name, value).prop_map(|(name, value)| [name.as_bytes(), &value].concat())
}

fn cookie_headers() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let line = vec(pair(), 0..7).prop_map(|pairs| pairs.join(&b"; "[..]));
    vec(line, 0..3).prop_filter("headers", |lines| {
        lines.iter().all(|line| HeaderValue::from_bytes(line).is_ok())
    })
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().expect("a runtime")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_cookie_opens_a_session_exactly_when_its_mac_is_right(headers in cookie_headers()) {
        prop_assert_eq!(opened(&runtime(), &headers), should_open(&headers));
    }

    #[test]
    fn a_cookie_that_was_signed_opens_its_own_session(id in any::<u64>(), key in 0..2_usize) {
        let id = forge::id(id);
        let cookie = format!("{NAME}={}", forge::cookie(KEYS[key], NAME, &id));
        prop_assert_eq!(opened(&runtime(), &[cookie.into_bytes()]), BTreeSet::from([forge::record_key(&id)]));
    }
}
