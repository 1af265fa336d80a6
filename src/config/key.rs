//! What is declared of a key, and the macro that declares it.

use super::check::{Check, CheckFault};
use super::error::ValueError;
use super::value::{Kind, Value};

/// How much a key matters (Kafka 4.4 `ConfigDef.Importance`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Importance {
    /// To be reviewed before going into production.
    High,
    /// Worth reviewing.
    Medium,
    /// Rarely touched.
    Low,
    /// For tests and emergencies; shown only where it is set.
    Internal,
}

/// How a broker's key may be altered while it runs (KIP-226).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Not at all.
    ReadOnly,
    /// For one broker, not for all at once.
    PerBroker,
    /// For one broker or for all.
    ClusterWide,
}

impl Mode {
    /// As Kafka's documentation writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::PerBroker => "per-broker",
            Self::ClusterWide => "cluster-wide",
        }
    }
}

/// What becomes of a key that is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It goes into this field.
    Field(&'static str),
    /// It is kept and shown, and will not be acted on, for this reason.
    Accepted(&'static str),
    /// It is kept and shown, and not implemented yet.
    Pending {
        /// The field that it goes into, "" for none.
        field: &'static str,
        /// What happens instead.
        effect: &'static str,
    },
    /// Any other value than the default and these stops the start, for this reason.
    Refused(&'static [&'static str], &'static str),
}

/// The default of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// This text, read like any other value.
    Text(&'static str),
    /// None: the key may be not set.
    Null,
    /// There is none: the key must be set.
    Required,
}

/// A key of a broker's from which a topic's key takes its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Synonym {
    /// The broker's key.
    pub name: &'static str,
    /// How many of the topic's units one of the broker's is: 3,600,000 where that counts hours.
    pub factor: i64,
}

/// One key.
#[derive(Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// The type of its values.
    pub kind: Kind,
    /// Its default.
    pub default: Default,
    /// What its values must satisfy.
    pub check: Check,
    /// How much it matters.
    pub importance: Importance,
    /// How it may be altered.
    pub mode: Mode,
    /// Where a topic's or group's key takes its default from, the first that is set.
    pub synonyms: &'static [Synonym],
    /// What becomes of it.
    pub status: Status,
    /// One sentence on what it is for.
    pub doc: &'static str,
}

impl Key {
    /// Reads a value and checks it.
    pub fn parse(&self, text: &str) -> Result<Value, ValueError> {
        let mut value =
            self.kind.parse(text).map_err(|message| self.error(Some(text.to_owned()), message))?;
        if let (Value::List(list), true) = (&mut value, self.check.drops_duplicates()) {
            let mut seen: Vec<String> = Vec::with_capacity(list.len());
            for part in list.drain(..) {
                if !seen.contains(&part) {
                    seen.push(part);
                }
            }
            *list = seen;
        }
        self.check_value(&value)?;
        Ok(value)
    }

    /// Checks a value that is of the key's type; no value is one that it need not have.
    pub(super) fn check_value(&self, value: &Value) -> Result<(), ValueError> {
        if *value == Value::Null {
            return Ok(());
        }
        match self.check.verify(self.name, value) {
            Ok(()) => Ok(()),
            Err(CheckFault::OfValue(message)) => Err(self.error(Some(shown(value)), message)),
            Err(CheckFault::OfPart(part, message)) => Err(self.error(Some(part), message)),
            Err(CheckFault::Whole(message)) => {
                Err(ValueError { key: self.name.to_owned(), message, accepted: self.accepted() })
            }
        }
    }

    /// The default; `Null` too where the key must be set.
    pub fn default_value(&self) -> Value {
        match self.default {
            // The declarations are tested: every default is read.
            Default::Text(text) => self.kind.parse(text).unwrap_or(Value::Null),
            Default::Null | Default::Required => Value::Null,
        }
    }

    /// The default as DescribeConfigs shows it.
    pub fn default_text(&self) -> Option<String> {
        self.default_value().text()
    }

    /// Whether its value must not be shown.
    pub fn is_sensitive(&self) -> bool {
        self.kind == Kind::Password
    }

    /// Whether it is only shown where it is set.
    pub fn is_internal(&self) -> bool {
        self.importance == Importance::Internal
    }

