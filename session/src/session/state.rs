//! One request's session: what was found, what the handler did to it, and whether that was saved.

use std::fmt;
use std::sync::Arc;

use super::found::Found;
use crate::core::edits::{Edits, Step};
use crate::core::id::SessionId;
use crate::core::limits::{self, Limits};
use crate::core::record::Record;
use crate::core::value::{Data, Reason, Value, ValueError};
use crate::protocol::save::{NewOwner, Wanted};

static NO_DATA: Data = Data::new();

/// The variable that holds the messages of [`Session::flash`](crate::Session::flash), as in Flask.
const FLASHES: &str = "_flashes";

/// One request's session.
#[derive(Clone)]
pub(crate) struct State {
    found: Found,
    wanted: Wanted,
    limits: Limits,
    /// The variables after the handler's writes; none before the first.
    now: Option<Data>,
    /// Bytes of the variables as they are now; counted when first needed.
    size: Option<usize>,
    /// Whether new records are sealed.
    #[cfg_attr(not(feature = "sealed"), expect(dead_code, reason = "then nothing is"))]
    sealing: bool,
    /// The variables when a save in the middle of the request began.
    before_save: Option<Data>,
    saved: bool,
    /// Whether something was done after that, which nobody was told.
    too_late: bool,
}

impl Default for State {
    fn default() -> Self {
        Self::new(Vec::new(), Limits::NONE, false)
    }
}

impl State {
    /// A session that nobody has asked for, of a request whose cookies have these IDs.
    pub(crate) fn new(ids: Vec<SessionId>, mut limits: Limits, sealing: bool) -> Self {
        // A sealed value is JSON, two levels for each of these, and is read to 128.
        limits.depth = limits.depth.min(Limits::NONE.depth);
        Self {
            found: Found {
                ids,
                ..Found::default()
            },
            wanted: Wanted::default(),
            limits,
            now: None,
            size: None,
            sealing,
            before_save: None,
            saved: false,
            too_late: false,
        }
    }

    /// Takes in what the request's cookies opened.
    pub(crate) fn found(&mut self, found: Found) {
        self.found = found;
    }

    pub(crate) fn is_read(&self) -> bool {
        self.found.read_at.is_some()
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.wanted.ended
    }

    pub(crate) fn is_saved(&self) -> bool {
        self.saved
    }

    /// Whether something was done after the session was saved, which nobody was told.
    pub(crate) fn is_too_late(&self) -> bool {
        self.too_late
    }

    pub(crate) fn ids(&self) -> &[SessionId] {
        &self.found.ids
    }

    /// Whether a new ID was asked for.
    #[cfg(feature = "testing")]
    pub(crate) fn is_renewed(&self) -> bool {
        self.wanted.renewed
    }

    /// What was found and done so far, for a save in the middle of a request; `None` if the session is saved for good. What is
    /// done from now on is done to what this save leaves.
    pub(crate) fn take(&mut self) -> Option<(Found, Wanted)> {
        if self.saved || self.wanted.ended {
            return self.close();
        }
        self.before_save = Some(self.data().clone());
        Some((self.found.clone(), std::mem::take(&mut self.wanted)))
    }

    /// Takes back what a save in the middle has not used, because there was nothing to write it with.
    pub(crate) fn give_back(&mut self, renewed: bool, remember: Option<u64>) {
        if !self.saved && self.live().is_none() {
            self.wanted.renewed |= renewed;
            self.wanted.remember = self.wanted.remember.or(remember);
        }
    }

    /// The same for the layer, after which nothing can be changed.
    pub(crate) fn close(&mut self) -> Option<(Found, Wanted)> {
        let first = !std::mem::replace(&mut self.saved, true);
        first.then(|| (self.found.clone(), self.wanted.clone()))
    }

    /// Takes in what a save left, for whoever goes on or still reads: over another request's writes, it may differ from what
    /// the handler saw.
    pub(crate) fn saved_as(&mut self, found: Found) {
        self.take_in(found);
        if let Some(before) = self.before_save.take() {
            // What was written meanwhile and changed nothing then changes nothing now.
            self.wanted.edits = self.wanted.edits.of_consequence(&before);
        }
        if self.saved {
            self.wanted.edits = Edits::default();
        }
        self.recompute();
    }

    /// Takes in a newer state of the session that was found. What was written and changed nothing then changes nothing now.
    pub(crate) fn moved_to(&mut self, found: Found) {
        self.wanted.edits = self.wanted.edits.of_consequence(self.found_data());
        self.take_in(found);
        self.recompute();
    }

    fn take_in(&mut self, found: Found) {
        self.found = Found {
            known: found.known.places_only(),
            ..found
        };
    }

