//! The update expressions: each write with the condition under which it may happen.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::item::{
    CREATED_AT, DATA, ENDED, LABEL, OWNER, PARTITION_KEY, REMEMBERED, REPLACED_BY, REVISION, SEALED, SEEN_AT,
    TTL_ATTRIBUTE, WRITES, number, to_attribute, to_map, tokens,
};
use crate::core::changes::Changes;
use crate::core::id::RecordKey;
use crate::core::moment::Moment;
use crate::core::record::{Record, Slide};

/// From so many changed variables on, `data` is written whole: an expression may have 4 KB and 300 operators.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-expression-parameters>
const MAX_VARIABLES: usize = 100;

/// Alive, as [`Store`](crate::Store) defines it. A missing time or one of another type fails the comparison,
/// and the other two attributes are asked for their type, so a malformed record is never written to.
const ALIVE: &str = "attribute_not_exists(#ended) AND #expires_at > :now \
                     AND (#created_at > :oldest OR #remember = :true AND #created_at > :remembered) \
                     AND attribute_type(#data, :map) AND attribute_type(#revision, :number)";

/// The attributes that [`ALIVE`] names.
const ALIVE_ATTRIBUTES: [&str; 6] = [DATA, CREATED_AT, TTL_ATTRIBUTE, REVISION, ENDED, REMEMBERED];

/// What a tombstone is. It tells nothing of the session that ended but its revision and the tokens of its last writes.
const TOMBSTONE: &str = "SET #ended = :true, #data = :empty, #expires_at = :until";
const WITHOUT: &str = " REMOVE #owner, #label, #seen_at";

/// An `UpdateItem`: what to set, and under which condition.
pub(super) struct Expression {
    pub(super) update: String,
    pub(super) condition: String,
    pub(super) names: HashMap<String, String>,
    pub(super) values: HashMap<String, AttributeValue>,
}

impl Expression {
    fn new(update: impl Into<String>, condition: impl Into<String>, attributes: &[&str]) -> Self {
        let new = Self {
            update: update.into(),
            condition: condition.into(),
            names: HashMap::new(),
            values: HashMap::new(),
        };
        new.naming(attributes)
    }

    /// Fixed attributes are named by `#` and their own name: some are reserved words.
    fn naming(mut self, attributes: &[&str]) -> Self {
        let names = attributes.iter().map(|name| (format!("#{name}"), (*name).to_owned()));
        self.names.extend(names);
        self
    }

    fn value(mut self, name: &str, value: AttributeValue) -> Self {
        self.values.insert(name.to_owned(), value);
        self
    }

    fn alive(self, at: &Moment) -> Self {
        self.naming(&ALIVE_ATTRIBUTES)
            .value(":now", number(at.now))
            .value(":oldest", number(at.oldest_creation()))
            .value(":remembered", number(at.oldest_remembered()))
            .value(":true", AttributeValue::Bool(true))
            .value(":map", AttributeValue::S("M".to_owned()))
            .value(":number", AttributeValue::S("N".to_owned()))
    }

    fn tombstone(self, at: &Moment) -> Self {
        self.naming(&[DATA, TTL_ATTRIBUTE, ENDED, OWNER, LABEL, SEEN_AT])
            .value(":true", AttributeValue::Bool(true))
            .value(":empty", AttributeValue::M(HashMap::new()))
            .value(":until", number(at.tombstone_expiry()))
    }
}

/// `next` in the place of the record before it, of which `changes` differ.
pub(super) fn update(next: &Record, changes: &Changes, at: &Moment) -> Expression {
    let mut expression = Expression::new(
        "",
        format!("{ALIVE} AND #revision = :read AND #expires_at <= :expires_at"),
        &[WRITES],
    )
    .alive(at)
    .value(":read", number(next.revision.wrapping_sub(1)))
    .value(":revision", number(next.revision))
    .value(":writes", tokens(&next.writes))
    .value(":expires_at", number(next.expires_at));
    let mut set = vec![
        "#revision = :revision".to_owned(),
        "#expires_at = :expires_at".to_owned(),
        "#writes = :writes".to_owned(),
    ];
    if let Some(seen_at) = next.seen_at {
        set.push("#seen_at = :seen_at".to_owned());
        expression = expression.naming(&[SEEN_AT]).value(":seen_at", number(seen_at));
    }
    if next.sealed {
        // Before this write it may not have been.
        set.push("#sealed = :true".to_owned());
        expression = expression.naming(&[SEALED]);
        if let Some(owner) = &next.owner {
            set.push("#owner = :owner".to_owned());
            expression = expression.naming(&[OWNER]).value(":owner", to_attribute(owner));
        }
    }
    let mut remove = Vec::new();
    if changes.len() > MAX_VARIABLES {
        set.push("#data = :data".to_owned());
        expression.values.insert(":data".to_owned(), to_map(&next.data));
    } else {
        for (n, (name, value)) in changes.iter().enumerate() {
            expression.names.insert(format!("#v{n}"), name.to_owned());
            match value {
                Some(value) => {
                    expression.values.insert(format!(":v{n}"), to_attribute(value));
                    set.push(format!("#data.#v{n} = :v{n}"));
                }
                None => remove.push(format!("#data.#v{n}")),
            }
        }
    }
    expression.update = format!("SET {}", set.join(", "));
    if !remove.is_empty() {
        expression.update += " REMOVE ";
        expression.update += &remove.join(", ");
    }
    expression
}

