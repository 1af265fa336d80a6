//! Values of keys: their types, how they are read and written (Kafka 4.4 `ConfigDef`).

use std::fmt;

/// The type of a key (Kafka 4.4 `ConfigDef.Type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`, in any case.
    Boolean,
    /// Text.
    String,
    /// 32 bits.
    Int,
    /// 16 bits.
    Short,
    /// 64 bits.
    Long,
    /// A floating point number.
    Double,
    /// Texts with commas between them.
    List,
    /// The name of a Java class.
    Class,
    /// Text that is never shown.
    Password,
}

impl Kind {
    /// Kafka's name for it, as its messages have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Int => "INT",
            Self::Short => "SHORT",
            Self::Long => "LONG",
            Self::Double => "DOUBLE",
            Self::List => "LIST",
            Self::Class => "CLASS",
            Self::Password => "PASSWORD",
        }
    }

    /// The number of it in DescribeConfigs (Kafka 4.4 `DescribeConfigsResponse.ConfigType`).
    pub fn id(self) -> i8 {
        match self {
            Self::Boolean => 1,
            Self::String => 2,
            Self::Int => 3,
            Self::Short => 4,
            Self::Long => 5,
            Self::Double => 6,
            Self::List => 7,
            Self::Class => 8,
            Self::Password => 9,
        }
    }

    /// Reads a value; the error is Kafka's message, without the words that name key and value.
    pub fn parse(self, text: &str) -> Result<Value, String> {
        let text = trim(text);
        let not_a_number = || format!("Not a number of type {}", self.name());
        Ok(match self {
            Self::Boolean if text.eq_ignore_ascii_case("true") => Value::Boolean(true),
            Self::Boolean if text.eq_ignore_ascii_case("false") => Value::Boolean(false),
            Self::Boolean => return Err("Expected value to be either true or false".to_owned()),
            Self::String => Value::String(text.to_owned()),
            Self::Int => Value::Int(text.parse().map_err(|_| not_a_number())?),
            Self::Short => Value::Short(text.parse().map_err(|_| not_a_number())?),
            Self::Long => Value::Long(text.parse().map_err(|_| not_a_number())?),
            Self::Double => Value::Double(parse_double(text).ok_or_else(not_a_number)?),
            Self::List => Value::List(split_list(text)),
            Self::Class => Value::Class(text.to_owned()),
            Self::Password => Value::Password(Secret(text.to_owned())),
        })
    }
}

/// A value of a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Not set, where a key may be not set.
    Null,
    /// See [`Kind::Boolean`].
    Boolean(bool),
    /// See [`Kind::String`].
    String(String),
    /// See [`Kind::Int`].
    Int(i32),
    /// See [`Kind::Short`].
    Short(i16),
    /// See [`Kind::Long`].
    Long(i64),
    /// See [`Kind::Double`].
    Double(f64),
    /// See [`Kind::List`].
    List(Vec<String>),
    /// See [`Kind::Class`].
    Class(String),
    /// See [`Kind::Password`].
    Password(Secret),
}

impl Value {
    /// The text of it, as DescribeConfigs shows it (Kafka 4.4 `ConfigDef.convertToString`), secrets
    /// too: whoever shows them must know. `None` if it is not set.
    pub fn text(&self) -> Option<String> {
        Some(match self {
            Self::Null => return None,
            Self::Boolean(value) => value.to_string(),
            Self::String(value) | Self::Class(value) | Self::Password(Secret(value)) => {
                value.clone()
            }
            Self::Int(value) => value.to_string(),
            Self::Short(value) => value.to_string(),
            Self::Long(value) => value.to_string(),
            Self::Double(value) => double_text(*value),
            Self::List(value) => value.join(","),
        })
    }

    /// The number, if it is one.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(f64::from(*value)),
            Self::Short(value) => Some(f64::from(*value)),
            Self::Long(value) => Some(*value as f64),
            Self::Double(value) => Some(*value),
            Self::Null
            | Self::Boolean(_)
            | Self::String(_)
            | Self::List(_)
            | Self::Class(_)
            | Self::Password(_) => None,
        }
    }
}

/// Text that no log and no message shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// A typed field that a value goes into. A key whose declared type does not fit its field is a
/// defect of the declaration: every field is filled when the defaults are, in any test.
pub trait FromValue: Sized {
    /// The value as this type.
    fn from_value(value: &Value) -> Self;
}

/// Ends the program: a declaration has a field that does not hold its key's values.
fn mismatch(value: &Value, wanted: &str) -> ! {
    panic!("a key declared with a field of type {wanted} has the value {value:?}")
}

