//! One request's session, from the cookie to the save: the state that [`Session`](crate::Session) and
//! [`LazySession`](crate::LazySession) share, and what needs the store.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::Span;

use crate::core::changes::Changes;
use crate::core::cookie::SessionCookie;
use crate::core::id::SessionId;
use crate::core::moment::{Moment, Timeouts};
use crate::core::plan::{Done, Found, Opened, Plan, plan};
use crate::core::record::Record;
use crate::core::state::{State, without_flashes};
use crate::error::SessionError;
use crate::random;
use crate::records::{Failed, Records};
use crate::save::{CookieAction, Save, Saved};
use crate::spans;
use crate::store::{Load, WriteOutcome};

/// Tells the time in seconds since 1970-01-01 UTC.
pub(crate) type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// One request's session.
#[derive(Default)]
pub(crate) struct RequestSession {
    state: Mutex<State>,
    /// None for a session that no layer made.
    request: Option<Request>,
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
pub(crate) struct Request {
    pub(crate) records: Records,
    pub(crate) timeouts: Timeouts,
    pub(crate) per_owner: Option<usize>,
    pub(crate) clock: Clock,
    pub(crate) cookie: Arc<SessionCookie>,
    /// The IDs in the cookies that verified.
    pub(crate) presented: Vec<SessionId>,
}

impl RequestSession {
    pub(crate) fn new(request: Request, state: State) -> Self {
        Self {
            state: Mutex::new(state),
            request: Some(request),
            ..Self::default()
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // A panic between two changes leaves each of them whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn request(&self) -> Option<&Request> {
        self.request.as_ref()
    }

    /// Whether the answer may depend on the session, or changes it.
    pub(crate) fn is_used(&self) -> bool {
        let state = self.state();
        state.is_read() || state.is_ended()
    }

    /// Reads the session, once.
    pub(crate) async fn load(&self) -> Result<(), SessionError> {
        let Some(request) = &self.request else { return Ok(()) };
        if !self.is_used() {
            let turn = request.records.budget.wait(self.reading.lock()).await;
            let _one_at_a_time =
                turn.ok_or_else(|| SessionError::unavailable("another read of this session did not end"))?;
            if !self.is_used() {
                let found = request.find().await.inspect_err(SessionError::log)?;
                self.state().found(found);
            }
        }
        Ok(())
    }

    /// Saves what was done so far, in the middle of the request.
    pub(crate) async fn save_now(&self) -> Result<(), SessionError> {
        let Some(request) = &self.request else { return Ok(()) };
        let _one_at_a_time = match self.turn(request).await {
            Ok(turn) => turn,
            Err(error) => return Err(self.fail(error)),
        };
        self.not_failed()?;
        let taken = self.state().take();
        if let Some((found, done)) = taken {
            self.withhold_if_ended(&done);
            let (renewed, remember) = (done.renewed, done.remember);
            self.save(request, found, done).await?;
            self.state().give_back(renewed, remember);
        }
        Ok(())
    }

    /// Saves for the layer, after the handler.
    pub(crate) async fn finish(&self) -> Outcome {
        if let Some(request) = &self.request {
            let turn = self.turn(request).await;
            let closed = self.state().close();
            if let Some((_, done)) = &closed {
                self.withhold_if_ended(done);
            }
            let failed = self.outcome().failed.is_some();
            match (turn, closed) {
                (Ok(_one_at_a_time), Some((found, done))) if !failed => {
                    // Whether it was saved is in the outcome.
                    let _ = self.save(request, found, done).await;
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
        if let Some(request) = &self.request {
            let _one_at_a_time = self.turn(request).await?;
            self.not_failed()?;
            let stored = self.state().stored_flashes();
            if let Some((id, record)) = stored
                && let Some((record, messages)) =
                    request.take_flashes(&id, record).await.inspect_err(SessionError::log)?
            {
                self.state().moved_to(Opened::Live(id, record));
                taken = messages;
            }
        }
        taken.extend(self.state().take_own_flashes());
        Ok(taken)
    }

    /// Waits until no other write of this session is under way, but not longer than the store may take.
    async fn turn(&self, request: &Request) -> Result<tokio::sync::MutexGuard<'_, ()>, SessionError> {
        let turn = request.records.budget.wait(self.writing.lock()).await;
        turn.ok_or_else(|| SessionError::unavailable("another save of this session did not end"))
    }

    async fn save(&self, request: &Request, found: Found, done: Done) -> Result<(), SessionError> {
        // What was done is in this future alone now. If the handler drops it, the request fails.
        let mut dropped = Dropped(Some(self));
        let saved = request.save(found, done).await;
        dropped.0 = None;
        match saved {
            Ok((cookie, session)) => {
                if cookie != CookieAction::Keep {
                    self.outcome().cookie = cookie;
                }
                if let Some(session) = session {
                    self.state().saved_as(session);
                }
                Ok(())
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Whoever was refused after a save gets no cookie of the session that it made, whether or not it can be ended.
    fn withhold_if_ended(&self, done: &Done) {
        let mut outcome = self.outcome();
        if done.ended && matches!(outcome.cookie, CookieAction::Issue(..)) {
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

impl Request {
    pub(crate) fn moment(&self) -> Moment {
        Moment {
            now: (self.clock)(),
            timeouts: self.timeouts,
        }
    }

    /// What the request's cookies open. Nearly always there is one, or none.
    async fn find(&self) -> Result<Found, SessionError> {
        let span = if self.presented.is_empty() {
            Span::none()
        } else {
            spans::load()
        };
        spans::within(span, self.read()).await
    }

    async fn read(&self) -> Result<Found, SessionError> {
        let at = self.moment();
        let mut opened = Opened::Absent;
        for id in &self.presented {
            let loaded = self.records.load(id, &at).await?;
            opened = match (opened, loaded) {
                (Opened::Live(..) | Opened::Several, Load::Live(_)) => Opened::Several,
                (Opened::Live(id, record), _) => Opened::Live(id, record),
                (_, Load::Live(record)) => Opened::Live(id.clone(), Arc::new(record)),
                (Opened::Several, _) => Opened::Several,
                (Opened::Ended, _) | (_, Load::Replaced(_) | Load::Ended(_)) => Opened::Ended,
                (_, Load::Expired) => Opened::Lapsed,
                (_, Load::Malformed(reason)) => {
                    tracing::warn!(
                        event = "malformed record",
                        reason,
                        "a session record is malformed and counts as none"
                    );
                    Opened::Lapsed
                }
                (opened, Load::Absent) => opened,
            };
        }
        Ok(Found {
            ids: self.presented.clone(),
            session: opened,
        })
    }

    async fn save(&self, mut found: Found, done: Done) -> Result<Saved, SessionError> {
        if done.ended {
            // Also those of a session that nobody has asked for.
            let known = std::mem::take(&mut found.ids);
            found.ids = self.presented.clone();
            found
                .ids
                .extend(known.into_iter().filter(|id| !self.presented.contains(id)));
        }
        let at = &self.moment();
        let plan = plan(found, done, at)?;
        let Self { records, per_owner, .. } = self;
        let save = Save {
            records,
            at,
            per_owner: *per_owner,
        };
        if matches!(plan, Plan::Keep) {
            return Ok((CookieAction::Keep, None));
        }
        // Boxed, for what a save may take is three quarters of a request's future, and most requests save nothing.
        spans::within(spans::save(), Box::pin(save.carry_out(plan))).await
    }

    /// Takes the messages out of the record. `None` if the session has ended before.
    async fn take_flashes(
        &self,
        id: &SessionId,
        mut record: Arc<Record>,
    ) -> Result<Option<(Arc<Record>, Vec<String>)>, SessionError> {
        let at = self.moment();
        let token = random::write_token()?;
        let mut conflicts = 0;
        loop {
            let (without, messages) = without_flashes(&record.data);
            let changes = Changes::between(&record.data, &without);
            if changes.is_empty() {
                return Ok(Some((record, messages)));
            }
            let next = record.changed(&changes, &token, &at);
            match self.records.update(id, &next, &changes, &at).await? {
                WriteOutcome::Applied => return Ok(Some((Arc::new(next), messages))),
                WriteOutcome::ConditionFailed => {}
            }
            conflicts += 1;
            self.records.budget.back_off(conflicts).await?;
            record = match self.records.after_conflict(id, &token, &record, &at).await? {
                Failed::Done(newer) => return Ok(Some((Arc::new(newer.unwrap_or(next)), messages))),
                Failed::Overtaken(newer) => Arc::new(newer),
                Failed::Over(_) => return Ok(None),
            };
        }
    }
}

#[cfg(test)]
mod orders;
