//! A store whose every call is a step of the schedule: it waits until the schedule gives it a fate.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use lambda_session::{
    Changes, Load, Moment, OwnerKey, OwnerList, OwnerStore, Record, RecordKey, Slide, Store, StoreError,
    StoreErrorKind, StoreFuture, WriteOutcome,
};

use super::mutants::{Mutant, Write};
use super::table::{Call, Reply, Table};

/// What becomes of one call, the SDK's retries included. A reply that is lost needs no fate of its own: it is a late call that
/// arrives at once. Neither does an answer between others' steps: nothing but its request can tell when it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Pass,
    /// It never arrives, nor do its retries, and the client gives up.
    Lost,
    /// The client gives up, and it arrives later.
    Late,
    /// It is done, the reply is lost, and the client waits for its retry.
    Retried,
    /// It is done, and an earlier attempt arrives later.
    Repeated,
    /// It is done, the client gives up, and an earlier attempt arrives later.
    LostAndRepeated,
}

/// A request's call that waits for its fate.
struct Waiting {
    request: usize,
    /// Which of the request's calls it is. Those that it makes at once come in the order of random keys, so the number is made
    /// of the item's place and of how many calls to it came before.
    number: usize,
    call: Call,
    place: usize,
    retried: bool,
    decided: Option<Result<Reply, StoreError>>,
    waker: Waker,
}

/// A call that is on its way without anybody waiting for it.
#[expect(
    clippy::option_option,
    reason = "not held back is something else than held back until the request is over"
)]
#[derive(Debug)]
struct Stray {
    request: usize,
    number: usize,
    call: Call,
    place: usize,
    /// A mutant holds it back until the request has made this step, or is over.
    held: Option<Option<Write>>,
}

/// One thing that can happen next in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) request: usize,
    pub(crate) number: usize,
    /// None for the arrival of a copy.
    pub(crate) fate: Option<Fate>,
    /// The item that it reads or writes, if it does.
    pub(crate) touches: Option<(usize, bool)>,
}

#[derive(Default)]
pub(crate) struct Control {
    pub(crate) table: Table,
    /// Whose future is being polled.
    pub(crate) request: usize,
    /// Calls are made at once.
    pub(crate) open: bool,
    /// Whose instance is of 0.2: it reads and writes the same attributes, but for the owner and when he was seen.
    pub(crate) older: [bool; 4],
    waiting: Vec<Waiting>,
    copies: Vec<Stray>,
    /// How many calls each request has made.
    pub(crate) made: [usize; 4],
    /// How many calls each request has made to each place.
    numbers: [[usize; 8]; 4],
    /// Partition keys in the order in which they were first named: the IDs are random, their order is not.
    places: Vec<String>,
}

/// Clones are the same store.
#[derive(Clone, Default)]
pub(crate) struct Steps(Arc<Mutex<Control>>);

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Steps")
    }
}

impl Control {
    pub(crate) fn reset(&mut self, table: Table) {
        *self = Self {
            table,
            ..Self::default()
        };
    }

    pub(crate) fn place(&mut self, key: &str) -> usize {
        let known = self.places.iter().position(|known| known == key);
        known.unwrap_or_else(|| {
            self.places.push(key.to_owned());
            self.places.len() - 1
        })
    }

    /// What can happen next. `spoil` allows other fates than the usual.
    pub(crate) fn choices(&self, spoil: bool) -> Vec<Choice> {
        let mut choices = Vec::new();
        for waiting in self.waiting.iter().filter(|waiting| waiting.decided.is_none()) {
            let write = waiting.call.write();
            let mut fates = vec![Fate::Pass];
            if spoil {
                fates.push(Fate::Lost);
                fates.extend(write.map(|_| Fate::Late));
                // A slide is tried once.
                if write.is_some_and(|write| write != Write::Slide) {
                    fates.extend([Fate::Repeated, Fate::LostAndRepeated]);
                    if !waiting.retried {
                        fates.push(Fate::Retried);
                    }
                }
            }
            choices.extend(fates.into_iter().map(|fate| Choice {
                request: waiting.request,
                number: waiting.number,
                fate: Some(fate),
                touches: (!matches!(fate, Fate::Lost | Fate::Late)).then_some((waiting.place, write.is_some())),
            }));
        }
        for copy in self.copies.iter().filter(|copy| copy.held.is_none()) {
            choices.push(Choice {
                request: copy.request,
                number: copy.number,
                fate: None,
                touches: Some((copy.place, true)),
            });
        }
        choices.sort_by_key(|choice| (choice.request, choice.number));
        choices
    }

    /// Whether this request has a write under way.
    pub(crate) fn writes(&self, request: usize) -> bool {
        let mut waiting = self.waiting.iter();
        waiting.any(|waiting| waiting.request == request && waiting.call.write().is_some())
    }

