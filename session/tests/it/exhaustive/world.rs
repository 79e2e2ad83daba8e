//! A scenario: what stands in the table, which requests come with which cookies, and how a schedule of it is played.

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Request, Response, header};
use lambda_session::{
    Data, Keys, LazySession, Moment, OwnerKey, OwnerList, Record, RecordKey, SessionError, SessionLayer,
    SessionService, Sessions, Value,
};
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::steps::{Choice, Steps};
use super::table::{Item, Table};
use crate::support::forge;

/// Longer than a tombstone is kept, so that no condition holds only because of that.
pub(crate) const IDLE: u64 = 7_200;
pub(crate) const LIFETIME: u64 = 43_200;
pub(crate) const REMEMBERED: u64 = 400_000;
/// How long a slow request takes between reading and saving.
pub(crate) const SLOW: u64 = 10;
pub(crate) const NOW: u64 = 1_800_000_000;

/// Most requests.
pub(crate) const MOST: usize = 3;

const SECRET: &str = "the key of tests that is longer than thirty-two bytes";
const NEW_SECRET: &str = "the key that signs after a rotation of the keys";
const COOKIE: &str = "__Host-session";
const OWNER: &str = "ann";

thread_local! {
    /// What each request's clock says.
    static CLOCKS: [Cell<u64>; MOST] = const { [const { Cell::new(NOW) }; MOST] };
}

/// What stands there when the requests begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// A visitor without a cookie.
    Nothing,
    /// A session with a name, a number, a variable and a message, created now.
    Live,
    /// The same, of an owner.
    Owned,
    /// Written by the version before, without tokens, and last seen so long ago that its expiry is due to move.
    Old,
    /// Of an owner, and only `x` in it.
    Small,
    /// Its idle timeout ends in three seconds.
    Idle,
    /// It ended two seconds ago, so that it is still alive to an instance whose clock is behind.
    Past,
    /// Of an owner who was seen long ago. Its lifetime ends in three seconds, though it was written when that was longer.
    Aged,
    /// Remembered, older than the lifetime.
    Remembered,
    /// Of an owner, remembered, and in three seconds older than the layer allows by now.
    Forgotten,
    /// Its variables are no map.
    NoMap,
    /// Its revision is no number.
    NoNumber,
    /// It has ended.
    Ended,
    /// It is gone without a trace.
    Gone,
}

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    View,
    /// Sets `x` to a value of its own.
    Set,
    /// Adds one to `n`.
    Add,
    /// Takes `x` out.
    Pop,
    Flash,
    Take,
    /// A new ID and a name, as the app does it; everything else goes unless it is the same person.
    Ann,
    Bob,
    /// `Session::login`.
    Owner,
    Renew,
    RenewAndPop,
    Remember,
    Clear,
    Logout,
    /// Ends, with a message for whoever comes next.
    Goodbye,
    EndAll,
    /// Sets `x`, saves, adds one to `n`.
    SaveAndAdd,
}

impl Op {
    /// Whether it begins a session for whoever is behind the browser, rather than for a variable.
    pub(crate) fn is_login(self) -> bool {
        matches!(
            self,
            Self::Ann | Self::Bob | Self::Owner | Self::Renew | Self::RenewAndPop | Self::Remember | Self::Goodbye
        )
    }
}

/// The cookie that a request brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Brings {
    First,
    /// What the browser has after the answer to this earlier request.
    After(usize),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) op: Op,
    pub(crate) brings: Brings,
    /// The requests that were answered before it began, as bits.
    pub(crate) after: u8,
    /// How far the clock of its instance is ahead.
    pub(crate) skew: i64,
    /// Whether it takes its time between reading and saving.
    pub(crate) slow: bool,
    /// Whether its instance has the keys of after a rotation, where the others have those of before.
    pub(crate) rotated: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) start: Start,
    pub(crate) requests: Vec<Asked>,
    /// How many faults there may be.
    pub(crate) faults: usize,
    /// What may happen to the first session at any time, without a request.
    pub(crate) outside: Outside,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outside {
    Nothing,
    /// DynamoDB deletes it, if it has expired.
    Deletes,
    /// Its variables become no map.
    SpoilsData,
    /// Its revision becomes no number.
    SpoilsRevision,
}