    /// Whether this value stops the start, and why.
    pub fn refusal(&self, value: &Value) -> Option<&'static str> {
        let Status::Refused(harmless, reason) = self.status else { return None };
        let text = value.text().unwrap_or_default();
        let is_harmless =
            text.is_empty() || *value == self.default_value() || harmless.contains(&text.as_str());
        (!is_harmless).then_some(reason)
    }

    /// What its values count, by Kafka's way of naming keys; empty where they count nothing.
    pub fn unit(&self) -> &'static str {
        const UNITS: &[(&str, &str)] = &[
            ("bytes.per.second", "bytes a second"),
            ("throttled.rate", "bytes a second"),
            ("creation.rate", "a second"),
            (".ms", "milliseconds"),
            (".millis", "milliseconds"),
            ("before.relogin", "milliseconds"),
            ("seconds", "seconds"),
            (".secs", "seconds"),
            ("minutes", "minutes"),
            ("hours", "hours"),
            ("bytes", "bytes"),
            ("bytes.between.snapshots", "bytes"),
            ("buffer.size", "bytes"),
            ("receive.size", "bytes"),
        ];
        let counts = matches!(self.kind, Kind::Int | Kind::Short | Kind::Long | Kind::Double);
        let of_name = UNITS.iter().find(|(end, _)| self.name.ends_with(end));
        if counts { of_name.map_or("", |(_, unit)| unit) } else { "" }
    }

    /// What would be accepted, in words: `must be ...`.
    pub fn accepted(&self) -> String {
        let unit = match self.unit() {
            "" => String::new(),
            unit => format!(" of {unit}"),
        };
        let whole = |min: i64, max: i64| format!("a whole number{unit} from {min} to {max}");
        let (least, most) = match self.kind {
            Kind::Int => (i64::from(i32::MIN), i64::from(i32::MAX)),
            Kind::Short => (i64::from(i16::MIN), i64::from(i16::MAX)),
            Kind::Long
            | Kind::Boolean
            | Kind::String
            | Kind::Double
            | Kind::List
            | Kind::Class
            | Kind::Password => (i64::MIN, i64::MAX),
        };
        let any = |list: &[&str]| format!("a list of any of {}", list.join(", "));
        match (self.check, self.kind) {
            (Check::AtLeast(min), Kind::Double) => format!("a number{unit} from {min}"),
            (Check::AtLeast(min), _) => whole(min, most),
            (Check::Between(min, max), _) => whole(min, max),
            (Check::UpTo(max), _) => format!("a number from 0 to {max}"),
            (Check::OneOf(valid), _) => format!("one of {}", valid.join(", ")),
            (Check::OneOfAnyCase(valid), _) => format!("one of {}, in any case", valid.join(", ")),
            (Check::SomeOf(valid), _) => format!("{}, or empty", any(valid)),
            (Check::AnyOf(valid), _) => any(valid),
            (Check::Names, _) => "a list without empty parts, or empty".to_owned(),
            (Check::NonEmptyNames, _) => "a list, not empty and without empty parts".to_owned(),
            (Check::NonEmpty, _) => "not empty".to_owned(),
            (Check::GzipLevel, _) => "a whole number from 1 to 9, or -1".to_owned(),
            (Check::ThrottledReplicas, _) => "a list of PARTITION:BROKER, or *".to_owned(),
            (Check::Voters, _) => "a list of ID@HOST:PORT".to_owned(),
            (Check::BootstrapServers, _) => "a list of HOST:PORT".to_owned(),
            (Check::AutoOffsetReset, _) => {
                "latest, earliest or by_duration:PnDTnHnMn.nS".to_owned()
            }
            (Check::Any | Check::NonNull, kind) => match kind {
                Kind::Boolean => "true or false".to_owned(),
                Kind::Int | Kind::Short | Kind::Long => whole(least, most),
                Kind::Double => format!("a number{unit}"),
                Kind::List => "a list".to_owned(),
                Kind::String | Kind::Class | Kind::Password => "text".to_owned(),
            },
        }
    }

    fn error(&self, value: Option<String>, message: String) -> ValueError {
        let value =
            if self.is_sensitive() { "[hidden]".to_owned() } else { value.unwrap_or_default() };
        let key = self.name.to_owned();
        let message = format!("Invalid value {value} for configuration {key}: {message}");
        ValueError { key, message, accepted: self.accepted() }
    }
}

