//! A walk over the body of a request before anything decodes it.
//!
//! The message library believes the counts it reads: four bytes of a Metadata request make it ask
//! for 154 GB, which ends the process. So every body is walked first, against the shape of its API
//! and version, without allocating: no count may exceed the bytes that are left, nor Kafka 4.4's
//! limits (1,000,000 elements an array, 10,000 tagged fields a section).

use super::apis::ApiFacts;
use super::shapes;
use crate::codec::{CodecError, Reader};

/// A field of a request.
#[derive(Debug)]
pub struct Field {
    name: &'static str,
    tag: Option<u32>,
    from: i16,
    to: i16,
    kind: Kind,
}

/// What a field looks like on the wire.
#[derive(Debug)]
pub enum Kind {
    /// So many bytes.
    Fixed(usize),
    /// A string, which may be null.
    Str,
    /// Bytes or records, which may be null.
    Blob,
    /// An array, which may be null.
    Array(&'static Kind),
    /// Fields, then a section of tagged fields in flexible versions.
    Struct(&'static [Field]),
}

pub(super) const fn field(name: &'static str, from: i16, to: i16, kind: Kind) -> Field {
    Field { name, tag: None, from, to, kind }
}

pub(super) const fn tagged(tag: u32, name: &'static str, from: i16, to: i16, kind: Kind) -> Field {
    Field { name, tag: Some(tag), from, to, kind }
}

/// Why a body is not a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// No shape is known: the API has none.
    #[error("{0} is not a request of this protocol")]
    UnknownApi(&'static str),
    /// A field is not what it must be.
    #[error("{api} version {version}, field {field}: {source}")]
    Field {
        /// The API.
        api: &'static str,
        /// The version.
        version: i16,
        /// The field.
        field: &'static str,
        /// What is wrong.
        source: CodecError,
    },
}

struct Walk {
    version: i16,
    flexible: bool,
    /// The field that was begun last, for the message.
    at: &'static str,
}

/// Walks `body`. Bytes behind the request are left alone, as Kafka leaves them.
pub fn check(api: &'static ApiFacts, version: i16, body: &[u8]) -> Result<(), ShapeError> {
    let fields = shapes::of(api.key).ok_or(ShapeError::UnknownApi(api.name))?;
    let mut walk = Walk { version, flexible: version >= api.flexible_from, at: "" };
    walk.fields(&mut Reader::new(body), fields).map_err(|source| ShapeError::Field {
        api: api.name,
        version,
        field: walk.at,
        source,
    })
}

impl Walk {
    fn fields(
        &mut self,
        reader: &mut Reader<'_>,
        fields: &'static [Field],
    ) -> Result<(), CodecError> {
        for field in fields {
            if field.tag.is_none() && (field.from..=field.to).contains(&self.version) {
                self.at = field.name;
                self.kind(reader, &field.kind)?;
            }
        }
        if !self.flexible {
            return Ok(());
        }
        reader.tagged_fields(|tag, bytes| {
            let known = fields.iter().find(|field| {
                field.tag == Some(tag) && (field.from..=field.to).contains(&self.version)
            });
            match known {
                Some(field) => {
                    self.at = field.name;
                    self.kind(bytes, &field.kind)
                }
                None => Ok(()),
            }
        })
    }

    fn kind(&mut self, reader: &mut Reader<'_>, kind: &'static Kind) -> Result<(), CodecError> {
        match kind {
            Kind::Fixed(len) => reader.take(*len).map(|_| ()),
            Kind::Str => reader.nullable_str(self.flexible).map(|_| ()),
            Kind::Blob => reader.nullable_bytes(self.flexible).map(|_| ()),
            Kind::Struct(fields) => self.fields(reader, fields),
            Kind::Array(element) => {
                for _ in 0..reader.array_len(self.flexible)?.unwrap_or(0) {
                    self.kind(reader, element)?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::apis::{APIS, facts, key};
    use super::*;

    #[test]
    fn every_api_has_a_shape() {
        for api in APIS {
            assert!(shapes::of(api.key).is_some(), "{}", api.name);
        }
    }

    #[test]
    fn a_count_that_the_bytes_cannot_hold_is_refused() {
        let metadata = facts(key::Metadata).unwrap();
        // Seen in the wild: these ask the message library for 3.9 GB.
        let body = [0x3c, 0x0c, 0x00, 0xb6];
        let error = check(metadata, 0, &body).unwrap_err();
        assert!(
            error.to_string().starts_with("Metadata version 0, field topics: array:"),
            "{error}"
        );
    }

    #[test]
    fn two_million_tagged_fields_are_refused() {
        let metadata = facts(key::Metadata).unwrap();
        let mut body = vec![0, 0, 0, 0x80, 0x89, 0x7a];
        body.resize(4_000_000, 0);
        assert!(check(metadata, 12, &body).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_walk_panic(at in 0..APIS.len(), version in 0i16..20, body: Vec<u8>) {
            let _ = check(&APIS[at], version, &body);
        }
    }
}
