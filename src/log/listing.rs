//! What lies in the directory of a log, found with one look at it.
//!
//! A broker looks at 10,000 directories when it starts, and at most of them once: what it learns of
//! the names is kept, a few words a log, until the log is opened.

use std::io;
use std::path::Path;

use super::files::EPOCHS_FILE;
use super::files::{
    CLEANED, DELETED, INDEX, LOG, SNAPSHOT, SWAP, TIME_INDEX, TXN_INDEX, offset_of,
};
use crate::env::{DirEntry, Directory, Disk};
use crate::types::Offset;

/// The files of a log, as their names tell of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The base offsets of the segments, ascending, with the bytes in their record files.
    pub(super) segments: Vec<(Offset, u64)>,
    /// The offsets of the snapshots of producer state, ascending.
    pub(super) snapshots: Vec<Offset>,
    /// Indexes without a segment.
    pub(super) orphans: Vec<String>,
    /// The file of leader epochs is there.
    pub(super) has_epochs: bool,
    /// Names show that something was interrupted: see `recovery::tidy_up`.
    pub(super) is_untidy: bool,
}

impl Listing {
    /// Of what lies in `dir`.
    pub fn read(disk: &dyn Disk, dir: &Path) -> io::Result<Self> {
        let (entries, open) = disk.open_dir(dir)?;
        Self::of(&entries, &*open)
    }

    /// Of the names in a directory, and what it says of the record files among them.
    pub fn of(entries: &[DirEntry], dir: &dyn Directory) -> io::Result<Self> {
        let mut listing = Self::default();
        let names = || entries.iter().filter(|entry| !entry.is_dir).map(|entry| &*entry.name);
        for name in names() {
            if let Some(offset) = offset_of(name, LOG) {
                let len = dir.info(name)?.map_or(0, |info| info.len);
                listing.segments.push((offset, len));
            } else if let Some(offset) = offset_of(name, SNAPSHOT) {
                listing.snapshots.push(offset);
            } else if [DELETED, CLEANED, SWAP, ".tmp"].iter().any(|end| name.ends_with(end)) {
                listing.is_untidy = true;
            } else if name == EPOCHS_FILE {
                listing.has_epochs = true;
            }
        }
        for name in names() {
            let index =
                [INDEX, TIME_INDEX, TXN_INDEX].iter().find_map(|kind| offset_of(name, kind));
            if index.is_some_and(|offset| !listing.has_segment(offset)) {
                listing.orphans.push(name.to_owned());
            }
        }
        Ok(listing)
    }

    fn has_segment(&self, offset: Offset) -> bool {
        self.segments.binary_search_by_key(&offset, |(base, _)| *base).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::sync::Arc;

    use super::*;
    use crate::env::OpenMode;
    use crate::env::sim::SimDisk;
    use crate::log::{Log, LogConfig, LogShared, OpenContext, OpenFiles};
    use crate::types::Timestamp;

    const DIR: &str = "/d";

    /// Opens a log that was stopped cleanly, or is new, from what was seen of its directory.
    fn open(disk: &SimDisk, listing: Option<Listing>) -> Log {
        let shared = LogShared { disk: Arc::new(disk.clone()), files: OpenFiles::new(8) };
        let context = OpenContext {
            clean: true,
            recovery_point: 0,
            log_start_offset: 0,
            high_watermark: 0,
            now: Timestamp(0),
        };
        let (dir, config) = (Path::new(DIR), Arc::new(LogConfig::default()));
        let opened = match listing {
            Some(listing) => Log::open_listed(shared, dir, listing, config, &context),
            None => Log::open(shared, dir, config, &context),
        };
        opened.unwrap().0
    }

    fn write(disk: &SimDisk, name: &str, bytes: &[u8]) {
        let file = disk.open(&Path::new(DIR).join(name), OpenMode::CreateNew).unwrap();
        file.write_at(&[IoSlice::new(bytes)], 0).unwrap();
    }

    fn listing(names: &[(&str, &[u8])]) -> Listing {
        let disk = SimDisk::new(1);
        disk.create_dir_all(Path::new(DIR)).unwrap();
        names.iter().for_each(|(name, bytes)| write(&disk, name, bytes));
        Listing::read(&disk, Path::new(DIR)).unwrap()
    }

    #[test]
    fn a_directory_tells_of_its_segments_and_of_indexes_without_one() {
        let listing = listing(&[
            ("00000000000000000000.log", b""),
            ("00000000000000000000.index", b""),
            ("00000000000000000007.log", b"123"),
            ("00000000000000000007.snapshot", b""),
            ("00000000000000000009.timeindex", b""),
            ("leader-epoch-checkpoint", b""),
            ("partition.metadata", b""),
        ]);
        let expected = Listing {
            segments: vec![(0, 0), (7, 3)],
            snapshots: vec![7],
            orphans: vec!["00000000000000000009.timeindex".to_owned()],
            has_epochs: true,
            is_untidy: false,
        };
        assert_eq!(listing, expected);
    }

    #[test]
    fn what_was_interrupted_shows_in_names() {
        for name in ["00000000000000000000.log.deleted", "x.cleaned", "y.swap", "z.tmp"] {
            assert!(listing(&[(name, b"")]).is_untidy, "{name}");
        }
    }

    #[test]
    fn a_log_without_records_that_stopped_cleanly_is_opened_from_its_listing_alone() {
        let disk = SimDisk::new(1);
        open(&disk, None).close().unwrap();
        let listing = Listing::read(&disk, Path::new(DIR)).unwrap();
        let expected = Listing { segments: vec![(0, 0)], ..Listing::default() };
        assert_eq!(listing, expected, "what nobody produced to has no snapshot of producers");
        let calls = disk.calls();
        let log = open(&disk, Some(listing));
        assert_eq!((log.end(), log.producers().iter().count()), (0, 0));
        assert_eq!(disk.calls(), calls);
    }

    #[test]
    fn a_snapshot_from_before_the_first_record_is_not_read() {
        let disk = SimDisk::new(1);
        open(&disk, None).close().unwrap();
        write(&disk, "00000000000000000000.snapshot", b"torn");
        let listing = Listing::read(&disk, Path::new(DIR)).unwrap();
        let calls = disk.calls();
        assert_eq!(open(&disk, Some(listing)).producers().iter().count(), 0);
        assert_eq!(disk.calls(), calls);
    }

    #[test]
    fn what_was_interrupted_is_finished_before_a_listing_is_believed() {
        let disk = SimDisk::new(1);
        open(&disk, None).close().unwrap();
        write(&disk, "00000000000000000005.log.deleted", b"");
        write(&disk, "leader-epoch-checkpoint.tmp", b"");
        let listing = Listing::read(&disk, Path::new(DIR)).unwrap();
        assert!(listing.is_untidy);
        open(&disk, Some(listing));
        assert!(!Listing::read(&disk, Path::new(DIR)).unwrap().is_untidy);
    }
}
