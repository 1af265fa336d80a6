//! Reading primitives from bytes that nobody vouches for.

use super::CodecError;
use crate::types::Uuid;

/// Kafka 4.4 refuses longer arrays before it allocates (CVE-2026-111108).
pub const ARRAY_ELEMENTS_MAX: usize = 1_000_000;
/// Kafka 4.4 refuses more tagged fields in one section (CVE-2026-111115).
pub const TAGGED_FIELDS_MAX: usize = 10_000;
/// Kafka neither writes nor reads longer strings, in bytes, whatever the encoding of their length
/// could hold.
pub const STRING_LEN_MAX: usize = 0x7fff;

/// A position in borrowed bytes. Every read is bounds-checked; nothing allocates by a claim.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

macro_rules! fixed {
    ($($name:ident: $type:ty),*) => {$(
        #[doc = concat!("A big-endian `", stringify!($type), "`.")]
        pub fn $name(&mut self) -> Result<$type, CodecError> {
            Ok(<$type>::from_be_bytes(self.array()?))
        }
    )*};
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], CodecError> {
        match self.bytes.split_at_checked(len) {
            Some((taken, rest)) => {
                self.bytes = rest;
                Ok(taken)
            }
            None => Err(CodecError::Underflow { needed: len, available: self.bytes.len() }),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    fixed!(i8: i8, i16: i16, i32: i32, i64: i64, u8: u8, u16: u16, u32: u32, f64: f64);

    /// A byte that is zero for false.
    pub fn bool(&mut self) -> Result<bool, CodecError> {
        Ok(self.u8()? != 0)
    }

    /// 16 bytes.
    pub fn uuid(&mut self) -> Result<Uuid, CodecError> {
        Ok(Uuid(self.array()?))
    }

    /// An unsigned varint of at most 5 bytes.
    pub fn unsigned_varint(&mut self) -> Result<u32, CodecError> {
        let mut value = 0u32;
        for shift in (0..35).step_by(7) {
            let byte = self.u8()?;
            if shift == 28 && byte & 0xf0 != 0 {
                return Err(CodecError::Varint(5));
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(CodecError::Varint(5))
    }

    /// A zigzag varint of at most 5 bytes.
    pub fn varint(&mut self) -> Result<i32, CodecError> {
        let raw = self.unsigned_varint()?;
        Ok((raw >> 1) as i32 ^ -((raw & 1) as i32))
    }

    /// A zigzag varint of at most 10 bytes.
    pub fn varlong(&mut self) -> Result<i64, CodecError> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.u8()?;
            if shift == 63 && byte > 1 {
                return Err(CodecError::Varint(10));
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err(CodecError::Varint(10))
    }

    /// The length of a compact string, bytes or array: `None` for null.
    fn compact_len(&mut self) -> Result<Option<usize>, CodecError> {
        Ok((self.unsigned_varint()? as usize).checked_sub(1))
    }

    /// Nullable bytes, compact or with a 32-bit length.
    pub fn nullable_bytes(&mut self, compact: bool) -> Result<Option<&'a [u8]>, CodecError> {
        let len = if compact { self.compact_len()? } else { usize::try_from(self.i32()?).ok() };
        len.map(|len| self.take(len)).transpose()
    }

    /// A nullable string of at most [`STRING_LEN_MAX`] bytes, compact or with a 16-bit length.
    pub fn nullable_str(&mut self, compact: bool) -> Result<Option<&'a str>, CodecError> {
        let len = if compact { self.compact_len()? } else { usize::try_from(self.i16()?).ok() };
        let Some(len) = len else { return Ok(None) };
        if len > STRING_LEN_MAX {
            return Err(CodecError::LongString(len));
        }
        std::str::from_utf8(self.take(len)?).map(Some).map_err(|_| CodecError::Utf8)
    }

    /// The number of elements of a nullable array: never more than there are bytes left, nor than
    /// [`ARRAY_ELEMENTS_MAX`].
    pub fn array_len(&mut self, compact: bool) -> Result<Option<usize>, CodecError> {
        let len = if compact { self.compact_len()? } else { usize::try_from(self.i32()?).ok() };
        let max = self.remaining().min(ARRAY_ELEMENTS_MAX);
        match len {
            Some(count) if count > max => {
                Err(CodecError::Count { what: "array", count: count as i64, max })
            }
            len => Ok(len),
        }
    }

    /// Reads a section of tagged fields; `each` gets every tag with its bytes.
    pub fn tagged_fields(
        &mut self,
        mut each: impl FnMut(u32, &mut Reader<'a>) -> Result<(), CodecError>,
    ) -> Result<(), CodecError> {
        let count = self.unsigned_varint()? as usize;
        let max = TAGGED_FIELDS_MAX.min(self.remaining() / 2);
        if count > max {
            return Err(CodecError::Count { what: "tagged fields", count: count as i64, max });
        }
        for _ in 0..count {
            let tag = self.unsigned_varint()?;
            let len = self.unsigned_varint()? as usize;
            each(tag, &mut Reader::new(self.take(len)?))?;
        }
        Ok(())
    }

    /// Errors unless all bytes were read.
    pub fn finish(self) -> Result<(), CodecError> {
        match self.remaining() {
            0 => Ok(()),
            more => Err(CodecError::Trailing(more)),
        }
    }
}
