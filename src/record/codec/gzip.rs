//! Gzip members, read as Java's `GZIPInputStream` reads them (RFC 1952): several may follow each
//! other, and bytes after the last one that do not begin another are ignored.

use std::io;

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::invalid;

const MAGIC: [u8; 2] = [0x1f, 0x8b];
const DEFLATE: u8 = 8;
const HAS_HEADER_CRC: u8 = 2;
const HAS_EXTRA: u8 = 4;
const HAS_NAME: u8 = 8;
const HAS_COMMENT: u8 = 16;
/// Java does not look for another member in this many bytes or fewer: a header and a trailer.
const IGNORED_TAIL_LEN_MAX: usize = 18;

/// The members of one payload. The inflater is an argument of each call, so that its owner can keep
/// it from one payload to the next; it must be reset before the first call.
pub(super) struct Members<'a> {
    rest: &'a [u8],
    /// Checksum and length of what the current member has inflated to so far.
    crc: Crc,
    is_at_end: bool,
}

impl<'a> Members<'a> {
    pub(super) fn new(payload: &'a [u8]) -> io::Result<Self> {
        let rest = after_header(payload)
            .ok_or_else(|| invalid("the payload does not begin with a gzip header"))?;
        Ok(Self { rest, crc: Crc::new(), is_at_end: false })
    }

    /// Inflates the next bytes to the start of `chunk`, which is not empty; how many, 0 at the end.
    pub(super) fn read(
        &mut self,
        inflater: &mut Decompress,
        chunk: &mut [u8],
    ) -> io::Result<usize> {
        while !self.is_at_end {
            let (total_in, total_out) = (inflater.total_in(), inflater.total_out());
            let status = inflater
                .decompress(self.rest, chunk, FlushDecompress::None)
                .map_err(|error| invalid(error.to_string()))?;
            let taken = (inflater.total_in() - total_in) as usize;
            let inflated = (inflater.total_out() - total_out) as usize;
            self.rest = &self.rest[taken..];
            self.crc.update(&chunk[..inflated]);
            if status == Status::StreamEnd {
                self.end_member(inflater)?;
            } else if taken == 0 && inflated == 0 {
                return Err(invalid("a gzip member ends too soon"));
            }
            if inflated > 0 {
                return Ok(inflated);
            }
        }
        Ok(0)
    }

    /// Checks the trailer of a member and begins the next one, if there is one.
    fn end_member(&mut self, inflater: &mut Decompress) -> io::Result<()> {
        let trailer = self.rest.split_first_chunk::<8>();
        let (trailer, rest) = trailer.ok_or_else(|| invalid("a gzip member has no trailer"))?;
        let expected = u64::from(self.crc.amount()) << 32 | u64::from(self.crc.sum());
        if u64::from_le_bytes(*trailer) != expected {
            return Err(invalid("a gzip member is not what was written"));
        }
        match after_header(rest).filter(|_| rest.len() > IGNORED_TAIL_LEN_MAX) {
            Some(rest) => {
                self.rest = rest;
                self.crc.reset();
                inflater.reset(false);
            }
            None => self.is_at_end = true,
        }
        Ok(())
    }
}

/// The bytes after the header of a member; none if `bytes` do not begin with one.
fn after_header(bytes: &[u8]) -> Option<&[u8]> {
    let (fixed, mut rest) = bytes.split_first_chunk::<10>()?;
    let [magic_0, magic_1, method, flags, ..] = *fixed;
    if [magic_0, magic_1] != MAGIC || method != DEFLATE {
        return None;
    }
    if flags & HAS_EXTRA != 0 {
        let (len, after) = rest.split_first_chunk()?;
        rest = after.get(usize::from(u16::from_le_bytes(*len))..)?;
    }
    for text in [HAS_NAME, HAS_COMMENT] {
        if flags & text != 0 {
            let end = rest.iter().position(|byte| *byte == 0)?;
            rest = &rest[end + 1..];
        }
    }
    if flags & HAS_HEADER_CRC != 0 {
        let mut crc = Crc::new();
        crc.update(&bytes[..bytes.len() - rest.len()]);
        let (stored, after) = rest.split_first_chunk()?;
        if u16::from_le_bytes(*stored) != crc.sum() as u16 {
            return None;
        }
        rest = after;
    }
    Some(rest)
}
