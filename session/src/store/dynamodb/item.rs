//! A record as a DynamoDB item, there and back.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_dynamo::AttributeValue as Kept;

use crate::core::id::RecordKey;
use crate::core::record::{Record, Stored, Tombstone, WriteToken};
use crate::core::value::{Data, Value};
use crate::store::OwnerList;

/// The table's partition key.
pub(super) const PARTITION_KEY: &str = "id";
/// The table's TTL attribute.
pub(super) const TTL_ATTRIBUTE: &str = "expires_at";
pub(super) const DATA: &str = "data";
pub(super) const CREATED_AT: &str = "created_at";
pub(super) const REVISION: &str = "revision";
pub(super) const ENDED: &str = "ended";
pub(super) const ENDED_AT: &str = "ended_at";
const REPLACED_BY: &str = "replaced_by";
/// Whether the successor is a renewal.
const RENEWED: &str = "renewed";
const WRITES: &str = "writes";
const REMEMBERED: &str = "remember";
pub(super) const OWNER: &str = "owner";
pub(super) const LABEL: &str = "label";
pub(super) const SEEN_AT: &str = "seen_at";
const SEALED: &str = "sealed";

pub(super) type Item = HashMap<String, AttributeValue>;

type Attributes = Vec<(&'static str, AttributeValue)>;

/// The item of a record or a tombstone.
pub(super) fn write(key: &RecordKey, stored: &Stored) -> Item {
    let (attributes, data) = match stored {
        Stored::Record(record) => (attributes(record), to_map(&record.data)),
        Stored::Tombstone(tombstone) => (tombstone_attributes(tombstone), AttributeValue::M(HashMap::new())),
        Stored::Malformed(_) => (Vec::new(), AttributeValue::Null(true)),
    };
    let mut item: Item = attributes
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    item.insert(PARTITION_KEY.to_owned(), AttributeValue::S(key.as_str().to_owned()));
    item.insert(DATA.to_owned(), data);
    item
}

/// A record's attributes but its variables. What few records have takes no bytes in the others.
pub(super) fn attributes(record: &Record) -> Attributes {
    let truth = |value: bool| value.then_some(AttributeValue::Bool(true));
    let all = [
        (CREATED_AT, Some(number(record.created_at))),
        (TTL_ATTRIBUTE, Some(number(record.expires_at))),
        (REVISION, Some(number(record.revision))),
        (WRITES, tokens(&record.writes)),
        (REMEMBERED, truth(record.remembered)),
        (OWNER, record.owner.as_ref().map(to_attribute)),
        (LABEL, record.label.clone().map(AttributeValue::S)),
        (SEEN_AT, record.seen_at.map(number)),
        (SEALED, truth(record.sealed)),
    ];
    all.into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

pub(super) fn tombstone_attributes(tombstone: &Tombstone) -> Attributes {
    let successor = tombstone.replaced_by.as_ref();
    let all = [
        (ENDED, Some(AttributeValue::Bool(true))),
        (ENDED_AT, Some(number(tombstone.ended_at))),
        (TTL_ATTRIBUTE, Some(number(tombstone.expires_at()))),
        (REVISION, Some(number(tombstone.revision))),
        (WRITES, tokens(&tombstone.writes)),
        (
            REPLACED_BY,
            successor.map(|key| AttributeValue::S(key.as_str().to_owned())),
        ),
        (RENEWED, successor.map(|_| AttributeValue::Bool(tombstone.renewed))),
    ];
    all.into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// Attributes we do not know are ignored: a newer version may have written them.
pub(super) fn read(mut item: Item) -> Stored {
    if item.contains_key(ENDED) {
        return Stored::Tombstone(tombstone(&item));
    }
    match record(&mut item) {
        Ok(record) => Stored::Record(record),
        Err(attribute) => Stored::Malformed(format!("attribute `{attribute}` is missing or of another type")),
    }
}

/// Tombstones of 0.3 do not tell when the session ended, nor what kind of successor it has: so it counts as a renewal, which a logout
/// ends, too.
pub(super) fn tombstone(item: &Item) -> Tombstone {
    let revision = unsigned(item, REVISION);
    let ended_at = unsigned(item, ENDED_AT);
    let replaced_by = successor(item).filter(|_| revision.is_ok());
    Tombstone {
        revision: revision.unwrap_or_default(),
        writes: writes(item),
        ended_at: ended_at
            .or_else(|_| unsigned(item, TTL_ATTRIBUTE).map(Tombstone::ended_at))
            .unwrap_or_default(),
        renewed: replaced_by.is_some() && item.get(RENEWED) != Some(&AttributeValue::Bool(false)),
        replaced_by,
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
fn successor(item: &Item) -> Option<RecordKey> {
    match item.get(REPLACED_BY) {
        Some(AttributeValue::S(key)) if !key.is_empty() => Some(RecordKey::from_stored(key.clone())),
        _ => None,
    }
}

/// The tokens in one string: a list of strings would take three times the bytes on the wire.
fn tokens(writes: &[WriteToken]) -> Option<AttributeValue> {
    let texts: Vec<_> = writes.iter().map(WriteToken::as_str).collect();
    (!texts.is_empty()).then(|| AttributeValue::S(texts.join(" ")))
}

/// A missing attribute counts as false.
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

fn sent(value: &Kept) -> AttributeValue {
    match value {
        Kept::S(text) => AttributeValue::S(text.clone()),
        Kept::N(text) => AttributeValue::N(text.clone()),
        Kept::Bool(value) => AttributeValue::Bool(*value),
        Kept::Null(value) => AttributeValue::Null(*value),
        Kept::B(bytes) => AttributeValue::B(Blob::new(bytes.clone())),
        Kept::L(values) => AttributeValue::L(values.iter().map(sent).collect()),
        Kept::M(values) => {
            let entries = values.iter().map(|(name, value)| (name.clone(), sent(value)));
            AttributeValue::M(entries.collect())
        }
        Kept::Ss(texts) => AttributeValue::Ss(texts.clone()),
        Kept::Ns(texts) => AttributeValue::Ns(texts.clone()),
        Kept::Bs(blobs) => AttributeValue::Bs(blobs.iter().cloned().map(Blob::new).collect()),
    }
}

fn from_map(map: HashMap<String, AttributeValue>) -> Option<Data> {
    map.into_iter()
        .map(|(name, attribute)| Some((name, Value(received(attribute)?))))
        .collect()
}

/// `None` for a type that this version of the SDK does not know.
fn received(attribute: AttributeValue) -> Option<Kept> {
    Some(match attribute {
        AttributeValue::S(text) => Kept::S(text),
        AttributeValue::N(text) => Kept::N(text),
        AttributeValue::Bool(value) => Kept::Bool(value),
        AttributeValue::Null(value) => Kept::Null(value),
        AttributeValue::B(blob) => Kept::B(blob.into_inner()),
        AttributeValue::L(values) => Kept::L(values.into_iter().map(received).collect::<Option<_>>()?),
        AttributeValue::M(map) => {
            let entries = map.into_iter().map(|(name, value)| Some((name, received(value)?)));
            Kept::M(entries.collect::<Option<_>>()?)
        }
        AttributeValue::Ss(texts) => Kept::Ss(texts),
        AttributeValue::Ns(texts) => Kept::Ns(texts),
        AttributeValue::Bs(blobs) => Kept::Bs(blobs.into_iter().map(Blob::into_inner).collect()),
        _ => return None,
    })
}

#[cfg(test)]
mod properties;
