//! What a Rust type looks like on the wire at a version.

use bytes::{BufMut, Bytes};

use super::shape::Kind;
use super::{CodecError, Reader, STRING_LEN_MAX, Writer, json};
use crate::types::Uuid;

/// The version a message is read or written at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// The version.
    pub version: i16,
    /// Whether lengths are compact and tagged fields follow each struct.
    pub flexible: bool,
}

/// A type that can be a field.
pub trait Field: Sized {
    /// What its bytes are.
    const KIND: Kind;
    /// The same, for the shape of an array of it.
    const KIND_REF: &'static Kind = &Self::KIND;
    /// Reads it.
    fn read(reader: &mut Reader<'_>, at: At) -> Result<Self, CodecError>;
    /// Writes it.
    fn write(&self, writer: &mut Writer, at: At) -> Result<(), CodecError>;
    /// Reads it as the value of a tag.
    fn read_tagged(reader: &mut Reader<'_>, at: At) -> Result<Self, CodecError> {
        Self::read(reader, at)
    }
    /// Writes it as the value of a tag.
    fn write_tagged(&self, writer: &mut Writer, at: At) -> Result<(), CodecError> {
        self.write(writer, at)
    }
    /// Appends it to `out` as JSON.
    fn write_json(&self, out: &mut String, at: At);
}

macro_rules! fixed {
    ($($type:ident: $put:ident $json:ident),*) => {$(
        impl Field for $type {
            const KIND: Kind = Kind::Fixed(size_of::<$type>());
            fn read(reader: &mut Reader<'_>, _: At) -> Result<Self, CodecError> {
                reader.$type()
            }
            fn write(&self, writer: &mut Writer, _: At) -> Result<(), CodecError> {
                writer.buf().$put(*self);
                Ok(())
            }
            fn write_json(&self, out: &mut String, _: At) {
                json::$json(out, *self);
            }
        }
    )*};
}

fixed!(
    i8: put_i8 integer, i16: put_i16 integer, i32: put_i32 integer, i64: put_i64 integer,
    u16: put_u16 integer, u32: put_u32 integer, f64: put_f64 double
);

impl Field for bool {
    const KIND: Kind = Kind::Fixed(1);
    fn read(reader: &mut Reader<'_>, _: At) -> Result<Self, CodecError> {
        reader.bool()
    }
    fn write(&self, writer: &mut Writer, _: At) -> Result<(), CodecError> {
        writer.buf().put_u8(u8::from(*self));
        Ok(())
    }
    fn write_json(&self, out: &mut String, _: At) {
        out.push_str(if *self { "true" } else { "false" });
    }
}

impl Field for Uuid {
    const KIND: Kind = Kind::Fixed(16);
    fn read(reader: &mut Reader<'_>, _: At) -> Result<Self, CodecError> {
        reader.uuid()
    }
    fn write(&self, writer: &mut Writer, _: At) -> Result<(), CodecError> {
        writer.uuid(*self);
        Ok(())
    }
    fn write_json(&self, out: &mut String, _: At) {
        json::text(out, &self.to_string());
    }
}

/// A longer string would be refused by whoever reads it, and by then it is in the log.
fn write_str(value: Option<&str>, writer: &mut Writer, at: At) -> Result<(), CodecError> {
    match value.map_or(0, str::len) {
        len if len > STRING_LEN_MAX => Err(CodecError::LongString(len)),
        _ => {
            writer.nullable_str(value, at.flexible);
            Ok(())
        }
    }
}

impl Field for Option<String> {
    const KIND: Kind = Kind::String;
    fn read(reader: &mut Reader<'_>, at: At) -> Result<Self, CodecError> {
        Ok(reader.nullable_str(at.flexible)?.map(str::to_owned))
    }
    fn write(&self, writer: &mut Writer, at: At) -> Result<(), CodecError> {
        write_str(self.as_deref(), writer, at)
    }
    fn write_json(&self, out: &mut String, at: At) {
        json::nullable(out, self.as_ref(), at);
    }
}

impl Field for String {
    const KIND: Kind = Kind::String;
    fn read(reader: &mut Reader<'_>, at: At) -> Result<Self, CodecError> {
        Option::<String>::read(reader, at)?.ok_or(CodecError::Null)
    }
    fn write(&self, writer: &mut Writer, at: At) -> Result<(), CodecError> {
        write_str(Some(self), writer, at)
    }
    fn write_json(&self, out: &mut String, _: At) {
        json::text(out, self);
    }
}

impl Field for Option<Bytes> {
    const KIND: Kind = Kind::Bytes;
    fn read(reader: &mut Reader<'_>, at: At) -> Result<Self, CodecError> {
        Ok(reader.nullable_bytes(at.flexible)?.map(Bytes::copy_from_slice))
    }
    fn write(&self, writer: &mut Writer, at: At) -> Result<(), CodecError> {
        writer.nullable_bytes(self.as_deref(), at.flexible);
        Ok(())
    }
    fn write_json(&self, out: &mut String, at: At) {
        json::nullable(out, self.as_ref(), at);
    }
}

impl Field for Bytes {
    const KIND: Kind = Kind::Bytes;
    fn read(reader: &mut Reader<'_>, at: At) -> Result<Self, CodecError> {
        Option::<Bytes>::read(reader, at)?.ok_or(CodecError::Null)
    }
    fn write(&self, writer: &mut Writer, at: At) -> Result<(), CodecError> {
        writer.nullable_bytes(Some(self), at.flexible);
        Ok(())
    }
    fn write_json(&self, out: &mut String, _: At) {
        json::bytes(out, self);
    }
}

/// Kafka grows a list from this capacity at most, whatever count is claimed.
const INITIAL_CAPACITY_MAX: usize = 1_000;

impl<T: Field> Field for Option<Vec<T>> {
    const KIND: Kind = Kind::Array(T::KIND_REF);
    fn read(reader: &mut Reader<'_>, at: At) -> Result<Self, CodecError> {
        let Some(len) = reader.array_len(at.flexible)? else { return Ok(None) };
        let mut all = Vec::with_capacity(len.min(INITIAL_CAPACITY_MAX));
        for _ in 0..len {
            all.push(T::read(reader, at)?);
        }
        Ok(Some(all))
    }
    fn write(&self, writer: &mut Writer, at: At) -> Result<(), CodecError> {
        writer.array_len(self.as_ref().map(Vec::len), at.flexible);
        self.iter().flatten().try_for_each(|element| element.write(writer, at))
    }
    fn write_json(&self, out: &mut String, at: At) {
        json::nullable(out, self.as_ref(), at);
    }
}

impl<T: Field> Field for Vec<T> {
    const KIND: Kind = Kind::Array(T::KIND_REF);
    fn read(reader: &mut Reader<'_>, at: At) -> Result<Self, CodecError> {
        Option::<Vec<T>>::read(reader, at)?.ok_or(CodecError::Null)
    }
    fn write(&self, writer: &mut Writer, at: At) -> Result<(), CodecError> {
        writer.array_len(Some(self.len()), at.flexible);
        self.iter().try_for_each(|element| element.write(writer, at))
    }
    fn write_json(&self, out: &mut String, at: At) {
        json::array(out, self, at);
    }
}
