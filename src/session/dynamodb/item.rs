//! A record as a DynamoDB item, there and back.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::session::id::RecordKey;
use crate::session::record::{Moment, Record};
use crate::session::store::Found;
use crate::session::value::{Data, Value};

/// The table's partition key.
pub const PARTITION_KEY: &str = "id";
/// The table's TTL attribute.
pub const TTL_ATTRIBUTE: &str = "expires_at";
pub(super) const DATA: &str = "data";
pub(super) const CREATED_AT: &str = "created_at";
pub(super) const REVISION: &str = "revision";
pub(super) const ENDED: &str = "ended";
pub(super) const REPLACED_BY: &str = "replaced_by";

type Item = HashMap<String, AttributeValue>;

pub(super) fn write(key: &RecordKey, record: &Record) -> Item {
    HashMap::from([
        (PARTITION_KEY.to_owned(), AttributeValue::S(key.as_str().to_owned())),
        (DATA.to_owned(), to_map(&record.data)),
        (CREATED_AT.to_owned(), number(record.created_at)),
        (TTL_ATTRIBUTE.to_owned(), number(record.expires_at)),
        (REVISION.to_owned(), number(record.revision)),
    ])
}

/// Attributes we do not know are ignored: a newer version may have written them.
pub(super) fn read(mut item: Item, at: &Moment) -> Found {
    if item.contains_key(ENDED) {
        return match (item.get(REPLACED_BY), unsigned(&item, REVISION)) {
            (Some(AttributeValue::S(successor)), Ok(revision)) if !successor.is_empty() => Found::Replaced(revision),
            _ => Found::Gone,
        };
    }
    match record(&mut item) {
        Ok(record) if record.is_alive(at) => Found::Live(record),
        Ok(_) => Found::Expired,
        Err(attribute) => Found::Malformed(format!("attribute `{attribute}` is missing or of another type")),
    }
}

fn record(item: &mut Item) -> Result<Record, &'static str> {
    Ok(Record {
        created_at: unsigned(item, CREATED_AT)?,
        expires_at: unsigned(item, TTL_ATTRIBUTE)?,
        revision: unsigned(item, REVISION)?,
        data: match item.remove(DATA) {
            Some(AttributeValue::M(map)) => from_map(map).ok_or(DATA)?,
            _ => return Err(DATA),
        },
    })
}

fn unsigned(item: &Item, name: &'static str) -> Result<u64, &'static str> {
    match item.get(name) {
        Some(AttributeValue::N(text)) => text.parse().map_err(|_| name),
        _ => Err(name),
    }
}

pub(super) fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn to_map<'a>(data: impl IntoIterator<Item = (&'a String, &'a Value)>) -> AttributeValue {
    let entries = data
        .into_iter()
        .map(|(name, value)| (name.clone(), to_attribute(value)));
    AttributeValue::M(entries.collect())
}

pub(super) fn to_attribute(value: &Value) -> AttributeValue {
    match value {
        Value::S(text) => AttributeValue::S(text.clone()),
        Value::N(text) => AttributeValue::N(text.clone()),
        Value::Bool(value) => AttributeValue::Bool(*value),
        Value::Null(value) => AttributeValue::Null(*value),
        Value::B(bytes) => AttributeValue::B(Blob::new(bytes.clone())),
        Value::L(values) => AttributeValue::L(values.iter().map(to_attribute).collect()),
        Value::M(values) => to_map(values),
        Value::Ss(texts) => AttributeValue::Ss(texts.clone()),
        Value::Ns(texts) => AttributeValue::Ns(texts.clone()),
        Value::Bs(blobs) => AttributeValue::Bs(blobs.iter().cloned().map(Blob::new).collect()),
    }
}

fn from_map(map: HashMap<String, AttributeValue>) -> Option<Data> {
    map.into_iter()
        .map(|(name, attribute)| Some((name, from_attribute(attribute)?)))
        .collect()
}

/// `None` for a type that this version of the SDK does not know.
fn from_attribute(attribute: AttributeValue) -> Option<Value> {
    Some(match attribute {
        AttributeValue::S(text) => Value::S(text),
        AttributeValue::N(text) => Value::N(text),
        AttributeValue::Bool(value) => Value::Bool(value),
        AttributeValue::Null(value) => Value::Null(value),
        AttributeValue::B(blob) => Value::B(blob.into_inner()),
        AttributeValue::L(values) => Value::L(values.into_iter().map(from_attribute).collect::<Option<_>>()?),
        AttributeValue::M(map) => Value::M(from_map(map)?.into_iter().collect()),
        AttributeValue::Ss(texts) => Value::Ss(texts),
        AttributeValue::Ns(texts) => Value::Ns(texts),
        AttributeValue::Bs(blobs) => Value::Bs(blobs.into_iter().map(Blob::into_inner).collect()),
        _ => return None,
    })
}

#[cfg(test)]
mod properties;
