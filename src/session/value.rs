//! What a session variable may hold: DynamoDB's own types, and its limits on them.

use std::collections::{BTreeMap, HashSet};
use std::hash::Hash;

use thiserror::Error;

/// A session variable as it is stored: DynamoDB's data model, without its SDK.
pub type Value = serde_dynamo::AttributeValue;

/// The variables of one session.
pub type Data = BTreeMap<String, Value>;

/// Most bytes one session's variables may take. DynamoDB's limit on an item is 400 KB (409,600 bytes); the 1,024
/// left over are for the record's other attributes.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-items>
pub const MAX_DATA_BYTES: usize = 400 * 1024 - 1024;

/// Most lists and maps a variable may nest: DynamoDB's 32 levels, less the map that holds all variables and the
/// innermost value.
pub const MAX_DEPTH: usize = 30;

/// Most bytes of a variable's name: DynamoDB's limit on an attribute's.
const MAX_NAME_BYTES: usize = 65_535;

/// Most significant digits of a number.
const MAX_DIGITS: usize = 38;

/// Why a variable cannot be stored, or is not of the type asked for. Names the variable, never shows its value.
#[derive(Debug, Error)]
#[error("session variable {name:?}: {reason}")]
pub struct ValueError {
    name: String,
    reason: Reason,
}

impl ValueError {
    pub(crate) fn new(name: &str, reason: Reason) -> Self {
        Self {
            name: name.to_owned(),
            reason,
        }
    }

