//! Plays the same schedules over the real layer, on a store whose every call waits until the schedule decides its fate.
//! Futures cannot be copied, so a schedule is played from the start. Fewer scenarios are played, to test what the layer
//! adds to the function that decides.

use std::cell::Cell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Request, Response, header};
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::checks::{Played, Standing};
use super::ops::{digits, perform, vars};
use super::request::{IDS, Outcome};
use super::scenario::{
    Answer, Asked, Brings, IDLE, Instance, LIFETIME, MOST, NOW, OWNER, Op, REMEMBERED, SLOW, Scenario, Seen, SetCookie,
    Start,
};
use super::table::{By, LIST, PLACES, Reply, Step, Table, is_alive, mark};
use super::world::{Act, Fate, Move};
use crate::core::id::{OwnerKey, RecordKey, SessionId};
use crate::core::record::{Record, Stored, Tombstone};
use crate::protocol::seal::Seal;
use crate::store::{AnyOwnerStore, OwnerList, OwnerStore, Store, StoreError, StoreErrorKind, Swap};
use crate::{Keys, LazySession, SessionError, SessionLayer, SessionService, Sessions};

const SECRET: &[u8] = b"the key of tests that is longer than thirty-two bytes";
const NEW_SECRET: &[u8] = b"the key that signs after a rotation of the keys";

thread_local! {
    /// The time on each request's clock.
    static CLOCKS: [Cell<u64>; MOST] = const { [const { Cell::new(NOW) }; MOST] };
}

type Views = BoxCloneSyncService<Request<String>, Response<String>, Infallible>;
type Running = Pin<Box<dyn Future<Output = (u16, Option<String>, Seen)>>>;

/// A request's call that waits for its fate.
#[expect(
    clippy::option_option,
    reason = "undecided is different from decided without a reply"
)]
struct Waiting {
    request: usize,
    /// The number of the call within its request. Calls that are made at the same time come in the order of random
    /// keys, so the number consists of the place and the number of earlier calls about that place.
    number: usize,
    place: usize,
    step: Arc<Step>,
    /// The mark of the call.
    mark: u64,
    retried: bool,
    decided: Option<Option<Reply>>,
    waker: Waker,
}

/// A call that is under way although nobody waits for it.
struct Stray {
    request: usize,
    number: usize,
    place: usize,
    step: Arc<Step>,
    mark: u64,
    at: u64,
}

#[derive(Default)]
struct Control {
    table: Table,
    /// The request whose future is being polled.
    request: usize,
    waiting: Vec<Waiting>,
    strays: Vec<Stray>,
    /// The number of calls that each request has made.
    made: [usize; MOST],
    /// The number of these calls that were about each place.
    about: [[usize; LIST + 1]; MOST],
    /// The mark of all that each request has been told.
    told: [u64; MOST],
    places: HashMap<RecordKey, usize>,
}

/// Clones are the same store.
#[derive(Clone, Default)]
struct Steps(Arc<Mutex<Control>>);

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Steps")
    }
}

impl Control {
    /// Returns the place of a key: that of the start, or the next one of this request.
    fn place_of(&mut self, key: &RecordKey, request: usize) -> usize {
        if let Some(place) = self.places.get(key) {
            return *place;
        }
        let own = [1, 2].map(|number| 2 * request + number);
        let free = own
            .into_iter()
            .find(|place| self.places.values().all(|taken| taken != place));
        let place = free.expect("a request makes two sessions at most");
        self.places.insert(key.clone(), place);
        place
    }

    fn at(request: usize) -> By {
        By {
            at: CLOCKS.with(|clocks| clocks[request].get()),
            older: false,
            ends_what_stands: false,
        }
    }
}

/// Removes a call when its future is dropped while it waits. If the call is a write, it arrives later.
struct Dropped(Steps, usize, usize);

impl Drop for Dropped {
    fn drop(&mut self) {
        let mut control = self.0.control();
        let is = |waiting: &mut Waiting| waiting.request == self.1 && waiting.number == self.2;
        let taken: Vec<_> = control.waiting.extract_if(.., is).collect();
        let late = taken
            .into_iter()
            .filter(|waiting| waiting.decided.is_none() && waiting.step.kind().is_some());
        control.strays.extend(late.map(|waiting| Stray {
            request: waiting.request,
            number: waiting.number,
            place: waiting.place,
            step: waiting.step,
            mark: waiting.mark,
            at: Control::at(waiting.request).at,
        }));
    }
}