    /// Lets it happen. True if the request can go on.
    pub(crate) fn play(&mut self, choice: Choice) -> bool {
        let is = |request, number| request == choice.request && number == choice.number;
        let Some(fate) = choice.fate else {
            let late = self
                .copies
                .iter()
                .position(|copy| is(copy.request, copy.number) && copy.held.is_none());
            let copy = self.copies.remove(late.expect("a copy on its way"));
            let _ = self.table.make(&copy.call);
            return false;
        };
        let mut all = self.waiting.iter();
        let at = all.position(|waiting| is(waiting.request, waiting.number) && waiting.decided.is_none());
        let at = at.expect("a call that waits");
        let call = self.waiting[at].call.clone();
        if matches!(fate, Fate::Late | Fate::Repeated | Fate::LostAndRepeated) {
            self.copies.push(Stray {
                request: choice.request,
                number: choice.number,
                call: call.clone(),
                place: self.waiting[at].place,
                held: None,
            });
        }
        let reply = match fate {
            Fate::Lost | Fate::Late => Err(StoreErrorKind::Unavailable),
            Fate::LostAndRepeated => self.make(choice, &call).and(Err(StoreErrorKind::Unavailable)),
            Fate::Pass | Fate::Repeated => self.make(choice, &call),
            Fate::Retried => {
                let _ = self.make(choice, &call);
                self.waiting[at].retried = true;
                return false;
            }
        };
        let waiting = &mut self.waiting[at];
        waiting.decided = Some(reply.map_err(|kind| StoreError::new(kind, "a fault of the schedule")));
        waiting.waker.wake_by_ref();
        true
    }

    /// Makes the call, unless a mutant does otherwise.
    fn make(&mut self, choice: Choice, call: &Call) -> Result<Reply, StoreErrorKind> {
        let write = call.write();
        match self.table.mutant {
            Some(Mutant::Skip(skipped)) if write == Some(skipped) => Ok(call.promise()),
            Some(Mutant::Swap(first, second)) if write == Some(first) => {
                let place = self.place(call.place());
                self.copies.push(Stray {
                    request: choice.request,
                    number: choice.number + 50,
                    call: call.clone(),
                    place,
                    held: Some(second),
                });
                Ok(call.promise())
            }
            _ => {
                let mut reply = self.table.make(call);
                if let (true, Ok(Reply::Load(Load::Live(record)))) = (self.older[choice.request], &mut reply) {
                    (record.owner, record.seen_at) = (None, None);
                }
                self.release(choice.request, write);
                reply
            }
        }
    }

    fn release(&mut self, request: usize, write: Option<Write>) {
        for copy in &mut self.copies {
            if copy.request == request && copy.held.is_some_and(|until| until == write && write.is_some()) {
                copy.held = None;
            }
        }
    }

    /// The request has answered or was dropped.
    pub(crate) fn over(&mut self, request: usize) {
        for copy in self.copies.iter_mut().filter(|copy| copy.request == request) {
            copy.held = None;
        }
    }

    /// What becomes of the writes under way of a request that is about to be dropped: they arrive later, or never.
    pub(crate) fn cancel(&mut self, request: usize, late: bool) {
        let dropped = self.waiting.extract_if(.., |waiting| waiting.request == request);
        let copies = dropped.filter(|waiting| late && waiting.call.write().is_some() && waiting.decided.is_none());
        self.copies.extend(copies.map(|waiting| Stray {
            request,
            number: waiting.number,
            call: waiting.call,
            place: waiting.place,
            held: None,
        }));
    }

    /// A call whose future was dropped while it waited, because another of the same request failed: it arrives later.
    fn dropped(&mut self, request: usize, number: usize) {
        let this = |waiting: &mut Waiting| waiting.request == request && waiting.number == number;
        if let Some(waiting) = self.waiting.extract_if(.., this).next()
            && waiting.decided.is_none()
            && waiting.call.write().is_some()
        {
            self.copies.push(Stray {
                request,
                number,
                call: waiting.call,
                place: waiting.place,
                held: None,
            });
        }
    }
}

/// The future of one call.
struct Called<T> {
    steps: Steps,
    /// Not yet asked for.
    call: Option<Call>,
    /// Which it is, as long as it waits.
    is: Option<(usize, usize)>,
    read: fn(Reply) -> Option<T>,
}

