//! Which answers are right: judged from outside, by what was asked and answered when.

use super::history::{Action, COUNTER, History, VARIABLES, Visit};
use crate::support::site::{IDLE, LIFETIME};

/// The first answer that breaks a rule, and which one.
pub(crate) fn check(history: &History) -> Result<(), String> {
    for (place, visit) in history.visits.iter().enumerate() {
        let broken = status(history, visit)
            .or_else(|| cookie(history, visit))
            .map(str::to_owned)
            .or_else(|| match visit.cookie {
                Some(cookie) if visit.answered(200) && visit.action != Action::Logout => {
                    session(history, place, visit, cookie)
                }
                _ => None,
            });
        if let Some(broken) = broken {
            return Err(format!("{broken}: visit {place}\n{history}"));
        }
    }
    Ok(())
}

/// What a variable becomes.
#[derive(PartialEq)]
enum Write {
    Value(String),
    Nothing,
}

impl Visit {
    fn answered(&self, status: u16) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.status == status)
    }

    fn touched_cookie(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.cookie.is_some())
    }

    /// When its effect was there at the latest. The call of a logout that was lost may arrive at any time later, and ends
    /// whatever stands there; other late calls find that the session has changed.
    fn done(&self) -> usize {
        let late = matches!(self.action, Action::Logout | Action::End) && self.spoiled && !self.answered(200);
        self.end.filter(|_| !late).unwrap_or(usize::MAX)
    }

    /// Whether it may have ended the session it came with. A change that finds it expired does, and makes a new one.
    fn ends(&self) -> bool {
        match self.action {
            Action::View => false,
            Action::Set(_) | Action::Add => self.issued.is_some() || self.spoiled && !self.answered(200),
            _ => true,
        }
    }

    fn ended_before(&self, other: &Visit) -> bool {
        self.end.is_some_and(|end| end < other.start)
    }

    fn began_before_the_end_of(&self, other: &Visit) -> bool {
        other.end.is_none_or(|end| self.start < end)
    }

    /// The session that its writes are for: a login's and a new session's are for the new one. The new one of a login
    /// that failed may be what others find on the way from the old one.
    fn subject(&self) -> Option<usize> {
        self.issued.or(self.cookie)
    }

    /// What it makes of a variable, if it changes it.
    fn write(&self, variable: &str) -> Option<Write> {
        let renamed = |name: &str| self.found.get("username").is_none_or(|found| found != name);
        match self.action {
            Action::Set(name) if name == variable => Some(Write::Value(self.start.to_string())),
            Action::Pop(name) if name == variable => Some(Write::Nothing),
            Action::Login(name) if variable == "username" => Some(Write::Value(name.to_owned())),
            Action::Login(name) if renamed(name) => Some(Write::Nothing),
            Action::Logout | Action::End | Action::Clear => Some(Write::Nothing),
            _ => None,
        }
    }

    /// Whether its writes are certain: acknowledged, and not moot because there was nothing to change, or because the
    /// session ended with them (and what continues it may have been there before).
    fn certain(&self, variable: &str) -> bool {
        let ended = self.touched_cookie() && self.issued.is_none();
        let moot = match self.action {
            Action::Pop(_) => !self.found.contains_key(variable),
            Action::Clear => self.found.is_empty(),
            Action::Logout | Action::End => true,
            _ => false,
        };
        self.answered(200) && !ended && !moot
    }
}

/// 503 only when a call failed, 409 only when the session may be gone, else 200.
fn status(history: &History, visit: &Visit) -> Option<&'static str> {
    let answer = visit.answer.as_ref()?;
    let gone = || visit.cookie.is_some_and(|cookie| may_be_gone(history, visit, cookie));
    match answer.status {
        200 => None,
        _ if answer.cookie.is_some() => Some("a failure with a cookie"),
        409 if gone() => None,
        503 if visit.spoiled => None,
        _ => Some("an unfounded failure"),
    }
}

/// Views and changes never touch the cookie of a session that is there.
fn cookie(history: &History, visit: &Visit) -> Option<&'static str> {
    let writes = matches!(visit.action, Action::Set(_) | Action::Add);
    let may_issue = matches!(visit.action, Action::Login(_) | Action::Renew) || (writes && visit.found.is_empty());
    // One that began after the end of its session was answered is from a tab that does not know.
    let straggler = history.visits.iter().any(|other| {
        visit.cookie.is_some() && other.cookie == visit.cookie && other.touched_cookie() && other.ended_before(visit)
    });
    if writes && straggler && visit.issued.is_some() {
        return Some("a straggler's cookie");
    }
    let may_clear = matches!(
        visit.action,
        Action::Logout | Action::End | Action::Clear | Action::Pop(_)
    );
    if visit.touched_cookie() && !may_issue && !may_clear {
        return Some("a cookie from a view");
    }
    let missing = visit.answered(200) && visit.issued.is_none() && matches!(visit.action, Action::Login(_));
    missing.then_some("a login without a cookie")
}

