//! What a request's save does, over what other requests have done: the specification of `protocol::save`.

use super::super::scenario::{IDLE, Op, Vars, message, value};
use super::{Found, History, Life, Progress, Said, Session, State};

/// The save of one request at one point of the history.
pub(super) struct Save<'a> {
    history: &'a History<'a>,
    place: usize,
    op: Op,
    at: u64,
    now: Progress,
    /// Whether the session that was found is another owner's.
    others: bool,
}

impl<'a> Save<'a> {
    pub(super) fn new(history: &'a History<'a>, place: usize, op: Op, at: u64, now: Progress, state: &State) -> Self {
        let found = now.subject.filter(|_| matches!(now.found, Found::Live(..)));
        let others = found
            .and_then(|subject| state[subject])
            .is_some_and(|session| session.others);
        Self {
            history,
            place,
            op,
            at,
            now,
            others,
        }
    }

    pub(super) fn outcomes(&self, state: &State) -> Vec<(State, Said)> {
        if self.op == Op::Goodbye {
            let mut state = *state;
            self.end(&mut state);
            let vars = Vars {
                flashes: message(self.place),
                ..Vars::default()
            };
            self.make(&mut state, vars, None, false);
            return vec![(state, Said::Issued)];
        }
        if self.op == Op::Anew {
            // It ends first, and the new session inherits nothing.
            let mut ended = *state;
            self.end(&mut ended);
            let mut after = ended;
            self.make(&mut after, Vars::default(), None, true);
            return self.unless_revoked(vec![(after, Said::Issued)], &ended, true);
        }
        let Found::Live(loaded, revision) = self.now.found else {
            return self.without_session(state);
        };
        let subject = self.now.subject.expect("what was found");
        let session = state[subject].expect("what was found");
        let owned = if self.renews() {
            self.owned_by(&session, loaded)
        } else {
            session.owned
        };
        let now = if session.is_alive(self.at) {
            session.vars
        } else {
            loaded
        };
        let after = self.applied(loaded, now);
        let changed = after != now;
        let emptied = self.edits(loaded) && after == Vars::default() && !owned;
        if self.renews() && !(emptied && changed) {
            self.replace(state, subject, loaded, revision)
        } else if changed {
            self.change(state, subject, loaded, owned)
        } else {
            self.history.slid(self.place, state, subject, self.at)
        }
    }

    fn without_session(&self, state: &State) -> Vec<(State, Said)> {
        let own = self.applied(Vars::default(), Vars::default());
        let owner = self.op == Op::Owner;
        let mut after = *state;
        if own == Vars::default() && !owner {
            if self.op == Op::Clear && self.now.subject.is_some() {
                self.end(&mut after);
                return vec![(after, Said::Cleared)];
            }
            return vec![(after, Said::Keep)];
        }
        if self.now.found == Found::Ended && !self.renews() {
            return vec![(after, Said::Conflict)];
        }
        if self.now.found == Found::Lapsed
            && let Some(session) = self.now.subject.and_then(|subject| after[subject].as_mut())
        {
            session.bury();
        }
        self.make(&mut after, own, None, owner);
        self.unless_revoked(vec![(after, Said::Issued)], state, owner)
    }

    /// Applies the changes to what other requests wrote.
    fn change(&self, state: &State, subject: usize, loaded: Vars, owned: bool) -> Vec<(State, Said)> {
        let mut after = *state;
        let session = after[subject].as_mut().expect("what was found");
        if !session.is_alive(self.at) {
            return vec![(*state, Said::Conflict)];
        }
        let vars = self.applied(loaded, session.vars);
        if vars == session.vars {
            return vec![(*state, Said::Keep)];
        }
        if vars == Vars::default() && !owned {
            session.kill();
            return vec![(after, Said::Cleared)];
        }
        session.vars = vars;
        session.revision += 1;
        session.touch(self.at);
        vec![(after, Said::Keep)]
    }

    /// Replaces the session that was found by a new one.
    fn replace(&self, state: &State, subject: usize, loaded: Vars, revision: u8) -> Vec<(State, Said)> {
        let mut after = *state;
        let session = state[subject].expect("what was found");
        let owned = self.owned_by(&session, loaded);
        let new_owner = self.op == Op::Owner;
        let inherited = owned && !new_owner;
        let conflict = (*state, Said::Conflict);
        if session.is_alive(self.at) {
            let vars = self.applied(loaded, session.vars);
            if vars == Vars::default() && !owned {
                return self.change(state, subject, loaded, false);
            }
            after[subject] = Some(Session {
                life: Life::Replaced(session.revision),
                ..session
            });
            self.make(&mut after, vars, Some(subject), owned);
            return self.unless_revoked(vec![(after, Said::Issued)], state, owned);
        }
        if inherited {
            return vec![conflict];
        }
        if let Life::Replaced(at) = session.life {
            if !new_owner && !self.edits(loaded) {
                return vec![conflict];
            }
            // Another login was faster. If it started from a state that this one has read, both are valid.
            self.make(&mut after, self.applied(loaded, session.vars), None, owned);
            let both = vec![(after, Said::Issued)];
            let outcomes = if at == revision {
                both
            } else {
                [both, vec![conflict]].concat()
            };
            return self.unless_revoked(outcomes, state, owned);
        }
        self.alone(state)
    }