impl<T> Future for Called<T> {
    type Output = Result<T, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let steps = self.steps.clone();
        let mut control = steps.control();
        let read = self.read;
        let answer = |reply: Result<Reply, StoreError>| reply.map(|reply| read(reply).expect("the reply to this call"));
        if let Some(call) = self.call.take() {
            let request = control.request;
            control.made[request] += 1;
            if control.open {
                let reply = control.table.make(&call);
                return Poll::Ready(answer(reply.map_err(|kind| StoreError::new(kind, "rejected"))));
            }
            let place = control.place(call.place());
            if let Call::Enlist(_, key, _) | Call::Replace(_, _, key, _) = &call {
                control.place(key.as_str());
            }
            let before = &mut control.numbers[request][place];
            let number = place * 100 + *before;
            *before += 1;
            self.is = Some((request, number));
            control.waiting.push(Waiting {
                request,
                number,
                call,
                place,
                retried: false,
                decided: None,
                waker: context.waker().clone(),
            });
            return Poll::Pending;
        }
        let (request, number) = self.is.expect("it waits");
        let this =
            |waiting: &mut Waiting| waiting.request == request && waiting.number == number && waiting.decided.is_some();
        let Some(waiting) = control.waiting.extract_if(.., this).next() else {
            return Poll::Pending;
        };
        self.is = None;
        Poll::Ready(answer(waiting.decided.expect("it is decided")))
    }
}

impl<T> Drop for Called<T> {
    fn drop(&mut self) {
        if let Some((request, number)) = self.is {
            self.steps.control().dropped(request, number);
        }
    }
}

impl Steps {
    /// A store whose calls are made at once.
    pub(crate) fn open() -> Self {
        let steps = Self::default();
        steps.control().open = true;
        steps
    }

    pub(crate) fn control(&self) -> MutexGuard<'_, Control> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call<'a, T: 'a>(&self, call: Call, read: fn(Reply) -> Option<T>) -> StoreFuture<'a, T> {
        Box::pin(Called {
            steps: self.clone(),
            call: Some(call),
            is: None,
            read,
        })
    }

    fn write<'a>(&self, call: Call) -> StoreFuture<'a, WriteOutcome> {
        self.call(call, |reply| match reply {
            Reply::Written(outcome) => Some(outcome),
            _ => None,
        })
    }
}

impl Store for Steps {
    fn owners(&self) -> Option<&dyn OwnerStore> {
        Some(self)
    }

    fn load<'a>(&'a self, key: &'a RecordKey, at: &'a Moment) -> StoreFuture<'a, Load> {
        self.call(Call::Load(key.clone(), *at), |reply| match reply {
            Reply::Load(found) => Some(found),
            _ => None,
        })
    }

    fn create<'a>(&'a self, key: &'a RecordKey, record: &'a Record) -> StoreFuture<'a, WriteOutcome> {
        self.write(Call::Create(key.clone(), record.clone()))
    }

    fn update<'a>(
        &'a self,
        key: &'a RecordKey,
        next: &'a Record,
        changes: &'a Changes,
        at: &'a Moment,
    ) -> StoreFuture<'a, WriteOutcome> {
        self.write(Call::Update(key.clone(), next.clone(), changes.clone(), *at))
    }

    fn slide<'a>(&'a self, key: &'a RecordKey, slide: Slide, at: &'a Moment) -> StoreFuture<'a, WriteOutcome> {
        self.write(Call::Slide(key.clone(), slide, *at))
    }

    fn replace<'a>(
        &'a self,
        key: &'a RecordKey,
        revision: u64,
        successor: &'a RecordKey,
        at: &'a Moment,
    ) -> StoreFuture<'a, WriteOutcome> {
        self.write(Call::Replace(key.clone(), revision, successor.clone(), *at))
    }

    fn end<'a>(&'a self, key: &'a RecordKey, revision: Option<u64>, at: &'a Moment) -> StoreFuture<'a, WriteOutcome> {
        self.write(Call::End(key.clone(), revision, *at))
    }
}

impl OwnerStore for Steps {
    fn enlist<'a>(&'a self, owner: &'a OwnerKey, key: &'a RecordKey, at: &'a Moment) -> StoreFuture<'a, OwnerList> {
        let call = Call::Enlist(owner.clone(), key.clone(), *at);
        self.call(call, listed)
    }

    fn list<'a>(&'a self, owner: &'a OwnerKey) -> StoreFuture<'a, OwnerList> {
        self.call(Call::List(owner.clone()), listed)
    }

    fn strike<'a>(&'a self, owner: &'a OwnerKey, keys: &'a [RecordKey]) -> StoreFuture<'a, ()> {
        self.call(Call::Strike(owner.clone(), keys.to_vec()), |reply| match reply {
            Reply::Struck => Some(()),
            _ => None,
        })
    }

    fn revoke<'a>(&'a self, key: &'a RecordKey, at: &'a Moment) -> StoreFuture<'a, Option<RecordKey>> {
        self.call(Call::Revoke(key.clone(), *at), |reply| match reply {
            Reply::Revoked(successor) => Some(successor),
            _ => None,
        })
    }
}

fn listed(reply: Reply) -> Option<OwnerList> {
    match reply {
        Reply::List(list) => Some(list),
        _ => None,
    }
}