/// Whether somebody may have ended the session, or time.
fn may_be_gone(history: &History, visit: &Visit, cookie: usize) -> bool {
    let ended = history.visits.iter().any(|other| {
        !std::ptr::eq(other, visit)
            && other.cookie == Some(cookie)
            && other.ends()
            && other.began_before_the_end_of(visit)
    });
    let born = &history.visits[history.issued[cookie].by];
    let writes = history.visits.iter().filter(|other| {
        other.cookie == Some(cookie)
            && matches!(other.action, Action::Set(_) | Action::Add)
            && other.answered(200)
            && !other.touched_cookie()
            && other.ended_before(visit)
    });
    let active = writes.map(|write| write.from).chain([born.from]).max().unwrap_or(0);
    ended || visit.to >= active + IDLE || visit.to >= born.from + LIFETIME
}

/// What a visit with a cookie found in its session.
fn session(history: &History, place: usize, visit: &Visit, cookie: usize) -> Option<String> {
    let born = &history.visits[history.issued[cookie].by];
    if visit.found.is_empty() {
        let lost = !may_be_gone(history, visit, cookie);
        return lost.then(|| "lost session".to_owned());
    }
    let mut others = history.visits.iter().filter(|other| other.cookie == Some(cookie));
    if others.any(|other| other.touched_cookie() && other.ended_before(visit)) {
        return Some("revival".to_owned());
    }
    let active = history.visits.iter().enumerate().filter(|(n, other)| {
        *n != place
            && (other.cookie == Some(cookie) || other.issued == Some(cookie))
            && other.began_before_the_end_of(visit)
    });
    let active = active.map(|(_, other)| other.to).max().unwrap_or(0);
    if visit.from >= active + IDLE || visit.from >= born.to + LIFETIME {
        return Some("expired".to_owned());
    }
    let lineage: Vec<usize> = std::iter::successors(Some(cookie), |&cookie| history.issued[cookie].parent).collect();
    if let Some(broken) = counted(history, visit, &lineage) {
        return Some(broken.to_owned());
    }
    let names = VARIABLES.into_iter().chain(["username"]);
    names
        .filter(|name| !explained(history, visit, &lineage, name))
        .map(|name| format!("lost update of {name}"))
        .next()
}

/// Whether some write left the variable as it was found, and no later one was acknowledged before the visit.
fn explained(history: &History, visit: &Visit, lineage: &[usize], variable: &str) -> bool {
    let found = visit.found.get(variable).cloned().map_or(Write::Nothing, Write::Value);
    let root = lineage.last();
    let family = |cookie: usize| {
        let oldest = std::iter::successors(Some(cookie), |&cookie| history.issued[cookie].parent).last();
        oldest.as_ref() == root
    };
    let certain: Vec<&Visit> = history
        .visits
        .iter()
        .filter(|other| other.subject().is_some_and(|cookie| lineage.contains(&cookie)))
        .filter(|other| other.write(variable).is_some() && other.certain(variable) && other.ended_before(visit))
        .collect();
    let stands = |end: usize| certain.iter().all(|later| later.start < end);
    let mut candidates = history
        .visits
        .iter()
        .filter(|other| !std::ptr::eq(*other, visit) && other.began_before_the_end_of(visit))
        .filter(|other| other.subject().is_some_and(family))
        // A refused change was not saved.
        .filter(|other| !other.answered(409) || other.spoiled);
    let written = candidates.any(|other| {
        let wrote = other.write(variable).as_ref() == Some(&found);
        // A login that took so long that the session could expire meanwhile keeps only its own.
        let alone = found == Write::Nothing
            && matches!(other.action, Action::Login(_) | Action::Renew)
            && other.to > other.from;
        (wrote || alone) && stands(other.done())
    });
    written || (found == Write::Nothing && certain.is_empty())
}

/// The counter is at most the number of additions that may have been made, and where nothing else could have reset it, at least
/// the number of those that were acknowledged.
fn counted(history: &History, visit: &Visit, lineage: &[usize]) -> Option<&'static str> {
    let found: usize = visit
        .found
        .get(COUNTER)
        .map_or(0, |text| text.parse().unwrap_or(usize::MAX));
    let root = lineage.last();
    let family = |cookie: usize| {
        let oldest = std::iter::successors(Some(cookie), |&cookie| history.issued[cookie].parent).last();
        oldest.as_ref() == root
    };
    let others = || {
        let others = history.visits.iter().filter(|other| !std::ptr::eq(*other, visit));
        others.filter(|other| other.subject().is_some_and(family) || other.cookie.is_some_and(family))
    };
    let added = others().filter(|other| other.action == Action::Add);
    let possible = added.filter(|other| {
        other.began_before_the_end_of(visit) && (other.answered(200) || other.spoiled || other.answer.is_none())
    });
    if found > possible.count() {
        return Some("counted twice");
    }
    let plain = |action| matches!(action, Action::View | Action::Set(_) | Action::Pop(_) | Action::Add);
    let untouched =
        others().all(|other| plain(other.action) || other.subject() == root.copied() && other.issued.is_some());
    let certain = others().filter(|other| {
        other.action == Action::Add && other.answered(200) && other.ended_before(visit) && !other.touched_cookie()
    });
    let born = root.map(|root| &history.visits[history.issued[*root].by]);
    let first = usize::from(born.is_some_and(|born| born.action == Action::Add));
    (untouched && found < certain.count() + first).then_some("an addition was lost")
}
