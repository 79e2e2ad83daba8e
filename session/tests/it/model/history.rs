//! What was asked and what was answered, in order.

use std::collections::BTreeMap;
use std::fmt;

use super::steps::Fate;
use crate::support::site::{Answer, now};

/// What views set and pop. Each value that is set is set once.
pub(crate) const VARIABLES: [&str; 3] = ["a", "b", "c"];

/// What views count.
pub(crate) const COUNTER: &str = "n";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    View,
    Set(&'static str),
    Pop(&'static str),
    /// Adds one to the counter.
    Add,
    Login(&'static str),
    Renew,
    Logout,
    End,
    Clear,
}

/// One visit.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) action: Action,
    /// The cookie it came with.
    pub(crate) cookie: Option<usize>,
    /// Its place in the order of all beginnings and ends.
    pub(crate) start: usize,
    pub(crate) end: Option<usize>,
    /// The times of its beginning and of its last step.
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// Whether a call met another fate than the usual one.
    pub(crate) spoiled: bool,
    pub(crate) answer: Option<Answer>,
    /// The variables it found, if it succeeded.
    pub(crate) found: BTreeMap<String, String>,
    /// The cookie it handed out.
    pub(crate) issued: Option<usize>,
}

/// A session's cookie.
#[derive(Debug)]
pub(crate) struct Cookie {
    value: String,
    /// The visit that handed it out.
    pub(crate) by: usize,
    /// The session that it continues after a login.
    pub(crate) parent: Option<usize>,
}

#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) visits: Vec<Visit>,
    pub(crate) issued: Vec<Cookie>,
    events: usize,
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, visit) in self.visits.iter().enumerate() {
            let status = visit.answer.as_ref().map(|answer| answer.status);
            let Visit {
                action,
                cookie,
                start,
                end,
                from,
                to,
                issued,
                ..
            } = visit;
            writeln!(
                f,
                "{place}: {action:?} with {cookie:?}, {start} to {end:?}, {from} to {to}: {status:?} found {:?}, issued {issued:?}",
                visit.found
            )?;
        }
        write!(
            f,
            "cookies: {:?}",
            self.issued
                .iter()
                .map(|cookie| (cookie.by, cookie.parent))
                .collect::<Vec<_>>()
        )
    }
}

impl History {
    pub(crate) fn cookies(&self) -> usize {
        self.issued.len()
    }

    fn event(&mut self) -> usize {
        self.events += 1;
        self.events
    }

    /// A visit begins: its place, its path and its cookie. 0 picks none, 1 the newest cookie.
    pub(crate) fn start(&mut self, action: Action, pick: usize) -> (usize, String, Option<String>) {
        let start = self.event();
        let cookie = (self.issued.len() + 1).checked_sub(pick).filter(|_| pick > 0);
        let cookie = cookie.and_then(|from_end| from_end.checked_sub(1));
        let path = match action {
            Action::View => "/".to_owned(),
            Action::Set(name) => format!("/set?{name}={start}"),
            Action::Pop(name) => format!("/pop?{name}"),
            Action::Add => format!("/increment?{COUNTER}"),
            Action::Login(name) => format!("/login?{name}"),
            Action::Renew => "/renew".to_owned(),
            Action::Logout => "/logout".to_owned(),
            Action::End => "/end".to_owned(),
            Action::Clear => "/clear".to_owned(),
        };
        self.visits.push(Visit {
            action,
            cookie,
            start,
            end: None,
            from: now(),
            to: now(),
            spoiled: false,
            answer: None,
            found: BTreeMap::new(),
            issued: None,
        });
        let value = cookie.map(|cookie| self.issued[cookie].value.clone());
        (self.visits.len() - 1, path, value)
    }

    pub(crate) fn step(&mut self, visit: usize, fate: Fate) {
        let visit = &mut self.visits[visit];
        visit.to = now();
        visit.spoiled |= fate != Fate::Pass;
    }

    /// What a crashed visit has not done by now it will not do, but for its late calls.
    pub(crate) fn crash(&mut self, visit: usize) {
        let end = self.event();
        self.visits[visit].end = Some(end);
        self.visits[visit].spoiled = true;
    }

    pub(crate) fn answer(&mut self, place: usize, answer: Answer) {
        let end = self.event();
        let visit = &mut self.visits[place];
        visit.end = Some(end);
        visit.to = now();
        if answer.status == 200 {
            let pairs = answer.body.split(' ').filter_map(|pair| pair.split_once('='));
            visit.found = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            if let Some(value) = answer.cookie.clone().filter(|cookie| !cookie.ends_with('=')) {
                visit.issued = Some(self.issued.len());
                let parent = visit.cookie.filter(|_| !visit.found.is_empty());
                self.issued.push(Cookie {
                    value,
                    by: place,
                    parent,
                });
            }
        }
        visit.answer = Some(answer);
    }
}
