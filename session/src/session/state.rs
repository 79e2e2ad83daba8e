//! The state of one request's session: what was found, what the handler did to it, and whether that was saved.

use std::sync::Arc;

use super::found::{CookieAction, Found};
use crate::core::edits::{Edits, Step};
use crate::core::id::SessionId;
use crate::core::limits::{self, Limits};
use crate::core::record::Record;
use crate::core::time::{Lifetime, Moment};
use crate::core::value::{Data, Reason, Value, ValueError};
use crate::protocol::error::SessionError;
use crate::protocol::known::Known;
use crate::protocol::save::{NewOwner, Wanted};

/// The variable that holds the proofs of [`Session::confirm`](crate::Session::confirm).
pub(crate) const CONFIRMED: &str = "_confirmed";

/// The variable that tells with which stamp of the user a login was made.
pub(crate) const STAMP: &str = "_stamp";

/// The variable that holds the messages of [`Session::flash`](crate::Session::flash), as in Flask.
pub(crate) const FLASHES: &str = "_flashes";

/// The state of one request's session.
#[derive(Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "any of them can be true beside any other")]
pub(crate) struct State {
    pub(crate) found: Found,
    pub(crate) wanted: Wanted,
    /// The limits of the store, if there are any.
    limits: Option<Limits>,
    /// The variables after the handler's writes; `None` before the first write.
    now: Option<Data>,
    /// The size of the variables in bytes; `None` until it is needed.
    size: Option<usize>,
    /// Whether new records are sealed.
    #[cfg_attr(not(feature = "sealed"), expect(dead_code, reason = "then nothing is sealed"))]
    sealing: bool,
    /// The variables when a save in the middle of the request began, whether that save asks for a new ID, and for which
    /// lifetime.
    before_save: Option<(Data, bool, Option<Lifetime>)>,
    /// Whether the session belongs to nobody any more. It ends with the request, unless something is put into it. The
    /// cookie stays, because another request of the browser may just have got a new one.
    pub(crate) disowned: bool,
    pub(crate) saved: bool,
    /// Whether the request keeps the session alive even if it changes nothing.
    pub(crate) keeps_alive: bool,
    /// Whether a method that returns no error was called after the session was saved. A later `save` reports it.
    pub(crate) too_late: bool,
    pub(crate) outcome: Outcome,
}

/// The result of a request's saves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// What the last successful save does to the browser's cookie.
    pub(crate) cookie: CookieAction,
    /// The error of the save that failed. Nothing is saved after it.
    pub(crate) failed: Option<SessionError>,
}

impl State {
    /// Creates the state of a session that is not read yet, for a request whose cookies have these IDs.
    pub(crate) fn new(ids: Vec<SessionId>, mut limits: Limits, sealing: bool) -> Self {
        // A sealed value is JSON with two levels for each of its own, and serde_json reads at most 128 levels.
        limits.depth = limits.depth.min(Limits::NONE.depth);
        Self {
            found: Found {
                ids,
                ..Found::default()
            },
            limits: Some(limits),
            sealing,
            ..Self::default()
        }
    }

    /// Takes what was found and done so far, for a save in the middle of a request; `None` if there is nothing to save,
    /// or if the session was saved for the last time. Later changes apply to what this save leaves. After `end`, this
    /// save is the last one.
    pub(crate) fn take(&mut self, at: &Moment) -> Option<(Found, Wanted)> {
        if self.saved || self.is_over() {
            return self.close(at);
        }
        self.forget_equal_writes();
        if self.wanted.is_nothing() && !self.keeps_alive {
            return None;
        }
        let found = self.hand_over();
        let wanted = std::mem::take(&mut self.wanted);
        self.before_save = Some((self.data().clone(), wanted.renewed, wanted.lifetime));
        Some((found, wanted))
    }

