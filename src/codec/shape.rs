//! What a message looks like on the wire, and a walk over its bytes before anything is decoded.
//!
//! The message library reserves memory for as many elements as a peer claims (a Metadata request
//! of 12 bytes makes it ask for 150 GB and the process abort). So no body reaches a decoder before
//! this walk has found that every length and count fits the bytes that are there and Kafka's own
//! limits. The walk reads lengths and skips values: it allocates nothing, and costs a few
//! nanoseconds a field. A body that passes decodes in memory that is bounded by a small multiple of
//! its bytes.
//!
//! The shapes of messages that `messages!` declares come from their declarations; those of the
//! message library's structs are in `protocol/shapes`.
//!
//! Source of the limits: Kafka 4.4's generated readers (CVE-2026-111108, CVE-2026-111115).

use super::{ARRAY_ELEMENTS_MAX, At, CodecError, Reader};

/// The most elements that all arrays of one message may have together, not counting integers.
/// Kafka bounds each array alone, and a JVM survives what is too much; a process that cannot
/// allocate aborts. Enough to name every partition of the largest clusters known in one request.
pub const MESSAGE_ELEMENTS_MAX: usize = 2 * ARRAY_ELEMENTS_MAX;

/// What the body of a message looks like at each of its versions.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Kafka's name of the message.
    pub name: &'static str,
    /// The versions that Kafka 4.4 has, unstable ones included.
    pub versions: Versions,
    /// The versions with compact lengths and tagged fields.
    pub flexible: Versions,
    /// The fields, in their order on the wire.
    pub fields: &'static [FieldShape],
}

/// A range of versions, both ends inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The first.
    pub first: i16,
    /// The last.
    pub last: i16,
}

/// A field of a struct.
#[derive(Clone, Copy, Debug)]
pub struct FieldShape {
    /// Kafka's name.
    pub name: &'static str,
    /// What its bytes are.
    pub kind: Kind,
    /// The versions that carry it.
    pub versions: Versions,
    /// Its tag, if it is a tagged field.
    pub tag: Option<u32>,
}

