//! A store whose every call waits to be told its fate: what makes an interleaving, and the faults of a network.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use lambda_session::{
    Changes, Load, Moment, Record, RecordKey, Slide, Store, StoreError, StoreErrorKind, StoreFuture, WriteOutcome,
};

/// What becomes of one call, the SDK's retries included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Pass,
    /// It never arrives, nor do its retries.
    Lost,
    /// It is done, and the reply is lost.
    ReplyLost,
    /// It is done, the reply is lost, and the retry arrives.
    Retried,
    /// It arrives when the client has long given up.
    Late,
    /// It arrives late, and its retry in time.
    LateAndRetried,
}

/// A call, to be made at any time.
#[derive(Clone, Debug)]
enum Call {
    Load(RecordKey, Moment),
    Create(RecordKey, Record),
    Update(RecordKey, Record, Changes, Moment),
    Slide(RecordKey, Slide, Moment),
    Replace(RecordKey, u64, RecordKey, Moment),
    End(RecordKey, Option<u64>, Moment),
}

enum Reply {
    Load(Load),
    Written(WriteOutcome),
}

impl Call {
    fn make(&self, store: &dyn Store) -> Reply {
        match self {
            Self::Load(key, at) => Reply::Load(at_once(store.load(key, at))),
            Self::Create(key, record) => Reply::Written(at_once(store.create(key, record))),
            Self::Update(key, next, changes, at) => Reply::Written(at_once(store.update(key, next, changes, at))),
            Self::Slide(key, slide, at) => Reply::Written(at_once(store.slide(key, *slide, at))),
            Self::Replace(key, revision, successor, at) => {
                Reply::Written(at_once(store.replace(key, *revision, successor, at)))
            }
            Self::End(key, revision, at) => Reply::Written(at_once(store.end(key, *revision, at))),
        }
    }

    /// A slide is tried once; a read has no effect that could be late.
    fn possible(&self, fate: Fate) -> Fate {
        match (self, fate) {
            (Self::Slide(..), Fate::Retried) => Fate::ReplyLost,
            (Self::Slide(..), Fate::LateAndRetried) => Fate::Late,
            (Self::Load(..), Fate::Retried | Fate::LateAndRetried) => Fate::Pass,
            (Self::Load(..), Fate::ReplyLost | Fate::Late) => Fate::Lost,
            _ => fate,
        }
    }
}

/// What a store in memory answers without waiting.
fn at_once<T>(mut future: StoreFuture<'_, T>) -> T {
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result.expect("memory does not fail"),
        Poll::Pending => panic!("memory does not wait"),
    }
}

/// Clones are the same store.
#[derive(Clone, Debug)]
pub(crate) struct Steps {
    store: Arc<dyn Store>,
    control: Arc<Mutex<Control>>,
}

#[derive(Debug, Default)]
struct Control {
    next: Option<Fate>,
    late: Vec<Call>,
}

impl Steps {
    pub(crate) fn new(store: impl Store) -> Self {
        Self {
            store: Arc::new(store),
            control: Arc::default(),
        }
    }

    /// The fate of the call that the next poll makes.
    pub(crate) fn decide(&self, fate: Fate) {
        self.control().next = Some(fate);
    }

    /// Lets one of the late calls arrive, if there is one.
    pub(crate) fn deliver(&self, pick: usize) -> bool {
        let call = {
            let late = &mut self.control().late;
            if late.is_empty() {
                return false;
            }
            late.remove(pick % late.len())
        };
        call.make(&*self.store);
        true
    }

    fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the fate, and meets it.
    fn call<'a, T: 'a>(&'a self, call: Call, read: fn(Reply) -> Option<T>) -> StoreFuture<'a, T> {
        let mut waited = false;
        Box::pin(poll_fn(move |_| {
            if !waited {
                waited = true;
                return Poll::Pending;
            }
            let Some(fate) = self.control().next.take() else {
                return Poll::Pending;
            };
            Poll::Ready(
                self.meet(&call, fate)
                    .map(|reply| read(reply).expect("the reply to this call")),
            )
        }))
    }

    fn meet(&self, call: &Call, fate: Fate) -> Result<Reply, StoreError> {
        let fate = call.possible(fate);
        if matches!(fate, Fate::Late | Fate::LateAndRetried) {
            self.control().late.push(call.clone());
        }
        if matches!(fate, Fate::ReplyLost | Fate::Retried) {
            call.make(&*self.store);
        }
        match fate {
            Fate::Pass | Fate::Retried | Fate::LateAndRetried => Ok(call.make(&*self.store)),
            Fate::Lost | Fate::ReplyLost | Fate::Late => Err(StoreError::new(StoreErrorKind::Unavailable, "lost")),
        }
    }
}

fn written(reply: Reply) -> Option<WriteOutcome> {
    match reply {
        Reply::Written(written) => Some(written),
        Reply::Load(_) => None,
    }
}

impl Store for Steps {
    fn load<'a>(&'a self, key: &'a RecordKey, at: &'a Moment) -> StoreFuture<'a, Load> {
        self.call(Call::Load(key.clone(), *at), |reply| match reply {
            Reply::Load(found) => Some(found),
            Reply::Written(_) => None,
        })
    }

    fn create<'a>(&'a self, key: &'a RecordKey, record: &'a Record) -> StoreFuture<'a, WriteOutcome> {
        self.call(Call::Create(key.clone(), record.clone()), written)
    }

    fn update<'a>(
        &'a self,
        key: &'a RecordKey,
        next: &'a Record,
        changes: &'a Changes,
        at: &'a Moment,
    ) -> StoreFuture<'a, WriteOutcome> {
        let call = Call::Update(key.clone(), next.clone(), changes.clone(), *at);
        self.call(call, written)
    }

    fn slide<'a>(&'a self, key: &'a RecordKey, slide: Slide, at: &'a Moment) -> StoreFuture<'a, WriteOutcome> {
        self.call(Call::Slide(key.clone(), slide, *at), written)
    }

    fn replace<'a>(
        &'a self,
        key: &'a RecordKey,
        revision: u64,
        successor: &'a RecordKey,
        at: &'a Moment,
    ) -> StoreFuture<'a, WriteOutcome> {
        self.call(Call::Replace(key.clone(), revision, successor.clone(), *at), written)
    }

    fn end<'a>(&'a self, key: &'a RecordKey, revision: Option<u64>, at: &'a Moment) -> StoreFuture<'a, WriteOutcome> {
        self.call(Call::End(key.clone(), revision, *at), written)
    }
}
