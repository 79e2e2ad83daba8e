//! Plays a schedule of a scenario. The whole state can be copied.

use std::cell::RefCell;
use std::sync::Arc;

use foldhash::HashMap;

use super::checks::{Played, Standing};
use super::mutants::{Kind, Mutant};
use super::ops::vars;
use super::request::{IDS, Outcome, Request, Turn, Waiting};
use super::scenario::{Brings, Instance, Key, MOST, NOW, OWN_KEY, Op, Scenario, SetCookie, Start};
use super::table::{By, LIST, PLACES, Reply, Step, Table, is_alive, mark};
use crate::core::bound::Binding;
use crate::core::id::RecordKey;
use crate::core::record::Stored;

/// What happens to one call and the SDK's retries. A lost reply needs no fate of its own: it is a late call that
/// arrives at once. An answer between the steps of other requests needs none either, because only its own request can
/// tell when it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Pass,
    /// Neither the call nor its retries arrive, and the client gives up.
    Lost,
    /// The client gives up, and the call arrives later.
    Late,
    /// The call is done, its reply is lost, and the client waits for its retry.
    Retried,
    /// The call is done, and an earlier attempt arrives later.
    Repeated,
    /// The call is done, the client gives up, and an earlier attempt arrives later.
    LostAndRepeated,
}

impl Fate {
    /// All fates: those without a fault, those of any call, those of a write, and that of a write without a retry.
    const ALL: [Self; 6] = [
        Self::Pass,
        Self::Lost,
        Self::Late,
        Self::Repeated,
        Self::LostAndRepeated,
        Self::Retried,
    ];

    /// Returns the possible fates of a call, with or without faults, for a write or a read, and after a retry or not.
    pub(crate) fn of(spoil: bool, writes: bool, retried: bool) -> &'static [Self] {
        let count = match (spoil, writes, retried) {
            (false, ..) => 1,
            (true, false, _) => 2,
            (true, true, true) => 5,
            (true, true, false) => 6,
        };
        &Self::ALL[..count]
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// This call of the request meets this fate.
    Call(usize, Fate),
    /// A copy of this call arrives.
    Arrive(usize),
    /// The request is dropped. Its writes under way arrive later, or never.
    Cancel(bool),
    /// The outside event of the scenario happens to the first session.
    Outside,
}

/// One move of a schedule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Move {
    pub(crate) act: Act,
    pub(crate) request: usize,
    pub(crate) fault: bool,
}

/// A call that is under way although nobody waits for it.
#[expect(
    clippy::option_option,
    reason = "not held back is different from held back until the request is over"
)]
#[derive(Clone, Debug)]
struct Stray {
    request: usize,
    number: usize,
    step: Arc<Step>,
    mark: u64,
    by: By,
    /// A mutant holds the call back until the request has made a write of this kind, or is over.
    held: Option<Option<Kind>>,
}

/// A request after a turn, and its calls that nobody waits for any more.
#[derive(Clone)]
struct Turned(Arc<Request>, Vec<Waiting>);

/// What the turns of a scenario's requests have led to, by the mark of all that the request was told.
#[derive(Default)]
pub(crate) struct Turns(RefCell<HashMap<u64, Turned>>);

#[derive(Clone)]
pub(crate) struct World<'a> {
    scenario: &'a Scenario,
    turns: Option<&'a Turns>,
    table: Table,
    requests: Vec<Option<Arc<Request>>>,
    strays: Vec<Stray>,
    faults: usize,
    /// Whether a request has made more calls than any request needs.
    endless: bool,
}

/// Returns the place of a key among the keys of the schedules.
fn place_of(key: &RecordKey) -> usize {
    let place = IDS.iter().position(|id| id.record_key() == key);
    place.expect("a key of the schedule")
}

fn place(step: &Step) -> usize {
    match step {
        Step::Load(key) | Step::Swap(key, ..) | Step::End(key) => place_of(key),
        Step::Enlist(_) | Step::List | Step::Strike(_) => LIST,
    }
}

/// Returns the session that is stored at this place. Session 0 is that of the start, and each request has one more.
fn session_of(place: usize) -> usize {
    place.div_ceil(2)
}