/// What the bytes of a value are.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// So many bytes, always.
    Fixed(usize),
    /// A length and so many bytes of text.
    String,
    /// A length and so many bytes.
    Bytes,
    /// A count and so many values.
    Array(&'static Kind),
    /// Fields.
    Struct(&'static [FieldShape]),
    /// The byte -1 for null, or 1 and fields.
    NullableStruct(&'static [FieldShape]),
}

impl Versions {
    /// No version.
    pub const NONE: Self = Self { first: i16::MAX, last: i16::MIN };

    /// All versions from `first` on.
    pub const fn from(first: i16) -> Self {
        Self { first, last: i16::MAX }
    }

    /// Whether `version` is one of them.
    pub const fn contains(self, version: i16) -> bool {
        self.first <= version && version <= self.last
    }
}

impl Shape {
    /// How values are written at `version`.
    pub fn at(&self, version: i16) -> At {
        At { version, flexible: self.flexible.contains(version) }
    }

    /// Walks `body` and returns how many of its bytes the message takes. Kafka ignores bytes after
    /// that.
    ///
    /// Errors: a version that the message does not have; a length, count or tagged field that the
    /// bytes left, or Kafka's limits, cannot hold.
    pub fn check(&self, version: i16, body: &[u8]) -> Result<usize, CodecError> {
        if !self.versions.contains(version) {
            return Err(CodecError::UnknownVersion { message: self.name, version });
        }
        let mut walk =
            Walk { message: self.name, at: self.at(version), elements_left: MESSAGE_ELEMENTS_MAX };
        let mut reader = Reader::new(body);
        walk.fields(self.fields, &mut reader)?;
        Ok(body.len() - reader.remaining())
    }
}

impl Kind {
    /// The fewest bytes that a value takes.
    pub fn min_len(&self, at: At) -> usize {
        match self {
            Kind::Fixed(len) => *len,
            Kind::NullableStruct(_) => 1,
            Kind::String | Kind::Bytes | Kind::Array(_) if at.flexible => 1,
            Kind::String => 2,
            Kind::Bytes | Kind::Array(_) => 4,
            Kind::Struct(fields) => {
                let plain = fields.iter().filter(|field| field.is_plain(at));
                plain.map(|field| field.kind.min_len(at)).sum::<usize>() + usize::from(at.flexible)
            }
        }
    }
}

impl FieldShape {
    /// Whether it stands in its place among the others at this version.
    pub fn is_plain(&self, at: At) -> bool {
        self.tag.is_none() && self.versions.contains(at.version)
    }
}

struct Walk {
    message: &'static str,
    at: At,
    elements_left: usize,
}

impl Walk {
    fn fields(&mut self, fields: &[FieldShape], reader: &mut Reader<'_>) -> Result<(), CodecError> {
        let at = self.at;
        for field in fields.iter().filter(|field| field.is_plain(at)) {
            self.value(field.name, &field.kind, reader)?;
        }
        if self.at.flexible { self.tagged_fields(fields, reader) } else { Ok(()) }
    }

    /// A known tagged field must take exactly the bytes that it says it takes: the library ignores
    /// what it says, and would read on elsewhere.
    fn tagged_fields(
        &mut self,
        fields: &[FieldShape],
        reader: &mut Reader<'_>,
    ) -> Result<(), CodecError> {
        let (message, at) = (self.message, self.at);
        let mut count = 0;
        let section = reader.tagged_fields(|tag, value| {
            count += 1;
            let known = fields.iter().find(|field| field.tag == Some(tag));
            let Some(field) = known.filter(|field| field.versions.contains(at.version)) else {
                return Ok(());
            };
            self.value(field.name, &field.kind, value)?;
            value.clone().finish().map_err(|error| error.within(message, field.name))
        });
        section.map_err(|error| error.within(message, "tagged fields"))?;
        self.charge("tagged fields", count)
    }

    fn value(
        &mut self,
        name: &'static str,
        kind: &Kind,
        reader: &mut Reader<'_>,
    ) -> Result<(), CodecError> {
        let within = |error: CodecError| error.within(self.message, name);
        match kind {
            Kind::Fixed(len) => reader.take(*len).map(drop).map_err(within),
            Kind::String if !self.at.flexible => {
                let len = reader.i16().map_err(within)?;
                reader.take(usize::try_from(len).unwrap_or(0)).map(drop).map_err(within)
            }
            Kind::String | Kind::Bytes => {
                reader.nullable_bytes(self.at.flexible).map(drop).map_err(within)
            }
            Kind::Array(element) => {
                let count = reader.array_len(self.at.flexible).map_err(within)?.unwrap_or(0);
                self.elements(name, element, count, reader)
            }
            Kind::Struct(fields) => self.fields(fields, reader),
            Kind::NullableStruct(fields) => {
                // Readers disagree about other bytes; what follows must mean the same to all.
                match reader.i8().map_err(within)? {
                    -1 => Ok(()),
                    1 => self.fields(fields, reader),
                    other => Err(within(CodecError::Marker(other))),
                }
            }
        }
    }

    fn elements(
        &mut self,
        name: &'static str,
        kind: &Kind,
        count: usize,
        reader: &mut Reader<'_>,
    ) -> Result<(), CodecError> {
        let max = reader.remaining() / kind.min_len(self.at).max(1);
        if count > max {
            let error = CodecError::Count { what: "array", count: count as i64, max };
            return Err(error.within(self.message, name));
        }
        if let Kind::Fixed(len) = kind {
            return reader.take(len * count).map(drop); // Bounded by `max`, above.
        }
        self.charge(name, count)?;
        (0..count).try_for_each(|_| self.value(name, kind, reader))
    }

    /// Counts what will become a value of its own in memory.
    fn charge(&mut self, name: &'static str, count: usize) -> Result<(), CodecError> {
        let Some(left) = self.elements_left.checked_sub(count) else {
            let (what, max) = ("all arrays of a message", MESSAGE_ELEMENTS_MAX);
            let error = CodecError::Count { what, count: count as i64, max };
            return Err(error.within(self.message, name));
        };
        self.elements_left = left;
        Ok(())
    }
}

/// The fields of a struct, from the notation that `protocol/shapes.rs` explains.
macro_rules! field_shapes {
    ($(
        $name:ident $kind:tt $first:literal $(+)? $(- $last:literal)? $(tag $tag:literal)?;
    )*) => {
        &[$(
            $crate::codec::shape::FieldShape {
                name: stringify!($name),
                kind: $crate::codec::shape::field_shapes!(@kind $kind),
                versions: $crate::codec::shape::field_shapes!(@versions $first $($last)?),
                tag: $crate::codec::shape::field_shapes!(@tag $($tag)?),
            }
        ),*]
    };

    (@versions $first:literal) => { $crate::codec::shape::Versions::from($first) };
    (@versions $first:literal $last:literal) => {
        $crate::codec::shape::Versions { first: $first, last: $last }
    };
    (@tag) => { None };
    (@tag $tag:literal) => { Some($tag) };

    (@kind bool) => { $crate::codec::shape::Kind::Fixed(1) };
    (@kind i8) => { $crate::codec::shape::Kind::Fixed(1) };
    (@kind i16) => { $crate::codec::shape::Kind::Fixed(2) };
    (@kind u16) => { $crate::codec::shape::Kind::Fixed(2) };
    (@kind i32) => { $crate::codec::shape::Kind::Fixed(4) };
    (@kind i64) => { $crate::codec::shape::Kind::Fixed(8) };
    (@kind f64) => { $crate::codec::shape::Kind::Fixed(8) };
    (@kind uuid) => { $crate::codec::shape::Kind::Fixed(16) };
    (@kind string) => { $crate::codec::shape::Kind::String };
    (@kind bytes) => { $crate::codec::shape::Kind::Bytes };
    (@kind [$element:ident]) => {
        $crate::codec::shape::Kind::Array(&$crate::codec::shape::field_shapes!(@kind $element))
    };
    (@kind [$($fields:tt)*]) => {
        $crate::codec::shape::Kind::Array(
            &$crate::codec::shape::Kind::Struct(
                $crate::codec::shape::field_shapes!($($fields)*)
            )
        )
    };
    (@kind {$($fields:tt)*}) => {
        $crate::codec::shape::Kind::Struct($crate::codec::shape::field_shapes!($($fields)*))
    };
    (@kind ($($fields:tt)*)) => {
        $crate::codec::shape::Kind::NullableStruct(
            $crate::codec::shape::field_shapes!($($fields)*)
        )
    };
}

pub(crate) use field_shapes;
