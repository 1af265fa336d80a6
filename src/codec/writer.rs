//! Writing primitives.

use bytes::{BufMut, BytesMut};

use crate::types::Uuid;

/// Bytes being written.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: BytesMut,
}

impl Writer {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends to `bytes`.
    pub fn over(bytes: BytesMut) -> Self {
        Self { bytes }
    }

    /// What was written.
    pub fn into_bytes(self) -> BytesMut {
        self.bytes
    }

    /// How many bytes were written.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The buffer, for fixed-width integers and raw bytes.
    pub fn buf(&mut self) -> &mut BytesMut {
        &mut self.bytes
    }

    /// An unsigned varint.
    pub fn unsigned_varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.bytes.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.put_u8(value as u8);
    }

    /// A zigzag varint.
    pub fn varint(&mut self, value: i32) {
        self.unsigned_varint(((value << 1) ^ (value >> 31)) as u32);
    }

    /// A zigzag varint of 64 bits.
    pub fn varlong(&mut self, value: i64) {
        let mut value = ((value << 1) ^ (value >> 63)) as u64;
        while value >= 0x80 {
            self.bytes.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.put_u8(value as u8);
    }

    /// 16 bytes.
    pub fn uuid(&mut self, value: Uuid) {
        self.bytes.put_slice(&value.0);
    }

    /// Nullable bytes, compact or with a 32-bit length.
    pub fn nullable_bytes(&mut self, value: Option<&[u8]>, compact: bool) {
        match (value, compact) {
            (value, true) => self.unsigned_varint(value.map_or(0, |value| value.len() as u32 + 1)),
            (value, false) => self.bytes.put_i32(value.map_or(-1, |value| value.len() as i32)),
        }
        self.bytes.put_slice(value.unwrap_or_default());
    }

    /// A nullable string, compact or with a 16-bit length. It has at most
    /// [`STRING_LEN_MAX`](super::STRING_LEN_MAX) bytes: see [`Field`](super::Field) for a check.
    pub fn nullable_str(&mut self, value: Option<&str>, compact: bool) {
        match (value, compact) {
            (value, true) => self.unsigned_varint(value.map_or(0, |value| value.len() as u32 + 1)),
            (value, false) => self.bytes.put_i16(value.map_or(-1, |value| value.len() as i16)),
        }
        self.bytes.put_slice(value.unwrap_or_default().as_bytes());
    }

    /// The number of elements of a nullable array.
    pub fn array_len(&mut self, len: Option<usize>, compact: bool) {
        match (len, compact) {
            (len, true) => self.unsigned_varint(len.map_or(0, |len| len as u32 + 1)),
            (len, false) => self.bytes.put_i32(len.map_or(-1, |len| len as i32)),
        }
    }
}
