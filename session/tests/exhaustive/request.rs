//! One request of a schedule. From the cookie to the answer it is the code that ships, except for the loop: the
//! schedule makes the calls.

use std::mem::discriminant;
use std::sync::{Arc, LazyLock};

use super::ops::{act, take, vars};
use super::scenario::{Answer, Asked, NOW, OWN_KEY, OWNER, Op, SLOW, Seen, SetCookie};
use super::table::{PLACES, Reply, Step, mark, moment};
use crate::core::bound::Binding;
use crate::core::id::{OwnerKey, SessionId};
use crate::core::limits::Limits;
use crate::core::record::WriteToken;
use crate::core::time::Moment;
use crate::core::value::Value;
use crate::protocol::bind::Bind;
use crate::protocol::call::{Call, Next, Place, Told};
use crate::protocol::error::{SessionError, SessionErrorKind};
use crate::protocol::known::Known;
use crate::protocol::next::{Task, next, undo};
use crate::protocol::save::{Fresh, Wanted};
use crate::session::found::{CookieAction, Found};
use crate::session::state::{FLASHES, State};

/// The result of a request.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Outcome {
    /// `None` if the request was cancelled.
    pub(crate) answer: Option<Answer>,
    /// Whether one of its calls met a fate other than `Fate::Pass`.
    pub(crate) spoiled: bool,
    pub(crate) calls: usize,
}

/// The purpose of the present task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Reading,
    /// Takes messages.
    Taking,
    /// Saves in the middle of the request.
    SavingNow,
    Saving,
    EndingAll,
    Binding,
}

/// A store call of the request that waits for its fate.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) step: Arc<Step>,
    /// The mark of the call.
    pub(crate) mark: u64,
    /// The number of the call within its request.
    pub(crate) number: usize,
    pub(crate) retried: bool,
    reply: Option<Reply>,
}

impl Waiting {
    pub(crate) fn is_open(&self) -> bool {
        self.reply.is_none()
    }
}

/// What happens to a request that waits.
pub(crate) enum Turn {
    /// The reply to the call of this number arrives, with its mark, after a fault or not.
    Replied {
        number: usize,
        reply: (Reply, u64),
        fault: bool,
    },
    /// The call of this number fails.
    Failed(usize),
    /// A fault has lost the reply to the call of this number, which is tried again.
    Retried(usize),
    /// The request is dropped.
    Cancelled,
}

#[derive(Clone)]
pub(crate) struct Request {
    asked: Asked,
    place: usize,
    state: State,
    found: Found,
    known: Known,
    /// The task that decides which calls are made; `None` for a read of the cookies' sessions.
    task: Option<Arc<Task>>,
    stage: Stage,
    at: Moment,
    /// The call that is under way, and whether it is a `Next::Aside` call.
    call: Option<(Call, bool)>,
    pub(crate) waiting: Vec<Waiting>,
    seen: Seen,
    cookie: CookieAction,
    /// The result of the task, while the task is undone.
    settled: Option<Result<Told, SessionError>>,
    made: usize,
    /// While the request runs, the mark of all that it was told; then that of its outcome.
    told: u64,
    spoiled: bool,
    pub(crate) outcome: Option<Outcome>,
}

/// The session IDs of all places. Place 0 is that of the start, and each request has two more.
pub(crate) static IDS: LazyLock<[SessionId; PLACES]> =
    LazyLock::new(|| std::array::from_fn(|place| SessionId::new([u8::try_from(place + 1).expect("few places"); 32])));

