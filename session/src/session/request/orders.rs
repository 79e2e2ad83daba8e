//! Plays every order in which a request's session can be read, written, ended and saved. Each step is one critical
//! section of [`State`]. The read is two steps, because it waits for the store between them.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::core::cookie::{Keys, SessionCookie};
use crate::core::id::RecordKey;
use crate::core::record::{Record, Stored, Tombstone};
use crate::core::time::Timeouts;
use crate::core::value::{Data, Value};
use crate::session::lazy::LazySession;
use crate::store::memory::MemoryStore;
use crate::store::{Store, StoreError, Swap};

/// A store whose reads wait until it is open.
#[derive(Clone, Debug, Default)]
struct Gated {
    memory: MemoryStore,
    open: Arc<AtomicBool>,
}

impl Store for Gated {
    async fn load(&self, key: &RecordKey) -> Result<Option<Stored>, StoreError> {
        std::future::poll_fn(|_| {
            if self.open.load(SeqCst) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        self.memory.load(key).await
    }

    async fn swap(&self, key: &RecordKey, read: Option<&Record>, next: &Stored) -> Result<Swap, StoreError> {
        self.memory.swap(key, read, next).await
    }

    async fn end(&self, key: &RecordKey, at: u64) -> Result<Tombstone, StoreError> {
        self.memory.end(key, at).await
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Ask,
    Read,
    Write,
    End,
    Save,
}

/// Returns all orders of these steps.
fn orders(steps: &[Step]) -> Vec<Vec<Step>> {
    if steps.is_empty() {
        return vec![Vec::new()];
    }
    let each = steps.iter().flat_map(|first| {
        let rest: Vec<_> = steps.iter().copied().filter(|step| step != first).collect();
        orders(&rest).into_iter().map(|order| [vec![*first], order].concat())
    });
    each.collect()
}

fn poll<T>(future: &mut Pin<Box<dyn Future<Output = T> + '_>>) -> Option<T> {
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

async fn play(order: &[Step]) {
    let store = Gated::default();
    let (timeouts, now) = (Timeouts::default(), 1_800_000_000);
    let id = SessionId::new([1; 32]);
    let data = Data::from([("username".to_owned(), Value::encode("admin").unwrap())]);
    let record = Stored::Record(Record::new(data, now, now + timeouts.idle));
    let created = store.swap(id.record_key(), None, &record).await;
    assert_eq!(created.unwrap(), Swap::Done);
    let keys = Keys::new(b"a long and random secret of at least 32 bytes").unwrap();
    let settings = Settings {
        store: Arc::new(store.clone()),
        cookie: SessionCookie::new("session".into(), false, &keys),
        timeouts,
        clock: Arc::new(move || now),
        polling: None,
        per_owner: None,
        max_bytes: usize::MAX,
        sealed: false,
    };
    let session = RequestSession::new(Arc::new(settings), vec![id.clone()], None);
    let lazy = LazySession(Arc::new(session));
    let before = |first: Step, second: Step| {
        let place = |wanted: Step| order.iter().position(|step| *step == wanted);
        place(first) < place(second)
    };
    let mut loading: Pin<Box<dyn Future<Output = _>>> = Box::pin(lazy.load());
    let mut session = None;
    let mut written = false;
    for step in order {
        match step {
            Step::Ask => session = poll(&mut loading),
            Step::Read => {
                store.open.store(true, SeqCst);
                if session.is_none() {
                    session = poll(&mut loading);
                }
            }
            Step::Write => {
                let handle = session.as_ref().expect("it was read").as_ref().expect("a session");
                written = handle.insert("theme", "dark").is_ok();
                let allowed = !before(Step::Save, Step::Write) && !before(Step::End, Step::Write);
                assert_eq!(written, allowed, "{order:?}");
            }
            Step::End => lazy.end(),
            Step::Save => {
                let Outcome { cookie: action, failed } = lazy.0.finish().await;
                assert!(failed.is_none(), "{failed:?}");
                let expected = if before(Step::End, Step::Save) {
                    CookieAction::Clear
                } else {
                    CookieAction::Keep
                };
                assert_eq!(action, expected, "{order:?}");
            }
        }
    }
    let ended = before(Step::End, Step::Save);
    let found = store.memory.load(id.record_key()).await.expect("an answer");
    match found {
        Some(Stored::Tombstone(_)) => assert!(ended, "{order:?}"),
        Some(Stored::Record(record)) => {
            assert!(!ended, "{order:?}");
            assert_eq!(record.data.contains_key("theme"), written, "{order:?}");
        }
        other => panic!("{order:?}: {other:?}"),
    }
    let session = session.expect("it was read").expect("a session");
    assert_eq!(session.is_empty(), ended, "{order:?}");
    assert!(
        session.insert("late", 1).is_err() && session.remove("username").is_none(),
        "{order:?}"
    );
}

#[tokio::test]
async fn in_every_order_what_was_accepted_is_saved_and_an_end_before_the_save_ends() {
    let steps = [Step::Ask, Step::Read, Step::Write, Step::End, Step::Save];
    let mut played = 0;
    for order in orders(&steps) {
        let place = |wanted: Step| order.iter().position(|step| *step == wanted);
        if place(Step::Ask) < place(Step::Read) && place(Step::Read) < place(Step::Write) {
            play(&order).await;
            played += 1;
        }
    }
    assert_eq!(played, 20);
}