impl Steps {
    fn control(&self) -> MutexGuard<'_, Control> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn call(&self, key: Option<&RecordKey>, step: Step) -> Result<Reply, StoreError> {
        let waits = {
            let mut control = self.control();
            let request = control.request;
            let place = key.map_or(LIST, |key| control.place_of(key, request));
            if let Step::Enlist(key) = &step {
                control.place_of(key, request);
            }
            let about = &mut control.about[request][place];
            let number = 100 * place + *about;
            *about += 1;
            control.made[request] += 1;
            let call = mark((control.told[request], number));
            control.waiting.push(Waiting {
                request,
                number,
                place,
                step: Arc::new(step),
                mark: call,
                retried: false,
                decided: None,
                waker: Waker::noop().clone(),
            });
            Dropped(self.clone(), request, number)
        };
        let decided = poll_fn(|context| {
            let mut control = self.control();
            let mut all = control.waiting.iter_mut();
            let waiting = all.find(|waiting| waiting.request == waits.1 && waiting.number == waits.2);
            let waiting = waiting.expect("it waits");
            waiting.waker = context.waker().clone();
            waiting.decided.take().map_or(Poll::Pending, |reply| {
                // The fate is decided, so no copy of the call is under way.
                waiting.decided = Some(None);
                Poll::Ready(reply)
            })
        });
        decided
            .await
            .ok_or_else(|| StoreError::new(StoreErrorKind::Unavailable, "a fault of the schedule"))
    }

    async fn stands(&self, key: &RecordKey, step: Step) -> Result<Option<Stored>, StoreError> {
        match self.call(Some(key), step).await? {
            Reply::Stands(stored) => Ok(stored.map(Arc::unwrap_or_clone)),
            other => panic!("{other:?}"),
        }
    }

    async fn on_list(&self, step: Step) -> Result<OwnerList, StoreError> {
        match self.call(None, step).await? {
            Reply::List(list) => Ok(list),
            other => panic!("{other:?}"),
        }
    }
}

impl Store for Steps {
    fn owners(&self) -> Option<&dyn AnyOwnerStore> {
        Some(self)
    }

    async fn load(&self, key: &RecordKey) -> Result<Option<Stored>, StoreError> {
        self.stands(key, Step::Load(key.clone())).await
    }

    async fn swap(&self, key: &RecordKey, read: Option<&Record>, next: &Stored) -> Result<Swap, StoreError> {
        let step = Step::Swap(key.clone(), read.cloned().map(Arc::new), Arc::new(next.clone()));
        let stands = self.stands(key, step).await?;
        Ok(if stands.as_ref() == Some(next) {
            Swap::Done
        } else {
            Swap::Found(stands)
        })
    }

    async fn end(&self, key: &RecordKey, _: u64) -> Result<Tombstone, StoreError> {
        match self.stands(key, Step::End(key.clone())).await? {
            Some(Stored::Tombstone(tombstone)) => Ok(tombstone),
            other => panic!("{other:?}"),
        }
    }
}

impl OwnerStore for Steps {
    async fn enlist(&self, _: &OwnerKey, key: &RecordKey, _: u64, _: u64) -> Result<OwnerList, StoreError> {
        self.on_list(Step::Enlist(key.clone())).await
    }

    async fn list(&self, _: &OwnerKey) -> Result<OwnerList, StoreError> {
        self.on_list(Step::List).await
    }

    async fn strike(&self, _: &OwnerKey, keys: &[RecordKey]) -> Result<(), StoreError> {
        self.call(None, Step::Strike(keys.to_vec())).await.map(drop)
    }
}

