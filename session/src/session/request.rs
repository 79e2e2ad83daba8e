//! One request's session, from the cookie to the save: the state that [`Session`](crate::Session) and
//! [`LazySession`](crate::LazySession) share, and the operations that need the store.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::computing;
use super::found::{CookieAction, Found};
use super::state::{Outcome, State};
use crate::core::id::SessionId;
use crate::core::time::Moment;
use crate::core::value::Value;
use crate::protocol::budget::{Budget, Deadline};
use crate::protocol::call::Next;
use crate::protocol::error::{SessionError, SessionErrorKind};
use crate::protocol::known::Known;
use crate::protocol::next::Task;
use crate::protocol::run::Run;
use crate::protocol::save::Wanted;
use crate::protocol::settings::{Settings, system_clock};
use crate::protocol::{random, spans};
use crate::store::erased::boxed;

/// One request's session.
#[derive(Default)]
pub(crate) struct RequestSession {
    state: Mutex<State>,
    /// The state that a function gets which computes a variable of this session and must not use it.
    scratch: OnceLock<Box<Mutex<State>>>,
    /// `None` for a session that no layer made, as in a test.
    pub(crate) budget: Option<Budget>,
    /// Whether the request shows nobody a page, as `HEAD` and a prefetch.
    pub(crate) unseen: bool,
    /// Whether the request does not keep the session alive.
    pub(crate) polls: bool,
    /// What the request has found out besides, one value of a type.
    #[cfg(feature = "axum")]
    besides: Mutex<http::Extensions>,
    /// Held while the session is read, so that it is read only once.
    reading: tokio::sync::Mutex<()>,
    /// Held while the session is written, so that writes follow each other.
    writing: tokio::sync::Mutex<()>,
}

impl RequestSession {
    /// Creates the session of a request whose cookies have these IDs.
    pub(crate) fn new(settings: Arc<Settings>, ids: Vec<SessionId>, deadline: Option<Deadline>) -> Self {
        let mut limits = settings.store.limits();
        limits.bytes = limits.bytes.min(settings.max_bytes);
        Self {
            state: Mutex::new(State::new(ids, limits, settings.sealed)),
            scratch: OnceLock::new(),
            #[cfg(feature = "axum")]
            besides: Mutex::default(),
            budget: Some(Budget::new(settings, deadline)),
            unseen: false,
            polls: false,
            reading: tokio::sync::Mutex::default(),
            writing: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        if computing::uses(self) {
            // The state is locked by this thread. `update` returns an error, and what happens here is dropped.
            let scratch = self.scratch.get_or_init(Box::default);
            return scratch.lock().unwrap_or_else(PoisonError::into_inner);
        }
        // A panic leaves no change of the state half done, so a poisoned lock can be used.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the request's value of this type.
    #[cfg(feature = "axum")]
    pub(crate) fn of_type<T: Clone + Default + Send + Sync + 'static>(&self) -> T {
        let mut besides = self.besides.lock().unwrap_or_else(PoisonError::into_inner);
        besides.get_or_insert_default::<T>().clone()
    }

    /// Returns the time in seconds since 1970-01-01 UTC, by the layer's clock.
    pub(crate) fn now(&self) -> u64 {
        self.budget
            .as_ref()
            .map_or_else(system_clock, |budget| budget.settings.moment().now)
    }

    /// Returns whether the session was read or ended, so that the answer may depend on it.
    pub(crate) fn is_used(&self) -> bool {
        let state = self.state();
        state.found.read_at.is_some() || state.wanted.ended
    }

    /// Reads the session, if it was not read before, and keeps it alive.
    pub(crate) async fn load(&self) -> Result<(), SessionError> {
        self.read().await?;
        self.state().keeps_alive |= !self.polls;
        Ok(())
    }

    /// Reads the session, if it was not read before. That alone does not keep it alive.
    pub(crate) async fn read(&self) -> Result<(), SessionError> {
        let Some(budget) = &self.budget else { return Ok(()) };
        if !self.is_used() {
            let read = "another read of this session did not end";
            let _one_at_a_time = budget.turn(&self.reading, read).await?;
            if !self.is_used() {
                let (ids, second) = {
                    let found = &self.state().found;
                    (found.ids.clone(), found.second.clone())
                };
                let found = find(budget, ids, second).await.inspect_err(SessionError::log)?;
                self.state().found = found;
            }
        }
        Ok(())
    }

    /// Saves what was done so far, in the middle of the request.
    pub(crate) async fn save_now(&self) -> Result<(), SessionError> {
        let Some(budget) = &self.budget else { return Ok(()) };
        let turn = self.turn(budget).await;
        let _one_at_a_time = turn.map_err(|error| self.fail(error))?;
        self.not_failed()?;
        if self.state().too_late {
            let late = "the session was changed after it was saved; that change is lost";
            return Err(SessionError::new(SessionErrorKind::Saved, late));
        }
        let at = budget.settings.moment();
        let Some(taken) = self.state().take(&at) else {
            return Ok(());
        };
        self.save(budget, &at, taken).await
    }

    /// Saves for the layer, after the handler.
    pub(crate) async fn finish(&self) -> Outcome {
        if let Some(budget) = &self.budget {
            let turn = self.turn(budget).await;
            let at = budget.settings.moment();
            let closed = self.state().close(&at);
            // The outcome says whether it was saved. The save is boxed, because most requests save nothing.
            let _ = match (turn, closed) {
                (Ok(_one_at_a_time), Some(taken)) => boxed(|| self.save(budget, &at, taken)).await,
                (Ok(_), None) => Ok(()),
                (Err(error), _) => Err(self.fail(error)),
            };
        }
        self.state().outcome.clone()
    }

    /// Takes the variable out of the record while the handler runs, so that only one of two concurrent requests gets
    /// it.
    pub(crate) async fn take(&self, name: &str) -> Result<Option<Value>, SessionError> {
        let mut stored = None;
        if let Some(budget) = &self.budget {
            let _one_at_a_time = self.turn(budget).await?;
            self.not_failed()?;
            let taking = self.state().taking(name);
            if let Some(taking) = taking {
                match save(budget, &budget.settings.moment(), taking).await {
                    Ok((found, _)) => {
                        stored = found.taken(name);
                        self.state().saved_as(found);
                    }
                    // The session has ended, and its variables with it.
                    Err(error) if error.kind() == SessionErrorKind::Conflict => {}
                    Err(error) => {
                        error.log();
                        return Err(error);
                    }
                }
            }
        }
        Ok(self.state().take_own(name, stored)?)
    }

    /// Waits until no other write of this session is under way, but not longer than the store calls may still take.
    async fn turn(&self, budget: &Budget) -> Result<tokio::sync::MutexGuard<'_, ()>, SessionError> {
        let save = "another save of this session did not end";
        budget.turn(&self.writing, save).await
    }