impl<'a> World<'a> {
    /// Creates the world at the start of the scenario, over a table that `mutant` spoils. The requests that wait for no
    /// other have begun. The copies of the world share `turns`.
    pub(crate) fn new(scenario: &'a Scenario, mutant: Option<Mutant>, turns: Option<&'a Turns>) -> Self {
        let mut table = Table::new(scenario.start);
        table.mutant = mutant;
        let mut world = Self {
            requests: vec![None; scenario.requests.len()],
            faults: scenario.faults,
            scenario,
            turns,
            table,
            strays: Vec::new(),
            endless: false,
        };
        world.begin();
        world
    }

    /// The mark of what can follow and of what is checked at the end.
    pub(crate) fn mark(&self) -> u64 {
        let mut all = self.table.mark();
        for request in self.requests.iter().flatten() {
            all = all.wrapping_add(request.mark());
        }
        for stray in &self.strays {
            all = all.wrapping_add(mark((stray.mark, "under way", stray.held)));
        }
        mark((all, self.faults, self.endless))
    }

    pub(crate) fn scenario(&self) -> &Scenario {
        self.scenario
    }

    pub(crate) fn outcome(&self, request: usize) -> Option<&Outcome> {
        self.requests[request].as_ref()?.outcome.as_ref()
    }

    /// Begins the requests whose earlier requests are answered.
    fn begin(&mut self) {
        loop {
            let waits = |place: usize| {
                let after = self.scenario.requests[place].after;
                (0..self.requests.len()).any(|other| after & (1 << other) != 0 && self.outcome(other).is_none())
            };
            let due = (0..self.requests.len()).find(|place| self.requests[*place].is_none() && !waits(*place));
            let Some(place) = due else { return };
            let asked = self.scenario.requests[place];
            let begun = Request::begin(asked, place, self.subject(place));
            self.requests[place] = Some(Arc::new(begun));
            self.look_after(place);
        }
    }

    /// Returns the place of the session whose cookie this request brings, if its instance has the key that signed it.
    fn subject(&self, request: usize) -> Option<usize> {
        let asked = &self.scenario.requests[request];
        let subject = self.jar(asked.brings)?;
        let rotated = |place: usize| self.scenario.requests[place].instance == Instance::Rotated;
        let signed_with_new = subject > 0 && rotated(session_of(subject) - 1);
        (asked.instance == Instance::Rotated || !signed_with_new).then_some(subject)
    }

    /// Returns the place of the session whose cookie the browser has.
    fn jar(&self, brings: Brings) -> Option<usize> {
        let Brings::After(earlier) = brings else {
            return (self.scenario.start != Start::Nothing).then_some(0);
        };
        let answer = self.outcome(earlier).and_then(|outcome| outcome.answer.as_ref());
        match answer.map(|answer| &answer.cookie) {
            Some(SetCookie::Issued(place)) => Some(*place),
            Some(SetCookie::Cleared) => None,
            _ => self.jar(self.scenario.requests[earlier].brings),
        }
    }

    fn by(&self, request: usize) -> By {
        let asked = &self.scenario.requests[request];
        let older = asked.instance == Instance::Older;
        By {
            at: self.requests[request].as_ref().map_or(NOW, |request| request.at()),
            older,
            ends_what_stands: older && asked.op != Op::EndAll,
        }
    }

    /// Returns the moves that can come next.
    pub(crate) fn moves(&self) -> Vec<Move> {
        let mut moves = Vec::new();
        if self.endless || self.table.violation.is_some() {
            return moves;
        }
        let spoil = self.faults > 0;
        for (request, running) in self.requests.iter().enumerate() {
            let Some(running) = running.as_ref().filter(|running| running.outcome.is_none()) else {
                continue;
            };
            for waiting in running.waiting.iter().filter(|waiting| waiting.is_open()) {
                let writes = waiting.step.kind().is_some();
                let fates = Fate::of(spoil, writes, waiting.retried);
                moves.extend(fates.iter().map(|fate| Move {
                    act: Act::Call(waiting.number, *fate),
                    request,
                    fault: *fate != Fate::Pass,
                }));
            }
            if spoil {
                let writes = running.waiting.iter().any(|waiting| waiting.step.kind().is_some());
                let both: &[bool] = if writes { &[false, true] } else { &[false] };
                moves.extend(both.iter().map(|late| Move {
                    act: Act::Cancel(*late),
                    request,
                    fault: true,
                }));
            }
        }
        moves.extend(
            self.strays
                .iter()
                .filter(|stray| stray.held.is_none())
                .map(|stray| Move {
                    act: Act::Arrive(stray.number),
                    request: stray.request,
                    fault: false,
                }),
        );
        if self.table.may(self.scenario.outside) {
            moves.push(Move {
                act: Act::Outside,
                request: MOST,
                fault: false,
            });
        }
        moves
    }