impl Request {
    /// Begins a request with the cookie of the session `brings`, and makes its first calls.
    pub(crate) fn begin(asked: Asked, place: usize, brings: Option<usize>) -> Self {
        let ids: Vec<_> = brings.map(|place| IDS[place].clone()).into_iter().collect();
        let mut request = Self {
            asked,
            place,
            state: State::new(ids.clone(), Limits::NONE, false),
            found: Found::default(),
            known: Known::default(),
            task: None,
            stage: Stage::Reading,
            at: moment(NOW.saturating_add_signed(asked.skew)),
            call: None,
            waiting: Vec::new(),
            seen: Seen::default(),
            cookie: CookieAction::Keep,
            settled: None,
            made: 0,
            told: mark((asked, place, brings)),
            spoiled: false,
            outcome: None,
        };
        match asked.op {
            Op::Logout => {
                request.state.end();
                request.finish();
            }
            Op::EndAll => request.run(Stage::EndingAll, Task::EndAll(OwnerKey::new(OWNER), None)),
            Op::Bind | Op::BindElsewhere => request.bind(ids.first()),
            _ => match Found::reading(&ids) {
                Some(keys) => request.send(Call::Load(keys), false),
                None => request.has_read(Found::read(ids, Known::default(), &request.at)),
            },
        }
        request
    }

    /// Registers a key for the session, as after its login.
    fn bind(&mut self, id: Option<&SessionId>) {
        let Some(id) = id else { return self.answer(409) };
        let key = if self.asked.op == Op::Bind {
            OWN_KEY
        } else {
            "another key"
        };
        let bind = Bind {
            key: id.record_key().clone(),
            binding: Binding::new(self.at.now, key),
            token: WriteToken::new([u8::try_from(10 * self.place).expect("few requests"); 6]),
        };
        self.run(Stage::Binding, Task::Bind(Box::new(bind)));
    }

    pub(crate) fn at(&self) -> u64 {
        self.at.now
    }

    /// Whether the request makes more calls than any request needs.
    pub(crate) fn is_endless(&self) -> bool {
        self.made > 40
    }

    fn run(&mut self, stage: Stage, task: Task) {
        (self.stage, self.task) = (stage, Some(Arc::new(task)));
        self.go_on();
    }

    /// Asks what comes next, until that is a call.
    fn go_on(&mut self) {
        let Some(task) = &self.task else {
            self.settled.get_or_insert(Ok(Told::Keep));
            return self.conclude();
        };
        if self.settled.is_none() {
            match next(&self.known, task, &self.at) {
                Ok(Next::Call(call)) => return self.send(call, false),
                Ok(Next::Aside(call)) => return self.send(call, true),
                Ok(Next::Over(told)) => self.settled = Some(Ok(told)),
                Err(error) => self.settled = Some(Err(error)),
            }
        }
        let issued = matches!(self.settled, Some(Ok(Told::Issue)));
        match undo(&self.known, task) {
            Some(call) if !issued => self.send(call, false),
            _ => self.conclude(),
        }
    }

    fn conclude(&mut self) {
        let known = std::mem::take(&mut self.known);
        match (self.settled.take(), self.stage) {
            (None, _) => {}
            (Some(Err(error)), stage) => match error.kind() {
                SessionErrorKind::Conflict if stage == Stage::Taking => self.finish(),
                SessionErrorKind::Conflict => self.answer(409),
                SessionErrorKind::Unavailable | SessionErrorKind::Contention => self.answer(503),
                _ => self.answer(500),
            },
            (Some(Ok(_)), Stage::Reading) => {
                let ids = self.state.found.ids.clone();
                self.has_read(Found::read(ids, known, &self.at));
            }
            (Some(Ok(_)), Stage::EndingAll) => self.finish(),
            (Some(Ok(told)), Stage::Binding) => self.answer(if told == Told::Changed { 200 } else { 409 }),
            (Some(Ok(told)), _) => {
                let Some(task) = &self.task else { return };
                let found = std::mem::take(&mut self.found);
                let (found, cookie) = found.saved(known, task, told, &self.at);
                self.has_saved(found, cookie);
            }
        }
    }