/// The instances and requests of a scenario, which is played many times.
pub(super) struct Site {
    steps: Steps,
    /// Three instances for each request: with the keys before a rotation, with those after it, and one that seals.
    instances: Vec<[SessionService<Views>; 3]>,
    scenario: Scenario,
    running: Vec<Option<Running>>,
    outcomes: Vec<Option<Outcome>>,
    /// The cookies that were handed out, by the place of their session.
    cookies: [Option<String>; PLACES],
    spoiled: Vec<bool>,
    faults: usize,
    endless: bool,
}

impl Site {
    pub(super) fn new() -> Self {
        let steps = Steps::default();
        let instances = (0..MOST).map(|instance| {
            let old = Keys::new(SECRET).expect("a long key");
            let new = Keys::new(NEW_SECRET)
                .and_then(|keys| keys.with_fallback(SECRET))
                .expect("long keys");
            [(old.clone(), false), (new, false), (old, true)].map(|(keys, sealed)| {
                SessionLayer::builder(steps.clone(), keys)
                    .idle_timeout(Duration::from_secs(IDLE))
                    .lifetime(Duration::from_secs(LIFETIME))
                    .max_remembered(Duration::from_secs(REMEMBERED))
                    .sealed(sealed)
                    .clock(move || CLOCKS.with(|clocks| clocks[instance].get()))
                    .build()
                    .expect("a good configuration")
                    .layer(BoxCloneSyncService::new(service_fn(respond)))
            })
        });
        Self {
            instances: instances.collect(),
            steps,
            scenario: super::scopes::alone(Start::Nothing, Op::View),
            running: Vec::new(),
            outcomes: Vec::new(),
            cookies: std::array::from_fn(|_| None),
            spoiled: Vec::new(),
            faults: 0,
            endless: false,
        }
    }

    /// Starts to play the scenario: begins the requests that wait for no other.
    fn start(&mut self) {
        let count = self.scenario.requests.len();
        self.running.clear();
        self.running.resize_with(count, || None);
        self.outcomes.clear();
        self.outcomes.resize_with(count, || None);
        self.spoiled = vec![false; count];
        (self.faults, self.endless) = (self.scenario.faults, false);
        self.cookies = std::array::from_fn(|_| None);
        let mut control = self.steps.control();
        *control = Control::default();
        control.places.insert(IDS[0].record_key().clone(), 0);
        control.table = Table::new(self.scenario.start);
        drop(control);
        if self.scenario.start != Start::Nothing {
            let keys = Keys::new(SECRET).expect("a long key");
            let cookie = crate::core::cookie::SessionCookie::new("__Host-session".into(), true, &keys);
            let issued = cookie.issue(&IDS[0], None);
            self.cookies[0] = issued
                .to_str()
                .ok()
                .and_then(|text| text.split(';').next())
                .map(str::to_owned);
        }
        CLOCKS.with(|clocks| {
            for (clock, asked) in clocks.iter().zip(&self.scenario.requests) {
                clock.set(NOW.saturating_add_signed(asked.skew));
            }
        });
        self.begin();
    }

    fn begin(&mut self) {
        for place in 0..self.running.len() {
            let asked = self.scenario.requests[place];
            let waits =
                (0..self.outcomes.len()).any(|other| asked.after & (1 << other) != 0 && self.outcomes[other].is_none());
            if self.running[place].is_none() && self.outcomes[place].is_none() && !waits {
                let brings = self.jar(asked.brings);
                let cookie = brings.and_then(|place| self.cookies[place].clone());
                self.steps.control().told[place] = mark((place, brings));
                let site = &self.instances[place][match asked.instance {
                    Instance::Usual | Instance::Older => 0,
                    Instance::Rotated => 1,
                    Instance::Seals => 2,
                }];
                self.running[place] = Some(visit(site, asked, place, cookie));
                self.go_on(place);
            }
        }
    }

    /// Returns the place of the session whose cookie the browser has.
    fn jar(&self, brings: Brings) -> Option<usize> {
        let Brings::After(earlier) = brings else {
            return (self.scenario.start != Start::Nothing).then_some(0);
        };
        let answer = self.outcomes[earlier]
            .as_ref()
            .and_then(|outcome| outcome.answer.as_ref());
        match answer.map(|answer| &answer.cookie) {
            Some(SetCookie::Issued(place)) => Some(*place),
            Some(SetCookie::Cleared) => None,
            _ => self.jar(self.scenario.requests[earlier].brings),
        }
    }

