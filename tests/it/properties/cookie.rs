//! A cookie opens a session exactly when an HMAC of our own making agrees.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{HeaderValue, Request, Response, header};
use lambda_session::session::store::{Found, Slide, StoreFuture, Update, Written};
use lambda_session::session::{Keys, LazySession, Moment, Record, RecordKey, SessionLayer, Store};
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::runtime::Runtime;
use tower::{Layer, ServiceExt, service_fn};

use super::{config, runtime};
use crate::support::forge;

const KEYS: [&[u8]; 3] = [
    b"the key that signs, 32 bytes or more",
    b"the key before it, 32 bytes or more",
    b"somebody else's key, 32 bytes or more",
];

/// Remembers which record was asked for, and has none.
#[derive(Default)]
struct Asked(Mutex<Option<String>>);

impl Store for Asked {
    fn load<'a>(&'a self, key: &'a RecordKey, _: &'a Moment) -> StoreFuture<'a, Found> {
        *self.0.lock().expect("one thread") = Some(key.as_str().to_owned());
        Box::pin(async { Ok(Found::Gone) })
    }

    fn create<'a>(&'a self, _: &'a RecordKey, _: &'a Record) -> StoreFuture<'a, ()> {
        unreachable!("nothing is stored")
    }

    fn update<'a>(&'a self, _: &'a RecordKey, _: &'a Update<'a>, _: &'a Moment) -> StoreFuture<'a, Written> {
        unreachable!("nothing is stored")
    }

    fn slide<'a>(&'a self, _: &'a RecordKey, _: Slide, _: &'a Moment) -> StoreFuture<'a, Written> {
        unreachable!("nothing is stored")
    }

    fn replace<'a>(&'a self, _: &'a RecordKey, _: u64, _: &'a RecordKey, _: &'a Moment) -> StoreFuture<'a, Written> {
        unreachable!("nothing is stored")
    }

    fn end<'a>(&'a self, _: &'a RecordKey, _: Option<u64>, _: &'a Moment) -> StoreFuture<'a, Written> {
        unreachable!("nothing is stored")
    }
}

/// The key of the record that a request with these `Cookie` headers opens.
fn opened(runtime: &Runtime, headers: &[Vec<u8>]) -> Option<String> {
    let asked = Arc::new(Asked::default());
    let keys = Keys::new(KEYS[0])
        .and_then(|keys| keys.with_fallback(KEYS[1]))
        .expect("keys");
    let store: Arc<dyn Store> = Arc::<Asked>::clone(&asked);
    let layer = SessionLayer::builder(store, keys).build().expect("a layer");
    let service = layer.layer(service_fn(async |request: Request<String>| {
        let session = LazySession::of(&request).expect("a layer");
        session.load().await.expect("a session");
        Ok::<_, Infallible>(Response::new(String::new()))
    }));
    let mut request = Request::new(String::new());
    for header in headers {
        let value = HeaderValue::from_bytes(header).expect("no control characters");
        request.headers_mut().append(header::COOKIE, value);
    }
    let response = runtime
        .block_on(service.oneshot(request))
        .unwrap_or_else(|never| match never {});
    assert!(!response.headers().contains_key(header::SET_COOKIE));
    asked.0.lock().expect("one thread").take()
}

/// The same by the documented format, without the library.
fn should_open(headers: &[Vec<u8>]) -> Option<String> {
    let mut ids = BTreeSet::new();
    for header in headers {
        for pair in header.split(|byte| *byte == b';') {
            let Ok(pair) = std::str::from_utf8(pair) else { continue };
            let Some(value) = pair.trim_matches([' ', '\t']).strip_prefix("__Host-session=") else {
                continue;
            };
            if forge::verifies(&KEYS[..2], value) {
                ids.extend(value.split('.').next().map(str::to_owned));
            }
        }
    }
    if ids.len() == 1 {
        ids.first().map(|id| forge::record_key(id))
    } else {
        None
    }
}

/// A cookie of a few IDs and keys, or one that was tampered with, or anything.
fn pair() -> impl Strategy<Value = Vec<u8>> {
    let signed = (0..3_u64, 0..KEYS.len()).prop_map(|(id, key)| forge::cookie(KEYS[key], &forge::id(id)));
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
    let line = vec(pair(), 0..5).prop_map(|pairs| pairs.join(&b"; "[..]));
    vec(line, 0..3).prop_filter("headers", |lines| {
        lines.iter().all(|line| HeaderValue::from_bytes(line).is_ok())
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_cookie_opens_a_session_exactly_when_its_mac_is_right(headers in cookie_headers()) {
        let runtime = runtime();
        prop_assert_eq!(opened(&runtime, &headers), should_open(&headers));
    }

    #[test]
    fn a_cookie_that_was_signed_opens_its_own_session(id in any::<u64>(), key in 0..2_usize) {
        let id = forge::id(id);
        let cookie = format!("__Host-session={}", forge::cookie(KEYS[key], &id));
        prop_assert_eq!(opened(&runtime(), &[cookie.into_bytes()]), Some(forge::record_key(&id)));
    }
}