    /// Does the same for the layer. After it, nothing can be changed. Returns `None` also if nothing is to be saved, as
    /// after most views.
    pub(crate) fn close(&mut self, at: &Moment) -> Option<(Found, Wanted)> {
        if self.disowned && !self.saved && self.wanted.login.is_none() && self.data().is_empty() {
            // An end fails less often than a change: not if another request has ended the session meanwhile.
            self.end();
            self.disowned = true;
        }
        self.forget_equal_writes();
        let is_due = |(_, record): (_, &Arc<Record>)| record.slid(at).is_some();
        let moves = self.keeps_alive && self.live().is_some_and(is_due);
        let rests = self.wanted.is_nothing() && !moves;
        if std::mem::replace(&mut self.saved, true) || rests {
            return None;
        }
        Some((self.hand_over(), self.wanted.clone()))
    }

    /// Forgets writes that changed nothing, unless the request keeps the session alive anyway. If they stayed, the save
    /// would keep the session alive because of them.
    fn forget_equal_writes(&mut self) {
        if !self.keeps_alive && self.live().is_some() {
            self.wanted.edits = self.wanted.edits.of_consequence(self.found_data());
        }
    }

    /// What was found, for a save. What is known of the store goes with it, and the save brings it back.
    fn hand_over(&mut self) -> Found {
        // If the handler saved a new session and then ended it, that one's cookie is not sent, even if ending it fails.
        if self.wanted.ended && matches!(self.outcome.cookie, CookieAction::Issue(..)) {
            self.outcome.cookie = CookieAction::Keep;
        }
        let known = std::mem::take(&mut self.found.known);
        Found {
            known,
            ..self.found.clone()
        }
    }

    /// Records what a save left. It may differ from what the handler saw, because other requests may have written, too.
    pub(crate) fn saved_as(&mut self, mut found: Found) {
        found.known = if self.saved {
            Known::default()
        } else {
            found.known.for_next_task()
        };
        self.found = found;
        if self.saved {
            // Nothing is saved any more, so only what the handles read counts.
            self.wanted.edits = Edits::default();
        } else if let Some((before, renewed, lifetime)) = self.before_save.take() {
            // A write during the save that changed nothing at that time must not change anything now.
            self.wanted.edits = self.wanted.edits.of_consequence(&before);
            if self.live().is_none() {
                // The save created no session, so the next one needs the new ID and the lifetime.
                self.wanted.renewed |= renewed;
                self.wanted.lifetime = self.wanted.lifetime.or(lifetime);
            }
        }
        self.recompute();
    }

    /// Records that a save failed. What the handler did is forgotten, because nothing can be saved any more, and reads
    /// return what was found.
    pub(crate) fn fail(&mut self, error: SessionError) {
        self.saved = true;
        self.wanted = Wanted::default();
        self.outcome.failed = Some(error);
        self.recompute();
    }

    /// Recomputes the variables from what was found and what was done since.
    fn recompute(&mut self) {
        self.size = None;
        self.now = None;
        if !self.wanted.edits.is_empty() {
            // If an update cannot be applied to what was found now, the save returns its error.
            let after = self.wanted.edits.applied_to(self.found_data()).ok();
            self.now = after.or_else(|| self.wanted.edits.cleared.then(Data::new));
        }
    }

    /// Returns the live session that was found or saved.
    pub(crate) fn live(&self) -> Option<(&SessionId, &Arc<Record>)> {
        self.found.session.as_ref().map(|(id, record)| (id, record))
    }

    /// Returns the same, unless the handler has ended it.
    pub(crate) fn lasting(&self) -> Option<(&SessionId, &Arc<Record>)> {
        self.live().filter(|_| !self.wanted.ended)
    }

    /// Returns the record of the session, unless the handler ended it or asked for a new one that does not inherit from
    /// it.
    fn kept(&self) -> Option<&Arc<Record>> {
        let stays = !self.wanted.renewed || self.wanted.inherits();
        self.lasting().filter(|_| stays).map(|(_, record)| record)
    }

    fn found_data(&self) -> &Data {
        self.live().map_or(const { &Data::new() }, |(_, record)| &record.data)
    }

    /// Returns the variables as they are now.
    pub(crate) fn data(&self) -> &Data {
        self.now.as_ref().unwrap_or_else(|| self.found_data())
    }

