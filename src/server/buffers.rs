//! Buffers for reading, lent to connections while bytes arrive.
//!
//! A connection that waits, be it idle or for the answer to a long poll, holds no buffer: the
//! worker lends it one when it reads. So the memory of a worker's connections is that of those
//! that are in the middle of a request, and the buffer in use is the one that is in the cache.

use std::cell::RefCell;

use bytes::BytesMut;

/// The length of a fresh buffer, and the least room of one that is lent.
pub(super) const BUFFER_LEN: usize = 64 * 1024;
/// Longer ones, grown by large requests, are not kept.
const KEPT_LEN_MAX: usize = 4 * 1024 * 1024;
/// So many are kept by a worker.
const KEPT_MAX: usize = 8;

thread_local! {
    static KEPT: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer with room for at least [`BUFFER_LEN`] bytes.
pub(super) fn borrow() -> BytesMut {
    KEPT.with_borrow_mut(Vec::pop).unwrap_or_else(fresh)
}

/// An empty buffer of exactly [`BUFFER_LEN`] bytes.
pub(super) fn fresh() -> BytesMut {
    BytesMut::with_capacity(BUFFER_LEN)
}

/// Takes a buffer back. Bytes that were split off it may live on: then it is not used again.
pub(super) fn give_back(mut buffer: BytesMut) {
    buffer.clear();
    if buffer.try_reclaim(BUFFER_LEN) && buffer.capacity() <= KEPT_LEN_MAX {
        KEPT.with_borrow_mut(|kept| {
            if kept.len() < KEPT_MAX {
                kept.push(buffer);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_whole_unless_part_of_it_lives_on() {
        let mut buffer = borrow();
        let address = buffer.as_ptr();
        buffer.extend_from_slice(&[1; 1000]);
        drop(buffer.split_to(600));
        give_back(buffer);
        let mut again = borrow();
        assert_eq!((again.as_ptr(), again.len()), (address, 0));
        assert!(again.capacity() >= BUFFER_LEN);
        again.extend_from_slice(&[2; 1000]);
        let part = again.split_to(600);
        give_back(again);
        assert_ne!(borrow().as_ptr(), address);
        assert_eq!(part, [2; 600][..]);
    }

    #[test]
    fn no_more_than_a_few_are_kept_and_none_that_is_huge() {
        give_back(BytesMut::with_capacity(2 * KEPT_LEN_MAX));
        KEPT.with_borrow(|kept| assert!(kept.is_empty()));
        let all: Vec<BytesMut> = (0..20).map(|_| borrow()).collect();
        all.into_iter().for_each(give_back);
        KEPT.with_borrow(|kept| assert_eq!(kept.len(), KEPT_MAX));
    }
}
