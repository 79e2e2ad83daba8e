//! A scenario: what is stored at the start, and which requests come with which cookies.

use crate::core::bound::Binding;
use crate::core::record::{Record, Stored, Tombstone};
use crate::core::value::{Data, Value};

pub(crate) const IDLE: u64 = 7_200;
pub(crate) const LIFETIME: u64 = 43_200;
pub(crate) const REMEMBERED: u64 = 400_000;
/// The seconds that a slow request takes between reading and saving.
pub(crate) const SLOW: u64 = 10;
pub(crate) const NOW: u64 = 1_800_000_000;

/// The most requests of a scenario.
pub(crate) const MOST: usize = 4;

/// The owner of the sessions that have an owner.
pub(crate) const OWNER: &str = "ann";

/// The key of the visitor's device.
pub(crate) const OWN_KEY: &str = "the visitor's key";

/// What is stored when the requests begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Start {
    /// A visitor without a cookie.
    Nothing,
    /// A session with a name, a number, a variable and a message, created now.
    Live,
    /// The same session, with an owner.
    Owned,
    /// The same session with an owner, bound to the visitor's device.
    Bound,
    /// The same session, with another owner than the one who logs in.
    Others,
    /// A session that 0.1 wrote, without tokens. It was last seen so long ago that its expiry is due to move.
    Old,
    /// A session that contains only `x`.
    Small,
    /// A session with an owner. Its idle timeout ends in three seconds.
    Idle,
    /// A session that ended two seconds ago, so it is still alive to an instance whose clock is behind.
    Past,
    /// A session of an owner who was seen long ago. Its lifetime ends in three seconds, because the timeout was longer
    /// when it was written.
    Aged,
    /// A remembered session of an owner who was seen long ago. It is older than the lifetime.
    Remembered,
    /// A remembered session of an owner. In three seconds it is older than the layer now allows.
    Forgotten,
    /// Something that is not a session.
    Malformed,
    /// A session that has just ended.
    Ended,
    /// A session that ended two minutes ago.
    Buried,
    /// A session that is gone and has left no tombstone.
    Gone,
}

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    View,
    /// Sets `x` to a value of its own.
    Set,
    /// Adds one to `n`.
    Add,
    /// Removes `x`.
    Pop,
    Flash,
    Take,
    /// Logs in with a new ID and a name, as the app does. Everything else is cleared, unless it is the same person.
    Ann,
    Bob,
    /// `Session::login`.
    Owner,
    Renew,
    RenewAndPop,
    Remember,
    Clear,
    Logout,
    /// Ends the session, with a message for the next one.
    Goodbye,
    /// Ends the session, and logs in with `Session::login`.
    Anew,
    EndAll,
    /// Sets `x`, saves, and adds one to `n`.
    SaveAndAdd,
    /// Registers the key of the visitor's device for the session.
    Bind,
    /// Registers the key of another device.
    BindElsewhere,
}

impl Op {
    /// The key that the request registers.
    pub(crate) fn key(self) -> Option<Key> {
        match self {
            Self::Bind => Some(Key::Own),
            Self::BindElsewhere => Some(Key::Other),
            _ => None,
        }
    }

    /// Whether the request begins a session for a person, rather than for a variable.
    pub(crate) fn is_login(self) -> bool {
        matches!(
            self,
            Self::Ann
                | Self::Bob
                | Self::Owner
                | Self::Renew
                | Self::RenewAndPop
                | Self::Remember
                | Self::Goodbye
                | Self::Anew
        )
    }
}

/// The key of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Own,
    Other,
}

/// The cookie that a request brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Brings {
    First,
    /// The cookie that the browser has after the answer to this earlier request.
    After(usize),
}

/// How the instance that serves a request is deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Instance {
    Usual,
    /// Has the keys after a rotation, while the other instances have those before it.
    Rotated,
    Seals,
    /// Runs 0.3, whose conditions are weaker.
    Older,
}

#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Asked {
    pub(crate) op: Op,
    pub(crate) brings: Brings,
    /// The requests that were answered before this one began, as bits.
    pub(crate) after: u8,
    /// The seconds by which the clock of its instance is ahead.
    pub(crate) skew: i64,
    /// Whether time passes between reading and saving.
    pub(crate) slow: bool,
    pub(crate) instance: Instance,
    /// The most sessions that an owner may have.
    pub(crate) per_owner: Option<usize>,
}

