//! The update expressions: what a write changes in an item, and under which condition.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;

use super::item::{
    Attributes, BOUND, CREATED_AT, DATA, ENDED, ENDED_AT, LABEL, OWNER, PARTITION_KEY, REVISION, SEEN_AT,
    TTL_ATTRIBUTE, attributes, number, record_attributes, string, to_attribute, to_map,
};
use crate::core::id::RecordKey;
use crate::core::record::{Record, Stored, Tombstone};
use crate::core::value::Data;

/// If more variables change, `data` is written whole, because an expression may have 4 KB and 300 operators.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-expression-parameters>
const MAX_VARIABLES: usize = 100;

/// The expressions of an `UpdateItem`: what to set, what to remove, and the condition.
#[derive(Default)]
pub(super) struct Expression {
    set: Vec<String>,
    remove: Vec<String>,
    condition: Vec<String>,
    pub(super) names: HashMap<String, String>,
    pub(super) values: HashMap<String, AttributeValue>,
}

impl Expression {
    /// `SET …`, `REMOVE …`, or both.
    pub(super) fn update(&self) -> String {
        let clause = |verb: &str, parts: &[String]| match parts {
            [] => String::new(),
            parts => format!("{verb} {} ", parts.join(", ")),
        };
        clause("SET", &self.set) + &clause("REMOVE", &self.remove)
    }

    pub(super) fn condition(&self) -> Option<String> {
        (!self.condition.is_empty()).then(|| self.condition.join(" AND "))
    }

    /// An attribute's placeholder: `#` and its name, because some names are reserved words.
    fn name(&mut self, name: &str) -> String {
        let placeholder = format!("#{name}");
        self.names.insert(placeholder.clone(), name.to_owned());
        placeholder
    }

    fn value(&mut self, placeholder: &str, value: AttributeValue) -> String {
        self.values.insert(placeholder.to_owned(), value);
        placeholder.to_owned()
    }

    fn set(&mut self, name: &str, value: AttributeValue) {
        let part = format!("{} = {}", self.name(name), self.value(&format!(":{name}"), value));
        self.set.push(part);
    }

    fn remove(&mut self, name: &str) {
        let name = self.name(name);
        self.remove.push(name);
    }

    /// Adds the condition that the record with these attributes is still as it was read, and has not become malformed.
    fn stands(&mut self, read: &Attributes) {
        let (ended, data) = (self.name(ENDED), self.name(DATA));
        let map = self.value(":map", string("M"));
        self.condition.push(format!("attribute_not_exists({ended})"));
        self.condition.push(format!("attribute_type({data}, {map})"));
        for name in [CREATED_AT, REVISION, TTL_ATTRIBUTE, SEEN_AT] {
            let attribute = self.name(name);
            let part = match find(read, name) {
                Some(value) => format!("{attribute} = {}", self.value(&format!(":read_{name}"), value.clone())),
                None => format!("attribute_not_exists({attribute})"),
            };
            self.condition.push(part);
        }
    }

    /// Changes the variables in which the two differ.
    fn variables(&mut self, read: &Data, next: &Data) {
        let names = read.keys().chain(next.keys());
        let changed: BTreeSet<_> = names.filter(|name| read.get(*name) != next.get(*name)).collect();
        if changed.len() > MAX_VARIABLES {
            self.set(DATA, to_map(next));
            return;
        }
        for (n, name) in changed.into_iter().enumerate() {
            self.names.insert(format!("#v{n}"), name.clone());
            let variable = format!("#{DATA}.#v{n}");
            if let Some(value) = next.get(name) {
                let value = self.value(&format!(":v{n}"), to_attribute(value));
                self.set.push(format!("{variable} = {value}"));
            } else {
                self.remove.push(variable);
            }
        }
    }
}

fn find<'a>(attributes: &'a Attributes, name: &str) -> Option<&'a AttributeValue> {
    let found = attributes.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| value)
}

/// Replaces `read` with `next`, writing only the differences.
pub(super) fn swap(read: &Record, next: &Stored) -> Expression {
    let mut expression = Expression::default();
    let (before, after) = (record_attributes(read), attributes(next));
    expression.stands(&before);
    if let Stored::Record(next) = next {
        expression.variables(&read.data, &next.data);
    }
    for (name, _) in before.iter().filter(|(name, _)| find(&after, name).is_none()) {
        expression.remove(name);
    }
    for (name, value) in after {
        if find(&before, name) != Some(&value) {
            expression.set(name, value);
        }
    }
    if expression.update().is_empty() {
        // An update expression must not be empty, and its condition has to be checked.
        expression.set(REVISION, number(read.revision));
    }
    expression
}

/// Replaces a record, or nothing, with a tombstone. The condition fails if there is a tombstone already. The revision
/// and the tokens of the last writes stay.
pub(super) fn end(at: u64) -> Expression {
    let tombstone = Tombstone::of(None, at);
    let mut expression = Expression::default();
    let (ended, revision) = (expression.name(ENDED), expression.name(REVISION));
    expression.condition.push(format!("attribute_not_exists({ended})"));
    expression.set(ENDED, AttributeValue::Bool(true));
    expression.set(DATA, AttributeValue::M(HashMap::new()));
    expression.set(TTL_ATTRIBUTE, number(tombstone.expires_at()));
    expression.set(ENDED_AT, number(tombstone.ended_at));
    let unknown = expression.value(":revision", number(tombstone.revision));
    let kept = format!("{revision} = if_not_exists({revision}, {unknown})");
    expression.set.push(kept);
    for name in [OWNER, LABEL, SEEN_AT, BOUND] {
        expression.remove(name);
    }
    expression
}

/// Adds a key to an owner's list.
pub(super) fn enlist(key: &RecordKey, at: u64, until: u64) -> Expression {
    let mut expression = Expression::default();
    expression.set(TTL_ATTRIBUTE, number(until));
    expression.names.insert("#key".to_owned(), key.as_str().to_owned());
    let at = expression.value(":at", number(at));
    expression.set.push(format!("#key = {at}"));
    expression
}

/// Removes keys from an owner's list.
pub(super) fn strike(keys: &[RecordKey]) -> Expression {
    let mut expression = Expression::default();
    let id = expression.name(PARTITION_KEY);
    expression.condition.push(format!("attribute_exists({id})"));
    for (n, key) in keys.iter().enumerate() {
        expression.names.insert(format!("#k{n}"), key.as_str().to_owned());
        expression.remove.push(format!("#k{n}"));
    }
    expression
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::value::Value;

    #[test]
    fn as_many_variables_as_an_expression_holds_are_written_one_by_one() {
        let read = Record::new(Data::new(), 1, 2);
        for (count, whole) in [(MAX_VARIABLES, false), (MAX_VARIABLES + 1, true)] {
            let variables = (0..count).map(|n| (format!("variable {n}"), Value::encode(true).unwrap()));
            let mut next = read.clone();
            next.data = variables.collect();
            let update = swap(&read, &Stored::Record(next)).update();
            assert_eq!(update.contains("#data = :data"), whole, "{count}");
            // The limit of an expression (see `MAX_VARIABLES`).
            assert!(update.len() <= 4096, "{}", update.len());
        }
    }

    #[test]
    fn a_view_writes_times_alone() {
        let mut read = Record::new(Data::from([("a".to_owned(), Value::encode(1).unwrap())]), 1, 2);
        read.seen_at = Some(1);
        let mut next = read.clone();
        (next.expires_at, next.seen_at) = (5, Some(3));
        let update = swap(&read, &Stored::Record(next)).update();
        assert_eq!(update, "SET #expires_at = :expires_at, #seen_at = :seen_at ");
    }
}