pub(super) fn slide(slide: Slide, at: &Moment) -> Expression {
    let condition = format!("{ALIVE} AND #expires_at = :from");
    let expression = Expression::new("SET #expires_at = :to", condition, &[])
        .alive(at)
        .value(":from", number(slide.from))
        .value(":to", number(slide.to));
    let Some(seen_at) = slide.seen_at else {
        return expression;
    };
    let mut expression = expression.naming(&[SEEN_AT]).value(":seen_at", number(seen_at));
    expression.update += ", #seen_at = :seen_at";
    expression
}

pub(super) fn replace(revision: u64, successor: &RecordKey, at: &Moment) -> Expression {
    Expression::new(
        format!("{TOMBSTONE}, #replaced_by = :successor{WITHOUT}"),
        format!("({ALIVE} AND #revision = :read) OR #replaced_by = :successor"),
        &[REPLACED_BY],
    )
    .alive(at)
    .tombstone(at)
    .value(":read", number(revision))
    .value(":successor", AttributeValue::S(successor.as_str().to_owned()))
}

pub(super) fn end(revision: Option<u64>, at: &Moment) -> Expression {
    let set = format!("{TOMBSTONE}{WITHOUT}");
    match revision {
        None => Expression::new(set, "attribute_exists(#id)", &[PARTITION_KEY]),
        Some(revision) => Expression::new(
            set,
            "#revision = :read AND attribute_not_exists(#replaced_by)",
            &[REVISION, REPLACED_BY],
        )
        .value(":read", number(revision)),
    }
    .tombstone(at)
}

/// A tombstone, whatever stands there.
pub(super) fn revoke(at: &Moment) -> Expression {
    let set = format!("{TOMBSTONE}, #revision = if_not_exists(#revision, :zero){WITHOUT}");
    Expression::new(set, "", &[REVISION])
        .tombstone(at)
        .value(":zero", number(0))
}

/// An entry of an owner's list, which is kept until everything in it must have ended: a day longer than any session, for clocks
/// and for retries.
pub(super) fn enlist(key: &RecordKey, at: &Moment) -> Expression {
    let mut expression = Expression::new("SET #expires_at = :until, #key = :now", "", &[TTL_ATTRIBUTE])
        .value(":until", number(at.list_expiry()))
        .value(":now", number(at.now));
    expression.names.insert("#key".to_owned(), key.as_str().to_owned());
    expression
}

/// Takes keys out of an owner's list.
pub(super) fn strike(keys: &[RecordKey]) -> Expression {
    let placeholders: Vec<_> = (0..keys.len()).map(|n| format!("#k{n}")).collect();
    let mut expression = Expression::new(
        format!("REMOVE {}", placeholders.join(", ")),
        "attribute_exists(#id)",
        &[PARTITION_KEY],
    );
    let names = placeholders
        .into_iter()
        .zip(keys.iter().map(|key| key.as_str().to_owned()));
    expression.names.extend(names);
    expression
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::moment::Timeouts;
    use crate::core::record::WriteToken;
    use crate::core::value::{Data, Value};

    #[test]
    fn as_many_variables_as_an_expression_holds_are_written_one_by_one() {
        let at = Moment {
            now: 1,
            timeouts: Timeouts::default(),
        };
        let record = Record::new(Data::new(), &at);
        for (count, whole) in [(MAX_VARIABLES, false), (MAX_VARIABLES + 1, true)] {
            let variables = (0..count).map(|n| (format!("variable {n}"), Value::encode(true).unwrap()));
            let changes = Changes::between(&record.data, &variables.collect());
            let next = record.changed(&changes, &WriteToken::new([0; 6]), &at);
            let update = update(&next, &changes, &at);
            assert_eq!(update.update.contains("#data = :data"), whole, "{count}");
            // What limits expressions (see `MAX_VARIABLES`).
            assert!(update.update.len() <= 4096, "{}", update.update.len());
        }
    }
}
