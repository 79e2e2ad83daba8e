//! One request's session, from the cookie to the save: the state that [`Session`](crate::Session) and
//! [`LazySession`](crate::LazySession) share, and what needs the store.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::found::{CookieAction, Found};
use super::state::{State, flashes_of};
use crate::core::cookie::SessionCookie;
use crate::core::id::SessionId;
use crate::core::time::{Moment, Timeouts};
use crate::protocol::budget::Budget;
use crate::protocol::call::Next;
use crate::protocol::error::{SessionError, SessionErrorKind};
use crate::protocol::known::Known;
use crate::protocol::next::{Task, next};
use crate::protocol::run::Run;
use crate::protocol::save::Wanted;
use crate::protocol::{random, spans};

/// Tells the time in seconds since 1970-01-01 UTC.
pub(crate) type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// One request's session.
#[derive(Default)]
pub(crate) struct RequestSession {
    state: Mutex<State>,
    /// None for a session that no layer made.
    visit: Option<Visit>,
    /// Held while the session is read, so that it is read once.
    reading: tokio::sync::Mutex<()>,
    /// Held while the session is written, so that it is written in order.
    writing: tokio::sync::Mutex<()>,
    outcome: Mutex<Outcome>,
}

/// What the saves of a request have come to.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// What the last successful one has to tell the browser.
    pub(crate) cookie: CookieAction,
    /// Why one failed. Nothing is saved after it.
    pub(crate) failed: Option<SessionError>,
}

impl Default for Outcome {
    fn default() -> Self {
        Self {
            cookie: CookieAction::Keep,
            failed: None,
        }
    }
}

/// What the layer knows of the request.
pub(crate) struct Visit {
    pub(crate) budget: Budget,
    /// Whether new records are sealed.
    pub(crate) sealed: bool,
    pub(crate) timeouts: Timeouts,
    pub(crate) per_owner: Option<usize>,
    pub(crate) clock: Clock,
    pub(crate) cookie: Arc<SessionCookie>,
}

impl RequestSession {
    pub(crate) fn new(visit: Visit, state: State) -> Self {
        Self {
            state: Mutex::new(state),
            visit: Some(visit),
            ..Self::default()
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // A panic between two changes leaves each of them whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn visit(&self) -> Option<&Visit> {
        self.visit.as_ref()
    }

    /// Whether the answer may depend on the session, or changes it.
    pub(crate) fn is_used(&self) -> bool {
        let state = self.state();
        state.is_read() || state.is_ended()
    }

    /// Reads the session, once.
    pub(crate) async fn load(&self) -> Result<(), SessionError> {
        let Some(visit) = &self.visit else { return Ok(()) };
        if !self.is_used() {
            let turn = visit.budget.wait(self.reading.lock()).await;
            let _one_at_a_time =
                turn.ok_or_else(|| SessionError::unavailable("another read of this session did not end"))?;
            if !self.is_used() {
                let presented = self.state().ids().to_vec();
                let found = visit.find(presented).await.inspect_err(SessionError::log)?;
                self.state().found(found);
            }
        }
        Ok(())
    }

    /// Saves what was done so far, in the middle of the request.
    pub(crate) async fn save_now(&self) -> Result<(), SessionError> {
        let Some(visit) = &self.visit else { return Ok(()) };
        let _one_at_a_time = match self.turn(visit).await {
            Ok(turn) => turn,
            Err(error) => return Err(self.fail(error)),
        };
        self.not_failed()?;
        if self.state().is_too_late() {
            return Err(SessionError::saved());
        }
        let taken = self.state().take();
        if let Some((found, wanted)) = taken {
            self.withhold_if_ended(&wanted);
            let (renewed, remember) = (wanted.renewed, wanted.remember);
            self.save(visit, found, wanted).await?;
            self.state().give_back(renewed, remember);
        }
        Ok(())
    }

    /// Saves for the layer, after the handler.
    pub(crate) async fn finish(&self) -> Outcome {
        if let Some(visit) = &self.visit {
            let turn = self.turn(visit).await;
            let closed = self.state().close();
            if let Some((_, wanted)) = &closed {
                self.withhold_if_ended(wanted);
            }
            let failed = self.outcome().failed.is_some();
            match (turn, closed) {
                (Ok(_one_at_a_time), Some((found, wanted))) if !failed => {
                    // Whether it was saved is in the outcome.
                    let _ = self.save(visit, found, wanted).await;
                }
                (Err(error), _) if !failed => drop(self.fail(error)),
                _ => {}
            }
        }
        self.outcome().clone()
    }

    /// Takes the messages out of the record while the handler runs, so that of two requests at once one gets them.
    pub(crate) async fn take_flashes(&self) -> Result<Vec<String>, SessionError> {
        let mut taken = Vec::new();
        if let Some(visit) = &self.visit {
            let _one_at_a_time = self.turn(visit).await?;
            self.not_failed()?;
            let stored = self.state().taking_flashes();
            if let Some((found, wanted)) = stored {
                match visit.save(found, wanted).await {
                    Ok((found, _)) => {
                        if let Some((before, _)) = &found.known.sent {
                            taken = flashes_of(&before.data);
                        }
                        self.state().moved_to(found);
                    }
                    // The session has ended, and its messages with it.
                    Err(error) if error.kind() == SessionErrorKind::Conflict => {}
                    Err(error) => {
                        error.log();
                        return Err(error);
                    }
                }
            }
        }
        taken.extend(self.state().take_own_flashes());
        Ok(taken)
    }

    /// Waits until no other write of this session is under way, but not longer than the store may take.
    async fn turn(&self, visit: &Visit) -> Result<tokio::sync::MutexGuard<'_, ()>, SessionError> {
        let turn = visit.budget.wait(self.writing.lock()).await;
        turn.ok_or_else(|| SessionError::unavailable("another save of this session did not end"))
    }

