//! What a request writes to a session, kept apart from what it is written to.
//!
//! So it can be applied again to a newer state, when another request was faster.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::limits;
use super::value::{Data, Reason, Value, ValueError};

/// The variables that a write changes, with their new values; `None` for those that go.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes(BTreeMap<String, Option<Value>>);

impl Changes {
    /// How the variables differ between two states.
    ///
    /// ```
    /// # use lambda_session::{Changes, Data, Value};
    /// let dark = Value::encode("dark")?;
    /// let changes = Changes::between(&Data::new(), &Data::from([("theme".to_owned(), dark.clone())]));
    /// assert_eq!(changes.iter().collect::<Vec<_>>(), [("theme", Some(&dark))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn between(before: &Data, after: &Data) -> Self {
        let gone = before.keys().filter(|name| !after.contains_key(*name));
        let gone = gone.map(|name| (name.clone(), None));
        let written = after
            .iter()
            .filter(|(name, new)| differs(before.get(*name), Some(new)))
            .map(|(name, new)| (name.clone(), Some(new.clone())));
        Self(gone.chain(written).collect())
    }

    /// The changes, sorted by the variables' names.
    ///
    /// ```
    /// # use lambda_session::Changes;
    /// assert_eq!(Changes::default().iter().count(), 0);
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&Value>)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_ref()))
    }

    /// How many variables change.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The changes with other values for the variables that stay.
    #[cfg(feature = "sealed")]
    pub(crate) fn try_map<E>(&self, mut value: impl FnMut(&str, &Value) -> Result<Value, E>) -> Result<Self, E> {
        let mapped = self.0.iter().map(|(name, new)| {
            let new = new.as_ref().map(|new| value(name, new)).transpose()?;
            Ok((name.clone(), new))
        });
        Ok(Self(mapped.collect::<Result<_, _>>()?))
    }

    /// These changes, and all variables of `data`, which they have led to.
    #[cfg(feature = "sealed")]
    pub(crate) fn with_all(&self, data: &Data) -> Self {
        let mut all = self.clone();
        all.0
            .extend(data.iter().map(|(name, value)| (name.clone(), Some(value.clone()))));
        all
    }

    /// Applies the changes to `data`.
    pub(crate) fn apply(&self, data: &mut Data) {
        for (name, value) in &self.0 {
            match value {
                Some(value) => data.insert(name.clone(), value.clone()),
                None => data.remove(name),
            };
        }
    }
}

fn differs(old: Option<&Value>, new: Option<&Value>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => !limits::same(old, new),
        (old, new) => old.is_some() != new.is_some(),
    }
}

/// Computes a variable from what it was.
pub(crate) type Step = Arc<dyn Fn(Option<&Value>) -> Result<Value, Reason> + Send + Sync>;

/// One variable's write.
#[derive(Clone)]
enum Write {
    /// The value, or nothing.
    Set(Option<Value>),
    /// What is computed from the value before, one step after the other.
    Compute(Vec<Step>),
    /// Nothing, if the value is still this one.
    Discard(Value),
}

/// What a handler did to a session's variables.
#[derive(Clone, Default)]
pub(crate) struct Edits {
    /// Forget all earlier variables first.
    cleared: bool,
    writes: BTreeMap<String, Write>,
}

impl Edits {
    pub(crate) fn is_empty(&self) -> bool {
        !self.cleared && self.writes.is_empty()
    }

    /// Whether all variables were taken out at some point.
    pub(crate) fn cleared(&self) -> bool {
        self.cleared
    }

    pub(crate) fn clear(&mut self) {
        self.cleared = true;
        self.writes.clear();
    }

    pub(crate) fn set(&mut self, name: &str, value: Option<Value>) {
        self.writes.insert(name.to_owned(), Write::Set(value));
    }

    /// Computes the variable `name` by `step`, whose result for the present state is `now`.
    pub(crate) fn compute(&mut self, name: &str, step: Step, now: Value) {
        match self.writes.get_mut(name) {
            Some(Write::Compute(steps)) => steps.push(step),
            // What comes before is known, so the result is.
            Some(write @ Write::Set(_)) => *write = Write::Set(Some(now)),
            Some(write @ Write::Discard(_)) => {
                let Write::Discard(bad) = std::mem::replace(write, Write::Set(None)) else {
                    return;
                };
                let of_others: Step = Arc::new(move |before| step(before.filter(|value| !limits::same(value, &bad))));
                *write = Write::Compute(vec![of_others]);
            }
            None if self.cleared => self.set(name, Some(now)),
            None => {
                self.writes.insert(name.to_owned(), Write::Compute(vec![step]));
            }
        }
    }