    pub(crate) fn play(&mut self, next: Move) {
        if next.fault {
            self.faults -= 1;
        }
        match next.act {
            Act::Call(number, fate) => self.meet(next.request, number, fate),
            Act::Arrive(number) => {
                let is =
                    |stray: &Stray| stray.request == next.request && stray.number == number && stray.held.is_none();
                let stray = self.strays.iter().position(is).expect("a copy on its way");
                let stray = self.strays.remove(stray);
                let _ = self.table.make(place(&stray.step), &stray.step, stray.mark, stray.by);
            }
            Act::Cancel(late) => {
                let dropped = self.turn(next.request, Turn::Cancelled);
                if late {
                    self.stray(next.request, dropped);
                }
            }
            Act::Outside => self.table.happen(self.scenario.outside),
        }
    }

    /// Keeps the writes that nobody waits for any more: they may still arrive.
    fn stray(&mut self, request: usize, dropped: Vec<Waiting>) {
        if dropped.is_empty() {
            return;
        }
        let by = self.by(request);
        let writes = dropped
            .into_iter()
            .filter(|waiting| waiting.is_open() && waiting.step.kind().is_some());
        self.strays.extend(writes.map(|waiting| Stray {
            request,
            number: waiting.number,
            step: waiting.step,
            mark: waiting.mark,
            by,
            held: None,
        }));
    }

    fn meet(&mut self, request: usize, number: usize, fate: Fate) {
        let by = self.by(request);
        let running = Arc::clone(self.requests[request].as_ref().expect("it has begun"));
        let mut waiting = running.waiting.iter();
        let waiting = waiting
            .find(|waiting| waiting.number == number)
            .expect("a call that waits");
        let (step, call) = (&waiting.step, waiting.mark);
        if matches!(fate, Fate::Late | Fate::Repeated | Fate::LostAndRepeated) {
            self.strays.push(Stray {
                request,
                number,
                step: Arc::clone(step),
                mark: call,
                by,
                held: None,
            });
        }
        let made = (!matches!(fate, Fate::Lost | Fate::Late)).then(|| self.make(request, number, step, call, by));
        let turn = match fate {
            Fate::Retried => Turn::Retried(number),
            Fate::LostAndRepeated => Turn::Failed(number),
            _ => made.map_or(Turn::Failed(number), |reply| Turn::Replied {
                number,
                reply,
                fault: fate != Fate::Pass,
            }),
        };
        let dropped = self.turn(request, turn);
        self.stray(request, dropped);
    }

    /// Goes on with a request after this turn. Returns its calls that nobody waits for any more. What a request did
    /// after the same turns in an earlier schedule is not played again.
    fn turn(&mut self, request: usize, turn: Turn) -> Vec<Waiting> {
        let running = self.requests[request].as_ref().expect("it has begun");
        let told = running.mark_after(&turn);
        let play = || {
            let mut request = Request::clone(running);
            let dropped = request.turn(turn, told);
            Turned(Arc::new(request), dropped)
        };
        let Turned(now, dropped) = match self.turns {
            Some(turns) => turns.0.borrow_mut().entry(told).or_insert_with(play).clone(),
            None => play(),
        };
        let is_over = now.outcome.is_some();
        self.requests[request] = Some(now);
        self.look_after(request);
        if is_over {
            self.begin();
        }
        dropped
    }

