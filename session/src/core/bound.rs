//! Sessions that are bound to a device (Device Bound Session Credentials, <https://w3c.github.io/webappsec-dbsc/>).
//!
//! The browser keeps a private key that cannot be copied, and proves that it has it by signing a challenge. A second
//! cookie shows for some minutes that it did. The second cookie, the challenges and the session's public name carry a
//! MAC over their purpose, the session and a time, so the server keeps no state for them.

#[cfg(feature = "bound")]
pub(crate) mod proof;
#[cfg(feature = "bound")]
pub(crate) mod tokens;

use serde::{Deserialize, Serialize};

use super::id::RecordKey;

/// The binding of a session to a device: a time, and the public key that verifies the device's signatures. From that
/// time on, in seconds since 1970, the session is open only to requests that carry the second cookie. A renewal keeps
/// both, and adds the record key of the session that was bound first, because the browser keeps that session's name.
///
/// If a user logs in again in a browser that has a bound session of theirs, the new session has no public key until the
/// browser sends one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Binding(String);

impl Binding {
    /// Makes a binding of the text that a store has kept.
    ///
    /// ```
    /// # use lambda_session::Binding;
    /// assert_eq!(Binding::from_stored("1800000060.BJ2xwg").as_str(), "1800000060.BJ2xwg");
    /// ```
    #[must_use]
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The binding as text without blanks, for a store to keep: 98 bytes for a key of ES256, and 142 after a renewal.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A binding to this key, in base64url, for requests from this time on.
    pub(crate) fn new(from: u64, key: &str) -> Self {
        Self(format!("{from}.{key}"))
    }

    /// A binding to a key that the browser has to send before this time.
    pub(crate) fn awaited(from: u64) -> Self {
        Self::new(from, "")
    }

    /// The binding of the session that renews the one under this key.
    pub(crate) fn renewed(&self, session: &RecordKey) -> Self {
        match (self.key(), self.first()) {
            (Some(_), None) => Self(format!("{}.{}", self.0, session.as_str())),
            _ => self.clone(),
        }
    }

    /// The device's key in base64url, if the browser has sent one.
    pub(crate) fn key(&self) -> Option<&str> {
        self.0.split('.').nth(1).filter(|key| !key.is_empty())
    }

    /// The key of the session that was bound first, if this one is a renewal of it.
    fn first(&self) -> Option<&str> {
        self.0.split('.').nth(2)
    }

    /// Whether this binding, which belongs to `session`, comes from the registration for the session `first`. The two
    /// differ after a renewal.
    pub(crate) fn is_of(&self, session: &RecordKey, first: &RecordKey) -> bool {
        self.first().unwrap_or(session.as_str()) == first.as_str()
    }

    /// Whether requests need the second cookie at this time. A binding that nobody can read needs it always.
    pub(crate) fn is_due(&self, now: u64) -> bool {
        let from = self.0.split_once('.').and_then(|(from, _)| from.parse().ok());
        from.is_none_or(|from: u64| from <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    #[test]
    fn a_binding_is_due_from_its_time_on_and_always_if_nobody_can_read_it() {
        let awaited = Binding::awaited(NOW);
        assert_eq!(
            (awaited.key(), awaited.is_due(NOW - 1), awaited.is_due(NOW)),
            (None, false, true)
        );
        let bound = Binding::from_stored("1800000060.key");
        assert_eq!(
            (bound.key(), bound.is_due(NOW), bound.is_due(NOW + 60)),
            (Some("key"), false, true)
        );
        for text in ["", "key", "soon.key", "-1.key"] {
            assert!(Binding::from_stored(text).is_due(0), "{text}");
        }
    }

    #[test]
    fn a_renewal_keeps_the_key_and_names_the_session_that_was_bound_first() {
        let [first, second, third] = ["first", "second", "third"].map(|key| RecordKey::from_stored(key.to_owned()));
        let bound = Binding::new(NOW, "key");
        assert!(bound.is_of(&first, &first) && !bound.is_of(&first, &second));
        let renewed = bound.renewed(&first).renewed(&second);
        assert_eq!(renewed.as_str(), "1800000000.key.first");
        assert_eq!(
            (renewed.key(), renewed.is_due(NOW - 1), renewed.is_due(NOW)),
            (Some("key"), false, true)
        );
        assert!(renewed.is_of(&third, &first) && !renewed.is_of(&third, &third));
        let awaited = Binding::awaited(NOW);
        assert_eq!(awaited.renewed(&first), awaited);
    }
}