    async fn save(&self, visit: &Visit, found: Found, wanted: Wanted) -> Result<(), SessionError> {
        // What is wanted is in this future alone now. If the handler drops it, the request fails.
        let mut dropped = Dropped(Some(self));
        let saved = visit.save(found, wanted).await;
        dropped.0 = None;
        match saved {
            Ok((found, cookie)) => {
                if cookie != CookieAction::Keep {
                    self.outcome().cookie = cookie;
                }
                self.state().saved_as(found);
                Ok(())
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Whoever was refused after a save gets no cookie of the session that it made, whether or not it can be ended.
    fn withhold_if_ended(&self, wanted: &Wanted) {
        let mut outcome = self.outcome();
        if wanted.ended && matches!(outcome.cookie, CookieAction::Issue(..)) {
            outcome.cookie = CookieAction::Keep;
        }
    }

    /// Whether a save has failed already.
    fn not_failed(&self) -> Result<(), SessionError> {
        self.outcome().failed.clone().map_or(Ok(()), Err)
    }

    /// From now on nothing is saved, and the request is answered with this error.
    fn fail(&self, error: SessionError) -> SessionError {
        error.log();
        self.state().not_saved();
        self.outcome().failed = Some(error.clone());
        error
    }

    fn outcome(&self) -> MutexGuard<'_, Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A save that may be dropped half-way.
struct Dropped<'a>(Option<&'a RequestSession>);

impl Drop for Dropped<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.0 {
            drop(session.fail(SessionError::unavailable(
                "the handler dropped a save before it was done",
            )));
        }
    }
}

impl Visit {
    pub(crate) fn moment(&self) -> Moment {
        Moment {
            now: (self.clock)(),
            timeouts: self.timeouts,
        }
    }

    fn run<'a>(&'a self, ids: &'a [SessionId], at: &'a Moment) -> Run<'a> {
        Run {
            budget: &self.budget,
            ids,
            sealed: self.sealed,
            at,
        }
    }

    /// What the cookies open.
    async fn find(&self, ids: Vec<SessionId>) -> Result<Found, SessionError> {
        let (at, mut known) = (self.moment(), Known::default());
        if let Some(task) = Found::reading(&ids) {
            spans::within(spans::load(), Box::pin(self.run(&ids, &at).task(&mut known, &task))).await?;
        }
        Ok(Found::read(ids, known, &at))
    }

    /// Saves what is wanted of what was found. Gives back what is found now.
    async fn save(&self, mut found: Found, wanted: Wanted) -> Result<(Found, CookieAction), SessionError> {
        let at = self.moment();
        let Some(task) = found.saving(wanted, self.per_owner, &at, random::fresh)? else {
            return Ok((found, CookieAction::Keep));
        };
        let mut known = std::mem::take(&mut found.known);
        let told = if let Next::Over(told) = next(&known, &task, &at)? {
            told
        } else {
            let mut ids = found.ids.clone();
            if let Task::Save(save) = &task {
                ids.push(save.fresh.id.clone());
            }
            // Boxed, for what a save may take is three quarters of a request's future, and most requests save nothing.
            spans::within(spans::save(), Box::pin(self.run(&ids, &at).task(&mut known, &task))).await?
        };
        Ok(found.saved(known, &task, told, &at))
    }
}

#[cfg(test)]
mod orders;