    /// Forgets what the handler did, because it was not saved, and nothing can be saved any more: whoever still reads sees what
    /// was found.
    pub(crate) fn not_saved(&mut self) {
        self.saved = true;
        self.wanted = Wanted::default();
        self.recompute();
    }

    /// The variables anew, from what stands now and what was done since it was read.
    fn recompute(&mut self) {
        self.size = None;
        self.now = None;
        if !self.wanted.edits.is_empty() {
            // An update that cannot be applied to what stands now fails again, and with its error, when it is saved.
            self.now = self.wanted.edits.applied_to(self.found_data()).ok();
        }
    }

    /// The live session that was found or saved.
    pub(crate) fn live(&self) -> Option<(&SessionId, &Arc<Record>)> {
        self.found.session.as_ref().map(|(id, record)| (id, record))
    }

    fn found_data(&self) -> &Data {
        self.live().map_or(&NO_DATA, |(_, record)| &record.data)
    }

    /// The variables as they are now.
    pub(crate) fn data(&self) -> &Data {
        match &self.now {
            _ if self.wanted.ended => &NO_DATA,
            Some(now) => now,
            None => self.found_data(),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.data().get(name)
    }

    pub(crate) fn insert(&mut self, name: &str, value: Value) -> Result<(), ValueError> {
        let checked = self.open().and_then(|()| self.fit(name, Some(&value)));
        let size = checked.map_err(|reason| ValueError::new(name, reason))?;
        self.wanted.edits.set(name, Some(value.clone()));
        self.put(name, Some(value), size);
        Ok(())
    }

    /// Takes the variable out. After the save there is nothing to take.
    pub(crate) fn remove(&mut self, name: &str) -> Option<Value> {
        self.in_time().ok()?;
        let old = self.get(name)?.clone();
        let size = self.fit(name, None).ok()?;
        self.wanted.edits.set(name, None);
        self.put(name, None, size);
        Some(old)
    }

    /// Takes the variable out, unless another request turns out to have changed it.
    pub(crate) fn discard(&mut self, name: &str) {
        let size = self.in_time().and_then(|()| self.fit(name, None));
        if let (Some(bad), Ok(size)) = (self.get(name).cloned(), size) {
            self.wanted.edits.discard(name, bad);
            self.put(name, None, size);
        }
    }

    /// Computes the variable, now, and again if another request turns out to have been faster.
    pub(crate) fn compute(&mut self, name: &str, step: Step) -> Result<Value, ValueError> {
        let computed = self.open().and_then(|()| {
            let value = step(self.get(name))?;
            let size = self.fit(name, Some(&value))?;
            Ok((value, size))
        });
        let (value, size) = computed.map_err(|reason| ValueError::new(name, reason))?;
        let (limits, named) = (self.limits.clone(), name.to_owned());
        let checked: Step = Arc::new(move |before| {
            let value = step(before)?;
            limits::check(&limits, &named, &value)?;
            Ok(value)
        });
        self.wanted.edits.compute(name, checked, value.clone());
        self.put(name, Some(value.clone()), size);
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

    /// A login of this owner.
    pub(crate) fn login(&mut self, owner: &str, label: Option<&str>) -> Result<(), Reason> {
        self.open()?;
        let owner = Value::encode(owner).map_err(|error| Reason::NotSerializable(error.to_string()))?;
        self.wanted.login = Some(NewOwner {
            owner,
            label: label.map(str::to_owned),
        });
        self.wanted.renewed = true;
        Ok(())
    }

    /// Whether somebody logged in.
    pub(crate) fn logs_in(&self) -> bool {
        self.wanted.login.is_some()
    }

    /// Whose session it is after what was done.
    pub(crate) fn owner(&self) -> Option<String> {
        let owner = match (&self.wanted.login, self.live()) {
            _ if self.wanted.ended => None,
            (Some(login), _) => Some(&login.owner),
            (None, _) if self.wanted.renewed && self.wanted.edits.cleared() => None,
            (None, live) => live.and_then(|(_, record)| record.owner.as_ref()),
        };
        owner.and_then(|owner| owner.decode().ok())
    }

    pub(crate) fn remember(&mut self, seconds: u64) {
        if self.in_time().is_ok() {
            self.wanted.remember = Some(seconds);
            self.wanted.renewed = true;
        }
    }

    pub(crate) fn end(&mut self) {
        self.too_late |= self.saved;
        self.wanted.ended |= !self.saved;
    }

    /// Adds a message. After an end it goes to the session that begins then.
    pub(crate) fn flash(&mut self, message: &str) -> Result<(), ValueError> {
        let message = message.to_owned();
        let step: Step = Arc::new(move |before| {
            let mut messages = before.map(flashes).unwrap_or_default();
            messages.push(message.clone());
            Value::encode(messages).map_err(|error| Reason::NotSerializable(error.to_string()))
        });
        if self.wanted.ended && !self.saved {
            let refused = |reason| ValueError::new(FLASHES, reason);
            let value = step(self.wanted.farewell.get(FLASHES)).map_err(refused)?;
            limits::check(&self.limits, FLASHES, &value).map_err(refused)?;
            let (bytes, most) = (self.stored_size(FLASHES, &value), self.limits.bytes);
            if bytes > most {
                return Err(refused(Reason::TooLarge { bytes, most }));
            }
            self.wanted.farewell.insert(FLASHES.to_owned(), value);
            return Ok(());
        }
        self.compute(FLASHES, step).map(drop)
    }

    /// The messages that only this request knows, and forgets now.
    pub(crate) fn take_own_flashes(&mut self) -> Vec<String> {
        if self.saved {
            return Vec::new();
        }
        let farewell = self.wanted.farewell.remove(FLASHES);
        if self.wanted.ended {
            return farewell.as_ref().map(flashes).unwrap_or_default();
        }
        let all = self.get(FLASHES).map(flashes).unwrap_or_default();
        self.wanted.edits.forget(FLASHES);
        self.recompute();
        let stored = self.data().get(FLASHES).map_or(0, |value| flashes(value).len());
        all.into_iter().skip(stored).collect()
    }

    /// What takes the messages out of the record that was found, if it has some and the handler has not cleared the session.
    pub(crate) fn taking_flashes(&self) -> Option<(Found, Wanted)> {
        let has_some = self.found_data().contains_key(FLASHES);
        let takes = self.open().is_ok() && !self.wanted.edits.cleared() && has_some;
        takes.then(|| {
            let mut wanted = Wanted {
                takes: true,
                ..Wanted::default()
            };
            wanted.edits.set(FLASHES, None);
            (self.found.clone(), wanted)
        })
    }

    /// Whether something can be changed, by what has no result that says so.
    fn in_time(&mut self) -> Result<(), Reason> {
        self.too_late |= self.saved;
        self.open()
    }

    /// Whether something can be changed.
    fn open(&self) -> Result<(), Reason> {
        if self.saved {
            Err(Reason::Saved)
        } else if self.wanted.ended {
            Err(Reason::Ended)
        } else {
            Ok(())
        }
    }

    /// The bytes of all variables with this one, if the store can hold it and them.
    fn fit(&self, name: &str, value: Option<&Value>) -> Result<usize, Reason> {
        let bytes = |value: &Value| self.stored_size(name, value);
        let all = || {
            self.data()
                .iter()
                .map(|(name, value)| self.stored_size(name, value))
                .sum()
        };
        let before = self.size.unwrap_or_else(all);
        let without = before - self.get(name).map_or(0, bytes);
        let Some(value) = value else { return Ok(without) };
        limits::check(&self.limits, name, value)?;
        let (after, most) = (without + bytes(value), self.limits.bytes);
        if after > most {
            return Err(Reason::TooLarge { bytes: after, most });
        }
        Ok(after)
    }

    /// The bytes of a variable as the store gets it.
    #[cfg(feature = "sealed")]
    fn stored_size(&self, name: &str, value: &Value) -> usize {
        if self.sealing || self.live().is_some_and(|(_, record)| record.sealed) {
            crate::protocol::seal::sealed_size(name, value)
        } else {
            limits::variable_size(name, value)
        }
    }

    #[cfg(not(feature = "sealed"))]
    #[expect(clippy::unused_self, reason = "nothing is sealed")]
    fn stored_size(&self, name: &str, value: &Value) -> usize {
        limits::variable_size(name, value)
    }

    fn put(&mut self, name: &str, value: Option<Value>, size: usize) {
        self.size = Some(size);
        if self.now.is_none() {
            self.now = Some(self.data().clone());
        }
        if let Some(now) = &mut self.now {
            match value {
                Some(value) => now.insert(name.to_owned(), value),
                None => now.remove(name),
            };
        }
    }
}

/// The messages among these variables.
pub(crate) fn flashes_of(data: &Data) -> Vec<String> {
    data.get(FLASHES).map(flashes).unwrap_or_default()
}

/// A value of another type, which a program may have put there, counts as no messages.
fn flashes(value: &Value) -> Vec<String> {
    value.decode().unwrap_or_default()
}

/// Names and types only: the values are the visitor's.
impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.data()).finish()
    }
}
