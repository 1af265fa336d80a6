//! What a value must satisfy beyond its type (Kafka 4.4 `ConfigDef.Validator` and its kinds).

use super::offset_reset::AutoOffsetReset;
use super::quorum;
use super::value::Value;

/// A rule for the values of a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Check {
    /// Every value of the type, and none, where the default is none.
    Any,
    /// A number, this or more.
    AtLeast(i64),
    /// A number in this range, both ends included.
    Between(i64, i64),
    /// A number from 0 to this, both included.
    UpTo(f64),
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// One of these texts, in any case.
    OneOfAnyCase(&'static [&'static str]),
    /// A list of some of these texts, or an empty one.
    SomeOf(&'static [&'static str]),
    /// A list of some of these texts, and not an empty one.
    AnyOf(&'static [&'static str]),
    /// A list, which may be empty, of texts that are not.
    Names,
    /// A list, which may not be empty, of texts that are not.
    NonEmptyNames,
    /// A text, be it empty.
    NonNull,
    /// A text that is not empty, or none.
    NonEmpty,
    /// A level of gzip, or -1 for its default.
    GzipLevel,
    /// PARTITION:BROKER, each, or `*` alone.
    ThrottledReplicas,
    /// ID@HOST:PORT, each.
    Voters,
    /// HOST:PORT, each.
    BootstrapServers,
    /// Where a share group begins.
    AutoOffsetReset,
}

/// Why a value was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CheckFault {
    /// A message of Kafka's about the value of the key.
    OfValue(String),
    /// A message of Kafka's about one part of a list, which it names as the value.
    OfPart(String, String),
    /// A whole message of Kafka's.
    Whole(String),
}

impl Check {
    /// Whether duplicates in a list are dropped before anything else (Kafka does it where its
    /// validator is a `ValidList`).
    pub(super) fn drops_duplicates(self) -> bool {
        match self {
            Self::SomeOf(_) | Self::AnyOf(_) | Self::Names | Self::NonEmptyNames => true,
            Self::Any
            | Self::AtLeast(_)
            | Self::Between(..)
            | Self::UpTo(_)
            | Self::OneOf(_)
            | Self::OneOfAnyCase(_)
            | Self::NonNull
            | Self::NonEmpty
            | Self::GzipLevel
            | Self::ThrottledReplicas
            | Self::Voters
            | Self::BootstrapServers
            | Self::AutoOffsetReset => false,
        }
    }

    /// Checks a value that was set: it is not [`Value::Null`].
    pub(super) fn verify(self, name: &str, value: &Value) -> Result<(), CheckFault> {
        let number = || value.number().unwrap_or(f64::NAN);
        let text = match value {
            Value::String(text) | Value::Class(text) => text.as_str(),
            _ => "",
        };
        let list: &[String] = if let Value::List(list) = value { list } else { &[] };
        match self {
            Self::NonEmpty if text.is_empty() => {
                Err(CheckFault::OfValue("String must be non-empty".to_owned()))
            }
            Self::Any | Self::NonNull | Self::NonEmpty => Ok(()),
            Self::AtLeast(min) => at_least(number(), min as f64, &min),
            Self::Between(min, max) => at_least(number(), min as f64, &min)
                .and_then(|()| at_most(number(), max as f64, &max)),
            Self::UpTo(max) => {
                at_least(number(), 0.0, &0).and_then(|()| at_most(number(), max, &max))
            }
            Self::OneOf(valid) => one_of(valid, text),
            Self::OneOfAnyCase(valid) if valid.iter().any(|v| v.eq_ignore_ascii_case(text)) => {
                Ok(())
            }
            Self::OneOfAnyCase(valid) => Err(CheckFault::OfValue(format!(
                "String must be one of (case insensitive): {}",
                valid.join(", ")
            ))),
            Self::SomeOf(valid) => parts(name, list, valid),
            Self::AnyOf(valid) => not_empty(name, list, &format!("[{}]", valid.join(", ")))
                .and_then(|()| parts(name, list, valid)),
            Self::Names => parts(name, list, &[]),
            Self::NonEmptyNames => {
                not_empty(name, list, "any non-empty value").and_then(|()| parts(name, list, &[]))
            }
            Self::GzipLevel => match value {
                Value::Int(-1 | 1..=9) => Ok(()),
                _ => Err(CheckFault::OfValue(
                    "Value must be between 1 and 9 or equal to -1".to_owned(),
                )),
            },
            Self::ThrottledReplicas => throttled_replicas(name, list),
            Self::Voters => quorum::parse_voters(list).map(|_| ()).map_err(CheckFault::Whole),
            Self::BootstrapServers => {
                quorum::parse_bootstrap_servers(list).map(|_| ()).map_err(CheckFault::Whole)
            }
            Self::AutoOffsetReset if AutoOffsetReset::parse(text).is_some() => Ok(()),
            Self::AutoOffsetReset => Err(CheckFault::OfValue(format!(
                "Invalid value `{text}` for configuration {name}. The value must be either \
                 'earliest', 'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'."
            ))),
        }
    }

