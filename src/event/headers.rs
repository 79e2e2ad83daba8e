//! The headers of an event.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr as _;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// `None` if one of them is none to HTTP. Read without the strings that would not be needed again.
pub(super) struct Headers(pub(super) Option<HeaderMap>);

impl Default for Headers {
    fn default() -> Self {
        Self(Some(HeaderMap::new()))
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        deserializer.deserialize_map(Map).map(Self)
    }
}

/// More than a browser and Lambda send together, so that the map need not grow.
const USUAL: usize = 48;

/// A name or a value.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

struct Map;

impl<'de> Visitor<'de> for Map {
    type Value = Option<HeaderMap>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("headers")
    }

    fn visit_map<A>(self, mut entries: A) -> Result<Self::Value, A::Error>
    where
        A: MapAccess<'de>,
    {
        let mut headers = HeaderMap::with_capacity(USUAL);
        let mut whole = true;
        while let Some((Text(name), Text(value))) = entries.next_entry()? {
            whole &= insert(&mut headers, &name, &value).is_some();
        }
        Ok(whole.then_some(headers))
    }
}

fn insert(headers: &mut HeaderMap, name: &str, value: &str) -> Option<()> {
    let name = HeaderName::from_str(name).ok()?;
    let value = HeaderValue::from_str(value).ok()?;
    // A map holds 24,576 names at most.
    headers.try_insert(name, value).ok()?;
    Some(())
}
