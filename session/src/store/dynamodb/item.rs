//! A record as a DynamoDB item, there and back.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_dynamo::AttributeValue as Stored;

use crate::core::id::RecordKey;
use crate::core::moment::Moment;
use crate::core::record::{Record, Tombstone, WriteToken};
use crate::core::value::{Data, Value};
use crate::store::{Load, OwnerList};

/// The table's partition key.
pub(super) const PARTITION_KEY: &str = "id";
/// The table's TTL attribute.
pub(super) const TTL_ATTRIBUTE: &str = "expires_at";
pub(super) const DATA: &str = "data";
pub(super) const CREATED_AT: &str = "created_at";
pub(super) const REVISION: &str = "revision";
pub(super) const ENDED: &str = "ended";
pub(super) const REPLACED_BY: &str = "replaced_by";
pub(super) const WRITES: &str = "writes";
pub(super) const REMEMBERED: &str = "remember";
pub(super) const OWNER: &str = "owner";
pub(super) const LABEL: &str = "label";
pub(super) const SEEN_AT: &str = "seen_at";
pub(super) const SEALED: &str = "sealed";

type Item = HashMap<String, AttributeValue>;

pub(super) fn write(key: &RecordKey, record: &Record) -> Item {
    let mut item = HashMap::from([
        (PARTITION_KEY.to_owned(), AttributeValue::S(key.as_str().to_owned())),
        (DATA.to_owned(), to_map(&record.data)),
        (CREATED_AT.to_owned(), number(record.created_at)),
        (TTL_ATTRIBUTE.to_owned(), number(record.expires_at)),
        (REVISION.to_owned(), number(record.revision)),
    ]);
    if !record.writes.is_empty() {
        item.insert(WRITES.to_owned(), tokens(&record.writes));
    }
    // What few records have takes no bytes in the others.
    let rare = [
        (REMEMBERED, record.remembered.then_some(AttributeValue::Bool(true))),
        (OWNER, record.owner.as_ref().map(to_attribute)),
        (LABEL, record.label.clone().map(AttributeValue::S)),
        (SEEN_AT, record.seen_at.map(number)),
        (SEALED, record.sealed.then_some(AttributeValue::Bool(true))),
    ];
    let rare = rare
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    item.extend(rare);
    item
}

/// Attributes we do not know are ignored: a newer version may have written them.
pub(super) fn read(mut item: Item, at: &Moment) -> Load {
    if item.contains_key(ENDED) {
        let revision = unsigned(&item, REVISION);
        let tombstone = Tombstone::new(revision.unwrap_or_default(), writes(&item));
        return match (successor(&item), revision) {
            (Some(_), Ok(_)) => Load::Replaced(tombstone),
            _ => Load::Ended(tombstone),
        };
    }
    match record(&mut item) {
        Ok(record) if record.is_alive(at) => Load::Live(record),
        Ok(_) => Load::Expired,
        Err(attribute) => Load::Malformed(format!("attribute `{attribute}` is missing or of another type")),
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
        writes: writes(item),
        remembered: boolean(item, REMEMBERED)?,
        sealed: boolean(item, SEALED)?,
        owner: match item.remove(OWNER) {
            None => None,
            Some(owner) => Some(Value(received(owner).ok_or(OWNER)?)),
        },
        label: match item.remove(LABEL) {
            None => None,
            Some(AttributeValue::S(label)) => Some(label),
            Some(_) => return Err(LABEL),
        },
        seen_at: if item.contains_key(SEEN_AT) {
            Some(unsigned(item, SEEN_AT)?)
        } else {
            None
        },
    })
}

/// Records of the first version have none.
fn writes(item: &Item) -> Vec<WriteToken> {
    match item.get(WRITES) {
        Some(AttributeValue::S(text)) => text.split(' ').map(WriteToken::from_stored).collect(),
        _ => Vec::new(),
    }
}

/// An owner's list: an attribute of each session's key, with the time when it was put there.
pub(super) fn read_list(item: Item) -> OwnerList {
    let entries = item.into_iter().filter_map(|(name, value)| match value {
        AttributeValue::N(text) if name != TTL_ATTRIBUTE => Some((RecordKey::from_stored(name), text.parse().ok()?)),
        _ => None,
    });
    entries.collect()
}

/// The successor that a tombstone names.
pub(super) fn successor(item: &Item) -> Option<RecordKey> {
    match item.get(REPLACED_BY) {
        Some(AttributeValue::S(key)) if !key.is_empty() => Some(RecordKey::from_stored(key.clone())),
        _ => None,
    }
}

/// The tokens in one string: a list of strings would take three times the bytes on the wire.
pub(super) fn tokens(writes: &[WriteToken]) -> AttributeValue {
    AttributeValue::S(writes.iter().map(WriteToken::as_str).collect::<Vec<_>>().join(" "))
}

/// What is not there is false.
fn boolean(item: &Item, name: &'static str) -> Result<bool, &'static str> {
    match item.get(name) {
        None => Ok(false),
        Some(AttributeValue::Bool(value)) => Ok(*value),
        Some(_) => Err(name),
    }
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

pub(super) fn to_map(data: &Data) -> AttributeValue {
    let entries = data.iter().map(|(name, value)| (name.clone(), to_attribute(value)));
    AttributeValue::M(entries.collect())
}

pub(super) fn to_attribute(value: &Value) -> AttributeValue {
    sent(&value.0)
}

fn sent(value: &Stored) -> AttributeValue {
    match value {
        Stored::S(text) => AttributeValue::S(text.clone()),
        Stored::N(text) => AttributeValue::N(text.clone()),
        Stored::Bool(value) => AttributeValue::Bool(*value),
        Stored::Null(value) => AttributeValue::Null(*value),
        Stored::B(bytes) => AttributeValue::B(Blob::new(bytes.clone())),
        Stored::L(values) => AttributeValue::L(values.iter().map(sent).collect()),
        Stored::M(values) => {
            let entries = values.iter().map(|(name, value)| (name.clone(), sent(value)));
            AttributeValue::M(entries.collect())
        }
        Stored::Ss(texts) => AttributeValue::Ss(texts.clone()),
        Stored::Ns(texts) => AttributeValue::Ns(texts.clone()),
        Stored::Bs(blobs) => AttributeValue::Bs(blobs.iter().cloned().map(Blob::new).collect()),
    }
}

fn from_map(map: HashMap<String, AttributeValue>) -> Option<Data> {
    map.into_iter()
        .map(|(name, attribute)| Some((name, Value(received(attribute)?))))
        .collect()
}

/// `None` for a type that this version of the SDK does not know.
fn received(attribute: AttributeValue) -> Option<Stored> {
    Some(match attribute {
        AttributeValue::S(text) => Stored::S(text),
        AttributeValue::N(text) => Stored::N(text),
        AttributeValue::Bool(value) => Stored::Bool(value),
        AttributeValue::Null(value) => Stored::Null(value),
        AttributeValue::B(blob) => Stored::B(blob.into_inner()),
        AttributeValue::L(values) => Stored::L(values.into_iter().map(received).collect::<Option<_>>()?),
        AttributeValue::M(map) => {
            let entries = map.into_iter().map(|(name, value)| Some((name, received(value)?)));
            Stored::M(entries.collect::<Option<_>>()?)
        }
        AttributeValue::Ss(texts) => Stored::Ss(texts),
        AttributeValue::Ns(texts) => Stored::Ns(texts),
        AttributeValue::Bs(blobs) => Stored::Bs(blobs.into_iter().map(Blob::into_inner).collect()),
        _ => return None,
    })
}

#[cfg(test)]
mod properties;