/// The variables of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Vars {
    /// 0 for nobody.
    pub(crate) user: u8,
    pub(crate) x: u8,
    pub(crate) n: u8,
    /// The messages, a decimal digit each.
    pub(crate) flashes: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// What the request found, if it asked: a session's variables, or no session.
    pub(crate) found: Option<Option<Vars>>,
    /// The messages that it took.
    pub(crate) taken: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SetCookie {
    Nothing,
    Cleared,
    Issued(String),
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) cookie: SetCookie,
    pub(crate) seen: Seen,
}

/// What became of a request.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// None if it was cancelled.
    pub(crate) answer: Option<Answer>,
    /// Whether one of its calls met another fate than the usual.
    pub(crate) spoiled: bool,
    pub(crate) calls: usize,
}

type Views = BoxCloneSyncService<Request<String>, Response<String>, Infallible>;
type Running = Pin<Box<dyn Future<Output = Answer>>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Store(Choice),
    /// The request is dropped; its write under way never arrives, or later.
    Cancel(bool),
    /// What may happen to the first session does.
    Outside,
}

/// One move of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Move {
    pub(crate) act: Act,
    /// The request that goes on by it.
    pub(crate) request: Option<usize>,
    pub(crate) touches: Option<(usize, bool)>,
    pub(crate) fault: bool,
}

/// One run of a scenario. It is played again and again.
pub(crate) struct World {
    pub(crate) steps: Steps,
    /// An instance for each request, each with keys of before and of after a rotation.
    sites: Vec<[SessionService<Views>; 2]>,
    scenario: Scenario,
    running: Vec<Option<Running>>,
    pub(crate) outcomes: Vec<Option<Outcome>>,
    spoiled: Vec<bool>,
    started: Vec<bool>,
    pub(crate) faults: usize,
    /// More than any request needs: one that makes more goes round in circles.
    pub(crate) endless: bool,
    first: Option<String>,
    key: RecordKey,
    table: Table,
}

impl World {
    pub(crate) fn new() -> Self {
        let steps = Steps::default();
        let sites = (0..MOST).map(|instance| {
            let old = Keys::new(SECRET.as_bytes()).expect("a long key");
            let new = Keys::new(NEW_SECRET.as_bytes()).and_then(|keys| keys.with_fallback(SECRET.as_bytes()));
            [old, new.expect("long keys")].map(|keys| {
                SessionLayer::builder(steps.clone(), keys)
                    .idle_timeout(Duration::from_secs(IDLE))
                    .lifetime(Duration::from_secs(LIFETIME))
                    .max_remembered(Duration::from_secs(REMEMBERED))
                    .clock(move || CLOCKS.with(|clocks| clocks[instance].get()))
                    .build()
                    .expect("a good configuration")
                    .layer(BoxCloneSyncService::new(service_fn(respond)))
            })
        });
        let sites = sites.collect();
        let id = forge::id(0);
        Self {
            steps,
            sites,
            scenario: Scenario {
                start: Start::Nothing,
                requests: Vec::new(),
                faults: 0,
                outside: Outside::Nothing,
            },
            running: Vec::new(),
            outcomes: Vec::new(),
            spoiled: Vec::new(),
            started: Vec::new(),
            faults: 0,
            endless: false,
            first: Some(cookie(&id)),
            key: RecordKey::from_stored(forge::record_key(&id)),
            table: Table::default(),
        }
    }

    pub(crate) fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// Prepares another scenario, over a table without what `mutant` says.
    pub(crate) fn set_up(&mut self, scenario: Scenario, mutant: Option<super::mutants::Mutant>) {
        self.table = Table::default();
        if let Some(item) = item(scenario.start) {
            if item.record.owner.is_some() {
                let list = OwnerList::from([(self.key.clone(), item.record.created_at)]);
                self.table.lists.insert(OwnerKey::new(OWNER), list);
            }
            self.table.put(self.key.clone(), item);
        }
        self.table.mutant = mutant;
        self.first = (scenario.start != Start::Nothing).then(|| cookie(&forge::id(0)));
        self.scenario = scenario;
    }