/// A value as Java prints it in a message, where a list has brackets.
fn shown(value: &Value) -> String {
    match value {
        Value::List(list) => format!("[{}]", list.join(", ")),
        value => value.text().unwrap_or_else(|| "null".to_owned()),
    }
}

/// Declares the keys of a part: for each one row, which begins with what it is for.
///
/// ```text
/// /// How long records are kept.
/// "log.retention.hours": Int = "168", Any, High, ReadOnly => log_retention_hours: i32;
/// ```
///
/// After the name: type, default (a text, `null`, or `required`), check, importance, and how it
/// may be altered. A topic's or group's key names the broker's keys from which it takes its
/// default, after `from`. Then `accepted` with the reason why nothing else happens; or `refused`
/// with the reason why it stops the start, and in brackets the values besides the default which do
/// not; or `pending`, for a key that is not implemented yet, with what happens instead; or the typed
/// field that it goes into. A pending key may have a field too, so that its value is checked.
macro_rules! config_keys {
    (
        $(#[doc = $about:literal])*
        $table:ident $(, $settings:ident)?;
        $(
            $(#[doc = $doc:literal])+
            $name:literal: $kind:ident = $default:tt, $check:ident $(($($arg:tt)*))?,
            $importance:ident, $mode:ident
            $(from [$($synonym:literal $(* $factor:literal)?),* $(,)?])?
            $(accepted $accepted:literal)?
            $(refused $([$($harmless:literal),*])? $refused:literal)?
            $(pending $pending:literal)?
            $(=> $field:ident: $type:ty)?
            ;
        )*
    ) => {
        $(#[doc = $about])*
        pub static $table: &[$crate::config::key::Key] = &[$(
            $crate::config::key::Key {
                name: $name,
                kind: $crate::config::value::Kind::$kind,
                default: config_keys!(@default $default),
                check: $crate::config::check::Check::$check $(($($arg)*))?,
                importance: $crate::config::key::Importance::$importance,
                mode: $crate::config::key::Mode::$mode,
                synonyms: &[$($($crate::config::key::Synonym {
                    name: $synonym,
                    factor: 1 $(* $factor)?,
                }),*)?],
                status: config_keys!(@status
                    $(accepted $accepted)?
                    $(refused $refused; $($($harmless),*)?)?
                    $(pending $pending)?
                    $(field $field)?
                ),
                doc: concat!($($doc),+).trim_ascii(),
            },
        )*];

        config_keys!(@settings
            $($settings)? [$(#[doc = $about])*]
            $([$($doc),+] $name [$($field: $type)?])*
        );
    };
    (@default null) => { $crate::config::key::Default::Null };
    (@default required) => { $crate::config::key::Default::Required };
    (@default $text:literal) => { $crate::config::key::Default::Text($text) };
    (@status field $field:ident) => { $crate::config::key::Status::Field(stringify!($field)) };
    (@status accepted $reason:literal) => { $crate::config::key::Status::Accepted($reason) };
    (@status refused $reason:literal; $($harmless:literal),* $(field $field:ident)?) => {
        $crate::config::key::Status::Refused(&[$($harmless),*], $reason)
    };
    (@status pending $effect:literal $(field $field:ident)?) => {
        $crate::config::key::Status::Pending {
            field: concat!("" $(, stringify!($field))?),
            effect: $effect,
        }
    };
    (@doc $name:literal [$($doc:literal),+]) => { concat!("`", $name, "`:", $($doc),+) };
    (@settings [$($about:tt)*] $($row:tt)*) => {};
    (@settings
        $settings:ident [$(#[$about:meta])*]
        $($doc:tt $name:literal [$($field:ident: $type:ty)?])*
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $settings {
            $($(
                #[doc = config_keys!(@doc $name $doc)]
                pub $field: $type,
            )?)*
        }

        impl $settings {
            /// The fields, from the values of their keys.
            pub(in crate::config) fn from_values(values: &$crate::config::layers::Values) -> Self {
                Self { $($($field: values.typed($name),)?)* }
            }
        }
    };
}
pub(in crate::config) use config_keys;
