//! One request's session: what was found, what the handler did to it, and whether that was saved.

use std::fmt;
use std::sync::Arc;

use super::changes::Step;
use super::limits::{self, Limits};
use super::plan::{Done, Found, Opened};
use super::record::Record;
use super::value::{Data, Reason, Value, ValueError};

static NO_DATA: Data = Data::new();

/// One request's session.
pub(crate) struct State {
    found: Found,
    done: Done,
    limits: Limits,
    /// The variables after the handler's writes; none before the first.
    now: Option<Data>,
    /// Bytes of the variables as they are now; counted when first needed.
    size: Option<usize>,
    saved: bool,
}

impl Default for State {
    fn default() -> Self {
        Self::new(Limits::NONE)
    }
}

impl State {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            found: Found::default(),
            done: Done::default(),
            limits,
            now: None,
            size: None,
            saved: false,
        }
    }

    /// Takes in what the request's cookies opened.
    pub(crate) fn found(&mut self, found: Found) {
        self.found = found;
    }

    pub(crate) fn is_read(&self) -> bool {
        !matches!(self.found.session, Opened::Unread)
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.done.ended
    }

    pub(crate) fn is_saved(&self) -> bool {
        self.saved
    }

    /// What was found and done, for the layer to save; `None` if that has happened. From now on nothing can be changed.
    pub(crate) fn close(&mut self) -> Option<(Found, Done)> {
        let first = !std::mem::replace(&mut self.saved, true);
        first.then(|| (self.found.clone(), self.done.clone()))
    }

    /// Takes in what was saved, for whoever still reads: over another request's writes, it may differ from what the handler
    /// saw.
    pub(crate) fn saved_as(&mut self, record: Arc<Record>) {
        if let Opened::Live(_, live) = &mut self.found.session {
            *live = record;
            self.now = None;
        }
    }

    /// Forgets what the handler did, because it was not saved: whoever still reads sees what was found.
    pub(crate) fn not_saved(&mut self) {
        self.done = Done::default();
        self.now = None;
    }

    /// The variables as they are now.
    pub(crate) fn data(&self) -> &Data {
        match (&self.now, &self.found.session) {
            _ if self.done.ended => &NO_DATA,
            (Some(now), _) => now,
            (None, Opened::Live(_, record)) => &record.data,
            (None, _) => &NO_DATA,
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.data().get(name)
    }

    pub(crate) fn insert(&mut self, name: &str, value: Value) -> Result<(), ValueError> {
        let checked = self.open().and_then(|()| self.fit(name, Some(&value)));
        let size = checked.map_err(|reason| ValueError::new(name, reason))?;
        self.done.edits.set(name, Some(value.clone()));
        self.put(name, Some(value), size);
        Ok(())
    }

    /// Takes the variable out. After the save there is nothing to take.
    pub(crate) fn remove(&mut self, name: &str) -> Option<Value> {
        self.open().ok()?;
        let old = self.get(name)?.clone();
        let size = self.fit(name, None).ok()?;
        self.done.edits.set(name, None);
        self.put(name, None, size);
        Some(old)
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
        self.done.edits.compute(name, checked, value.clone());
        self.put(name, Some(value.clone()), size);
        Ok(value)
    }

    pub(crate) fn clear(&mut self) {
        if self.open().is_ok() {
            self.done.edits.clear();
            self.now = Some(Data::new());
            self.size = Some(0);
        }
    }

    pub(crate) fn renew(&mut self) {
        if self.open().is_ok() {
            self.done.renewed = true;
        }
    }

    pub(crate) fn end(&mut self) {
        if !self.saved {
            self.done.ended = true;
        }
    }

    /// Whether something can be changed.
    fn open(&self) -> Result<(), Reason> {
        if self.saved {
            Err(Reason::Saved)
        } else if self.done.ended {
            Err(Reason::Ended)
        } else {
            Ok(())
        }
    }

    /// The bytes of all variables with this one, if the store can hold it and them.
    fn fit(&self, name: &str, value: Option<&Value>) -> Result<usize, Reason> {
        let named = name.to_owned();
        let bytes = |value: &Value| limits::data_size([(&named, value)]);
        let before = self.size.unwrap_or_else(|| limits::data_size(self.data()));
        let without = before - self.get(name).map_or(0, bytes);
        let Some(value) = value else { return Ok(without) };
        limits::check(&self.limits, name, value)?;
        let (after, most) = (without + bytes(value), self.limits.bytes);
        if after > most {
            return Err(Reason::TooLarge { bytes: after, most });
        }
        Ok(after)
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

/// Names and types only: the values are the visitor's.
impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.data()).finish()
    }
}
