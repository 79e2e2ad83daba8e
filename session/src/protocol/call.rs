//! The calls that the store gets, and what stands under a key.

use std::sync::Arc;

use crate::core::id::{OwnerKey, RecordKey};
use crate::core::record::{Record, Stored, Tombstone};

/// A session's record, as the store has it and as it is without its seal: the same where nothing is sealed.
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

/// What stands under a key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Place {
    Nothing,
    Record(Opened),
    Tombstone(Tombstone),
    Malformed,
}

impl From<Stored> for Place {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Record(record) => Self::Record(record.into()),
            Stored::Tombstone(tombstone) => Self::Tombstone(tombstone),
            Stored::Malformed(_) => Self::Malformed,
        }
    }
}

/// What comes next.
#[derive(Clone, Debug)]
pub(crate) enum Next {
    /// This call is to be made.
    Call(Call),
    /// This call is to be made, but no task fails with it or waits long for it.
    Aside(Call),
    /// Nothing: the task is done.
    Over(Told),
}

/// What a task that is done has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nothing was changed, and the cookie stays as it is.
    Keep,
    /// The session was changed, and the cookie stays as it is.
    Changed,
    /// The cookie of the new session leaves.
    Issue,
    /// The cookie is taken back.
    Clear,
    /// There is no such session of this owner.
    Missing,
}

/// A call of the store. Several keys are several calls at once.
#[derive(Clone, Debug)]
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

/// What a swap is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    /// A new session.
    Create,
    /// A new session's variables, before anybody has its cookie.
    Rewrite,
    /// The visitor's session changes, or ends because nothing is left in it.
    Change,
    /// The visitor's session makes room for the new one.
    Replace,
    /// The expiry moves.
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
