//! What the server signs for bound sessions, and verifies again: the second cookie, the challenges, and the name by
//! which a browser calls its session.

use crate::core::cookie::Keys;
use crate::core::id::RecordKey;

/// Signed first, so that no MAC of another purpose verifies here, and none of these as a session's cookie.
const CONTEXT: &[u8] = b"lambda-session/bound/v1\0";

/// The seconds by which the clocks of two instances may differ.
const SKEW: u64 = 60;

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The second cookie.
    Cookie,
    /// The name by which the browser calls the session, or by which the URL of its refresh does.
    Name,
    /// The challenge of a registration.
    Bind,
    /// The challenge of a refresh.
    Refresh,
}

/// Makes and checks the tokens of one cookie's sessions.
#[derive(Clone, Debug)]
pub(crate) struct Tokens(Keys);

impl Tokens {
    /// Makes tokens for the sessions of the cookie with this name.
    pub(crate) fn new(keys: &Keys, cookie: &str) -> Self {
        Self(keys.with_context(CONTEXT, cookie))
    }

    /// The value of the second cookie, `<time>.<mac>`, which is good until this time.
    pub(crate) fn cookie(&self, session: &RecordKey, until: u64) -> String {
        let mac = self
            .0
            .mac(&message(Purpose::Cookie, session.as_str(), &until.to_string()));
        format!("{until}.{mac}")
    }

    /// The time until which this value of the second cookie is good for the session; `None` if it is not good at `now`.
    /// A cookie that is made now is good for `life` seconds. A time that is further ahead, by more than the clocks may
    /// differ, is refused: the cookie was made with another setting or by a wrong clock.
    pub(crate) fn opens(&self, value: &[u8], session: &RecordKey, now: u64, life: u64) -> Option<u64> {
        self.until(value, session).filter(|&until| is_current(until, now, life))
    }

    /// The time until which this value of the second cookie is good for the session; `None` if it is not its cookie.
    pub(crate) fn until(&self, value: &[u8], session: &RecordKey) -> Option<u64> {
        let (until, mac) = split(value)?;
        let made = self.0.made(message(Purpose::Cookie, session.as_str(), until), mac);
        made.then(|| until.parse().ok())?
    }

    /// A token that names its session: `<record key>.<time>.<mac>`.
    pub(crate) fn token(&self, purpose: Purpose, session: &RecordKey, time: u64) -> String {
        let (session, time) = (session.as_str(), time.to_string());
        let mac = self.0.mac(&message(purpose, session, &time));
        format!("{session}.{time}.{mac}")
    }

    /// The session and the time of a token that was made for this purpose.
    pub(crate) fn read(&self, purpose: Purpose, token: &str) -> Option<(RecordKey, u64)> {
        let (session, rest) = token.split_once('.')?;
        let session = RecordKey::from_handle(session)?;
        let (time, mac) = split(rest.as_bytes())?;
        let made = self.0.made(message(purpose, session.as_str(), time), mac);
        made.then_some((session, time.parse().ok()?))
    }

    /// The session of a challenge that is good now. A challenge that is made now is good for `life` seconds.
    pub(crate) fn challenged(&self, purpose: Purpose, challenge: &str, now: u64, life: u64) -> Option<RecordKey> {
        let (session, until) = self.read(purpose, challenge)?;
        is_current(until, now, life).then_some(session)
    }
}

/// The signed text. No part has a zero byte in it.
fn message(purpose: Purpose, session: &str, time: &str) -> String {
    format!("{purpose:?}\0{session}\0{time}")
}

fn split(value: &[u8]) -> Option<(&str, &[u8])> {
    let dot = value.iter().take(21).position(|&byte| byte == b'.')?;
    let (time, mac) = value.split_at(dot);
    Some((str::from_utf8(time).ok()?, &mac[1..]))
}

fn is_current(until: u64, now: u64, life: u64) -> bool {
    until > now && until <= now.saturating_add(life).saturating_add(SKEW)
}

#[cfg(test)]
mod tests;