    /// The variable's name.
    ///
    /// ```
    /// # use lambda_session::session::Session;
    /// let error = Session::default().insert("ratio", f64::NAN).unwrap_err();
    /// assert_eq!(error.name(), "ratio");
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

#[derive(Debug, Error)]
pub(crate) enum Reason {
    #[error("an empty name, which DynamoDB cannot hold")]
    EmptyName,
    #[error("a name of more than {MAX_NAME_BYTES} bytes, DynamoDB's limit")]
    NameTooLong,
    #[error("the session has ended, nothing can be stored in it")]
    Ended,
    #[error("{0}")]
    NotSerializable(serde_dynamo::Error),
    #[error("a {stored:?} is not a {wanted}")]
    OtherType { stored: Type, wanted: &'static str },
    #[error("the session was saved already, nothing can be stored in it any more")]
    Saved,
    #[error("not a finite number")]
    NotFinite,
    #[error("a number of more than {MAX_DIGITS} digits, or outside 1e-130 to 9.99e125, DynamoDB's limits")]
    NumberTooLarge,
    #[error("lists and maps nested more than {MAX_DEPTH} deep, DynamoDB's limit")]
    TooDeep,
    #[error("an empty set, or one that holds a value twice, which DynamoDB cannot hold")]
    NotASet,
    #[error("the session would take {0} bytes, more than the {MAX_DATA_BYTES} that fit a DynamoDB item (400 KB)")]
    TooLarge(usize),
}

/// Refuses what DynamoDB would refuse, before anything is sent.
pub(crate) fn check(name: &str, value: &Value) -> Result<(), Reason> {
    check_name(name)?;
    check_nested(value, MAX_DEPTH)
}

fn check_name(name: &str) -> Result<(), Reason> {
    match name.len() {
        0 => Err(Reason::EmptyName),
        1..=MAX_NAME_BYTES => Ok(()),
        _ => Err(Reason::NameTooLong),
    }
}

fn check_nested(value: &Value, depth_left: usize) -> Result<(), Reason> {
    let inner = || depth_left.checked_sub(1).ok_or(Reason::TooDeep);
    match value {
        Value::N(text) => check_number(text),
        Value::L(values) => {
            let left = inner()?;
            values.iter().try_for_each(|value| check_nested(value, left))
        }
        Value::M(values) => {
            let left = inner()?;
            values.iter().try_for_each(|(name, value)| {
                check_name(name)?;
                check_nested(value, left)
            })
        }
        Value::Ss(set) => check_set(set.len(), &members(set)),
        Value::Bs(set) => check_set(set.len(), &members(set)),
        Value::Ns(set) => {
            set.iter().try_for_each(|text| check_number(text))?;
            check_set(set.len(), &numbers(set))
        }
        _ => Ok(()),
    }
}

fn check_set<T>(len: usize, members: &HashSet<T>) -> Result<(), Reason> {
    if len == 0 || members.len() < len {
        return Err(Reason::NotASet);
    }
    Ok(())
}

fn check_number(text: &str) -> Result<(), Reason> {
    let number = Decimal::parse(text).ok_or(Reason::NotFinite)?;
    let in_range = number.digits.is_empty() || (-130..=125).contains(&number.exponent);
    if number.digits.len() <= MAX_DIGITS && in_range {
        Ok(())
    } else {
        Err(Reason::NumberTooLarge)
    }
}

/// Whether two values are the same to DynamoDB, which gives `1.50` back as `1.5`, and sets in its own order.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::N(a), Value::N(b)) => same_number(a, b),
        (Value::L(a), Value::L(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::M(a), Value::M(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        (Value::Ss(a), Value::Ss(b)) => members(a) == members(b),
        (Value::Bs(a), Value::Bs(b)) => members(a) == members(b),
        (Value::Ns(a), Value::Ns(b)) => numbers(a) == numbers(b),
        _ => a == b,
    }
}

fn same_number(a: &str, b: &str) -> bool {
    a == b || Decimal::parse(a).is_some_and(|number| Some(number) == Decimal::parse(b))
}

fn members<T: Eq + Hash>(set: &[T]) -> HashSet<&T> {
    set.iter().collect()
}

fn numbers(set: &[String]) -> HashSet<Option<Decimal>> {
    set.iter().map(|text| Decimal::parse(text)).collect()
}

/// A decimal number in one spelling: no leading or trailing zeros, and the power of ten of its first digit.
#[derive(PartialEq, Eq, Hash)]
struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let (negative, text) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, power) = match text.split_once(['e', 'E']) {
            Some((mantissa, power)) => (mantissa, power.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let leading = digits.iter().take_while(|&&digit| digit == b'0').count();
        let trailing = digits.iter().rev().take_while(|&&digit| digit == b'0').count();
        if leading == digits.len() {
            return Some(Self {
                negative: false,
                digits: Vec::new(),
                exponent: 0,
            });
        }
        Some(Self {
            negative,
            exponent: i64::try_from(whole.len()).ok()? - i64::try_from(leading).ok()? - 1 + i64::from(power),
            digits: digits[leading..digits.len() - trailing].to_vec(),
        })
    }
}

/// At least how many bytes DynamoDB counts for the variables (it counts numbers only "approximately").
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
pub(crate) fn data_size<'a>(data: impl IntoIterator<Item = (&'a String, &'a Value)>) -> usize {
    data.into_iter().map(|(name, value)| name.len() + 1 + size(value)).sum()
}

fn size(value: &Value) -> usize {
    const CONTAINER: usize = 3;
    let number = |text: &String| Decimal::parse(text).map_or(1, |number| number.digits.len().div_ceil(2) + 1);
    match value {
        Value::S(text) => text.len(),
        Value::N(text) => number(text),
        Value::B(bytes) => bytes.len(),
        Value::Bool(_) | Value::Null(_) => 1,
        Value::L(values) => CONTAINER + values.iter().map(|value| 1 + size(value)).sum::<usize>(),
        Value::M(values) => CONTAINER + data_size(values),
        Value::Ss(texts) => texts.iter().map(String::len).sum(),
        Value::Ns(texts) => texts.iter().map(number).sum(),
        Value::Bs(blobs) => blobs.iter().map(Vec::len).sum(),
    }
}

/// A value's type, for messages and `Debug` output that must not show the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    String,
    Number,
    Binary,
    Boolean,
    Null,
    List,
    Map,
    StringSet,
    NumberSet,
    BinarySet,
}

