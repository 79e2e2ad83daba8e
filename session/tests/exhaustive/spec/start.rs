//! The sessions of the specification at each start.

use super::super::scenario::{FIRST, IDLE, Key, LIFETIME, NOW, REMEMBERED, SMALL, Start};
use super::{Life, Session};

pub(super) fn first(start: Start) -> Option<Session> {
    let live = Session {
        life: Life::Live,
        vars: if start == Start::Small { SMALL } else { FIRST },
        revision: 3,
        owned: matches!(
            start,
            Start::Owned
                | Start::Bound
                | Start::Others
                | Start::Idle
                | Start::Aged
                | Start::Remembered
                | Start::Forgotten
        ),
        others: start == Start::Others,
        remembered: false,
        created_at: NOW,
        expires_at: NOW + IDLE,
        inherited_from: None,
        renewal_of: None,
        bound: (start == Start::Bound).then_some((Key::Own, 0)),
    };
    Some(match start {
        Start::Nothing => return None,
        Start::Gone => Session {
            life: Life::Gone,
            ..live
        },
        Start::Live | Start::Owned | Start::Bound | Start::Others | Start::Small => live,
        Start::Old => Session {
            created_at: NOW - IDLE / 2,
            expires_at: NOW + IDLE / 2,
            ..live
        },
        Start::Idle => Session {
            created_at: NOW + 3 - IDLE,
            expires_at: NOW + 3,
            ..live
        },
        Start::Past => Session {
            created_at: NOW - 2 - IDLE,
            expires_at: NOW - 2,
            ..live
        },
        Start::Aged => Session {
            created_at: NOW + 3 - LIFETIME,
            expires_at: NOW + 1_000,
            ..live
        },
        Start::Remembered => Session {
            remembered: true,
            created_at: NOW - 2 * LIFETIME,
            expires_at: NOW + 10 * IDLE,
            ..live
        },
        Start::Forgotten => Session {
            remembered: true,
            created_at: NOW + 3 - REMEMBERED,
            expires_at: NOW + 10 * IDLE,
            ..live
        },
        Start::Malformed => Session {
            life: Life::Malformed,
            ..live
        },
        Start::Ended => Session {
            life: Life::Ended,
            ..live
        },
        Start::Buried => Session {
            life: Life::Buried,
            ..live
        },
    })
}