macro_rules! from_value {
    ($($variant:ident => $type:ty, $convert:expr;)*) => {
        $(impl FromValue for $type {
            fn from_value(value: &Value) -> Self {
                match value {
                    Value::$variant(value) => $convert(value),
                    other => mismatch(other, stringify!($type)),
                }
            }
        })*
    };
}

from_value! {
    Boolean => bool, |value: &bool| *value;
    Int => i32, |value: &i32| *value;
    Short => i16, |value: &i16| *value;
    Long => i64, |value: &i64| *value;
    Double => f64, |value: &f64| *value;
    List => Vec<String>, |value: &Vec<String>| value.clone();
    Password => Secret, |value: &Secret| value.clone();
}

impl FromValue for String {
    fn from_value(value: &Value) -> Self {
        match value {
            Value::String(value) | Value::Class(value) => value.clone(),
            other => mismatch(other, "String"),
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Self {
        match value {
            Value::Null => None,
            value => Some(T::from_value(value)),
        }
    }
}

/// As Java's `String.trim`: everything up to the space character is white.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}

/// A list, as Kafka splits it: at commas, without the white space around them. The parts may be
/// empty; an empty text is the empty list.
pub(super) fn split_list(text: &str) -> Vec<String> {
    let text = trim(text);
    if text.is_empty() {
        return Vec::new();
    }
    let is_white = |c: char| matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r');
    text.split(',').map(|part| part.trim_matches(is_white).to_owned()).collect()
}

/// A number as Java's `Double.parseDouble` takes it, without its hexadecimal form.
fn parse_double(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    match unsigned {
        "NaN" => return Some(f64::NAN),
        "Infinity" => return Some(sign * f64::INFINITY),
        _ => {}
    }
    // Java lets a number end in d or f; Rust takes words for infinity that Java does not.
    let unsigned = unsigned.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(unsigned);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    unsigned.parse::<f64>().ok().map(|value| sign * value)
}

/// A number as Java's `Double.toString` writes it.
pub(super) fn double_text(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let size = value.abs();
    if value == 0.0 || (1e-3..1e7).contains(&size) {
        return format!("{value:?}");
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let point = if digits.contains('.') { "" } else { ".0" };
    format!("{digits}{point}E{exponent}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_java_writes_them() {
        for (value, text) in [
            (0.0, "0.0"),
            (0.5, "0.5"),
            (1.0, "1.0"),
            (0.001, "0.001"),
            (0.00099, "9.9E-4"),
            (1e6, "1000000.0"),
            (1e7, "1.0E7"),
            (12_345_678.9, "1.23456789E7"),
            (-2.5, "-2.5"),
            (f64::MAX, "1.7976931348623157E308"),
            (f64::INFINITY, "Infinity"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(double_text(value), text);
        }
    }

    #[test]
    fn what_java_takes_for_a_number_is_one_and_nothing_else() {
        for (text, value) in
            [("1e3", 1000.0), ("+.5", 0.5), ("5.", 5.0), ("1d", 1.0), ("-2f", -2.0)]
        {
            assert_eq!(Kind::Double.parse(text), Ok(Value::Double(value)));
        }
        for text in ["", "inf", "infinity", "nan", "1,5", "--1", "0x10"] {
            assert_eq!(Kind::Double.parse(text), Err("Not a number of type DOUBLE".to_owned()));
        }
        assert_eq!(Kind::Int.parse("2147483648"), Err("Not a number of type INT".to_owned()));
        assert_eq!(Kind::Int.parse(" +7 "), Ok(Value::Int(7)));
        assert_eq!(Kind::Short.parse("32768"), Err("Not a number of type SHORT".to_owned()));
        assert_eq!(Kind::Long.parse("1.0"), Err("Not a number of type LONG".to_owned()));
    }

    #[test]
    fn a_boolean_is_taken_in_any_case_and_only_whole() {
        assert_eq!(Kind::Boolean.parse(" TrUe"), Ok(Value::Boolean(true)));
        assert_eq!(
            Kind::Boolean.parse("yes"),
            Err("Expected value to be either true or false".to_owned())
        );
    }

    #[test]
    fn a_list_keeps_its_empty_parts_and_an_empty_text_is_an_empty_list() {
        let list = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
        assert_eq!(split_list("  "), list(&[]));
        assert_eq!(split_list(" a , b\t,c "), list(&["a", "b", "c"]));
        assert_eq!(split_list("a,,b,"), list(&["a", "", "b", ""]));
    }

    #[test]
    fn a_secret_is_not_shown_when_it_is_printed() {
        assert_eq!(format!("{:?}", Kind::Password.parse("hunter2")), "Ok(Password([hidden]))");
    }
}