impl Type {
    pub(crate) fn of(value: &Value) -> Self {
        match value {
            Value::S(_) => Self::String,
            Value::N(_) => Self::Number,
            Value::B(_) => Self::Binary,
            Value::Bool(_) => Self::Boolean,
            Value::Null(_) => Self::Null,
            Value::L(_) => Self::List,
            Value::M(_) => Self::Map,
            Value::Ss(_) => Self::StringSet,
            Value::Ns(_) => Self::NumberSet,
            Value::Bs(_) => Self::BinarySet,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Value {
        Value::N(text.to_owned())
    }

    fn nested(depth: usize) -> Value {
        (0..depth).fold(Value::Null(true), |value, _| Value::L(vec![value]))
    }

    #[test]
    fn numbers_that_dynamodb_gives_back_in_another_spelling_are_the_same() {
        for (a, b) in [
            ("1", "1.0"),
            ("+1", "1"),
            ("0.0000001", "1E-7"),
            ("100", "1e+2"),
            ("-0", "0"),
            ("-1.50", "-1.5"),
        ] {
            assert!(same(&number(a), &number(b)), "{a} {b}");
        }
        for (a, b) in [("1", "-1"), ("1", "10"), ("0.1", "0.01"), ("1", "x"), ("x", "y")] {
            assert!(!same(&number(a), &number(b)), "{a} {b}");
        }
    }

    #[test]
    fn numbers_within_dynamodbs_limits_pass_and_others_do_not() {
        let digits_38 = "9".repeat(38);
        let digits_39 = "9".repeat(39);
        for text in [
            "0",
            "-1.5",
            &digits_38,
            "1e125",
            "9.99E125",
            "1E-130",
            &format!("{digits_38}00"),
        ] {
            assert!(check("x", &number(text)).is_ok(), "{text}");
        }
        for text in [
            "NaN",
            "inf",
            "-inf",
            "",
            "-",
            "1e",
            ".",
            "1_0",
            &digits_39,
            "1e126",
            "1e-131",
            "1e99999999999",
        ] {
            assert!(check("x", &number(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        assert!(check("x", &nested(MAX_DEPTH)).is_ok());
        assert!(matches!(check("x", &nested(MAX_DEPTH + 1)), Err(Reason::TooDeep)));
    }

    fn text(text: &str) -> Value {
        Value::S(text.to_owned())
    }

    fn list(values: &[&str]) -> Value {
        Value::L(values.iter().map(|value| number(value)).collect())
    }

    fn map(values: &[(&str, &str)]) -> Value {
        Value::M(
            values
                .iter()
                .map(|(name, value)| ((*name).to_owned(), number(value)))
                .collect(),
        )
    }

    #[test]
    fn a_name_has_a_byte_and_no_more_than_dynamodb_takes() {
        let longest = "n".repeat(MAX_NAME_BYTES);
        assert!(check(&longest, &text("")).is_ok());
        assert!(matches!(
            check(&format!("{longest}n"), &text("")),
            Err(Reason::NameTooLong)
        ));
        assert!(matches!(check("", &text("")), Err(Reason::EmptyName)));
        assert!(matches!(check("x", &map(&[("", "1")])), Err(Reason::EmptyName)));
    }

    #[test]
    fn lists_and_maps_are_the_same_member_by_member() {
        assert!(same(&list(&["1", "2"]), &list(&["1.0", "2"])));
        for other in [&["1"][..], &["1", "2", "3"], &["2", "1"], &["1", "3"]] {
            assert!(!same(&list(&["1", "2"]), &list(other)), "{other:?}");
        }
        assert!(same(&map(&[("a", "1"), ("b", "2")]), &map(&[("b", "2.0"), ("a", "1")])));
        for other in [&[("a", "1")][..], &[("a", "1"), ("b", "3")], &[("a", "1"), ("c", "2")]] {
            assert!(!same(&map(&[("a", "1"), ("b", "2")]), &map(other)), "{other:?}");
        }
    }

    #[test]
    fn sets_are_the_same_in_any_order() {
        let texts = |members: &[&str]| members.iter().map(ToString::to_string).collect::<Vec<_>>();
        let numbers = |members: &[&str]| Value::Ns(texts(members));
        assert!(same(&numbers(&["1", "2"]), &numbers(&["2.0", "1"])));
        assert!(matches!(check("x", &numbers(&["1", "2", "1.0"])), Err(Reason::NotASet)));
        let blobs = |members: Vec<String>| Value::Bs(members.into_iter().map(String::into_bytes).collect());
        let kinds: [fn(Vec<String>) -> Value; 3] = [Value::Ns, Value::Ss, blobs];
        for kind in kinds {
            let set = |members: &[&str]| kind(texts(members));
            assert!(same(&set(&["1", "2"]), &set(&["2", "1"])));
            assert!(!same(&set(&["1", "2"]), &set(&["1", "3"])));
            assert!(check("x", &set(&["1", "2"])).is_ok());
            assert!(matches!(check("x", &set(&[])), Err(Reason::NotASet)));
            assert!(matches!(check("x", &set(&["1", "1"])), Err(Reason::NotASet)));
        }
    }

    #[test]
    fn a_size_is_what_dynamodbs_documentation_says() {
        for (value, bytes) in [
            (text("abc"), 3),
            (Value::Bool(true), 1),
            (Value::B(vec![0; 5]), 5),
            (number("0"), 1),
            (number("12345"), 4),
            (number("120"), 2),
            (list(&[]), 3),
            (list(&["1", "2"]), 3 + 2 * (1 + 2)),
            (map(&[("ab", "1")]), 3 + 2 + 1 + 2),
            (Value::Ss(vec!["ab".to_owned(), "c".to_owned()]), 3),
            (Value::Ns(vec!["1".to_owned(), "234".to_owned()]), 2 + 3),
            (Value::Bs(vec![vec![0; 4], vec![1]]), 5),
        ] {
            assert_eq!(size(&value), bytes, "{value:?}");
        }
    }
}