    fn send(&mut self, call: Call, aside: bool) {
        self.known.sending(&call);
        let steps = match call.clone() {
            Call::Load(keys) => keys.into_iter().map(Step::Load).collect(),
            Call::End(keys) => keys.into_iter().map(Step::End).collect(),
            Call::Swap { key, read, next, .. } => {
                vec![Step::Swap(key, read.map(|read| read.stored), Arc::new(next))]
            }
            Call::Enlist(_, key) => vec![Step::Enlist(key)],
            Call::List(_) => vec![Step::List],
            Call::Strike(_, keys) => vec![Step::Strike(keys)],
        };
        self.call = Some((call, aside));
        self.waiting.clear();
        for step in steps {
            self.waiting.push(Waiting {
                step: Arc::new(step),
                mark: mark((self.told, self.made)),
                number: self.made,
                retried: false,
                reply: None,
            });
            self.made += 1;
        }
    }

    /// The mark of all that follows for the request.
    pub(crate) fn mark(&self) -> u64 {
        self.told
    }

    /// The mark of all that the request was told, with this turn.
    pub(crate) fn mark_after(&self, turn: &Turn) -> u64 {
        let (told, kind) = (self.told, discriminant(turn));
        match turn {
            Turn::Replied { number, reply, fault } => mark((told, kind, number, reply.1, fault)),
            Turn::Failed(number) | Turn::Retried(number) => mark((told, kind, number)),
            Turn::Cancelled => mark((told, kind)),
        }
    }

    /// Takes this turn, which has this mark. Returns the calls that nobody waits for any more.
    pub(crate) fn turn(&mut self, turn: Turn, told: u64) -> Vec<Waiting> {
        self.told = told;
        self.spoiled |= !matches!(turn, Turn::Replied { fault: false, .. });
        match turn {
            Turn::Replied { number, reply, .. } => {
                self.answered(number, reply.0);
                Vec::new()
            }
            Turn::Failed(number) => self.failed(number),
            Turn::Retried(number) => {
                self.waiting_for(number).retried = true;
                Vec::new()
            }
            Turn::Cancelled => {
                let dropped = std::mem::take(&mut self.waiting);
                self.over(None);
                dropped
            }
        }
    }

    fn waiting_for(&mut self, number: usize) -> &mut Waiting {
        let mut waiting = self.waiting.iter_mut();
        waiting
            .find(|waiting| waiting.number == number)
            .expect("a call that waits")
    }

    fn answered(&mut self, number: usize, reply: Reply) {
        self.waiting_for(number).reply = Some(reply);
        if self.waiting.iter().all(|waiting| waiting.reply.is_some()) {
            let replies = std::mem::take(&mut self.waiting)
                .into_iter()
                .filter_map(|waiting| waiting.reply);
            if let Some((call, _)) = self.call.take() {
                learn(&mut self.known, call, replies);
                self.go_on();
            }
        }
    }

    fn failed(&mut self, number: usize) -> Vec<Waiting> {
        let dropped = std::mem::take(&mut self.waiting)
            .into_iter()
            .filter(|waiting| waiting.is_open() && waiting.number != number);
        let dropped = dropped.collect();
        let aside = self.call.take().is_some_and(|(_, aside)| aside);
        if aside {
            self.known.hurried = true;
            self.go_on();
        } else if self.settled.is_some() {
            self.conclude();
        } else {
            self.settled = Some(Err(SessionError::unavailable("a fault of the schedule")));
            self.go_on();
        }
        dropped
    }

    fn has_read(&mut self, found: Found) {
        let session = found.session.clone();
        self.state.found = found;
        self.state.keeps_alive = true;
        self.seen.found = Some(session.map(|(_, record)| vars(&record.data)));
        if self.asked.slow {
            self.at.now += SLOW;
        }
        if self.asked.op == Op::Take {
            match self.state.taking(FLASHES) {
                Some((found, wanted)) => self.save(Stage::Taking, found, wanted),
                None => self.has_taken(None),
            }
            return;
        }
        act(&mut self.state, self.asked.op, self.place);
        if self.asked.op == Op::SaveAndAdd {
            match self.state.take(&self.at) {
                Some((found, wanted)) => self.save(Stage::SavingNow, found, wanted),
                None => self.answer(500),
            }
            return;
        }
        self.finish();
    }

