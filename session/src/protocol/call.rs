//! The store calls that a task makes, and what can be stored under a key.

use std::sync::Arc;

use crate::core::id::{OwnerKey, RecordKey};
use crate::core::record::{Record, Stored, Tombstone};

/// A session's record as it is stored, and with its seal opened. Both have the same variables. They are the same record
/// if it is not sealed, or if the request may not open it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Opened {
    pub(crate) stored: Arc<Record>,
    pub(crate) record: Arc<Record>,
}

impl From<Record> for Opened {
    fn from(record: Record) -> Self {
        let stored = Arc::new(record);
        Self {
            record: Arc::clone(&stored),
            stored,
        }
    }
}

/// What is stored under a key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Place {
    Nothing,
    Record(Opened),
    /// Boxed, because a place is small then, and nearly all places are records.
    Tombstone(Box<Tombstone>),
    Malformed,
}

impl From<Stored> for Place {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Record(record) => Self::Record(record.into()),
            Stored::Tombstone(tombstone) => Self::Tombstone(tombstone.into()),
            Stored::Malformed(_) => Self::Malformed,
        }
    }
}

/// What a task does next.
#[derive(Clone, Debug)]
pub(crate) enum Next {
    /// Makes this call.
    Call(Call),
    /// Makes this call with a short time limit. The task continues if the call fails.
    Aside(Call),
    /// Makes no call, because the task is done.
    Over(Told),
}

/// The result of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// The cookie stays as it is. If the task is a save, it changed no variables.
    Keep,
    /// The session was changed, and the cookie stays as it is.
    Changed,
    /// The response carries the cookie of the new session.
    Issue,
    /// The response clears the cookie.
    Clear,
    /// There is no such session: the owner has none with this key, or there is no live session to bind.
    Missing,
}

/// A store call. `Load` and `End` make one call for each key, several at a time.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a call is made at once and not kept; a box makes a login slower"
)]
pub(crate) enum Call {
    Load(Vec<RecordKey>),
    Swap {
        key: RecordKey,
        read: Option<Opened>,
        next: Stored,
        write: Write,
    },
    End(Vec<RecordKey>),
    Enlist(OwnerKey, RecordKey),
    List(OwnerKey),
    Strike(OwnerKey, Vec<RecordKey>),
}

/// The purpose of a swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    /// Creates the record of a new session, or rewrites it before its cookie is sent.
    New,
    /// Changes the visitor's session, or ends it because nothing is left in it.
    Change,
    /// Replaces the visitor's old session by a tombstone that names the new one, or ends it if it has expired.
    Replace,
    /// Moves the expiry, or the time at which the owner was last seen.
    Slide,
}

impl Call {
    pub(super) fn swap(key: &RecordKey, read: Option<&Opened>, next: Stored, write: Write) -> Self {
        Self::Swap {
            key: key.clone(),
            read: read.cloned(),
            next,
            write,
        }
    }
}
