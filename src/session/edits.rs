//! What a handler did to a session, kept apart from what it was done to.
//!
//! So it can be applied again to a newer state, when another request was faster.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;

use super::value::{self, Data, Reason, Type, Value, ValueError};

/// What a handler did to a session.
#[derive(Clone, Default)]
pub(crate) struct Edits {
    /// The variables as they were loaded.
    pub(crate) loaded: Data,
    pub(crate) changes: Changes,
    pub(crate) renewed: bool,
    pub(crate) ended: bool,
    /// Whether the layer has taken the edits: later ones would be lost.
    pub(crate) saved: bool,
    /// Bytes of the variables as they are now; counted when first needed.
    size: Option<usize>,
}

/// The writes to a session's variables, apart from what they were written to: they can be applied again to a
/// newer state of the session.
#[derive(Clone, Default)]
pub(crate) struct Changes {
    /// Forget all earlier variables first.
    cleared: bool,
    /// `None` removes.
    writes: BTreeMap<String, Option<Value>>,
}

impl Changes {
    /// The changes that turn any variables into `data`.
    pub(crate) fn to(data: Data) -> Self {
        Self {
            cleared: true,
            writes: data.into_iter().map(|(name, value)| (name, Some(value))).collect(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.cleared && self.writes.is_empty()
    }

    /// Only the writes that changed something when they were made. The others must not undo what another request
    /// wrote meanwhile.
    pub(crate) fn of_consequence(&self, loaded: &Data) -> Self {
        let mut changes = self.clone();
        if !changes.cleared {
            changes
                .writes
                .retain(|name, write| differs(loaded.get(name), write.as_ref()));
        }
        changes
    }

    /// Whether `data` with these changes is nothing.
    pub(crate) fn empty(&self, data: &Data) -> bool {
        let nothing_new = self.writes.values().all(Option::is_none);
        nothing_new && (self.cleared || data.keys().all(|name| self.writes.contains_key(name)))
    }

    /// `data` with these changes.
    pub(crate) fn applied_to(&self, data: &Data) -> Data {
        let mut result = if self.cleared { Data::new() } else { data.clone() };
        for (name, write) in &self.writes {
            match write {
                Some(value) => result.insert(name.clone(), value.clone()),
                None => result.remove(name),
            };
        }
        result
    }

    /// The writes that make a difference to `data`, in the order of their names.
    pub(crate) fn against<'a>(&'a self, data: &'a Data) -> Vec<(&'a str, Option<&'a Value>)> {
        let cleared = data
            .keys()
            .filter(|name| self.cleared && !self.writes.contains_key(*name))
            .map(|name| (name.as_str(), None));
        let written = self.writes.iter().filter_map(|(name, write)| {
            differs(data.get(name), write.as_ref()).then_some((name.as_str(), write.as_ref()))
        });
        cleared.chain(written).collect()
    }
}

fn differs(old: Option<&Value>, new: Option<&Value>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => !value::same(old, new),
        (old, new) => old.is_some() != new.is_some(),
    }
}

impl Edits {
    /// No edits yet of these variables.
    pub(crate) fn of(loaded: Data) -> Self {
        Self {
            loaded,
            ..Self::default()
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        match self.changes.writes.get(name) {
            Some(write) => write.as_ref(),
            None if self.changes.cleared => None,
            None => self.loaded.get(name),
        }
    }

    /// The variable `name` as a `T`. An error does not repeat serde's, which may show the value.
    pub(crate) fn decode<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ValueError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let stored = Type::of(value);
        serde_dynamo::from_attribute_value(value.clone()).map_err(|_| {
            let wanted = std::any::type_name::<T>();
            ValueError::new(name, Reason::OtherType { stored, wanted })
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Value)> {
        let unwritten = self
            .loaded
            .iter()
            .filter(|(name, _)| !self.changes.cleared && !self.changes.writes.contains_key(*name));
        let written = self.changes.writes.iter();
        unwritten.chain(written.filter_map(|(name, write)| Some((name, write.as_ref()?))))
    }

    /// The variables as they are now.
    pub(crate) fn now(&self) -> Data {
        self.changes.applied_to(&self.loaded)
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<Value> {
        let old = self.get(name)?.clone();
        if let Some(size) = &mut self.size {
            *size -= value::data_size([(&name.to_owned(), &old)]);
        }
        self.changes.writes.insert(name.to_owned(), None);
        Some(old)
    }

    pub(crate) fn insert(&mut self, name: &str, value: Value) -> Result<(), Reason> {
        if self.saved {
            return Err(Reason::Saved);
        }
        if self.ended {
            return Err(Reason::Ended);
        }
        value::check(name, &value)?;
        let name = name.to_owned();
        let before = self.size.unwrap_or_else(|| value::data_size(self.iter()));
        let replaced = self.get(&name).map_or(0, |old| value::data_size([(&name, old)]));
        let after = before - replaced + value::data_size([(&name, &value)]);
        self.size = Some(before);
        if after > value::MAX_DATA_BYTES {
            return Err(Reason::TooLarge(after));
        }
        self.size = Some(after);
        self.changes.writes.insert(name, Some(value));
        Ok(())
    }

    pub(crate) fn clear(&mut self) {
        self.changes = Changes::to(Data::new());
        self.size = Some(0);
    }
}

/// Names and types only: the values are the visitor's.
impl fmt::Debug for Edits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variables = self.iter().map(|(name, value)| (name, Type::of(value)));
        f.debug_map().entries(variables).finish()
    }
}