    fn go_on(&mut self, place: usize) {
        self.steps.control().request = place;
        let running = self.running[place].as_mut().expect("it is under way");
        if let Poll::Ready((status, cookie, seen)) = running.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            let cookie = match cookie {
                None => SetCookie::Nothing,
                Some(sent) if sent.ends_with('=') => SetCookie::Cleared,
                Some(sent) => {
                    let key = opens(&sent).record_key().clone();
                    let issued = self.steps.control().place_of(&key, place);
                    self.cookies[issued] = Some(sent);
                    SetCookie::Issued(issued)
                }
            };
            self.over(place, Some(Answer { status, cookie, seen }));
        } else if self.steps.control().made[place] > 40 {
            self.endless = true;
        }
    }

    fn over(&mut self, place: usize, answer: Option<Answer>) {
        self.running[place] = None;
        self.outcomes[place] = Some(Outcome {
            answer,
            spoiled: self.spoiled[place],
            calls: self.steps.control().made[place],
        });
        self.begin();
    }

    fn moves(&self) -> Vec<Move> {
        let control = self.steps.control();
        let mut moves = Vec::new();
        if self.endless || control.table.violation.is_some() {
            return moves;
        }
        let spoil = self.faults > 0;
        for waiting in &control.waiting {
            let writes = waiting.step.kind().is_some();
            let fates = Fate::of(spoil, writes, waiting.retried);
            moves.extend(fates.iter().map(|fate| Move {
                act: Act::Call(waiting.number, *fate),
                request: waiting.request,
                fault: *fate != Fate::Pass,
            }));
        }
        for (place, _) in self
            .running
            .iter()
            .enumerate()
            .filter(|(_, running)| running.is_some() && spoil)
        {
            moves.push(Move {
                act: Act::Cancel(true),
                request: place,
                fault: true,
            });
        }
        moves.extend(control.strays.iter().map(|stray| Move {
            act: Act::Arrive(stray.number),
            request: stray.request,
            fault: false,
        }));
        if control.table.may(self.scenario.outside) {
            moves.push(Move {
                act: Act::Outside,
                request: MOST,
                fault: false,
            });
        }
        moves.sort_by_key(|next| match next.act {
            Act::Call(number, _) => (next.request, 0, number),
            Act::Arrive(number) => (next.request, 1, number),
            Act::Cancel(_) | Act::Outside => (next.request, 2, 0),
        });
        moves
    }

    fn play(&mut self, next: Move) {
        if next.fault {
            self.faults -= 1;
            self.spoiled[next.request] = true;
        }
        match next.act {
            Act::Call(number, fate) => {
                if self.meet(next.request, number, fate) {
                    self.go_on(next.request);
                }
            }
            Act::Arrive(number) => {
                let mut control = self.steps.control();
                let is = |stray: &Stray| stray.request == next.request && stray.number == number;
                let stray = control.strays.iter().position(is).expect("a copy on its way");
                let stray = control.strays.remove(stray);
                let by = By {
                    at: stray.at,
                    ..Control::at(stray.request)
                };
                let _ = control.table.make(stray.place, &stray.step, stray.mark, by);
            }
            Act::Cancel(_) => {
                // The calls of the request that wait are dropped with it, and arrive later.
                let dropped = self.running[next.request].take();
                drop(dropped);
                self.over(next.request, None);
            }
            Act::Outside => self.steps.control().table.happen(self.scenario.outside),
        }
    }

    /// Gives the call its fate. Returns true if its request can go on.
    fn meet(&self, request: usize, number: usize, fate: Fate) -> bool {
        let mut control = self.steps.control();
        let is = |waiting: &Waiting| waiting.request == request && waiting.number == number;
        let at = control.waiting.iter().position(is).expect("a call that waits");
        let Waiting { place, mark: call, .. } = control.waiting[at];
        let step = Arc::clone(&control.waiting[at].step);
        let by = Control::at(request);
        if matches!(fate, Fate::Late | Fate::Repeated | Fate::LostAndRepeated) {
            control.strays.push(Stray {
                request,
                number,
                place,
                step: Arc::clone(&step),
                mark: call,
                at: by.at,
            });
        }
        let made = (!matches!(fate, Fate::Lost | Fate::Late)).then(|| control.table.make(place, &step, call, by));
        let before = control.told[request];
        let waiting = &mut control.waiting[at];
        if fate == Fate::Retried {
            waiting.retried = true;
            return false;
        }
        let reply = made.filter(|_| fate != Fate::LostAndRepeated);
        let told = mark((before, number, reply.as_ref().map(|(_, mark)| mark)));
        waiting.decided = Some(reply.map(|(reply, _)| reply));
        let waker = waiting.waker.clone();
        control.told[request] = told;
        drop(control);
        waker.wake();
        true
    }

    /// Checks the schedule when all requests are over.
    fn check(&self) -> Result<(), String> {
        let control = self.steps.control();
        let session_of = |place: usize| place.div_ceil(2);
        let count = self.outcomes.len();
        let mut handed_out = vec![None; count + 1];
        handed_out[0] = self.cookies[0].as_ref().map(|_| 0);
        for outcome in self.outcomes.iter().flatten() {
            if let Some(SetCookie::Issued(place)) = outcome.answer.as_ref().map(|answer| &answer.cookie) {
                handed_out[session_of(*place)] = Some(*place);
            }
        }
        let standing = |place: usize| match control.table.get(place) {
            None => Standing::Nothing,
            Some(Stored::Tombstone(_)) => Standing::Tombstone,
            Some(Stored::Record(record)) if is_alive(&Stored::Record(record.clone()), NOW) => {
                let cookie = self.cookies[place].as_deref().expect("it was handed out");
                let opened = if record.sealed {
                    Seal::of(&opens(cookie)).open(record)
                } else {
                    Ok(record.clone())
                };
                opened.map_or(Standing::Dead, |record| {
                    Standing::Alive(vars(&record.data), record.expires_at, None)
                })
            }
            Some(_) => Standing::Dead,
        };
        let alive = |place: &usize| control.table.get(*place).is_some_and(|stored| is_alive(stored, NOW));
        let orphans = (0..PLACES)
            .filter(alive)
            .filter(|place| !handed_out.contains(&Some(*place)));
        let subject = |request: usize| {
            let asked = &self.scenario.requests[request];
            let subject = self.jar(asked.brings)?;
            let rotated = |place: usize| self.scenario.requests[place].instance == Instance::Rotated;
            let signed_with_new = subject > 0 && rotated(session_of(subject) - 1);
            (asked.instance == Instance::Rotated || !signed_with_new).then_some(session_of(subject))
        };
        super::checks::check(&Played {
            scenario: &self.scenario,
            outcomes: self.outcomes.iter().flatten().collect(),
            subjects: (0..count).map(subject).collect(),
            sessions: handed_out.iter().map(|place| place.map(standing)).collect(),
            orphans: orphans.count(),
            owned: 0,
            listed: control
                .table
                .listed()
                .map(|key| session_of(control.places[key]))
                .collect(),
            violation: control.table.violation,
            endless: self.endless,
        })
    }

    /// The mark of what can follow and of what is checked at the end.
    fn mark(&self) -> u64 {
        let control = self.steps.control();
        let requests = (0..self.outcomes.len()).map(|request| match &self.outcomes[request] {
            Some(outcome) => mark((request, outcome)),
            None => control.told[request],
        });
        let retried = control.waiting.iter().filter(|waiting| waiting.retried);
        let retried = retried.map(|waiting| mark((waiting.mark, "retried")));
        let strays = control.strays.iter().map(|stray| mark((stray.mark, "under way")));
        let all = requests
            .chain(retried)
            .chain(strays)
            .fold(control.table.mark(), u64::wrapping_add);
        mark((all, self.faults, &self.spoiled, self.endless))
    }

    /// Plays every schedule of the scenario from its start, and returns how many there are. Each time, the last choice
    /// that has an alternative is changed. A schedule that comes to a state that was met before is not played on.
    pub(super) fn explore(&mut self, scenario: &Scenario) -> Result<u64, String> {
        struct Choice {
            moves: Vec<Move>,
            chosen: usize,
            mark: u64,
            schedules: u64,
        }
        self.scenario = scenario.clone();
        let mut met = HashMap::new();
        let mut choices: Vec<Choice> = Vec::new();
        loop {
            self.start();
            let mut depth = 0;
            let mut schedules = loop {
                let mark = self.mark();
                if depth == choices.len() {
                    if let Some(schedules) = met.get(&mark) {
                        break *schedules;
                    }
                    let moves = self.moves();
                    if moves.is_empty() {
                        self.check().map_err(|broken| {
                            self.shown(&broken, choices.iter().map(|choice| choice.moves[choice.chosen]))
                        })?;
                        met.insert(mark, 1);
                        break 1;
                    }
                    choices.push(Choice {
                        moves,
                        chosen: 0,
                        mark,
                        schedules: 0,
                    });
                }
                let choice = &choices[depth];
                assert_eq!(mark, choice.mark, "the state has another mark the second time");
                self.play(choice.moves[choice.chosen]);
                depth += 1;
            };
            loop {
                let Some(choice) = choices.last_mut() else {
                    return Ok(schedules);
                };
                choice.schedules += schedules;
                choice.chosen += 1;
                if choice.chosen < choice.moves.len() {
                    break;
                }
                schedules = choice.schedules;
                met.insert(choice.mark, schedules);
                choices.pop();
            }
        }
    }

    fn shown(&self, broken: &str, moves: impl Iterator<Item = Move>) -> String {
        let moves: Vec<_> = moves.map(|next| format!("{next:?}")).collect();
        format!(
            "{broken}\n{:?}\n{}\n{:?}",
            self.scenario,
            moves.join("\n"),
            self.outcomes
        )
    }
}

