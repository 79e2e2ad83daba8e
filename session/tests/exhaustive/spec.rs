//! The specification: what sessions are to their users, as a sequential program. A search looks for an order in which
//! that program gives the answers that were given (Wing and Gong, "Testing and Verifying Concurrent Objects", 1993).
//!
//! A request has two points in this program: it reads, and it saves. In an answered request both lie between its
//! beginning and its answer. A request that failed or was cancelled saves at any later time, at most once, or never. So
//! if a write is lost, doubled, applied to an ended session or seen too early, no order explains the answers and the
//! views at the end.

mod save;
mod start;

use super::checks::Standing;
use super::request::Outcome;
use super::scenario::{
    Answer, IDLE, Instance, Key, LIFETIME, MOST, NOW, Op, Outside, REMEMBERED, SLOW, Scenario, SetCookie, Vars,
};

use save::Save;
use start::first;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Live,
    Malformed,
    /// Replaced by a login, at this revision.
    Replaced(u8),
    Ended,
    /// Ended longer ago than a request can take.
    Buried,
    Gone,
}

#[derive(Clone, Copy, Debug)]
struct Session {
    life: Life,
    vars: Vars,
    revision: u8,
    owned: bool,
    /// Whether the owner is another one than the one who logs in.
    others: bool,
    remembered: bool,
    created_at: u64,
    expires_at: u64,
    /// The session from which it has inherited its owner.
    inherited_from: Option<usize>,
    /// The session that it has renewed, and with which it ends.
    renewal_of: Option<usize>,
    /// The device, and the session that was bound to it first.
    bound: Option<(Key, usize)>,
}

impl Session {
    fn is_alive(&self, at: u64) -> bool {
        let young = self.created_at > at - LIFETIME || self.remembered && self.created_at > at - REMEMBERED;
        self.life == Life::Live && self.expires_at > at && young
    }

    fn kill(&mut self) {
        if matches!(self.life, Life::Live | Life::Malformed) {
            self.life = Life::Ended;
        }
    }

    /// Ends the session, whether or not something is stored.
    fn bury(&mut self) {
        if self.life == Life::Gone {
            self.life = Life::Ended;
        }
        self.kill();
    }

    fn touch(&mut self, at: u64) {
        if !self.remembered {
            let expiry = (at + IDLE).min(self.created_at + LIFETIME);
            self.expires_at = self.expires_at.max(expiry);
        }
    }
}

/// The session of the start, and one session that each request can make.
type State = [Option<Session>; MOST + 1];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Found {
    #[default]
    Absent,
    Lapsed,
    Ended,
    Live(Vars, u8),
}

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    stage: u8,
    found: Found,
    /// The session that the request works on from now on.
    subject: Option<usize>,
}

const DONE: u8 = 9;

/// The request is answered and its slide may still be under way, because a view is answered without it.
const SLIDING: u8 = 7;

/// The request has failed to take messages, and has moved the expiry.
const SLID: u8 = 4;

/// The request has bound the session, and its reply was lost.
const BOUND: u8 = 3;

/// The request is a login of an owner with too many sessions, which may end others before it is answered.
const ROOM: u8 = 6;

/// The same, where a fault may delay the ends.
const ROOM_LATER: u8 = 8;

fn is_done(progress: &Progress) -> bool {
    matches!(progress.stage, DONE | SLIDING | ROOM_LATER)
}

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Keep,
    Cleared,
    Issued,
    Conflict,
}

/// A history to explain.
pub(crate) struct History<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) outcomes: &'a [&'a Outcome],
    /// The session whose cookie each request brought, if its instance could verify it. Session 0 is that of the start.
    pub(crate) subjects: &'a [Option<usize>],
    /// What is stored at the end under the key of each session whose cookie was handed out.
    pub(crate) sessions: &'a [Option<Standing>],
}