#[derive(Clone, Debug, Hash)]
pub(crate) struct Scenario {
    pub(crate) start: Start,
    pub(crate) requests: Vec<Asked>,
    /// The most faults of a schedule.
    pub(crate) faults: usize,
    /// What may happen to the first session at any time, without a request.
    pub(crate) outside: Outside,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Outside {
    Nothing,
    /// DynamoDB deletes the record, if it has expired.
    Deletes,
    /// The record becomes malformed.
    Spoils,
}

/// The variables of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Vars {
    /// The user's number; 0 is nobody.
    pub(crate) user: u8,
    pub(crate) x: u8,
    pub(crate) n: u8,
    /// The messages, one decimal digit each.
    pub(crate) flashes: u32,
}

#[expect(
    clippy::option_option,
    reason = "not asked is different from asked and nothing found"
)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Seen {
    /// What the request found, if it asked: a session's variables, or no session.
    pub(crate) found: Option<Option<Vars>>,
    /// The messages that it took.
    pub(crate) taken: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SetCookie {
    Nothing,
    Cleared,
    /// The cookie of the session of this place.
    Issued(usize),
}

#[derive(Clone, Debug, Hash)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) cookie: SetCookie,
    pub(crate) seen: Seen,
}

/// The variables at the start, unless the start says otherwise.
pub(crate) const FIRST: Vars = Vars {
    user: 1,
    x: 9,
    n: 5,
    flashes: 9,
};

pub(crate) const SMALL: Vars = Vars {
    user: 0,
    x: 9,
    n: 0,
    flashes: 0,
};

/// Returns what is stored under the key of the first cookie.
pub(crate) fn stored(start: Start) -> Option<Stored> {
    let mut record = Record::new(Data::new(), NOW, NOW + IDLE);
    let text = |text: &str| Value::encode(text).expect("a text");
    record.data = Data::from([
        ("user".to_owned(), text("ann")),
        ("x".to_owned(), Value::encode(FIRST.x).expect("a number")),
        ("n".to_owned(), Value::encode(FIRST.n).expect("a number")),
        ("_flashes".to_owned(), Value::encode(["9"]).expect("a list")),
    ]);
    record.revision = 3;
    let owned = |record: &mut Record, seen_at| (record.owner, record.seen_at) = (Some(text(OWNER)), Some(seen_at));
    match start {
        Start::Nothing | Start::Gone => return None,
        Start::Malformed => return Some(Stored::Malformed("an attribute of another type".to_owned())),
        Start::Ended => return Some(Stored::Tombstone(Tombstone::of(None, NOW))),
        Start::Buried => return Some(Stored::Tombstone(Tombstone::of(None, NOW - 120))),
        Start::Live => {}
        Start::Owned => owned(&mut record, NOW),
        Start::Bound => {
            owned(&mut record, NOW);
            record.bound = Some(Binding::new(NOW, OWN_KEY));
        }
        Start::Others => (record.owner, record.seen_at) = (Some(text("bob")), Some(NOW)),
        Start::Small => record.data.retain(|name, _| name == "x"),
        Start::Old => {
            record.created_at = NOW - IDLE / 2;
            record.expires_at = NOW + IDLE / 2;
        }
        Start::Idle => {
            owned(&mut record, NOW + 3 - IDLE);
            record.created_at = NOW + 3 - IDLE;
            record.expires_at = NOW + 3;
        }
        Start::Past => {
            record.created_at = NOW - 2 - IDLE;
            record.expires_at = NOW - 2;
        }
        Start::Aged => {
            owned(&mut record, NOW - IDLE);
            record.created_at = NOW + 3 - LIFETIME;
            record.expires_at = NOW + 1_000;
        }
        Start::Remembered => {
            owned(&mut record, NOW - IDLE);
            (record.remembered, record.created_at) = (true, NOW - 2 * LIFETIME);
            record.expires_at = NOW + 10 * IDLE;
        }
        Start::Forgotten => {
            owned(&mut record, NOW - IDLE);
            (record.remembered, record.created_at) = (true, NOW + 3 - REMEMBERED);
            record.expires_at = NOW + 10 * IDLE;
        }
    }
    Some(Stored::Record(record))
}

/// Returns the value to which this request sets `x`.
pub(crate) fn value(place: usize) -> u8 {
    10 + u8::try_from(place).expect("few requests")
}

/// Returns the message of this request.
pub(crate) fn message(place: usize) -> u32 {
    1 + u32::try_from(place).expect("few requests")
}
