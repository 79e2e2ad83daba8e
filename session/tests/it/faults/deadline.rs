//! All store calls of a request share one deadline, including those whose future was dropped.

use std::convert::Infallible;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response, header};
use lambda_session::{
    Deadline, LazySession, MemoryStore, Record, RecordKey, Session, SessionErrorKind, Store, StoreError, Stored, Swap,
    Tombstone,
};
use tokio::time::Instant;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::support::site::{IDLE, keys, layer, now, wait};
use crate::support::{SECRET_KEY, forge};

const ALL_CALLS: Duration = Duration::from_millis(4_500);

/// A store that never answers, and measures how long each call lasts.
#[derive(Clone, Debug, Default)]
struct Silent(Arc<Mutex<Vec<Duration>>>);

/// One call, from its start until it ends or is dropped.
struct Asked<'a>(&'a Silent, Instant);

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.0.0.lock().expect("one thread").push(self.1.elapsed());
    }
}

impl Silent {
    async fn call<T>(&self) -> Result<T, StoreError> {
        let _asked = Asked(self, Instant::now());
        pending().await
    }

    fn calls(&self) -> Vec<Duration> {
        self.0.lock().expect("one thread").clone()
    }
}

impl Store for Silent {
    async fn load(&self, _: &RecordKey) -> Result<Option<Stored>, StoreError> {
        self.call().await
    }

    async fn swap(&self, _: &RecordKey, _: Option<&Record>, _: &Stored) -> Result<Swap, StoreError> {
        self.call().await
    }

    async fn end(&self, _: &RecordKey, _: u64) -> Result<Tombstone, StoreError> {
        self.call().await
    }
}

/// A visitor with a cookie that verifies.
fn request() -> Request<String> {
    let cookie = forge::cookie(SECRET_KEY.as_bytes(), "__Host-session", &forge::id(0));
    let request = Request::builder().header(header::COOKIE, format!("__Host-session={cookie}"));
    request.body(String::new()).expect("a request")
}

#[tokio::test(start_paused = true)]
async fn loads_that_were_given_up_count() {
    let store = Silent::default();
    let layer = layer(store.clone(), keys()).build().expect("a layer");
    let site = layer.layer(service_fn(async |request: Request<String>| {
        let session = LazySession::of(&request).expect("a layer");
        for _ in 0..10 {
            // The load is dropped half-way.
            let load = tokio::time::timeout(Duration::from_millis(700), session.load());
            if let Ok(Err(error)) = load.await {
                return Ok::<_, Infallible>(error.into_response());
            }
        }
        Ok(Response::new(String::new()))
    }));
    let Ok(response) = site.oneshot(request()).await;
    assert_eq!(response.status(), 503);
    let calls = store.calls();
    let total: Duration = calls.iter().sum();
    assert_eq!(calls.len(), 7, "six were given up, the seventh had to end: {calls:?}");
    assert!(total < ALL_CALLS + Duration::from_millis(20), "{total:?}");
}

#[tokio::test(start_paused = true)]
async fn the_save_has_what_the_handlers_calls_left() {
    let store = Silent::default();
    let layer = layer(store.clone(), keys()).build().expect("a layer");
    let site = layer.layer(service_fn(async |request: Request<String>| {
        let session = LazySession::of(&request).expect("a layer");
        let load = tokio::time::timeout(Duration::from_millis(2_500), session.load()).await;
        assert!(load.is_err());
        session.end();
        Ok::<_, Infallible>(Response::new(String::new()))
    }));
    let Ok(response) = site.oneshot(request()).await;
    assert_eq!(response.status(), 503);
    let total: Duration = store.calls().iter().sum();
    let most = ALL_CALLS + Duration::from_millis(20);
    assert!((ALL_CALLS..most).contains(&total), "{total:?}");
}

#[tokio::test]
async fn no_call_outlasts_the_requests_own_deadline() {
    let store = Silent::default();
    let layer = layer(store.clone(), keys()).build().expect("a layer");
    let site = layer.layer(service_fn(async |request: Request<String>| {
        let session = LazySession::of(&request).expect("a layer");
        // A slow handler uses up the invocation's time, too.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let error = session.load().await.expect_err("the store is silent");
        assert_eq!(error.kind(), SessionErrorKind::Unavailable);
        session.end();
        Ok::<_, Infallible>(Response::new(String::new()))
    }));
    let start = Instant::now();
    let mut request = request();
    let limit = Duration::from_secs(1);
    request
        .extensions_mut()
        .insert(Deadline::at((start + limit).into_std()));
    let Ok(response) = site.oneshot(request).await;
    assert_eq!(response.status(), 503);
    assert!(start.elapsed() < limit, "{:?}", start.elapsed());
    assert_eq!(store.calls().len(), 1, "no time was left for the logout");
}

/// Lambda's default timeout is three seconds. With it, views still extend sessions, and the owner's maximum still
/// holds.
#[tokio::test]
async fn a_deadline_of_seconds_leaves_time_for_what_is_done_aside() {
    let layer = layer(MemoryStore::default(), keys())
        .clock(now)
        .max_sessions_per_owner(1);
    let layer = layer.build().expect("a layer");
    let site = layer.layer(service_fn(async |request: Request<String>| {
        let session = Session::of(&request).await.expect("a session");
        if request.uri() == "/login" {
            session.login("admin").expect("an owner");
        }
        Ok::<_, Infallible>(Response::new(format!("{:?}", session.expires_at())))
    }));
    let visit = async |path: &str, cookie: &str| {
        let request = Request::builder().uri(path).header(header::COOKIE, cookie);
        let mut request = request.body(String::new()).expect("a request");
        let deadline = Instant::now() + Duration::from_millis(2_400);
        request.extensions_mut().insert(Deadline::at(deadline.into_std()));
        let Ok(response) = site.clone().oneshot(request).await;
        let cookie = response.headers().get(header::SET_COOKIE);
        let cookie = cookie.map(|cookie| cookie.to_str().expect("text").to_owned());
        (cookie.unwrap_or_default(), response.into_body().into_inner())
    };
    let (first, _) = visit("/login", "").await;
    let (_, began) = visit("/", &first).await;
    wait(IDLE / 2);
    visit("/", &first).await;
    let (_, viewed) = visit("/", &first).await;
    assert_eq!(began, format!("{:?}", Some(now() + IDLE / 2)));
    assert_eq!(viewed, format!("{:?}", Some(now() + IDLE)));
    let (second, _) = visit("/login", "").await;
    assert_eq!(visit("/", &first).await.1, "None");
    assert_eq!(visit("/", &second).await.1, viewed);
}