impl History<'_> {
    /// Whether some order explains the history.
    pub(crate) fn is_explained(&self) -> bool {
        let mut state: State = [None; MOST + 1];
        state[0] = first(self.scenario.start);
        let progress = self.subjects.iter().map(|subject| Progress {
            subject: *subject,
            ..Progress::default()
        });
        self.search(&state, &progress.collect::<Vec<_>>())
    }

    fn answer(&self, place: usize) -> Option<&Answer> {
        self.outcomes[place].answer.as_ref()
    }

    /// Whether the request's answer says what it did.
    fn is_answered(&self, place: usize) -> bool {
        self.answer(place).is_some_and(|answer| answer.status != 503)
    }

    fn search(&self, state: &State, progress: &[Progress]) -> bool {
        let finished = (0..progress.len()).all(|place| is_done(&progress[place]) || !self.is_answered(place));
        if finished && self.ends_well(state) {
            return true;
        }
        let happens = match self.scenario.outside {
            Outside::Nothing => None,
            Outside::Deletes => state[0].filter(|session| session.expires_at <= NOW).map(|_| Life::Gone),
            Outside::Spoils => Some(Life::Malformed),
        };
        if let (Some(life), Some(session)) = (happens, state[0].filter(|session| session.life == Life::Live)) {
            let mut outside = *state;
            outside[0] = Some(Session { life, ..session });
            if self.search(&outside, progress) {
                return true;
            }
        }
        (0..progress.len()).any(|place| {
            self.steps(place, state, progress).into_iter().any(|(state, next)| {
                let mut progress = progress.to_vec();
                progress[place] = next;
                self.search(&state, &progress)
            })
        })
    }

    fn ends_well(&self, state: &State) -> bool {
        self.sessions.iter().enumerate().all(|(place, standing)| {
            let Some(standing) = standing else { return true };
            let alive = state[place].filter(|session| session.is_alive(NOW));
            match (alive, standing) {
                (Some(session), Standing::Alive(vars, until, key)) => {
                    let bound = session.bound.map(|(key, _)| key);
                    (session.vars, session.expires_at, bound) == (*vars, *until, *key)
                }
                (Some(_), _) | (None, Standing::Alive(..)) => false,
                (None, _) => true,
            }
        })
    }

    fn is_older(&self, place: usize) -> bool {
        self.scenario.requests[place].instance == Instance::Older
    }

    /// Returns what the request may do next.
    fn steps(&self, place: usize, state: &State, progress: &[Progress]) -> Vec<(State, Progress)> {
        let asked = &self.scenario.requests[place];
        let mut now = progress[place];
        let begun = (0..progress.len()).all(|earlier| {
            asked.after & (1 << earlier) == 0 || is_done(&progress[earlier]) || !self.is_answered(earlier)
        });
        if now.stage == DONE || !begun {
            return Vec::new();
        }
        let at = NOW.saturating_add_signed(asked.skew) + if asked.slow && now.stage > 0 { SLOW } else { 0 };
        match (asked.op, now.stage) {
            (_, SLIDING) => {
                let mut state = *state;
                let session = now.subject.and_then(|subject| state[subject].as_mut());
                let Some(session) = session.filter(|session| session.is_alive(at)) else {
                    return Vec::new();
                };
                session.touch(at);
                now.stage = DONE;
                vec![(state, now)]
            }
            (_, ROOM | ROOM_LATER) => Self::makes_room(place, state, now),
            (Op::EndAll, _) => self.ends_all(place, state, now),
            (Op::Bind | Op::BindElsewhere, _) => self.binds(place, state, now, at),
            (Op::Logout, _) => {
                let mut state = *state;
                if let Some(subject) = now.subject {
                    let bury = if self.is_older(place) {
                        Session::kill
                    } else {
                        Session::bury
                    };
                    state[subject].iter_mut().for_each(bury);
                    self.end_renewals(place, &mut state, subject);
                }
                self.said(place, now, vec![(state, Said::Cleared)], DONE)
            }
            (_, 0) => {
                now.found = match now.subject.and_then(|subject| state[subject]) {
                    Some(session) if session.is_alive(at) => Found::Live(session.vars, session.revision),
                    Some(session) => match session.life {
                        Life::Buried if self.is_older(place) => Found::Ended,
                        Life::Live | Life::Malformed | Life::Buried => Found::Lapsed,
                        Life::Replaced(_) | Life::Ended => Found::Ended,
                        Life::Gone => Found::Absent,
                    },
                    None => Found::Absent,
                };
                now.stage = 1;
                let vars = match now.found {
                    Found::Live(vars, _) => Some(vars),
                    _ => None,
                };
                let told = self.answer(place).and_then(|answer| answer.seen.found);
                if told.is_some_and(|told| told != vars) {
                    return Vec::new();
                }
                vec![(*state, now)]
            }
            (Op::Take, 1 | SLID) => self.takes(place, state, now, at),
            (Op::SaveAndAdd, 1) => {
                let save = Save::new(self, place, Op::Set, at, now, state);
                let mut next = Vec::new();
                for (state, said) in save.outcomes(state) {
                    if said == Said::Conflict {
                        next.extend(self.said(place, now, vec![(state, said)], DONE));
                        continue;
                    }
                    let mut now = now;
                    if said == Said::Issued {
                        now.subject = Some(place + 1);
                    }
                    if let Some(session) = now.subject.and_then(|subject| state[subject]) {
                        now.found = Found::Live(session.vars, session.revision);
                    }
                    now.stage = 2;
                    next.push((state, now));
                }
                next
            }
            (Op::SaveAndAdd, _) => {
                let save = Save::new(self, place, Op::Add, at, now, state);
                let outcomes = save.outcomes(state).into_iter().map(|(state, said)| match said {
                    Said::Keep if now.subject == Some(place + 1) => (state, Said::Issued),
                    said => (state, said),
                });
                self.said(place, now, outcomes.collect(), DONE)
            }
            (op, _) => {
                let save = Save::new(self, place, op, at, now, state);
                self.said(place, now, save.outcomes(state), DONE)
            }
        }
    }

    /// Binds the session to the key that the request registers. A second key ends it, or the session that renewed it
    /// and kept its key.
    fn binds(&self, place: usize, state: &State, now: Progress, at: u64) -> Vec<(State, Progress)> {
        let mut after = *state;
        let (key, subject) = (self.scenario.requests[place].op.key(), now.subject);
        let is_bound = |session: &Session| session.bound.map(|(_, first)| first) == subject && session.is_alive(at);
        let bound = subject.and(after.iter().position(|session| session.as_ref().is_some_and(is_bound)));
        // If the request that renewed it has failed, that may have ended the new session.
        let undone = bound.filter(|renewal| *renewal > 0 && !self.is_answered(renewal - 1));
        let undone = undone.map(|renewal| {
            let mut state = *state;
            state[renewal].iter_mut().for_each(Session::kill);
            (state, Said::Conflict)
        });
        let session = bound.or(subject).and_then(|session| after[session].as_mut());
        let said = match session.filter(|session| session.is_alive(at)) {
            // The session is bound already, but the reply was lost. The request is told if it ends meanwhile.
            Some(_) if now.stage == BOUND => return self.said(place, now, undone.into_iter().collect(), DONE),
            Some(session) if bound.is_some() && session.bound.map(|(key, _)| key) == key => Said::Keep,
            Some(session) if bound.is_some() => {
                session.kill();
                Said::Conflict
            }
            Some(session) if session.bound.is_none() => {
                session.bound = key.zip(subject);
                session.revision += 1;
                session.touch(at);
                Said::Keep
            }
            // It has ended, or it is a renewal that has kept its key, for which no other one is registered.
            None | Some(_) => Said::Conflict,
        };
        let outcomes = [(after, said)].into_iter().chain(undone);
        let mut next = self.said(place, now, outcomes.collect(), DONE);
        if said == Said::Keep && self.outcomes[place].spoiled {
            next.push((after, Progress { stage: BOUND, ..now }));
        }
        next
    }

    /// Ends the sessions that renewed `subject`. An instance of 0.3 does not do this.
    fn end_renewals(&self, place: usize, state: &mut State, subject: usize) {
        if self.is_older(place) {
            return;
        }
        let mut ending = vec![subject];
        while let Some(ended) = ending.pop() {
            let replaced = state[ended].is_some_and(|session| matches!(session.life, Life::Replaced(_)));
            for (renewal, session) in state.iter_mut().enumerate() {
                let Some(session) = session else { continue };
                if replaced && session.renewal_of == Some(ended) {
                    session.kill();
                    ending.push(renewal);
                }
            }
        }
    }

    /// Whether a fault left the request in doubt about its write, and somebody else may have spoiled the record that
    /// would tell.
    fn is_in_the_dark(&self, place: usize) -> bool {
        self.outcomes[place].spoiled && self.scenario.outside == Outside::Spoils
    }

    /// Returns the outcomes that fit the answer.
    fn said(&self, place: usize, now: Progress, outcomes: Vec<(State, Said)>, stage: u8) -> Vec<(State, Progress)> {
        let fits = |said: Said| match self.answer(place).filter(|_| self.is_answered(place)) {
            None => true,
            Some(answer) if answer.status == 409 => said == Said::Conflict || self.is_in_the_dark(place),
            Some(answer) => match &answer.cookie {
                SetCookie::Nothing => said == Said::Keep,
                SetCookie::Cleared => said == Said::Cleared,
                SetCookie::Issued(_) => said == Said::Issued,
            },
        };
        let outcomes = outcomes.into_iter().filter(|(_, said)| fits(*said));
        let next = outcomes.map(|(state, said)| {
            let slides = said == Said::Keep && matches!(now.found, Found::Live(..));
            let sliding = stage == DONE && slides && self.outcomes[place].spoiled;
            let asked = &self.scenario.requests[place];
            let stage = match said {
                _ if sliding => SLIDING,
                Said::Issued if asked.per_owner.is_some() && self.outcomes[place].spoiled => ROOM_LATER,
                Said::Issued if asked.per_owner.is_some() => ROOM,
                _ => stage,
            };
            (state, Progress { stage, ..now })
        });
        next.collect()
    }

    fn takes(&self, place: usize, state: &State, now: Progress, at: u64) -> Vec<(State, Progress)> {
        let told = self
            .answer(place)
            .filter(|answer| answer.status == 200)
            .map(|answer| answer.seen.taken);
        let (Found::Live(vars, _), Some(subject)) = (now.found, now.subject) else {
            return self.said(place, now, vec![(*state, Said::Keep)], DONE);
        };
        let mut after = *state;
        let session = after[subject].as_mut().expect("what was found");
        if vars.flashes == 0 || session.vars.flashes == 0 || !session.is_alive(at) {
            if told.is_some_and(|told| told > 0) {
                return Vec::new();
            }
            return self.said(place, now, self.slid(place, state, subject, at), DONE);
        }
        let taken = session.vars.flashes;
        session.vars.flashes = 0;
        session.revision += 1;
        session.touch(at);
        let outcomes = vec![(after, Said::Keep)];
        if told.is_none() {
            let mut next = self.said(place, now, outcomes, DONE);
            if now.stage != SLID {
                // The request has failed, but its view has moved the expiry. The messages may still be taken.
                next.extend(self.said(place, now, self.slid(place, state, subject, at), SLID));
            }
            next
        } else if told == Some(taken) || told == Some(0) && self.is_in_the_dark(place) {
            self.said(place, now, outcomes, DONE)
        } else {
            Vec::new()
        }
    }

    /// Moves the expiry if that is worth a write. A fault may prevent it, but the view succeeds.
    fn slid(&self, place: usize, state: &State, subject: usize, at: u64) -> Vec<(State, Said)> {
        let mut slid = *state;
        let session = slid[subject].as_mut().expect("what was found");
        let (before, alive) = (session.expires_at, session.is_alive(at));
        session.touch(at);
        if !alive || session.expires_at < before + IDLE / 10 {
            return vec![(*state, Said::Keep)];
        }
        let mut outcomes = vec![(slid, Said::Keep)];
        if self.outcomes[place].spoiled {
            outcomes.push((*state, Said::Keep));
        }
        outcomes
    }

    /// Ends sessions of the owner, or is done. Another check says which, and how many stay.
    fn makes_room(place: usize, state: &State, now: Progress) -> Vec<(State, Progress)> {
        let done = Progress { stage: DONE, ..now };
        let mut next = vec![(*state, done)];
        for (index, session) in state.iter().enumerate() {
            if session.is_some_and(|session| session.owned && session.life == Life::Live) && index != place + 1 {
                let mut state = *state;
                state[index].iter_mut().for_each(Session::kill);
                next.push((state, now));
            }
        }
        next
    }

    fn ends_all(&self, place: usize, state: &State, mut now: Progress) -> Vec<(State, Progress)> {
        let mut next = Vec::new();
        let asked = &self.scenario.requests[place];
        now.stage = 1;
        for (index, session) in state.iter().enumerate() {
            // A session that 0.3 has replaced counts as renewed.
            let theirs = |session: &Session| {
                session.owned
                    || session
                        .renewal_of
                        .is_some_and(|from| state[from].is_some_and(|from| from.owned))
            };
            if let Some(session) = session.filter(|session| theirs(session) && session.life == Life::Live) {
                let mut state = *state;
                state[index] = Some(Session {
                    life: Life::Ended,
                    ..session
                });
                next.push((state, now));
            }
        }
        // Every session whose login was answered before this request began must be dead, and so must the sessions that
        // inherited its owner.
        let before = |index: usize| index == 0 || asked.after & (1 << (index - 1)) != 0 && self.is_answered(index - 1);
        let must_die = |session: &Session, index: usize| {
            let from = std::iter::successors(Some(index), |index| state[*index]?.inherited_from);
            session.owned && from.take(MOST).any(before)
        };
        let dead = state.iter().enumerate().all(|(index, session)| {
            session.is_none_or(|session| session.life != Life::Live || !must_die(&session, index))
        });
        if dead {
            next.extend(self.said(place, now, vec![(*state, Said::Keep)], DONE));
        }
        next
    }

    /// Whether another request may end this one's session: it ends all sessions of the owner, or those beyond the
    /// maximum.
    fn may_be_revoked(&self, place: usize) -> bool {
        let asked = self.scenario.requests.iter().enumerate();
        let mut at_once = asked.filter(|(other, asked)| {
            let after = self.scenario.requests[place].after & (1 << other) != 0;
            let ends = asked.op == Op::EndAll || asked.per_owner.is_some() && *other != place;
            ends && !after && asked.after & (1 << place) == 0
        });
        at_once.next().is_some()
    }
}
