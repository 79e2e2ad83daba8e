//! One request's session, from the cookie to the save: the state that [`Session`](crate::Session) and
//! [`LazySession`](crate::LazySession) share, and the operations that need the store.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::found::{CookieAction, Found};
use super::state::{Outcome, State, flashes_of};
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

/// Returns the time in seconds since 1970-01-01 UTC.
pub(crate) type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// One request's session.
#[derive(Default)]
pub(crate) struct RequestSession {
    state: Mutex<State>,
    /// `None` for a session that no layer made, as in a test.
    pub(crate) visit: Option<Visit>,
    /// Held while the session is read, so that it is read only once.
    reading: tokio::sync::Mutex<()>,
    /// Held while the session is written, so that writes follow each other.
    writing: tokio::sync::Mutex<()>,
}

/// What the layer knows about the request.
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
        // A panic leaves no change of the state half done, so a poisoned lock can be used.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether the session was read or ended, so that the answer may depend on it.
    pub(crate) fn is_used(&self) -> bool {
        let state = self.state();
        state.found.read_at.is_some() || state.wanted.ended
    }

    /// Reads the session, if it was not read before.
    pub(crate) async fn load(&self) -> Result<(), SessionError> {
        let Some(visit) = &self.visit else { return Ok(()) };
        if !self.is_used() {
            let read = "another read of this session did not end";
            let _one_at_a_time = visit.budget.turn(&self.reading, read).await?;
            if !self.is_used() {
                let ids = self.state().found.ids.clone();
                let found = visit.find(ids).await.inspect_err(SessionError::log)?;
                self.state().found = found;
            }
        }
        Ok(())
    }

    /// Saves what was done so far, in the middle of the request.
    pub(crate) async fn save_now(&self) -> Result<(), SessionError> {
        let Some(visit) = &self.visit else { return Ok(()) };
        let turn = self.turn(visit).await;
        let _one_at_a_time = turn.map_err(|error| self.fail(error))?;
        self.not_failed()?;
        if self.state().too_late {
            let late = "the session was changed after it was saved; that change is lost";
            return Err(SessionError::new(SessionErrorKind::Saved, late));
        }
        let taken = self.state().take();
        match taken {
            Some((found, wanted)) => self.save(visit, found, wanted).await,
            None => Ok(()),
        }
    }

    /// Saves for the layer, after the handler.
    pub(crate) async fn finish(&self) -> Outcome {
        if let Some(visit) = &self.visit {
            let turn = self.turn(visit).await;
            let closed = self.state().close();
            // The outcome says whether it was saved.
            let _ = match (turn, closed) {
                (Ok(_one_at_a_time), Some((found, wanted))) => self.save(visit, found, wanted).await,
                (Err(error), _) => Err(self.fail(error)),
                _ => Ok(()),
            };
        }
        self.state().outcome.clone()
    }

    /// Takes the messages out of the record while the handler runs, so that only one of two concurrent requests gets
    /// them.
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
                        self.state().saved_as(found);
                    }
                    // The session has ended, and its messages are lost with it.
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

    /// Waits until no other write of this session is under way, but not longer than the store calls may still take.
    async fn turn(&self, visit: &Visit) -> Result<tokio::sync::MutexGuard<'_, ()>, SessionError> {
        let save = "another save of this session did not end";
        visit.budget.turn(&self.writing, save).await
    }

    async fn save(&self, visit: &Visit, found: Found, wanted: Wanted) -> Result<(), SessionError> {
        // Only this future holds what is wanted. If the handler drops it, the request fails.
        let dropped = Dropped(self);
        let saved = visit.save(found, wanted).await;
        std::mem::forget(dropped);
        match saved {
            Ok((found, cookie)) => {
                let mut state = self.state();
                if cookie != CookieAction::Keep {
                    state.outcome.cookie = cookie;
                }
                state.saved_as(found);
                Ok(())
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Returns the error of an earlier save, if one failed.
    fn not_failed(&self) -> Result<(), SessionError> {
        self.state().outcome.failed.clone().map_or(Ok(()), Err)
    }

    /// Records that a save failed: from now on nothing is saved, and the request is answered with this error.
    fn fail(&self, error: SessionError) -> SessionError {
        error.log();
        self.state().fail(error.clone());
        error
    }
}

/// Fails the request if the handler drops its save half-way.
struct Dropped<'a>(&'a RequestSession);

impl Drop for Dropped<'_> {
    fn drop(&mut self) {
        let dropped = SessionError::unavailable("the handler dropped a save before it was done");
        drop(self.0.fail(dropped));
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

    /// Reads the sessions of the cookies.
    async fn find(&self, ids: Vec<SessionId>) -> Result<Found, SessionError> {
        let (at, mut known) = (self.moment(), Known::default());
        if let Some(task) = Found::reading(&ids) {
            spans::within(spans::load(), Box::pin(self.run(&ids, &at).task(&mut known, &task))).await?;
        }
        Ok(Found::read(ids, known, &at))
    }

    /// Saves what is wanted. Returns what is found after it, and what the response does to the cookie.
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
            // Boxed, because a save takes three quarters of a request's future, and most requests save nothing.
            spans::within(spans::save(), Box::pin(self.run(&ids, &at).task(&mut known, &task))).await?
        };
        Ok(found.saved(known, &task, told, &at))
    }
}

#[cfg(test)]
mod orders;