    async fn save(&self, budget: &Budget, at: &Moment, taken: (Found, Wanted)) -> Result<(), SessionError> {
        // Only this future holds what is wanted. If the handler drops it, the request fails.
        let dropped = Dropped(self);
        let saved = save(budget, at, taken).await;
        std::mem::forget(dropped);
        let (found, cookie) = saved.map_err(|error| self.fail(error))?;
        let mut state = self.state();
        if cookie != CookieAction::Keep && !(state.disowned && cookie == CookieAction::Clear) {
            state.outcome.cookie = cookie;
        }
        state.saved_as(found);
        Ok(())
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

/// Reads the sessions of the cookies.
async fn find(
    budget: &Budget,
    ids: Vec<SessionId>,
    second: Vec<(SessionId, Option<u64>)>,
) -> Result<Found, SessionError> {
    let at = &budget.settings.moment();
    let mut known = Known::default();
    if let Some(keys) = Found::reading(&ids) {
        let run = Run { budget, ids: &ids, at };
        spans::within(spans::load(), boxed(|| run.read(&mut known, keys))).await?;
    }
    Ok(Found::read(ids, known, at).locked(second, at))
}

/// Saves what is wanted. Returns what is found after it, and what the response does to the cookie.
async fn save(
    budget: &Budget,
    at: &Moment,
    (mut found, wanted): (Found, Wanted),
) -> Result<(Found, CookieAction), SessionError> {
    if found.read_at.is_none() && !found.unproven().is_empty() && !wanted.is_nothing() {
        // Only the record says whether the session is bound to a device, and then it is not this request's to end.
        found = Box::pin(find(budget, found.ids, found.second)).await?;
    }
    let Some(task) = found.saving(wanted, budget.settings.per_owner, at, random::fresh)? else {
        return Ok((found, CookieAction::Keep));
    };
    let mut known = std::mem::take(&mut found.known);
    let mut ids = found.ids.clone();
    if let Task::Save(save) = &task {
        ids.push(save.fresh.id.clone());
    }
    let run = Run { budget, ids: &ids, at };
    let told = match run.next(&mut known, &task)? {
        Next::Over(told) => told,
        // Boxed, because a save takes three quarters of a request's future, and most requests save nothing.
        next => spans::within(spans::save(), boxed(|| run.task(&mut known, &task, next))).await?,
    };
    Ok(found.saved(known, &task, told, at))
}

#[cfg(test)]
mod orders;