/// Returns the ID in a cookie.
fn opens(cookie: &str) -> SessionId {
    let value = cookie.split_once('=').map_or("", |(_, value)| value);
    let text = value.split('.').next().unwrap_or_default();
    SessionId::decode(text.as_bytes()).expect("an ID")
}

fn visit(site: &SessionService<Views>, asked: Asked, place: usize, cookie: Option<String>) -> Running {
    let mut request = Request::new(String::new());
    if let Some(cookie) = cookie {
        let cookie = cookie.parse().expect("a header");
        request.headers_mut().insert(header::COOKIE, cookie);
    }
    request.extensions_mut().insert((asked.op, place, asked.slow));
    let answered = site.clone().oneshot(request);
    Box::pin(async move {
        let Ok(response) = answered.await;
        let sent = response.headers().get(header::SET_COOKIE);
        let sent = sent.map(|sent| {
            sent.to_str()
                .expect("ASCII")
                .split(';')
                .next()
                .unwrap_or_default()
                .to_owned()
        });
        let seen = response.extensions().get().copied().unwrap_or_default();
        (response.status().as_u16(), sent, seen)
    })
}

async fn respond(request: Request<String>) -> Result<Response<String>, Infallible> {
    Ok(match view(&request).await {
        Ok(seen) => {
            let mut response = Response::new(String::new());
            response.extensions_mut().insert(seen);
            response
        }
        Err(error) => error.into_response(),
    })
}

async fn view(request: &Request<String>) -> Result<Seen, SessionError> {
    let (op, place, slow) = *request.extensions().get::<(Op, usize, bool)>().expect("what to do");
    let lazy = LazySession::of(request)?;
    let mut seen = Seen::default();
    match op {
        Op::Logout => {
            lazy.end();
            return Ok(seen);
        }
        Op::EndAll => {
            Sessions::of(request)?.end_all(OWNER).await?;
            return Ok(seen);
        }
        _ => {}
    }
    let session = lazy.load().await?;
    seen.found = Some(session.created_at().map(|_| vars(&session.iter().collect())));
    if slow {
        CLOCKS.with(|clocks| clocks[place].set(clocks[place].get() + SLOW));
    }
    if op == Op::Take {
        seen.taken = digits(&session.take_flashes().await?);
    }
    perform(&session, op, place)?;
    if op == Op::SaveAndAdd {
        session.save().await?;
        perform(&session, Op::Add, place)?;
    }
    Ok(seen)
}
