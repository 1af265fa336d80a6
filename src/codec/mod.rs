//! Kafka's message format: primitives, and messages declared as Kafka's schemas declare them.
//!
//! Used for what the message library lacks: the records of the metadata log, the values of control
//! records, and newer versions of wire messages. Read `reader.rs` and `writer.rs` (primitives),
//! `field.rs` (what a type looks like at a version), then `messages.rs` (the declaration).
//!
//! Source: Kafka 4.4 `org.apache.kafka.message` (generator), `ByteBufferAccessor`.

mod field;
pub(crate) mod json;
mod messages;
mod reader;
pub mod shape;
mod writer;

pub use field::{At, Field};
pub use reader::{ARRAY_ELEMENTS_MAX, Reader, STRING_LEN_MAX, TAGGED_FIELDS_MAX};
pub use writer::Writer;

pub(crate) use messages::messages;

/// Why bytes are not the message they should be, or a message cannot be written at a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The bytes end too soon.
    #[error("{needed} more bytes are needed, {available} are there")]
    Underflow {
        /// What the field takes.
        needed: usize,
        /// What there is.
        available: usize,
    },
    /// A count that the bytes left, or Kafka's limits, cannot hold.
    #[error("{what}: {count} elements, at most {max} are possible here")]
    Count {
        /// Which kind of count.
        what: &'static str,
        /// As claimed.
        count: i64,
        /// The bound.
        max: usize,
    },
    /// A varint longer than its type.
    #[error("a varint is longer than {0} bytes")]
    Varint(usize),
    /// A string longer than Kafka takes.
    #[error("a string has {0} bytes, at most {STRING_LEN_MAX} are allowed")]
    LongString(usize),
    /// A text that is not UTF-8.
    #[error("a string is not UTF-8")]
    Utf8,
    /// The byte before a struct that may be null is neither -1 (null) nor 1.
    #[error("{0} says neither that a struct is null nor that it follows")]
    Marker(i8),
    /// Null where the field is not nullable.
    #[error("null in a field that is not nullable")]
    Null,
    /// Bytes after the end of the message.
    #[error("{0} bytes follow the message")]
    Trailing(usize),
    /// A field that the version does not have, with a value that must not be dropped.
    #[error("field {field} cannot be written at version {version}")]
    NotInVersion {
        /// The field.
        field: &'static str,
        /// The version.
        version: i16,
    },
    /// A version that the message does not have.
    #[error("{message} has no version {version}")]
    UnknownVersion {
        /// The message.
        message: &'static str,
        /// The version.
        version: i16,
    },
    /// Something in one field of a message.
    #[error("{message}.{field}: {source}")]
    In {
        /// The message.
        message: &'static str,
        /// The field.
        field: &'static str,
        /// What.
        source: Box<CodecError>,
    },
}

impl CodecError {
    /// The same, naming where it happened.
    #[must_use]
    pub fn within(self, message: &'static str, field: &'static str) -> Self {
        Self::In { message, field, source: Box::new(self) }
    }
}
