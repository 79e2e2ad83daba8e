//! The headers of an event.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use http::{HeaderMap, HeaderName};
use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

/// Read without the strings, one for each name and each value, that would not be needed again.
#[derive(Default)]
pub(super) struct Headers(pub(super) HeaderMap);

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        deserializer.deserialize_map(Map).map(Self)
    }
}

/// As many as a browser and Lambda send together, so that the map does not grow.
const MOST: usize = 24;

struct Map;

impl<'de> Visitor<'de> for Map {
    type Value = HeaderMap;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("headers")
    }

    fn visit_map<A>(self, mut entries: A) -> Result<HeaderMap, A::Error>
    where
        A: MapAccess<'de>,
    {
        let mut headers = HeaderMap::with_capacity(MOST);
        while let Some((Text(name), Text(value))) = entries.next_entry()? {
            headers.insert::<HeaderName>(name, value);
        }
        Ok(headers)
    }
}

/// What a string of the event stands for.
struct Text<T>(T);

impl<'de, T> Deserialize<'de> for Text<T>
where
    T: FromStr,
{
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        deserializer.deserialize_str(Parse(PhantomData)).map(Self)
    }
}

struct Parse<T>(PhantomData<T>);

impl<T> Visitor<'_> for Parse<T>
where
    T: FromStr,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a header's name or value")
    }

    fn visit_str<E>(self, text: &str) -> Result<T, E>
    where
        E: Error,
    {
        text.parse().map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }
}
