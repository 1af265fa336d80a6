//! The files of a segment, and its batches in them.

use std::path::{Path, PathBuf};

use super::Check;
use crate::log::files::file_name;
use crate::record::BatchHeader;
use crate::types::Offset;

/// A segment among the files of its partition.
pub(super) struct Names<'a> {
    pub(super) dir: &'a Path,
    pub(super) base_offset: Offset,
    /// Where the next segment begins.
    pub(super) next: Option<Offset>,
    pub(super) has: &'a dyn Fn(&str) -> bool,
    pub(super) is_first: bool,
}

impl Names<'_> {
    pub(super) fn path(&self, suffix: &str) -> PathBuf {
        self.dir.join(file_name(self.base_offset, suffix))
    }

    /// The bytes of a file beside the segment, if it is there.
    pub(super) fn read(&self, check: &mut Check<'_>, suffix: &str) -> Option<Vec<u8>> {
        (self.has)(&file_name(self.base_offset, suffix))
            .then(|| check.read(&self.path(suffix)))
            .flatten()
    }
}

/// A batch and its first byte.
#[derive(Clone, Copy)]
pub(super) struct Placed {
    pub(super) header: BatchHeader,
    pub(super) position: u64,
}