    /// The values that it accepts, as Kafka's documentation shows them; empty where it is silent.
    pub fn valid_values(self) -> String {
        match self {
            Self::Any | Self::Names | Self::NonEmptyNames => String::new(),
            Self::AtLeast(min) => format!("[{min},...]"),
            Self::Between(min, max) => format!("[{min},...,{max}]"),
            Self::UpTo(max) => format!("[0,...,{max}]"),
            Self::OneOf(valid) | Self::SomeOf(valid) | Self::AnyOf(valid) => {
                format!("[{}]", valid.join(", "))
            }
            Self::OneOfAnyCase(valid) => format!("(case insensitive) [{}]", valid.join(", ")),
            Self::NonNull => "non-null string".to_owned(),
            Self::NonEmpty => "non-empty string".to_owned(),
            Self::GzipLevel => "[1,...,9] or -1".to_owned(),
            Self::ThrottledReplicas => {
                "[partitionId]:[brokerId],[partitionId]:[brokerId],...".to_owned()
            }
            Self::Voters | Self::BootstrapServers => "non-empty list".to_owned(),
            Self::AutoOffsetReset => "[latest, earliest, by_duration:PnDTnHnMn.nS]".to_owned(),
        }
    }
}

fn at_least(number: f64, min: f64, shown: &dyn std::fmt::Display) -> Result<(), CheckFault> {
    if number < min {
        return Err(CheckFault::OfValue(format!("Value must be at least {shown}")));
    }
    Ok(())
}

fn at_most(number: f64, max: f64, shown: &dyn std::fmt::Display) -> Result<(), CheckFault> {
    if number > max {
        return Err(CheckFault::OfValue(format!("Value must be no more than {shown}")));
    }
    Ok(())
}

fn one_of(valid: &[&str], text: &str) -> Result<(), CheckFault> {
    if valid.contains(&text) {
        return Ok(());
    }
    Err(CheckFault::OfValue(format!("String must be one of: {}", valid.join(", "))))
}

fn not_empty(name: &str, list: &[String], valid: &str) -> Result<(), CheckFault> {
    if list.is_empty() {
        return Err(CheckFault::Whole(format!(
            "Configuration '{name}' must not be empty. Valid values include: {valid}"
        )));
    }
    Ok(())
}

/// The parts of a list, each of which must be one of those valid, if any are named.
fn parts(name: &str, list: &[String], valid: &[&str]) -> Result<(), CheckFault> {
    for part in list {
        if part.is_empty() {
            return Err(CheckFault::Whole(format!(
                "Configuration '{name}' values must not be empty."
            )));
        }
        if !valid.is_empty() && !valid.contains(&part.as_str()) {
            let message = format!("String must be one of: {}", valid.join(", "));
            return Err(CheckFault::OfPart(part.clone(), message));
        }
    }
    Ok(())
}

fn throttled_replicas(name: &str, list: &[String]) -> Result<(), CheckFault> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_replica = |part: &String| {
        part.is_empty() || part.split_once(':').is_some_and(|(a, b)| is_number(a) && is_number(b))
    };
    if list.iter().all(is_replica) || list.concat() == "*" {
        return Ok(());
    }
    Err(CheckFault::OfValue(format!(
        "{name} must be the literal '*' or a list of replicas in the following format: \
         [partitionId]:[brokerId],[partitionId]:[brokerId],..."
    )))
}
