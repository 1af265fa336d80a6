//! Zstandard frames, read as zstd-jni's `ZstdInputStream` reads them: several may follow each other,
//! skippable ones among them, and a last one that is cut off after a whole one is ignored.

use std::io;

use zstd::stream::raw::{Decoder, Operation};

use super::invalid;

/// How many bytes zstd-jni reads at a time (`ZSTD_DStreamInSize`). It notices that a frame is cut off
/// only if it reads after the last whole frame.
const READ_LEN: usize = 128 * 1024 + 3;

/// The frames of one payload. The decoder is an argument of each call, so that its owner can keep it
/// from one payload to the next; it must be reset before the first call.
pub(super) struct Frames<'a> {
    payload: &'a [u8],
    at: usize,
    /// Where the last whole frame ends.
    frame_end: usize,
}

impl<'a> Frames<'a> {
    pub(super) fn new(payload: &'a [u8]) -> Self {
        Self { payload, at: 0, frame_end: 0 }
    }

    /// Inflates the next bytes to the start of `chunk`, which is not empty; how many, 0 at the end.
    pub(super) fn read(
        &mut self,
        decoder: &mut Decoder<'_>,
        chunk: &mut [u8],
    ) -> io::Result<usize> {
        loop {
            let rest = &self.payload[self.at..];
            if rest.is_empty() && self.at == self.frame_end {
                return Ok(0);
            }
            let step = decoder.run_on_buffers(rest, chunk)?;
            self.at += step.bytes_read;
            if step.remaining == 0 {
                self.frame_end = self.at;
            }
            if step.bytes_written > 0 {
                return Ok(step.bytes_written);
            }
            if rest.is_empty() && step.remaining != 0 {
                return if self.ignores_cut_frame() {
                    Ok(0)
                } else {
                    Err(invalid("a zstd frame ends too soon"))
                };
            }
        }
    }

    fn ignores_cut_frame(&self) -> bool {
        let read_of = |end: usize| (end - 1) / READ_LEN;
        self.frame_end > 0 && read_of(self.frame_end) == read_of(self.payload.len())
    }
}
