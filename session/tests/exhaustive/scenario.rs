//! A scenario: what stands in the table, and which requests come with which cookies.

use crate::core::record::{Record, Stored, Tombstone};
use crate::core::value::{Data, Value};

pub(crate) const IDLE: u64 = 7_200;
pub(crate) const LIFETIME: u64 = 43_200;
pub(crate) const REMEMBERED: u64 = 400_000;
/// How long a slow request takes between reading and saving.
pub(crate) const SLOW: u64 = 10;
pub(crate) const NOW: u64 = 1_800_000_000;

/// Most requests.
pub(crate) const MOST: usize = 4;

/// The owner of the sessions that have one.
pub(crate) const OWNER: &str = "ann";

/// What stands there when the requests begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Start {
    /// A visitor without a cookie.
    Nothing,
    /// A session with a name, a number, a variable and a message, created now.
    Live,
    /// The same, of an owner.
    Owned,
    /// Written by 0.1, without tokens, and last seen so long ago that its expiry is due to move.
    Old,
    /// Only `x` is in it.
    Small,
    /// Of an owner. Its idle timeout ends in three seconds.
    Idle,
    /// It ended two seconds ago, so that it is still alive to an instance whose clock is behind.
    Past,
    /// Of an owner who was seen long ago. Its lifetime ends in three seconds, though it was written when that was longer.
    Aged,
    /// Of an owner who was seen long ago, remembered, older than the lifetime.
    Remembered,
    /// Of an owner, remembered, and in three seconds older than the layer allows by now.
    Forgotten,
    /// Something stands there that is no session.
    Malformed,
    /// It has ended just now.
    Ended,
    /// It ended two minutes ago.
    Buried,
    /// It is gone without a trace.
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
    /// Takes `x` out.
    Pop,
    Flash,
    Take,
    /// A new ID and a name, as the app does it; everything else goes unless it is the same person.
    Ann,
    Bob,
    /// `Session::login`.
    Owner,
    Renew,
    RenewAndPop,
    Remember,
    Clear,
    Logout,
    /// Ends, with a message for whoever comes next.
    Goodbye,
    EndAll,
    /// Sets `x`, saves, adds one to `n`.
    SaveAndAdd,
}

impl Op {
    /// Whether it begins a session for whoever is behind the browser, rather than for a variable.
    pub(crate) fn is_login(self) -> bool {
        matches!(
            self,
            Self::Ann | Self::Bob | Self::Owner | Self::Renew | Self::RenewAndPop | Self::Remember | Self::Goodbye
        )
    }
}

/// The cookie that a request brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Brings {
    First,
    /// What the browser has after the answer to this earlier request.
    After(usize),
}

/// How the instance that serves a request is deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Instance {
    Usual,
    /// With the keys of after a rotation, where the others have those of before.
    Rotated,
    Seals,
    /// Of 0.3, whose conditions are weaker.
    Older,
}

#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Asked {
    pub(crate) op: Op,
    pub(crate) brings: Brings,
    /// The requests that were answered before it began, as bits.
    pub(crate) after: u8,
    /// How far the clock of its instance is ahead.
    pub(crate) skew: i64,
    /// Whether it takes its time between reading and saving.
    pub(crate) slow: bool,
    pub(crate) instance: Instance,
    /// Most sessions that an owner may have.
    pub(crate) per_owner: Option<usize>,
}

#[derive(Clone, Debug, Hash)]
pub(crate) struct Scenario {
    pub(crate) start: Start,
    pub(crate) requests: Vec<Asked>,
    /// How many faults there may be.
    pub(crate) faults: usize,
    /// What may happen to the first session at any time, without a request.
    pub(crate) outside: Outside,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Outside {
    Nothing,
    /// DynamoDB deletes it, if it has expired.
    Deletes,
    /// It becomes malformed.
    Spoils,
}

/// The variables of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Vars {
    /// 0 for nobody.
    pub(crate) user: u8,
    pub(crate) x: u8,
    pub(crate) n: u8,
    /// The messages, a decimal digit each.
    pub(crate) flashes: u32,
}

#[expect(
    clippy::option_option,
    reason = "not asked is something else than asked and nothing found"
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

/// The variables at the start.
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

/// What stands under the key of the first cookie.
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

/// What this request sets `x` to.
pub(crate) fn value(place: usize) -> u8 {
    10 + u8::try_from(place).expect("few requests")
}

/// The message of this request.
pub(crate) fn message(place: usize) -> u32 {
    1 + u32::try_from(place).expect("few requests")
}