    /// Takes the variable `name` out, if it is still `bad`: another request may have mended it.
    pub(crate) fn discard(&mut self, name: &str, bad: Value) {
        let write = if self.cleared || self.writes.contains_key(name) {
            Write::Set(None)
        } else {
            Write::Discard(bad)
        };
        self.writes.insert(name.to_owned(), write);
    }

    /// Takes back what was written to the variable `name`.
    pub(crate) fn forget(&mut self, name: &str) {
        self.writes.remove(name);
    }

    /// These edits, without the writes that changed nothing when they were made: they must not undo what another request
    /// wrote meanwhile.
    pub(crate) fn of_consequence(&self, loaded: &Data) -> Self {
        let mut edits = self.clone();
        if !edits.cleared {
            edits.writes.retain(|name, write| match write {
                Write::Set(value) => differs(loaded.get(name), value.as_ref()),
                Write::Compute(_) | Write::Discard(_) => true,
            });
        }
        edits
    }

    /// `data` with these edits.
    ///
    /// # Errors
    ///
    /// A computed variable cannot be computed from its value in `data`.
    pub(crate) fn applied_to(&self, data: &Data) -> Result<Data, ValueError> {
        let nothing = Data::new();
        let before = if self.cleared { &nothing } else { data };
        let mut after = before.clone();
        for (name, write) in &self.writes {
            let value = match write {
                Write::Set(value) => value.clone(),
                Write::Discard(bad) => before.get(name).filter(|value| !limits::same(value, bad)).cloned(),
                Write::Compute(steps) => {
                    let first = before.get(name).cloned();
                    let computed = steps
                        .iter()
                        .try_fold(first, |value, step| step(value.as_ref()).map(Some));
                    computed.map_err(|reason| ValueError::new(name, reason))?
                }
            };
            match value {
                Some(value) => after.insert(name.clone(), value),
                None => after.remove(name),
            };
        }
        Ok(after)
    }
}

/// Names only: the values are the visitor's.
impl fmt::Debug for Edits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edits")
            .field("cleared", &self.cleared)
            .field("names", &self.writes.keys())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(variables: &[(&str, u64)]) -> Data {
        let encode = |value: &u64| Value::encode(value).unwrap();
        variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), encode(value)))
            .collect()
    }

    fn one_more() -> Step {
        Arc::new(|value| {
            let number: u64 = value
                .map_or(Ok(0), Value::decode)
                .map_err(|error| Reason::OtherType(error.to_string()))?;
            Ok(Value::encode(number + 1).unwrap())
        })
    }

    #[test]
    fn a_computed_variable_is_computed_again_from_the_newer_value() {
        let now = |n: u64| Value::encode(n).unwrap();
        let mut edits = Edits::default();
        edits.compute("visits", one_more(), now(1));
        edits.compute("visits", one_more(), now(1));
        assert_eq!(
            edits.applied_to(&data(&[("visits", 5)])).unwrap(),
            data(&[("visits", 7)])
        );
        assert_eq!(edits.applied_to(&Data::new()).unwrap(), data(&[("visits", 2)]));
        let text = Data::from([("visits".to_owned(), Value::encode("five").unwrap())]);
        assert!(edits.applied_to(&text).is_err());
    }

    #[test]
    fn what_is_computed_from_what_was_set_or_cleared_is_set() {
        let now = |n: u64| Value::encode(n).unwrap();
        let mut edits = Edits::default();
        edits.set("visits", Some(now(1)));
        edits.compute("visits", one_more(), now(2));
        assert_eq!(
            edits.applied_to(&data(&[("visits", 9)])).unwrap(),
            data(&[("visits", 2)])
        );
        let mut edits = Edits::default();
        edits.clear();
        edits.compute("visits", one_more(), now(1));
        assert_eq!(
            edits.applied_to(&data(&[("visits", 9)])).unwrap(),
            data(&[("visits", 1)])
        );
    }

    #[test]
    fn a_write_of_an_equal_value_is_of_no_consequence() {
        let loaded = data(&[("a", 1), ("b", 2)]);
        let mut edits = Edits::default();
        edits.set("a", Some(Value::encode(1).unwrap()));
        edits.set("absent", None);
        assert!(edits.of_consequence(&loaded).is_empty());
        edits.clear();
        assert!(!edits.of_consequence(&loaded).is_empty());
    }

    #[test]
    fn what_differs_between_two_states_leads_from_one_to_the_other() {
        let (before, after) = (
            data(&[("a", 1), ("b", 2), ("c", 3)]),
            data(&[("b", 2), ("c", 4), ("d", 5)]),
        );
        let changes = Changes::between(&before, &after);
        assert_eq!(
            changes.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            ["a", "c", "d"]
        );
        let mut applied = before;
        changes.apply(&mut applied);
        assert_eq!(applied, after);
    }
}