    fn has_taken(&mut self, stored: Option<Value>) {
        self.seen.taken = take(&mut self.state, stored);
        self.finish();
    }

    /// Finishes the request as the layer does.
    fn finish(&mut self) {
        match self.state.close(&self.at) {
            Some((found, wanted)) => self.save(Stage::Saving, found, wanted),
            None => self.answer(200),
        }
    }

    fn save(&mut self, stage: Stage, mut found: Found, wanted: Wanted) {
        // If an earlier save of the request has changed the cookie, the last one may not use its session ID again.
        let place = 1 + 2 * self.place + usize::from(stage == Stage::Saving && self.cookie != CookieAction::Keep);
        let token = WriteToken::new([u8::try_from(10 * self.place + self.made).expect("few calls"); 6]);
        let id = IDS[place].clone();
        let fresh = || Ok::<_, SessionError>(Fresh { id, token });
        match found.saving(wanted, self.asked.per_owner, &self.at, fresh) {
            Ok(Some(task)) => {
                self.known = std::mem::take(&mut found.known);
                self.found = found;
                self.run(stage, task);
            }
            Ok(None) => {
                self.stage = stage;
                self.has_saved(found, CookieAction::Keep);
            }
            Err(_) => self.answer(500),
        }
    }

    fn has_saved(&mut self, found: Found, cookie: CookieAction) {
        if cookie != CookieAction::Keep {
            self.cookie = cookie;
        }
        match self.stage {
            Stage::Taking => {
                let stored = found.taken(FLASHES);
                self.state.saved_as(found);
                self.has_taken(stored);
            }
            Stage::SavingNow => {
                self.state.saved_as(found);
                act(&mut self.state, Op::Add, self.place);
                self.finish();
            }
            _ => {
                self.state.saved_as(found);
                self.answer(200);
            }
        }
    }

    fn answer(&mut self, status: u16) {
        let cookie = match &self.cookie {
            CookieAction::Keep => SetCookie::Nothing,
            CookieAction::Clear => SetCookie::Cleared,
            CookieAction::Issue(issued, ..) => {
                let place = IDS.iter().position(|id| id == issued);
                SetCookie::Issued(place.expect("an ID of the schedule"))
            }
        };
        let seen = if status == 200 { self.seen } else { Seen::default() };
        self.over(Some(Answer { status, cookie, seen }));
    }

    /// Records the answer, or that the request was dropped.
    fn over(&mut self, answer: Option<Answer>) {
        let outcome = Outcome {
            answer,
            spoiled: self.spoiled,
            calls: self.made,
        };
        self.told = mark((self.place, &outcome));
        self.outcome = Some(outcome);
        self.waiting.clear();
    }
}

/// Records the store's answer to a call, which consists of the replies to its parts.
fn learn(known: &mut Known, call: Call, mut replies: impl Iterator<Item = Reply>) {
    match call {
        Call::Load(keys) => known.places.extend(keys.into_iter().zip(places(replies))),
        Call::Swap { key, .. } => {
            let place = places(replies).next().expect("a reply");
            known.places.insert(key, place);
        }
        Call::End(keys) => {
            let ended = places(replies).map(|place| match place {
                Place::Tombstone(_) => place,
                _ => Place::Tombstone(Box::default()),
            });
            known.places.extend(keys.into_iter().zip(ended));
        }
        Call::Enlist(owner, _) | Call::List(owner) => match replies.next() {
            Some(Reply::List(list)) => known.listed(owner, list),
            other => panic!("{other:?}"),
        },
        Call::Strike(_, keys) => known.struck(&keys),
    }
}

fn places(replies: impl Iterator<Item = Reply>) -> impl Iterator<Item = Place> {
    replies.filter_map(|reply| match reply {
        Reply::Stands(None) => Some(Place::Nothing),
        Reply::Stands(Some(stored)) => Some(Arc::unwrap_or_clone(stored).into()),
        _ => None,
    })
}