    /// Plays it from the start: the requests that wait for no other begin.
    pub(crate) fn start(&mut self) {
        let count = self.scenario.requests.len();
        self.running.clear();
        self.running.resize_with(count, || None);
        self.outcomes.clear();
        self.outcomes.resize_with(count, || None);
        self.spoiled = vec![false; count];
        self.started = vec![false; count];
        self.faults = self.scenario.faults;
        self.endless = false;
        let mut control = self.steps.control();
        control.reset(self.table.clone());
        control.place(self.key.as_str());
        drop(control);
        CLOCKS.with(|clocks| {
            for (clock, asked) in clocks.iter().zip(&self.scenario.requests) {
                clock.set(NOW.saturating_add_signed(asked.skew));
            }
        });
        self.begin();
    }

    /// Starts the requests whose turn has come.
    fn begin(&mut self) {
        for place in 0..self.running.len() {
            let asked = self.scenario.requests[place];
            let waits = (0..self.outcomes.len()).any(|other| asked.after & (1 << other) != 0 && self.outcomes[other].is_none());
            if !self.started[place] && !waits {
                self.started[place] = true;
                let cookie = self.jar(asked.brings);
                let site = &self.sites[place][usize::from(asked.rotated)];
                self.running[place] = Some(visit(site, asked, place, cookie));
                self.go_on(place);
            }
        }
    }

    fn jar(&self, brings: Brings) -> Option<String> {
        let Brings::After(earlier) = brings else {
            return self.first.clone();
        };
        let answer = self.outcomes[earlier].as_ref().and_then(|outcome| outcome.answer.as_ref());
        match answer.map(|answer| &answer.cookie) {
            Some(SetCookie::Issued(cookie)) => Some(cookie.clone()),
            Some(SetCookie::Cleared) => None,
            _ => self.jar(self.scenario.requests[earlier].brings),
        }
    }

