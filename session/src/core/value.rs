//! Session variables, and the reasons why a variable is refused.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_dynamo::AttributeValue;
use thiserror::Error;

/// The variables of one session.
pub type Data = BTreeMap<String, Value>;

/// A session variable as it is stored.
///
/// It uses DynamoDB's data model (text, exact decimal numbers, bytes, lists, maps, sets), to which serde types are
/// converted. A number has digits and no type, so 2.0 is stored as 2, and an untagged enum with whole numbers and
/// floats reads it as a whole number. A `u128` or an `i128` of up to 38 digits can be a variable, but not a part of
/// one. A `Vec<u8>` is stored as a list of numbers, which takes several bytes for each; the crate `serde_bytes` stores
/// it as bytes. A store other than DynamoDB keeps it in its own serde form, which loses nothing. `Debug` shows the type
/// only, because the value is the visitor's.
///
/// ```
/// use lambda_session::Value;
///
/// let value = Value::encode("admin")?;
/// assert_eq!(value.decode::<String>()?, "admin");
/// assert_eq!(format!("{value:?}"), "String");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Value(pub(crate) AttributeValue);

/// The error of a value that could not be encoded or decoded. The message of a failed decoding never shows the value.
#[derive(Clone, Debug, Error)]
#[error("{0}")]
pub struct CodecError(String);

impl Value {
    /// Encodes a value as it is stored.
    ///
    /// # Errors
    ///
    /// Returns serde's error for a type that cannot be stored, such as a map whose keys are tuples.
    ///
    /// # Panics
    ///
    /// `serde_dynamo` panics at a map whose keys are lists, maps or byte strings, unless the map is empty.
    ///
    /// ```
    /// # use lambda_session::Value;
    /// assert!(Value::encode(vec!["tea", "milk"]).is_ok());
    /// ```
    pub fn encode<T: Serialize>(value: T) -> Result<Self, CodecError> {
        let encoded = serde_dynamo::to_attribute_value(&value);
        let encoded = encoded.or_else(|error| encode_large(&value).ok_or(error));
        encoded.map(Self).map_err(|error| CodecError(error.to_string()))
    }

    /// Decodes the value as a `T`.
    ///
    /// # Errors
    ///
    /// Fails if the value is not a `T`. serde's own message is left out, because it may show the value.
    ///
    /// ```
    /// # use lambda_session::Value;
    /// let error = Value::encode(4711).unwrap().decode::<u8>().unwrap_err();
    /// assert_eq!(error.to_string(), "a Number is not a u8");
    /// ```
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, CodecError> {
        let decoded = serde_dynamo::from_attribute_value(self.0.clone()).ok();
        decoded.or_else(|| self.decode_large()).ok_or_else(|| {
            let hint = match self.0 {
                AttributeValue::Null(_) => "; ask for an Option of it",
                _ => "",
            };
            CodecError(format!("a {self:?} is not a {}{hint}", std::any::type_name::<T>()))
        })
    }

    fn decode_large<T: DeserializeOwned>(&self) -> Option<T> {
        let AttributeValue::N(digits) = &self.0 else {
            return None;
        };
        serde_json::from_str(digits).ok()
    }
}

/// Encodes a number of 128 bits, which `serde_dynamo` refuses (<https://github.com/zenlist/serde_dynamo/issues/102>).
fn encode_large(value: &impl Serialize) -> Option<AttributeValue> {
    let json = serde_json::to_string(value).ok()?;
    let is_whole = json.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    is_whole.then_some(AttributeValue::N(json))
}

/// `Debug` shows the type only.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            AttributeValue::S(_) => "String",
            AttributeValue::N(_) => "Number",
            AttributeValue::B(_) => "Binary",
            AttributeValue::Bool(_) => "Boolean",
            AttributeValue::Null(_) => "Null",
            AttributeValue::L(_) => "List",
            AttributeValue::M(_) => "Map",
            AttributeValue::Ss(_) => "StringSet",
            AttributeValue::Ns(_) => "NumberSet",
            AttributeValue::Bs(_) => "BinarySet",
        })
    }
}

/// The error of a variable that cannot be stored, or has another type than requested. The message names the variable
/// and does not show its value.
#[derive(Clone, Debug, Error)]
#[error("session variable {name:?}: {reason}")]
pub struct ValueError {
    name: String,
    #[source]
    reason: Reason,
}

/// The kinds of [`ValueError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ValueErrorKind {
    /// The variable does not have the requested type.
    OtherType,
    /// The value or the name cannot be stored: a limit of the store or the value's type forbids it, the library keeps
    /// the name for itself, or the sum of an [`increment`](crate::Session::increment) does not fit in 64 bits.
    NotStorable,
    /// The session would be larger than the store can hold, or than
    /// [`max_bytes`](crate::SessionLayerBuilder::max_bytes) allows.
    TooLarge,
    /// The session was ended or saved already, so nothing can be stored in it.
    Closed,
    /// The function that [`update`](crate::Session::update) got uses the session itself.
    OwnSession,
}

