//! The bytes of a simulated file: sparse, and cheap to clone.

use std::collections::BTreeMap;
use std::sync::Arc;

/// What the page cache handles at once, in bytes.
pub(super) const PAGE: u64 = 4096;
/// What a disk writes whole or not at all, in bytes.
pub(super) const SECTOR: u64 = 512;

type Page = [u8; PAGE as usize];

/// Pages by number; a missing page is zeroes. Bytes from `len` on are zero in every page.
#[derive(Clone, Default)]
pub(super) struct FileContent {
    pages: BTreeMap<u64, Arc<Page>>,
    len: u64,
}

impl FileContent {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// How many bytes it occupies on the disk.
    pub(super) fn allocated(&self) -> u64 {
        self.pages.len() as u64 * PAGE
    }

    /// How many bytes more it would occupy after a write.
    pub(super) fn growth(&self, position: u64, len: u64) -> u64 {
        let missing = pages_of(position, len).filter(|page| !self.pages.contains_key(page));
        missing.count() as u64 * PAGE
    }

    pub(super) fn read(&self, position: u64, buffer: &mut [u8]) -> usize {
        let wanted = (buffer.len() as u64).min(self.len.saturating_sub(position)) as usize;
        let mut done = 0;
        while done < wanted {
            let at = position + done as u64;
            let offset = (at % PAGE) as usize;
            let step = (PAGE as usize - offset).min(wanted - done);
            match self.pages.get(&(at / PAGE)) {
                Some(page) => {
                    buffer[done..done + step].copy_from_slice(&page[offset..offset + step]);
                }
                None => buffer[done..done + step].fill(0),
            }
            done += step;
        }
        wanted
    }

    pub(super) fn write(&mut self, position: u64, bytes: &[u8]) {
        let mut done = 0;
        while done < bytes.len() {
            let at = position + done as u64;
            let offset = (at % PAGE) as usize;
            let step = (PAGE as usize - offset).min(bytes.len() - done);
            let page = self.pages.entry(at / PAGE).or_insert_with(|| Arc::new([0; PAGE as usize]));
            Arc::make_mut(page)[offset..offset + step].copy_from_slice(&bytes[done..done + step]);
            done += step;
        }
        if !bytes.is_empty() {
            self.len = self.len.max(position + bytes.len() as u64);
        }
    }

    /// Cuts, or extends with zeroes that occupy nothing.
    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            self.pages.split_off(&len.div_ceil(PAGE));
            if let Some(page) = self.pages.get_mut(&(len / PAGE)) {
                Arc::make_mut(page)[(len % PAGE) as usize..].fill(0);
            }
        }
        self.len = len;
    }

    /// Takes over one page of `from`, without touching the length.
    pub(super) fn take_page(&mut self, from: &FileContent, page: u64) {
        match from.pages.get(&page) {
            Some(bytes) => self.pages.insert(page, Arc::clone(bytes)),
            None => self.pages.remove(&page),
        };
    }

    /// Takes over one sector of `from` (zeroes beyond its end), extending the length to hold it.
    pub(super) fn take_sector(&mut self, from: &FileContent, sector: u64) {
        let mut bytes = [0; SECTOR as usize];
        from.read(sector * SECTOR, &mut bytes);
        self.write(sector * SECTOR, &bytes);
    }
}

/// The numbers of the pages that hold a range.
pub(super) fn pages_of(position: u64, len: u64) -> std::ops::Range<u64> {
    units_of(position, len, PAGE)
}

/// The numbers of the sectors that hold a range.
pub(super) fn sectors_of(position: u64, len: u64) -> std::ops::Range<u64> {
    units_of(position, len, SECTOR)
}

fn units_of(position: u64, len: u64, unit: u64) -> std::ops::Range<u64> {
    if len == 0 { 0..0 } else { position / unit..(position + len).div_ceil(unit) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_beyond_a_cut_do_not_come_back_when_the_file_grows_again() {
        let mut content = FileContent::default();
        content.write(4000, &[7; 200]);
        content.set_len(4050);
        content.set_len(4200);
        let mut bytes = [1; 200];
        assert_eq!(content.read(4000, &mut bytes), 200);
        assert_eq!(bytes[..50], [7; 50]);
        assert_eq!(bytes[50..], [0; 150]);
    }

    #[test]
    fn a_hole_reads_as_zeroes_and_occupies_nothing() {
        let mut content = FileContent::default();
        content.set_len(10 << 20);
        assert_eq!((content.len(), content.allocated()), (10 << 20, 0));
        let mut bytes = [1; 8];
        assert_eq!(content.read((10 << 20) - 4, &mut bytes), 4);
        assert_eq!(bytes[..4], [0; 4]);
    }
}