    pub(crate) fn insert(&mut self, name: &str, value: Value) -> Result<(), ValueError> {
        free(name)?;
        let put = self.open().and_then(|()| self.put(name, Some(value.clone())));
        put.map_err(|reason| ValueError::new(name, reason))?;
        self.wanted.edits.set(name, Some(value));
        Ok(())
    }

    /// Removes the variable. Does nothing after the session was ended or saved.
    pub(crate) fn remove(&mut self, name: &str) -> Option<Value> {
        self.in_time().ok()?;
        let old = self.data().get(name)?.clone();
        self.put(name, None).ok()?;
        self.wanted.edits.set(name, None);
        Some(old)
    }

    /// Removes the variable, unless another request has changed it.
    pub(crate) fn discard(&mut self, name: &str) {
        let put = self.in_time().map(|()| self.data().get(name).cloned());
        if let Ok(Some(bad)) = put
            && self.put(name, None).is_ok()
        {
            self.wanted.edits.discard(name, bad);
        }
    }

    /// Computes the variable now, and again during the save if another request has changed the session.
    pub(crate) fn compute(&mut self, name: &str, step: Step) -> Result<Value, ValueError> {
        self.compute_if(self.open(), name, step)
    }

    fn compute_if(&mut self, open: Result<(), Reason>, name: &str, step: Step) -> Result<Value, ValueError> {
        let computed = open.and_then(|()| {
            let value = step(self.data().get(name))?;
            self.put(name, Some(value.clone()))?;
            Ok(value)
        });
        let value = computed.map_err(|reason| ValueError::new(name, reason))?;
        let (limits, named) = (self.limits().clone(), name.to_owned());
        let checked: Step = Arc::new(move |before| {
            let value = step(before)?;
            limits::check(&limits, &named, &value)?;
            Ok(value)
        });
        self.wanted.edits.compute(name, checked, value.clone());
        Ok(value)
    }

    pub(crate) fn clear(&mut self) {
        if self.in_time().is_ok() {
            self.wanted.edits.clear();
            self.now = Some(Data::new());
            self.size = Some(0);
        }
    }

    pub(crate) fn renew(&mut self) {
        if self.in_time().is_ok() {
            self.wanted.renewed = true;
        }
    }

    pub(crate) fn lifetime(&mut self, lifetime: Lifetime) {
        if self.in_time().is_ok() {
            self.wanted.lifetime = Some(lifetime);
            self.wanted.renewed = true;
        }
    }

    /// Records a login of this owner. After `end`, it begins a new session. The new session gets nothing that another
    /// owner's session held before this request.
    pub(crate) fn login(&mut self, owner: &str, label: Option<&str>) -> Result<(), Reason> {
        self.unsaved()?;
        if self.owner().as_deref() != Some(owner) {
            // They say something of somebody else.
            self.remove(CONFIRMED);
            self.remove(STAMP);
        }
        if self.owner().is_some_and(|before| before != owner) {
            self.wanted.edits.cleared = true;
            self.recompute();
        }
        let owner = Value::encode(owner).map_err(Reason::NotSerializable)?;
        self.disowned = false;
        self.wanted.login = Some(NewOwner {
            owner,
            label: label.map(str::to_owned),
        });
        self.wanted.renewed = true;
        Ok(())
    }

    /// Takes the session away from its owner, with all that is in it.
    #[cfg(feature = "axum")]
    pub(crate) fn disown(&mut self) {
        self.clear();
        self.renew();
        self.wanted.login = None;
        self.disowned = true;
    }

    /// Returns the owner of the session after what was done.
    pub(crate) fn owner(&self) -> Option<String> {
        let login = self.wanted.login.as_ref().map(|login| &login.owner);
        let owner = login.or_else(|| self.kept()?.owner.as_ref());
        owner.and_then(|owner| owner.decode().ok())
    }

    /// Returns whether the session outlives the browser after what was done.
    pub(crate) fn is_remembered(&self) -> bool {
        let own = self.wanted.lifetime.map(|lifetime| lifetime.beyond_browser);
        own.unwrap_or_else(|| self.kept().is_some_and(|record| record.remembered))
    }