    /// Makes the call, unless a mutant changes that. Returns the reply and its mark.
    fn make(&mut self, request: usize, number: usize, step: &Arc<Step>, call: u64, by: By) -> (Reply, u64) {
        let kind = step.kind();
        match self.table.mutant {
            Some(Mutant::Skip(skipped)) if kind == Some(skipped) => promise(step, &self.table, call, by),
            Some(Mutant::Swap(first, second)) if kind == Some(first) => {
                self.strays.push(Stray {
                    request,
                    number: number + 50,
                    step: Arc::clone(step),
                    mark: call,
                    by,
                    held: Some(second),
                });
                promise(step, &self.table, call, by)
            }
            _ => {
                let (reply, mark) = self.table.make(place(step), step, call, by);
                for stray in self.strays.iter_mut().filter(|stray| stray.request == request) {
                    if stray.held.is_some_and(|until| until == kind && kind.is_some()) {
                        stray.held = None;
                    }
                }
                (self.as_seen_by(request, reply), mark)
            }
        }
    }

    /// Converts a reply to what an instance of 0.3 makes of it. To 0.3 every tombstone is fresh, and only "log out
    /// everywhere" follows a successor.
    fn as_seen_by(&self, request: usize, reply: Reply) -> Reply {
        let asked = &self.scenario.requests[request];
        match reply {
            Reply::Stands(Some(mut stored)) if asked.instance == Instance::Older => {
                if let Stored::Tombstone(tombstone) = Arc::make_mut(&mut stored) {
                    tombstone.ended_at = self.by(request).at;
                    tombstone.renewed &= asked.op == Op::EndAll;
                }
                Reply::Stands(Some(stored))
            }
            reply => reply,
        }
    }

    /// Updates the world after a request has gone on.
    fn look_after(&mut self, request: usize) {
        let running = self.requests[request].as_ref().expect("it has begun");
        self.endless |= running.is_endless();
        if running.outcome.is_some() {
            for stray in self.strays.iter_mut().filter(|stray| stray.request == request) {
                stray.held = None;
            }
        }
    }

    /// Returns what is checked when all requests are over.
    pub(crate) fn played(&self) -> Played<'_> {
        let count = self.requests.len();
        let mut handed_out = vec![None; count + 1];
        handed_out[0] = (self.scenario.start != Start::Nothing).then_some(0);
        for request in 0..count {
            let answer = self.outcome(request).and_then(|outcome| outcome.answer.as_ref());
            if let Some(SetCookie::Issued(place)) = answer.map(|answer| &answer.cookie) {
                handed_out[session_of(*place)] = Some(*place);
            }
        }
        let standing = |place: usize| match self.table.get(place) {
            None => Standing::Nothing,
            Some(Stored::Tombstone(_)) => Standing::Tombstone,
            Some(stored) if !is_alive(stored, NOW) => Standing::Dead,
            Some(Stored::Record(record)) => {
                let key = record.bound.as_ref().and_then(Binding::key);
                let key = key.map(|key| if key == OWN_KEY { Key::Own } else { Key::Other });
                Standing::Alive(vars(&record.data), record.expires_at, key)
            }
            Some(Stored::Malformed(_)) => Standing::Dead,
        };
        let alive = |place: &usize| self.table.get(*place).is_some_and(|stored| is_alive(stored, NOW));
        let orphans = (0..PLACES)
            .filter(alive)
            .filter(|place| !handed_out.contains(&Some(*place)));
        let owned = |place: &usize| match self.table.get(*place) {
            Some(Stored::Record(record)) => record.owner.is_some(),
            _ => false,
        };
        Played {
            scenario: self.scenario,
            outcomes: (0..count).filter_map(|request| self.outcome(request)).collect(),
            subjects: (0..count)
                .map(|request| self.subject(request).map(session_of))
                .collect(),
            sessions: handed_out.iter().map(|place| place.map(standing)).collect(),
            orphans: orphans.count(),
            owned: (0..PLACES).filter(alive).filter(owned).count(),
            listed: self.table.listed().map(|key| session_of(place_of(key))).collect(),
            violation: self.table.violation,
            endless: self.endless,
        }
    }
}

/// Returns the answer of a mutant that acknowledges a write and does not make it.
fn promise(step: &Step, table: &Table, call: u64, by: By) -> (Reply, u64) {
    match step {
        Step::Swap(_, _, next) => (Reply::Stands(Some(Arc::clone(next))), call),
        _ => table.clone().make(place(step), step, call, by),
    }
}
