//! Converts records to DynamoDB items and back.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_dynamo::AttributeValue as Kept;

use crate::core::bound::Binding;
use crate::core::id::RecordKey;
use crate::core::record::{Record, Stored, TOMBSTONE, Tombstone, WriteToken};
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
const IDLE: &str = "idle";
const LIFETIME: &str = "lifetime";
pub(super) const OWNER: &str = "owner";
pub(super) const LABEL: &str = "label";
pub(super) const SEEN_AT: &str = "seen_at";
const SEALED: &str = "sealed";
pub(super) const BOUND: &str = "bound";

pub(super) type Item = HashMap<String, AttributeValue>;

/// The attributes of an item, except for a record's variables. They are few, so comparing names costs less than a map.
pub(super) type Attributes = Vec<(&'static str, AttributeValue)>;

/// The item of a record or a tombstone.
pub(super) fn write(key: &RecordKey, stored: &Stored) -> Item {
    let mut attributes = attributes(stored);
    if let Stored::Record(record) = stored {
        attributes.push((DATA, to_map(&record.data)));
    }
    attributes.push((PARTITION_KEY, string(key.as_str())));
    let named = attributes.into_iter().map(|(name, value)| (name.to_owned(), value));
    named.collect()
}

/// The attributes of a record, except for its variables, of a tombstone, or of something malformed.
pub(super) fn attributes(stored: &Stored) -> Attributes {
    match stored {
        Stored::Record(record) => record_attributes(record),
        Stored::Tombstone(tombstone) => tombstone_attributes(tombstone),
        Stored::Malformed(_) => vec![(DATA, AttributeValue::Null(true))],
    }
}

/// A record's attributes except for its variables. Optional attributes are left out of records that do not need them.
pub(super) fn record_attributes(record: &Record) -> Attributes {
    let truth = |value: bool| value.then_some(AttributeValue::Bool(true));
    present([
        (CREATED_AT, Some(number(record.created_at))),
        (TTL_ATTRIBUTE, Some(number(record.expires_at))),
        (REVISION, Some(number(record.revision))),
        (WRITES, tokens(&record.writes)),
        (REMEMBERED, truth(record.remembered)),
        (IDLE, record.idle.map(number)),
        (LIFETIME, record.lifetime.map(number)),
        (OWNER, record.owner.as_ref().map(to_attribute)),
        (LABEL, record.label.clone().map(AttributeValue::S)),
        (SEEN_AT, record.seen_at.map(number)),
        (SEALED, truth(record.sealed)),
        (BOUND, record.bound.as_ref().map(|bound| string(bound.as_str()))),
    ])
}

fn tombstone_attributes(tombstone: &Tombstone) -> Attributes {
    let successor = tombstone.replaced_by.as_ref();
    present([
        (DATA, Some(AttributeValue::M(HashMap::new()))),
        (ENDED, Some(AttributeValue::Bool(true))),
        (ENDED_AT, Some(number(tombstone.ended_at))),
        (TTL_ATTRIBUTE, Some(number(tombstone.expires_at()))),
        (REVISION, Some(number(tombstone.revision))),
        (WRITES, tokens(&tombstone.writes)),
        (REPLACED_BY, successor.map(|key| string(key.as_str()))),
        (RENEWED, successor.map(|_| AttributeValue::Bool(tombstone.renewed))),
    ])
}

fn present<const MOST: usize>(all: [(&'static str, Option<AttributeValue>); MOST]) -> Attributes {
    let mut present = Vec::with_capacity(MOST);
    present.extend(all.into_iter().filter_map(|(name, value)| Some((name, value?))));
    present
}

/// The attributes of an item that are not read yet.
type Unread = Vec<(String, AttributeValue)>;

/// Takes an attribute out.
fn take(item: &mut Unread, name: &str) -> Option<AttributeValue> {
    let place = item.iter().position(|(known, _)| known == name)?;
    Some(item.swap_remove(place).1)
}

/// Ignores unknown attributes, because a newer version may have written them.
pub(super) fn read(item: Item) -> Stored {
    if item.contains_key(ENDED) {
        return Stored::Tombstone(tombstone(item));
    }
    match record(&mut item.into_iter().collect()) {
        Ok(record) => Stored::Record(record),
        Err(attribute) => Stored::Malformed(format!("attribute `{attribute}` is missing or of another type")),
    }
}

/// Reads a tombstone. Tombstones of this library's version 0.3 say neither when the session ended nor what kind of
/// successor it has. Such a successor counts as a renewal, so that a logout ends it, too.
pub(super) fn tombstone(item: Item) -> Tombstone {
    let mut item: Unread = item.into_iter().collect();
    let mut time = |name| take(&mut item, name).and_then(unsigned);
    let (revision, ended_at) = (time(REVISION), time(ENDED_AT));
    let ended_at = ended_at.or_else(|| time(TTL_ATTRIBUTE).map(|expiry| expiry.saturating_sub(TOMBSTONE)));
    let successor = take(&mut item, REPLACED_BY).and_then(text);
    let successor = successor.filter(|key| !key.is_empty() && revision.is_some());
    Tombstone {
        revision: revision.unwrap_or_default(),
        writes: writes(&mut item),
        ended_at: ended_at.unwrap_or_default(),
        renewed: successor.is_some() && take(&mut item, RENEWED) != Some(AttributeValue::Bool(false)),
        replaced_by: successor.map(RecordKey::from_stored),
    }
}

fn record(item: &mut Unread) -> Result<Record, &'static str> {
    Ok(Record {
        created_at: required(item, CREATED_AT, unsigned)?,
        expires_at: required(item, TTL_ATTRIBUTE, unsigned)?,
        revision: required(item, REVISION, unsigned)?,
        data: required(item, DATA, variables)?,
        writes: writes(item),
        remembered: optional(item, REMEMBERED, boolean)?.unwrap_or(false),
        idle: optional(item, IDLE, unsigned)?,
        lifetime: optional(item, LIFETIME, unsigned)?,
        sealed: optional(item, SEALED, boolean)?.unwrap_or(false),
        owner: optional(item, OWNER, |owner| received(owner).map(Value))?,
        label: optional(item, LABEL, text)?,
        seen_at: optional(item, SEEN_AT, unsigned)?,
        bound: optional(item, BOUND, text)?.map(Binding::from_stored),
    })
}

/// The tokens of the last changes. Records of the first version have none.
fn writes(item: &mut Unread) -> Vec<WriteToken> {
    let tokens = take(item, WRITES).and_then(text);
    tokens.map_or_else(Vec::new, |text| text.split(' ').map(WriteToken::from_stored).collect())
}

/// Reads an owner's list, which has an attribute for each session's key, with the time when it was added.
pub(super) fn read_list(item: Item) -> OwnerList {
    let keys = item.into_iter().filter(|(name, _)| name != TTL_ATTRIBUTE);
    let entries = keys.filter_map(|(name, at)| Some((RecordKey::from_stored(name), unsigned(at)?)));
    entries.collect()
}

/// Joins the tokens to one string, because a list of strings would take three times the bytes on the wire.
fn tokens(writes: &[WriteToken]) -> Option<AttributeValue> {
    let texts: Vec<_> = writes.iter().map(WriteToken::as_str).collect();
    (!texts.is_empty()).then(|| AttributeValue::S(texts.join(" ")))
}

fn required<T>(item: &mut Unread, name: &'static str, read: Read<T>) -> Result<T, &'static str> {
    optional(item, name, read)?.ok_or(name)
}

fn optional<T>(item: &mut Unread, name: &'static str, read: Read<T>) -> Result<Option<T>, &'static str> {
    let value = take(item, name);
    value.map(|value| read(value).ok_or(name)).transpose()
}

/// Reads an attribute; `None` if it has another type.
type Read<T> = fn(AttributeValue) -> Option<T>;

fn boolean(attribute: AttributeValue) -> Option<bool> {
    attribute.as_bool().ok().copied()
}

fn text(attribute: AttributeValue) -> Option<String> {
    attribute.as_s().ok().cloned()
}

fn unsigned(attribute: AttributeValue) -> Option<u64> {
    attribute.as_n().ok()?.parse().ok()
}

fn variables(attribute: AttributeValue) -> Option<Data> {
    let AttributeValue::M(map) = attribute else { return None };
    let variables = map
        .into_iter()
        .map(|(name, value)| Some((name, Value(received(value)?))));
    variables.collect()
}

pub(super) fn string(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

pub(super) fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn to_map(data: &Data) -> AttributeValue {
    let entries = data.iter().map(|(name, value)| (name.clone(), to_attribute(value)));
    AttributeValue::M(entries.collect())
}

pub(super) fn to_attribute(value: &Value) -> AttributeValue {
    value.0.clone().into()
}

/// Converts an attribute; `None` for a type that this version of the SDK does not know.
fn received(attribute: AttributeValue) -> Option<Kept> {
    Some(match attribute {
        AttributeValue::L(values) => Kept::L(values.into_iter().map(received).collect::<Option<_>>()?),
        AttributeValue::M(map) => {
            let entries = map.into_iter().map(|(name, value)| Some((name, received(value)?)));
            Kept::M(entries.collect::<Option<_>>()?)
        }
        attribute if attribute.is_unknown() => return None,
        attribute => attribute.into(),
    })
}

#[cfg(test)]
mod properties;
