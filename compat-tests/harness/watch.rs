//! The moments at which a broker touches its files, seen from outside.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init};
use rustix::io::Errno;

use super::PATIENCE;

/// Waits until a file or folder appears in `folder`, created or renamed, under a name that `is_it` knows, for the
/// `nth` time from now on, counted from 0. Returns at once when it happens: whoever appeared may not be complete.
pub(crate) fn wait_for_file(folder: &Path, nth: usize, is_it: impl Fn(&str) -> bool) {
    let inotify = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).unwrap();
    add_watch(&inotify, folder, WatchFlags::CREATE | WatchFlags::MOVED_TO).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut seen = 0;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "in {}: only {seen} such files in {PATIENCE:?}", folder.display());
        seen += appeared(&inotify, left, &is_it);
        if seen > nth {
            return;
        }
    }
}

/// How many such files the next events tell of, waiting for the first up to `patience`.
fn appeared(inotify: &OwnedFd, patience: Duration, is_it: impl Fn(&str) -> bool) -> usize {
    let timeout = Timespec::try_from(patience).unwrap();
    match poll(&mut [PollFd::new(inotify, PollFlags::IN)], Some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => panic!("poll: {error}"),
    }
    let mut buffer = [MaybeUninit::uninit(); 16 << 10];
    let mut events = Reader::new(inotify, &mut buffer);
    let mut count = 0;
    loop {
        match events.next() {
            Ok(event) => {
                let name = event.file_name().map(|name| name.to_string_lossy().into_owned());
                count += usize::from(name.is_some_and(|name| is_it(&name)));
            }
            Err(Errno::AGAIN) => return count,
            Err(error) => panic!("inotify: {error}"),
        }
    }
}