impl ValueError {
    pub(crate) fn new(name: &str, reason: impl Into<Reason>) -> Self {
        Self {
            name: name.to_owned(),
            reason: reason.into(),
        }
    }

    /// The variable's name.
    ///
    /// ```
    /// # use lambda_session::Session;
    /// let error = Session::default().insert("ratio", f64::NAN).unwrap_err();
    /// assert_eq!(error.name(), "ratio");
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What kind of error it is.
    ///
    /// ```
    /// # use lambda_session::{Session, ValueErrorKind};
    /// let error = Session::default().insert("ratio", f64::NAN).unwrap_err();
    /// assert_eq!(error.kind(), ValueErrorKind::NotStorable);
    /// ```
    #[must_use]
    pub fn kind(&self) -> ValueErrorKind {
        match self.reason {
            Reason::OtherType(_) => ValueErrorKind::OtherType,
            Reason::TooLarge { .. } => ValueErrorKind::TooLarge,
            Reason::Saved | Reason::Ended => ValueErrorKind::Closed,
            Reason::OwnSession => ValueErrorKind::OwnSession,
            _ => ValueErrorKind::NotStorable,
        }
    }
}

#[derive(Clone, Debug, Error)]
pub(crate) enum Reason {
    #[error("an empty name")]
    EmptyName,
    #[error("a name of more than {0} bytes, the store's limit")]
    NameTooLong(usize),
    #[error("the session has ended, nothing can be stored in it")]
    Ended,
    #[error(transparent)]
    NotSerializable(CodecError),
    #[error(transparent)]
    OtherType(CodecError),
    #[error("the session was saved already, nothing can be stored in it any more")]
    Saved,
    #[error("not a finite number")]
    NotFinite,
    #[error("a number of more than {digits} digits, or outside 1e{smallest} to 9.99e{largest}, the store's limits")]
    NumberTooLarge { digits: usize, smallest: i64, largest: i64 },
    #[error("the function that computes it uses the session itself")]
    OwnSession,
    #[error("a name that the library keeps for itself")]
    Reserved,
    #[error("the sum is not a whole number of 64 bits")]
    Overflow,
    #[error("lists and maps nested more than {0} deep, the store's limit")]
    TooDeep(usize),
    #[error("an empty set, or one that holds a value twice")]
    NotASet,
    #[error("the session would take {bytes} bytes, more than the {most} that `max_bytes` and the store allow")]
    TooLarge { bytes: usize, most: usize },
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_another_type_asks_for_is_said_without_the_value() {
        let absent = Value::encode(None::<u64>).unwrap().decode::<u64>().unwrap_err();
        assert_eq!(absent.to_string(), "a Null is not a u64; ask for an Option of it");
        assert_eq!(
            Value::encode(None::<u64>).unwrap().decode::<Option<u64>>().unwrap(),
            None
        );
    }

    /// When this fails, `serde_dynamo` has been mended, and [`Value::encode`] need not warn of it.
    #[test]
    #[should_panic(expected = "entered unreachable code")]
    fn a_map_whose_keys_are_lists_panics_in_serde_dynamo() {
        let _ = Value::encode(BTreeMap::from([(vec![1, 2], "two")]));
    }

    #[test]
    fn a_number_has_no_type_and_may_have_128_bits() {
        #[derive(serde::Deserialize, Debug, PartialEq)]
        #[serde(untagged)]
        enum Either {
            Whole(i64),
            Float(f64),
        }

        for number in [5, u128::from(u64::MAX) + 1, u128::MAX] {
            assert_eq!(Value::encode(number).unwrap().decode::<u128>().unwrap(), number);
            assert_eq!(
                Value::encode(Some(number)).unwrap().decode::<Option<u128>>().unwrap(),
                Some(number)
            );
        }
        assert_eq!(Value::encode(i128::MIN).unwrap().decode::<i128>().unwrap(), i128::MIN);
        let large = Value::encode(u128::MAX).unwrap();
        assert_eq!(large.decode::<u64>().unwrap_err().to_string(), "a Number is not a u64");
        let error = Value::encode([5_u128]).unwrap_err();
        assert_eq!(error.to_string(), "u128 is not supported");
        let whole = Value::encode(2.0).unwrap();
        assert_eq!(whole, Value::encode(2).unwrap());
        assert!((whole.decode::<f64>().unwrap() - 2.0).abs() < f64::EPSILON);

        assert_eq!(whole.decode::<Either>().unwrap(), Either::Whole(2));
        let half = Value::encode(2.5).unwrap();
        assert_eq!(half.decode::<Either>().unwrap(), Either::Float(2.5));
    }

    #[test]
    fn json_comes_back_but_for_floats_that_are_whole() {
        let json = serde_json::json!({
            "text": "tea", "none": null, "yes": true, "many": [1, -2, 2.5, 18_446_744_073_709_551_615_u64],
        });
        let value = Value::encode(&json).unwrap();
        assert_eq!(value.decode::<serde_json::Value>().unwrap(), json);
        let whole = Value::encode(serde_json::json!(2.0)).unwrap();
        assert_eq!(whole.decode::<serde_json::Value>().unwrap(), serde_json::json!(2));
    }
}
