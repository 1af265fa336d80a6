//! A walk over the body of a request before anything is decoded.
//!
//! The message library reserves memory for as many elements as a peer claims (a Metadata request
//! of 12 bytes makes it ask for 150 GB and the process abort). So no body reaches it before this
//! walk has found that every length and count fits the bytes that are there and Kafka's own limits.
//! The walk reads lengths and skips values: it allocates nothing, and costs a few nanoseconds a
//! field. What it passes decodes in memory that is bounded by a small multiple of its bytes.
//!
//! Source of the limits: Kafka 4.4's generated readers (CVE-2026-111108, CVE-2026-111115).

use super::apis::ApiFacts;
use super::shapes;
use crate::codec::{ARRAY_ELEMENTS_MAX, At, CodecError, Reader};

/// The most elements that all arrays of one message may have together, not counting integers.
/// Kafka bounds each array alone, and a JVM survives what is too much; a process that cannot
/// allocate aborts. Enough to name every partition of the largest clusters known in one request.
pub const MESSAGE_ELEMENTS_MAX: usize = 2 * ARRAY_ELEMENTS_MAX;

/// A message: what a body must look like at each version.
#[derive(Debug)]
pub struct Shape {
    /// The API key; -1 for a message that is not a request.
    pub api_key: i16,
    /// Kafka's name of the API.
    pub name: &'static str,
    /// The versions that Kafka 4.4 has, unstable ones included.
    pub versions: Versions,
    /// The versions with compact lengths and tagged fields.
    pub flexible: Versions,
    /// The fields, in their order on the wire.
    pub fields: &'static [Field],
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
#[derive(Debug)]
pub struct Field {
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
#[derive(Debug)]
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
    Struct(&'static [Field]),
    /// The byte -1 for null, or 1 and fields.
    NullableStruct(&'static [Field]),
}

/// Walks the body of a request of `api`. Bytes behind the request are left alone, as Kafka leaves
/// them. Errors as [`Shape::check`].
pub fn check(api: &'static ApiFacts, version: i16, body: &[u8]) -> Result<(), CodecError> {
    let unknown = CodecError::UnknownVersion { message: api.name, version };
    Shape::of_request(api.key).ok_or(unknown)?.check(version, body).map(drop)
}

impl Versions {
    /// Whether `version` is one of them.
    pub const fn contains(self, version: i16) -> bool {
        self.first <= version && version <= self.last
    }
}

impl Shape {
    /// The request with this key.
    pub fn of_request(api_key: i16) -> Option<&'static Shape> {
        let requests = shapes::REQUESTS;
        requests.binary_search_by_key(&api_key, |shape| shape.api_key).ok().map(|at| &requests[at])
    }

    /// Walks `body`; gives how many of its bytes the message takes (Kafka ignores what follows).
    ///
    /// Errors: a version that the message does not have; a length, count or tagged field that the
    /// bytes left, or Kafka's limits, cannot hold.
    pub fn check(&self, version: i16, body: &[u8]) -> Result<usize, CodecError> {
        if !self.versions.contains(version) {
            return Err(CodecError::UnknownVersion { message: self.name, version });
        }
        let at = At { version, flexible: self.flexible.contains(version) };
        let mut walk = Walk { message: self.name, at, elements_left: MESSAGE_ELEMENTS_MAX };
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

impl Field {
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
    fn fields(&mut self, fields: &[Field], reader: &mut Reader<'_>) -> Result<(), CodecError> {
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
        fields: &[Field],
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

/// Builds a table of [`Shape`]s from the notation that `shapes.rs` explains.
macro_rules! shape_table {
    ($(#[$meta:meta])* pub static $table:ident = $(
        $key:literal $name:ident $first:literal - $last:literal
        flexible $flexible:tt $(+)? { $($fields:tt)* }
    )*) => {
        $(#[$meta])*
        pub static $table: &[$crate::protocol::shape::Shape] = &[$(
            $crate::protocol::shape::Shape {
                api_key: $key,
                name: stringify!($name),
                versions: $crate::protocol::shape::Versions { first: $first, last: $last },
                flexible: $crate::protocol::shape::shape_table!(@flexible $flexible),
                fields: $crate::protocol::shape::shape_table!(@fields $($fields)*),
            }
        ),*];
    };

    (@flexible never) => {
        $crate::protocol::shape::Versions { first: i16::MAX, last: i16::MIN }
    };
    (@flexible $first:literal) => { $crate::protocol::shape::shape_table!(@versions $first) };
    (@versions $first:literal) => {
        $crate::protocol::shape::Versions { first: $first, last: i16::MAX }
    };
    (@versions $first:literal $last:literal) => {
        $crate::protocol::shape::Versions { first: $first, last: $last }
    };

    (@fields $(
        $name:ident $kind:tt $first:literal $(+)? $(- $last:literal)? $(tag $tag:literal)?;
    )*) => {
        &[$(
            $crate::protocol::shape::Field {
                name: stringify!($name),
                kind: $crate::protocol::shape::shape_table!(@kind $kind),
                versions: $crate::protocol::shape::shape_table!(@versions $first $($last)?),
                tag: $crate::protocol::shape::shape_table!(@tag $($tag)?),
            }
        ),*]
    };
    (@tag) => { None };
    (@tag $tag:literal) => { Some($tag) };

    (@kind bool) => { $crate::protocol::shape::Kind::Fixed(1) };
    (@kind i8) => { $crate::protocol::shape::Kind::Fixed(1) };
    (@kind i16) => { $crate::protocol::shape::Kind::Fixed(2) };
    (@kind u16) => { $crate::protocol::shape::Kind::Fixed(2) };
    (@kind i32) => { $crate::protocol::shape::Kind::Fixed(4) };
    (@kind i64) => { $crate::protocol::shape::Kind::Fixed(8) };
    (@kind f64) => { $crate::protocol::shape::Kind::Fixed(8) };
    (@kind uuid) => { $crate::protocol::shape::Kind::Fixed(16) };
    (@kind string) => { $crate::protocol::shape::Kind::String };
    (@kind bytes) => { $crate::protocol::shape::Kind::Bytes };
    (@kind [$element:ident]) => {
        $crate::protocol::shape::Kind::Array(&$crate::protocol::shape::shape_table!(@kind $element))
    };
    (@kind [$($fields:tt)*]) => {
        $crate::protocol::shape::Kind::Array(
            &$crate::protocol::shape::Kind::Struct(
                $crate::protocol::shape::shape_table!(@fields $($fields)*)
            )
        )
    };
    (@kind {$($fields:tt)*}) => {
        $crate::protocol::shape::Kind::Struct($crate::protocol::shape::shape_table!(@fields $($fields)*))
    };
    (@kind ($($fields:tt)*)) => {
        $crate::protocol::shape::Kind::NullableStruct(
            $crate::protocol::shape::shape_table!(@fields $($fields)*)
        )
    };
}

pub(super) use shape_table;

#[cfg(test)]
mod tests;
