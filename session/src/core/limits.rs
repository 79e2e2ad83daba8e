//! Store limits and value equality.

use std::collections::HashSet;
use std::hash::Hash;
use std::ops::RangeInclusive;

use serde_dynamo::AttributeValue;

use super::value::{Reason, Value};

/// The limits of a store. [`Session::insert`](crate::Session::insert) refuses a value beyond them before anything is
/// sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The most bytes that the variables of one session may take, with their names, as [DynamoDB counts][sizes].
    ///
    /// [sizes]: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    pub bytes: usize,
    /// The most bytes of a variable's name.
    pub name_bytes: usize,
    /// The most levels of lists and maps that a variable may nest, at most 60.
    pub depth: usize,
    /// The most significant digits of a number.
    pub digits: usize,
    /// The powers of ten that the first digit of a number may have.
    pub exponents: RangeInclusive<i64>,
}

impl Limits {
    /// No limits except those of memory, and 60 levels of nesting.
    pub const NONE: Self = Self {
        bytes: usize::MAX,
        name_bytes: usize::MAX,
        depth: 60,
        digits: usize::MAX,
        exponents: i64::MIN..=i64::MAX,
    };

    /// The limits of DynamoDB, which [`DynamoDbStore`](crate::DynamoDbStore) has, and
    /// [`MemoryStore`](crate::MemoryStore) unless told otherwise.
    pub const DYNAMODB: Self = Self {
        // An item may have 400 KB. The rest is for the record's other attributes; a sealed owner needs most.
        bytes: 400 * 1024 - 4 * 1024,
        name_bytes: 65_535,
        // DynamoDB allows 32 levels. The map of all variables and the innermost value take one each.
        depth: 30,
        digits: 38,
        exponents: -130..=125,
    };
}

/// Refuses a variable that the store would refuse.
pub(crate) fn check(limits: &Limits, name: &str, value: &Value) -> Result<(), Reason> {
    check_name(limits, name)?;
    check_nested(limits, &value.0, limits.depth)
}

fn check_name(limits: &Limits, name: &str) -> Result<(), Reason> {
    if name.is_empty() {
        Err(Reason::EmptyName)
    } else if name.len() > limits.name_bytes {
        Err(Reason::NameTooLong(limits.name_bytes))
    } else {
        Ok(())
    }
}

fn check_nested(limits: &Limits, value: &AttributeValue, depth_left: usize) -> Result<(), Reason> {
    use AttributeValue as Value;
    let inner = || depth_left.checked_sub(1).ok_or(Reason::TooDeep(limits.depth));
    match value {
        Value::N(text) => check_number(limits, text),
        Value::L(values) => {
            let left = inner()?;
            values.iter().try_for_each(|value| check_nested(limits, value, left))
        }
        Value::M(values) => {
            let left = inner()?;
            values.iter().try_for_each(|(name, value)| {
                check_name(limits, name)?;
                check_nested(limits, value, left)
            })
        }
        Value::Ss(set) => check_set(set.len(), &members(set)),
        Value::Bs(set) => check_set(set.len(), &members(set)),
        Value::Ns(set) => {
            set.iter().try_for_each(|text| check_number(limits, text))?;
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

fn check_number(limits: &Limits, text: &str) -> Result<(), Reason> {
    let number = Decimal::parse(text).ok_or(Reason::NotFinite)?;
    let in_range = number.digits.is_empty() || limits.exponents.contains(&number.exponent);
    if number.digits.len() <= limits.digits && in_range {
        return Ok(());
    }
    Err(Reason::NumberTooLarge {
        digits: limits.digits,
        smallest: *limits.exponents.start(),
        largest: *limits.exponents.end(),
    })
}

/// Whether a store may return one value for the other: DynamoDB returns `1.50` as `1.5`, and sets in its own order.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    same_attribute(&a.0, &b.0)
}

fn same_attribute(a: &AttributeValue, b: &AttributeValue) -> bool {
    use AttributeValue as Value;
    match (a, b) {
        (Value::N(a), Value::N(b)) => a == b || Decimal::parse(a).is_some_and(|a| Some(a) == Decimal::parse(b)),
        (Value::L(a), Value::L(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_attribute(a, b)),
        (Value::M(a), Value::M(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(name, a)| b.get(name).is_some_and(|b| same_attribute(a, b)))
        }
        (Value::Ss(a), Value::Ss(b)) => members(a) == members(b),
        (Value::Bs(a), Value::Bs(b)) => members(a) == members(b),
        (Value::Ns(a), Value::Ns(b)) => numbers(a) == numbers(b),
        _ => a == b,
    }
}

fn members<T: Eq + Hash>(set: &[T]) -> HashSet<&T> {
    set.iter().collect()
}

fn numbers(set: &[String]) -> HashSet<Option<Decimal>> {
    set.iter().map(|text| Decimal::parse(text)).collect()
}

/// A decimal number in canonical form: no leading or trailing zeros, and the power of ten of its first digit.
#[derive(Default, PartialEq, Eq, Hash)]
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (mantissa, power) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, power)) => (mantissa, power.parse::<i32>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = [whole, fraction].concat();
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let significant = digits.trim_start_matches('0');
        if significant.is_empty() {
            return Some(Self::default());
        }
        let leading = digits.len() - significant.len();
        Some(Self {
            negative: text.starts_with('-'),
            exponent: i64::try_from(whole.len()).ok()? - i64::try_from(leading).ok()? - 1 + i64::from(power),
            digits: significant.trim_end_matches('0').to_owned(),
        })
    }
}

/// The fewest bytes that DynamoDB may count for a variable (it counts numbers only "approximately").
pub(crate) fn variable_size(name: &str, value: &Value) -> usize {
    name.len() + 1 + size(&value.0)
}

fn size(value: &AttributeValue) -> usize {
    use AttributeValue as Value;
    const CONTAINER: usize = 3;
    let number = |text: &String| Decimal::parse(text).map_or(1, |number| number.digits.len().div_ceil(2) + 1);
    let named = |(name, value): (&String, _)| name.len() + 1 + size(value);
    match value {
        Value::S(text) => text.len(),
        Value::N(text) => number(text),
        Value::B(bytes) => bytes.len(),
        Value::Bool(_) | Value::Null(_) => 1,
        Value::L(values) => CONTAINER + values.iter().map(|value| 1 + size(value)).sum::<usize>(),
        Value::M(values) => CONTAINER + values.iter().map(named).sum::<usize>(),
        Value::Ss(texts) => texts.iter().map(String::len).sum(),
        Value::Ns(texts) => texts.iter().map(number).sum(),
        Value::Bs(blobs) => blobs.iter().map(Vec::len).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_DEPTH: usize = 30;
    const MAX_NAME_BYTES: usize = 65_535;
    const LIMITS: Limits = Limits {
        bytes: 1_000,
        name_bytes: MAX_NAME_BYTES,
        depth: MAX_DEPTH,
        digits: 38,
        exponents: -130..=125,
    };

    fn check(name: &str, value: &AttributeValue) -> Result<(), Reason> {
        super::check(&LIMITS, name, &crate::core::value::Value(value.clone()))
    }

    fn same(a: &AttributeValue, b: &AttributeValue) -> bool {
        same_attribute(a, b)
    }

    use AttributeValue as Value;

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
        assert!(matches!(check("x", &nested(MAX_DEPTH + 1)), Err(Reason::TooDeep(_))));
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
            Err(Reason::NameTooLong(_))
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