    pub(crate) fn end(&mut self) {
        self.too_late |= self.saved;
        if !self.saved {
            self.disowned = false;
            self.wanted = Wanted {
                ended: true,
                ..Wanted::default()
            };
            self.wanted.edits.clear();
            self.recompute();
        }
    }

    /// Whether the session has ended and no login has begun a new one.
    pub(crate) fn is_over(&self) -> bool {
        self.wanted.ended && self.wanted.login.is_none()
    }

    /// Adds a message. After `end`, the message goes into the session that begins then.
    pub(crate) fn flash(&mut self, step: Step) -> Result<(), ValueError> {
        self.compute_if(self.unsaved(), FLASHES, step).map(drop)
    }

    /// Returns what takes the variable `name` out of the record that was found; `None` if it is not there, or if the
    /// handler has removed or replaced it.
    pub(crate) fn taking(&mut self, name: &str) -> Option<(Found, Wanted)> {
        let stored = self.found_data().contains_key(name);
        let takes = self.open().is_ok() && self.wanted.edits.keep(name) && stored;
        takes.then(|| {
            self.before_save = Some((self.found_data().clone(), false, None));
            let mut wanted = Wanted {
                takes: true,
                ..Wanted::default()
            };
            wanted.edits.set(name, None);
            (self.found.clone(), wanted)
        })
    }

    /// Returns what this request makes of the variable that it took out of the store, or the one that it has set
    /// itself. The variable is gone then.
    pub(crate) fn take_own(&mut self, name: &str, stored: Option<Value>) -> Result<Option<Value>, ValueError> {
        if self.saved {
            return Ok(None);
        }
        let taken = self.wanted.edits.take(name, stored);
        self.recompute();
        taken
    }

    /// Checks that the session can be changed, and records an attempt after the save. For methods that return no error.
    fn in_time(&mut self) -> Result<(), Reason> {
        self.too_late |= self.saved;
        self.open()
    }

    /// Checks that the session can be changed.
    fn open(&self) -> Result<(), Reason> {
        self.unsaved()?;
        if self.is_over() { Err(Reason::Ended) } else { Ok(()) }
    }

    /// Checks that the session was not saved for the last time. After `end`, a new one can begin.
    fn unsaved(&self) -> Result<(), Reason> {
        if self.saved { Err(Reason::Saved) } else { Ok(()) }
    }

    /// Sets or removes the variable, if the store can hold the result, or if that is no larger than before.
    fn put(&mut self, name: &str, value: Option<Value>) -> Result<(), Reason> {
        let bytes = |(name, value): (&String, &Value)| self.stored_size(name, value);
        let all = self.size.unwrap_or_else(|| self.data().iter().map(bytes).sum());
        let mut size = all - self.data().get_key_value(name).map_or(0, bytes);
        if let Some(value) = &value {
            limits::check(self.limits(), name, value)?;
            size += self.stored_size(name, value);
            let most = self.limits().bytes;
            if size > most && size > all {
                return Err(Reason::TooLarge { bytes: size, most });
            }
        }
        let mut now = self.now.take().unwrap_or_else(|| self.found_data().clone());
        match value {
            Some(value) => now.insert(name.to_owned(), value),
            None => now.remove(name),
        };
        (self.now, self.size) = (Some(now), Some(size));
        Ok(())
    }

    fn limits(&self) -> &Limits {
        self.limits.as_ref().unwrap_or(&Limits::NONE)
    }

    /// Returns the bytes of a variable as it is stored.
    #[cfg_attr(not(feature = "sealed"), expect(clippy::unused_self, reason = "nothing is sealed"))]
    fn stored_size(&self, name: &str, value: &Value) -> usize {
        #[cfg(feature = "sealed")]
        if self.sealing || self.live().is_some_and(|(_, record)| record.sealed) {
            return crate::protocol::seal::sealed_size(name, value);
        }
        limits::variable_size(name, value)
    }
}

/// Refuses the names under which the library keeps what no handler may make up.
pub(crate) fn free(name: &str) -> Result<(), ValueError> {
    if [CONFIRMED, STAMP].contains(&name) {
        return Err(ValueError::new(name, Reason::Reserved));
    }
    Ok(())
}
