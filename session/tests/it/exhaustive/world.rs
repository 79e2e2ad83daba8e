//! How a schedule of a scenario is played.

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use lambda_session::{Keys, OwnerKey, OwnerList, RecordKey, SessionLayer, SessionService};
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, service_fn};

use super::mutants::Mutant;
use super::scenario::{
    Answer, Asked, Brings, IDLE, Instance, LIFETIME, MOST, NOW, OWNER, Op, Outside, REMEMBERED, Scenario, SetCookie,
    Start, Vars, item,
};
use super::scopes;
use super::steps::{Choice, Fate, Steps};
use super::table::Table;
use super::views::{CLOCKS, Running, Views, respond, visit};
use crate::support::forge;

const SECRET: &str = "the key of tests that is longer than thirty-two bytes";
const NEW_SECRET: &str = "the key that signs after a rotation of the keys";
const COOKIE: &str = "__Host-session";

/// What became of a request.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// None if it was cancelled.
    pub(crate) answer: Option<Answer>,
    /// Whether one of its calls met another fate than the usual.
    pub(crate) spoiled: bool,
    pub(crate) calls: usize,
}

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
    /// An instance for each request: with the keys of before a rotation, with those of after, and one that seals.
    sites: Vec<[SessionService<Views>; 3]>,
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
            let new = new.expect("long keys");
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
    pub(crate) fn set_up(&mut self, scenario: Scenario, mutant: Option<Mutant>) {
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
        for (older, asked) in control.older.iter_mut().zip(&self.scenario.requests) {
            *older = asked.instance == Instance::Older;
        }
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
            let waits =
                (0..self.outcomes.len()).any(|other| asked.after & (1 << other) != 0 && self.outcomes[other].is_none());
            if !self.started[place] && !waits {
                self.started[place] = true;
                let cookie = self.jar(asked.brings);
                let site = &self.sites[place][match asked.instance {
                    Instance::Usual | Instance::Older => 0,
                    Instance::Rotated => 1,
                    Instance::Seals => 2,
                }];
                self.running[place] = Some(visit(site, asked, place, cookie));
                self.go_on(place);
            }
        }
    }

    fn jar(&self, brings: Brings) -> Option<String> {
        let Brings::After(earlier) = brings else {
            return self.first.clone();
        };
        let answer = self.outcomes[earlier]
            .as_ref()
            .and_then(|outcome| outcome.answer.as_ref());
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
        let mut moves: Vec<_> = control
            .choices(spoil)
            .into_iter()
            .map(|choice| Move {
                act: Act::Store(choice),
                request: choice.fate.map(|_| choice.request),
                touches: choice.touches,
                fault: choice.fate.is_some_and(|fate| fate != Fate::Pass),
            })
            .collect();
        if spoil {
            for place in (0..self.running.len()).filter(|place| self.running[*place].is_some()) {
                let both: &[bool] = if control.writes(place) {
                    &[false, true]
                } else {
                    &[false]
                };
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
        let first = self.first.iter().map(|_| (0, self.key.clone()));
        let issued = (1..=self.outcomes.len()).filter_map(|place| Some((place, key_of(self.cookie(place)?))));
        first.chain(issued).collect()
    }

    /// The cookie that opens the session of this place, if it was handed out.
    fn cookie(&self, place: usize) -> Option<&str> {
        let Some(request) = place.checked_sub(1) else {
            return self.first.as_deref();
        };
        match &self.outcomes[request].as_ref()?.answer.as_ref()?.cookie {
            SetCookie::Issued(cookie) => Some(cookie),
            _ => None,
        }
    }

    /// What a visitor finds in the session of this place, when all is over.
    pub(crate) fn visited(&self, place: usize) -> Option<Vars> {
        let mut control = self.steps.control();
        (control.open, control.request) = (true, MOST);
        drop(control);
        CLOCKS.with(|clocks| clocks[0].set(NOW));
        let cookie = self.cookie(place).map(str::to_owned);
        let mut visit = visit(&self.sites[0][2], scopes::asked(Op::View), 0, cookie);
        match visit.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => answer.seen.found.flatten(),
            Poll::Pending => None,
        }
    }

    /// The place of the session whose cookie this request brought, if its instance has the key that signed it.
    pub(crate) fn subject(&self, place: usize) -> Option<usize> {
        let asked = &self.scenario.requests[place];
        let subject = self.brought(asked.brings)?;
        let rotated = |asked: &Asked| asked.instance == Instance::Rotated;
        let signed_with_new = subject > 0 && rotated(&self.scenario.requests[subject - 1]);
        (rotated(asked) || !signed_with_new).then_some(subject)
    }

    fn brought(&self, brings: Brings) -> Option<usize> {
        let Brings::After(earlier) = brings else {
            return self.first.as_ref().map(|_| 0);
        };
        let answer = self.outcomes[earlier]
            .as_ref()
            .and_then(|outcome| outcome.answer.as_ref());
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