    fn go_on(&mut self, place: usize) {
        self.steps.control().request = place;
        let running = self.running[place].as_mut().expect("it is under way");
        if let Poll::Ready(answer) = running.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            self.over(place, Some(answer));
        } else if self.steps.control().made[place] > 30 {
            self.endless = true;
        }
    }

    fn over(&mut self, place: usize, answer: Option<Answer>) {
        self.running[place] = None;
        let mut control = self.steps.control();
        control.over(place);
        self.outcomes[place] = Some(Outcome {
            answer,
            spoiled: self.spoiled[place],
            calls: control.made[place],
        });
        drop(control);
        self.begin();
    }

    /// What can happen next.
    pub(crate) fn moves(&self) -> Vec<Move> {
        if self.endless {
            return Vec::new();
        }
        let control = self.steps.control();
        let spoil = self.faults > 0;
        let mut moves: Vec<_> = control.choices(spoil).into_iter().map(|choice| Move {
            act: Act::Store(choice),
            request: choice.fate.map(|_| choice.request),
            touches: choice.touches,
            fault: choice.fate.is_some_and(|fate| fate != super::steps::Fate::Pass),
        }).collect();
        if spoil {
            for place in (0..self.running.len()).filter(|place| self.running[*place].is_some()) {
                let both: &[bool] = if control.writes(place) { &[false, true] } else { &[false] };
                moves.extend(both.iter().map(|late| Move {
                    act: Act::Cancel(*late),
                    request: Some(place),
                    touches: None,
                    fault: true,
                }));
            }
        }
        if control.table.may(self.scenario.outside, &self.key) {
            moves.push(Move {
                act: Act::Outside,
                request: None,
                touches: Some((0, true)),
                fault: false,
            });
        }
        moves
    }

    pub(crate) fn play(&mut self, next: Move) {
        if next.fault {
            self.faults -= 1;
            self.spoiled[next.request.expect("whose fault")] = true;
        }
        match next.act {
            Act::Store(choice) => {
                let goes_on = self.steps.control().play(choice);
                if goes_on {
                    self.go_on(choice.request);
                }
            }
            Act::Cancel(late) => {
                let place = next.request.expect("whose");
                self.steps.control().cancel(place, late);
                self.over(place, None);
            }
            Act::Outside => self.steps.control().table.happen(self.scenario.outside, &self.key),
        }
    }

    /// The keys that the cookies open which were handed out, by the session's place: that of the start is 0, then one for each
    /// request.
    pub(crate) fn keys(&self) -> Vec<(usize, RecordKey)> {
        let mut keys: Vec<_> = self.first.iter().map(|_| (0, self.key.clone())).collect();
        for (place, outcome) in self.outcomes.iter().enumerate() {
            let answer = outcome.as_ref().and_then(|outcome| outcome.answer.as_ref());
            if let Some(SetCookie::Issued(cookie)) = answer.map(|answer| &answer.cookie) {
                keys.push((place + 1, key_of(cookie)));
            }
        }
        keys
    }

    /// The place of the session whose cookie this request brought, if its instance has the key that signed it.
    pub(crate) fn subject(&self, place: usize) -> Option<usize> {
        let asked = &self.scenario.requests[place];
        let subject = self.brought(asked.brings)?;
        let signed_with_new = subject > 0 && self.scenario.requests[subject - 1].rotated;
        (asked.rotated || !signed_with_new).then_some(subject)
    }

    fn brought(&self, brings: Brings) -> Option<usize> {
        let Brings::After(earlier) = brings else {
            return self.first.as_ref().map(|_| 0);
        };
        let answer = self.outcomes[earlier].as_ref().and_then(|outcome| outcome.answer.as_ref());
        match answer.map(|answer| &answer.cookie) {
            Some(SetCookie::Issued(_)) => Some(earlier + 1),
            Some(SetCookie::Cleared) => None,
            _ => self.brought(self.scenario.requests[earlier].brings),
        }
    }
}

fn cookie(id: &str) -> String {
    format!("{COOKIE}={}", forge::cookie(SECRET.as_bytes(), COOKIE, id))
}

/// The key of the record that a cookie opens.
fn key_of(cookie: &str) -> RecordKey {
    let value = cookie.split_once('=').map_or("", |(_, value)| value);
    RecordKey::from_stored(forge::record_key(value.split('.').next().unwrap_or_default()))
}

/// The variables at the start.
pub(crate) const FIRST: Vars = Vars {
    user: 1,
    x: 9,
    n: 5,
    flashes: 9,
};

pub(crate) const SMALL: Vars = Vars {
    user: 0,
    x: 9,
    n: 0,
    flashes: 0,
};