    /// A login whose session has ended meanwhile. The new session gets only what this request adds.
    fn alone(&self, state: &State) -> Vec<(State, Said)> {
        let (Found::Live(loaded, _), Some(subject)) = (self.now.found, self.now.subject) else {
            return Vec::new();
        };
        let session = state[subject].expect("what was found");
        let (owned, new_owner) = (self.owned_by(&session, loaded), self.op == Op::Owner);
        let mut after = *state;
        let own = self.applied_to_nothing(loaded);
        self.kill(&mut after);
        if !new_owner && (owned || own == Vars::default()) {
            return vec![(*state, Said::Conflict)];
        }
        let ended = after;
        self.make(&mut after, own, None, owned);
        let mut outcomes = self.unless_revoked(vec![(after, Said::Issued)], &ended, owned);
        if owned && self.history.may_be_revoked(self.place) {
            outcomes.push((*state, Said::Conflict));
        }
        outcomes
    }

    /// A request that ends the owner's sessions may end this one before its record exists, so that its login fails, or
    /// before its login is answered.
    fn unless_revoked(&self, mut outcomes: Vec<(State, Said)>, state: &State, owned: bool) -> Vec<(State, Said)> {
        if owned && self.history.may_be_revoked(self.place) {
            let mut ended = outcomes.clone();
            for (state, _) in &mut ended {
                state[self.place + 1].iter_mut().for_each(Session::kill);
            }
            outcomes.extend(ended);
            outcomes.push((*state, Said::Conflict));
        }
        outcomes
    }

    /// Ends the session as a logout does. If the request has read the key and found nothing, nothing is ended.
    fn end(&self, state: &mut State) {
        let Some(subject) = self.now.subject else { return };
        let bury = if self.now.found == Found::Absent || self.is_older() {
            Session::kill
        } else {
            Session::bury
        };
        state[subject].iter_mut().for_each(bury);
        self.history.end_renewals(self.place, state, subject);
    }

    fn kill(&self, state: &mut State) {
        if let Some(session) = self.now.subject.and_then(|subject| state[subject].as_mut()) {
            session.kill();
        }
    }

    /// Creates the new session, in place of the one that it replaces.
    fn make(&self, state: &mut State, vars: Vars, replaces: Option<usize>, owned: bool) {
        let before = self.now.subject.and_then(|subject| state[subject]);
        let found_live = matches!(self.now.found, Found::Live(..));
        let loaded = match self.now.found {
            Found::Live(vars, _) => vars,
            _ => Vars::default(),
        };
        let kept = before.filter(|before| {
            found_live
                && before.remembered
                && !self.clears(loaded)
                && !matches!(self.op, Op::Owner | Op::Goodbye | Op::Anew)
        });
        let remembered = self.op == Op::Remember || kept.is_some();
        let expires_at = match kept {
            _ if self.op == Op::Remember => self.at + 5 * IDLE,
            Some(kept) => kept.expires_at,
            None => self.at + IDLE,
        };
        state[self.place + 1] = Some(Session {
            life: Life::Live,
            vars,
            revision: 0,
            owned,
            others: owned && self.others && !matches!(self.op, Op::Owner | Op::Anew),
            remembered,
            created_at: self.at,
            expires_at,
            inherited_from: replaces.filter(|_| owned && self.op != Op::Owner),
            renewal_of: replaces.filter(|_| self.op != Op::Owner && !self.clears(loaded) || self.is_older()),
            bound: before
                .filter(|_| replaces.is_some() && self.op != Op::Owner && !self.clears(loaded) && !self.is_older())
                .and_then(|before| before.bound),
        });
    }

    fn is_older(&self) -> bool {
        self.history.is_older(self.place)
    }

    fn renews(&self) -> bool {
        matches!(
            self.op,
            Op::Ann | Op::Bob | Op::Owner | Op::Renew | Op::RenewAndPop | Op::Remember
        )
    }

    /// Whether the session after this request has an owner.
    fn owned_by(&self, before: &Session, loaded: Vars) -> bool {
        self.op == Op::Owner || before.owned && !self.clears(loaded)
    }

    fn clears(&self, loaded: Vars) -> bool {
        match self.op {
            Op::Clear => true,
            Op::Ann => loaded.user != 1,
            Op::Bob => loaded.user != 2,
            _ => false,
        }
    }

    /// Whether the request writes to variables, even if the write changes nothing.
    fn edits(&self, loaded: Vars) -> bool {
        match self.op {
            Op::Pop | Op::RenewAndPop => loaded.x != 0,
            Op::View | Op::Owner | Op::Renew | Op::Take => false,
            _ => true,
        }
    }

    /// Returns the variables of a new session to which only this request's changes are applied.
    fn applied_to_nothing(&self, loaded: Vars) -> Vars {
        match self.op {
            Op::Pop | Op::RenewAndPop => Vars::default(),
            Op::Ann | Op::Remember => Vars {
                user: 1,
                ..Vars::default()
            },
            _ => self.applied(loaded, Vars::default()),
        }
    }

    /// Applies the changes to `vars`. A change that had no effect on the variables that were loaded has no effect here.
    fn applied(&self, loaded: Vars, mut vars: Vars) -> Vars {
        // A login over another owner's session keeps nothing of it.
        if self.clears(loaded) || self.others && self.op == Op::Owner {
            vars = Vars::default();
        }
        match self.op {
            Op::Set => vars.x = value(self.place),
            Op::Add => vars.n += 1,
            Op::Pop | Op::RenewAndPop if loaded.x != 0 => vars.x = 0,
            Op::Flash => vars.flashes = vars.flashes * 10 + message(self.place),
            Op::Ann | Op::Remember if loaded.user != 1 => vars.user = 1,
            Op::Bob if loaded.user != 2 => vars.user = 2,
            _ => {}
        }
        vars
    }
}
