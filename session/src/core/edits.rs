//! A request's changes to a session's variables, kept apart from the state to which they apply.
//!
//! They can be applied again to a newer state if another request was faster.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::limits;
use super::value::{Data, Reason, Value, ValueError};

/// Computes a variable from its previous value.
pub(crate) type Step = Arc<dyn Fn(Option<&Value>) -> Result<Value, Reason> + Send + Sync>;

/// A change of one variable.
#[derive(Clone)]
enum Edit {
    /// Sets the value, or removes the variable.
    Set(Option<Value>),
    /// Computes the value from the previous one, one step after the other.
    Compute(Vec<Step>),
    /// Removes the variable if it still has this value.
    Discard(Value),
}

/// A handler's changes to a session's variables.
#[derive(Clone, Default)]
pub(crate) struct Edits {
    /// Whether all earlier variables are removed first.
    pub(crate) cleared: bool,
    edits: BTreeMap<String, Edit>,
}

impl Edits {
    pub(crate) fn is_empty(&self) -> bool {
        !self.cleared && self.edits.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.cleared = true;
        self.edits.clear();
    }

    pub(crate) fn set(&mut self, name: &str, value: Option<Value>) {
        self.edits.insert(name.to_owned(), Edit::Set(value));
    }

    /// Computes the variable `name` by `step`, whose result for the present state is `now`.
    pub(crate) fn compute(&mut self, name: &str, step: Step, now: Value) {
        let edit = match self.edits.remove(name) {
            Some(Edit::Compute(mut steps)) => {
                steps.push(step);
                Edit::Compute(steps)
            }
            Some(Edit::Discard(bad)) => Edit::Compute(vec![Arc::new(move |before| {
                let of_others = before.filter(|value| !limits::same(value, &bad));
                step(of_others)
            })]),
            None if !self.cleared => Edit::Compute(vec![step]),
            // The previous value is known, so the result is known, too.
            Some(Edit::Set(_)) | None => Edit::Set(Some(now)),
        };
        self.edits.insert(name.to_owned(), edit);
    }

    /// Removes the variable `name` if it is still `bad`: another request may have replaced it.
    pub(crate) fn discard(&mut self, name: &str, bad: Value) {
        let edit = if self.cleared || self.edits.contains_key(name) {
            Edit::Set(None)
        } else {
            Edit::Discard(bad)
        };
        self.edits.insert(name.to_owned(), edit);
    }

    /// Whether these edits leave the variable `name` as it is stored, or compute it from what is stored.
    pub(crate) fn keep(&self, name: &str) -> bool {
        !self.cleared && matches!(self.edits.get(name), None | Some(Edit::Compute(_)))
    }

    /// Takes the variable `name` out. The caller has already removed `stored` from the store, or passes `None`. Returns
    /// the value that these edits make of `stored`, and leaves no edit that would store the variable again.
    ///
    /// # Errors
    ///
    /// Fails if the variable cannot be computed from `stored`.
    pub(crate) fn take(&mut self, name: &str, stored: Option<Value>) -> Result<Option<Value>, ValueError> {
        match self.edits.remove(name) {
            None => Ok(stored),
            Some(Edit::Compute(steps)) => computed(name, &steps, stored),
            Some(Edit::Set(value)) => {
                self.set(name, None);
                Ok(value)
            }
            Some(discard @ Edit::Discard(_)) => {
                self.edits.insert(name.to_owned(), discard);
                Ok(None)
            }
        }
    }

    /// These edits without the writes that changed nothing when they were made, because those must not undo another
    /// request's writes.
    pub(crate) fn of_consequence(&self, loaded: &Data) -> Self {
        let mut edits = self.clone();
        if !edits.cleared {
            edits.edits.retain(|name, edit| match (loaded.get(name), edit) {
                (Some(old), Edit::Set(Some(new))) => !limits::same(old, new),
                (None, Edit::Set(None)) => false,
                _ => true,
            });
        }
        edits
    }

    /// Applies these edits to `data`. A variable that is set to an equal value keeps its stored form, so the result
    /// equals `data` if nothing changes.
    ///
    /// # Errors
    ///
    /// Fails if a computed variable cannot be computed from its value in `data`.
    pub(crate) fn applied_to(&self, data: &Data) -> Result<Data, ValueError> {
        let nothing = Data::new();
        let before = if self.cleared { &nothing } else { data };
        let mut after = before.clone();
        for (name, edit) in &self.edits {
            let value = match edit {
                Edit::Set(value) => value.clone(),
                Edit::Discard(bad) => before.get(name).filter(|value| !limits::same(value, bad)).cloned(),
                Edit::Compute(steps) => computed(name, steps, before.get(name).cloned())?,
            };
            let is_same = |old: &&Value| value.as_ref().is_some_and(|new| limits::same(old, new));
            let kept = data.get(name).filter(is_same).cloned();
            match kept.or(value) {
                Some(value) => after.insert(name.clone(), value),
                None => after.remove(name),
            };
        }
        Ok(after)
    }
}

/// Applies one step after the other.
fn computed(name: &str, steps: &[Step], first: Option<Value>) -> Result<Option<Value>, ValueError> {
    let mut steps = steps.iter();
    let computed = steps.try_fold(first, |value, step| step(value.as_ref()).map(Some));
    computed.map_err(|reason| ValueError::new(name, reason))
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
            let number: u64 = value.map_or(Ok(0), Value::decode).map_err(Reason::OtherType)?;
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
    fn where_nothing_changes_the_result_is_what_was_stored_to_the_letter() {
        let number = |text: &str| Value(serde_dynamo::AttributeValue::N(text.to_owned()));
        let stored = Data::from([("price".to_owned(), number("1.5"))]);
        for cleared in [false, true] {
            let mut edits = Edits::default();
            if cleared {
                edits.clear();
            }
            edits.set("price", Some(number("1.50")));
            edits.set("absent", None);
            assert_eq!(edits.applied_to(&stored).unwrap(), stored, "{cleared}");
        }
    }

    #[test]
    fn what_was_cleared_and_set_to_the_old_value_stays() {
        let mut edits = Edits::default();
        edits.clear();
        edits.set("a", Some(Value::encode(1).unwrap()));
        let loaded = data(&[("a", 1), ("b", 2)]);
        let edits = edits.of_consequence(&loaded);
        assert_eq!(edits.applied_to(&loaded).unwrap(), data(&[("a", 1)]));
    }
}