/// What stands under the key of the first cookie.
fn item(start: Start) -> Option<Item> {
    let at = |now| Moment::new(now, Duration::from_secs(IDLE), Duration::from_secs(LIFETIME));
    let mut record = Record::new(Data::new(), &at(NOW));
    let text = |text: &str| Value::encode(text).expect("a text");
    record.data = Data::from([
        ("user".to_owned(), text("ann")),
        ("x".to_owned(), Value::encode(FIRST.x).expect("a number")),
        ("n".to_owned(), Value::encode(FIRST.n).expect("a number")),
        ("_flashes".to_owned(), Value::encode(["9"]).expect("a list")),
    ]);
    record.revision = 3;
    let mut item = Item::of(record);
    let record = &mut item.record;
    match start {
        Start::Nothing | Start::Gone => return None,
        Start::Live => {}
        Start::Owned => {
            record.owner = Some(text(OWNER));
            record.seen_at = Some(NOW);
        }
        Start::Small => {
            record.data.retain(|name, _| name == "x");
        }
        Start::Old => {
            record.created_at = NOW - IDLE / 2;
            record.expires_at = NOW + IDLE / 2;
        }
        Start::Idle => {
            record.created_at = NOW + 3 - IDLE;
            record.expires_at = NOW + 3;
        }
        Start::Past => {
            record.created_at = NOW - 2 - IDLE;
            record.expires_at = NOW - 2;
        }
        Start::Aged => {
            record.owner = Some(text(OWNER));
            record.seen_at = Some(NOW - IDLE);
            record.created_at = NOW + 3 - LIFETIME;
            record.expires_at = NOW + IDLE;
        }
        Start::Remembered => {
            (record.remembered, record.created_at) = (true, NOW - 2 * LIFETIME);
            record.expires_at = NOW + 10 * IDLE;
        }
        Start::Forgotten => {
            record.owner = Some(text(OWNER));
            record.seen_at = Some(NOW - IDLE);
            (record.remembered, record.created_at) = (true, NOW + 3 - REMEMBERED);
            record.expires_at = NOW + 10 * IDLE;
        }
        Start::NoMap => item.data_is_map = false,
        Start::NoNumber => item.revision_is_number = false,
        Start::Ended => {
            item.end();
            item.record.expires_at = NOW + 3_600;
        }
    }
    Some(item)
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
        let sent = sent.map(|sent| sent.to_str().expect("ASCII").split(';').next().unwrap_or_default());
        Answer {
            status: response.status().as_u16(),
            cookie: match sent {
                None => SetCookie::Nothing,
                Some(sent) if sent.ends_with('=') => SetCookie::Cleared,
                Some(sent) => SetCookie::Issued(sent.to_owned()),
            },
            seen: response.extensions().get().copied().unwrap_or_default(),
        }
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
    seen.found = Some(session.created_at().map(|_| vars(session.iter())));
    if slow {
        CLOCKS.with(|clocks| clocks[place].set(clocks[place].get() + SLOW));
    }
    match op {
        Op::View | Op::Logout | Op::EndAll => {}
        Op::Set => session.insert("x", value(place))?,
        Op::Add => drop(session.increment("n", 1)?),
        Op::Pop => {
            session.pop::<u8>("x")?;
        }
        Op::Flash => session.flash(&message(place).to_string())?,
        Op::Take => seen.taken = digits(&session.take_flashes().await?),
        Op::Ann | Op::Bob => {
            let name = if op == Op::Ann { "ann" } else { "bob" };
            if session.get::<String>("user")?.is_none_or(|current| current != name) {
                session.clear();
            }
            session.renew();
            session.insert("user", name)?;
        }
        Op::Owner => session.login(OWNER)?,
        Op::Renew => session.renew(),
        Op::RenewAndPop => {
            session.renew();
            session.pop::<u8>("x")?;
        }
        Op::Remember => {
            session.remember(Duration::from_secs(5 * IDLE));
            session.insert("user", "ann")?;
        }
        Op::Clear => session.clear(),
        Op::Goodbye => {
            session.end();
            session.flash(&message(place).to_string())?;
        }
        Op::SaveAndAdd => {
            session.insert("x", value(place))?;
            session.save().await?;
            session.increment("n", 1)?;
        }
    }
    Ok(seen)
}

/// What this request sets `x` to.
pub(crate) fn value(place: usize) -> u8 {
    10 + u8::try_from(place).expect("few requests")
}

/// The message of this request.
pub(crate) fn message(place: usize) -> u32 {
    1 + u32::try_from(place).expect("few requests")
}

fn digits(messages: &[String]) -> u32 {
    let digit = |text: &String| text.parse::<u32>().expect("a digit");
    messages.iter().fold(0, |all, text| all * 10 + digit(text))
}

pub(crate) fn vars(variables: impl IntoIterator<Item = (String, Value)>) -> Vars {
    let mut vars = Vars::default();
    for (name, value) in variables {
        match name.as_str() {
            "user" => vars.user = 1 + u8::from(value.decode::<String>().is_ok_and(|name| name == "bob")),
            "x" => vars.x = value.decode().expect("a number"),
            "n" => vars.n = value.decode().expect("a number"),
            _ => vars.flashes = digits(&value.decode::<Vec<String>>().expect("texts")),
        }
    }
    vars
}
