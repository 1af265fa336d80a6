//! The kernel's randomness.

use std::fs::File;
use std::io::{self, Read as _};

use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::env::random::Random;

/// The device, where the system call is refused.
const DEVICE: &str = "/dev/urandom";

pub(super) struct OsRandom {
    device: Option<File>,
}

impl OsRandom {
    /// Errors: neither the system call nor the device gives random bytes.
    pub(super) fn open() -> io::Result<Self> {
        match fill_by_call(&mut [0]) {
            Ok(()) => Ok(Self { device: None }),
            Err(error) => {
                tracing::warn!(%error, "getrandom is refused; {DEVICE} is read instead");
                Self::of_device()
            }
        }
    }

    fn of_device() -> io::Result<Self> {
        let opened = File::open(DEVICE).and_then(|device| {
            (&device).read_exact(&mut [0])?;
            Ok(Self { device: Some(device) })
        });
        opened.map_err(|error| {
            io::Error::new(error.kind(), format!("no random bytes from {DEVICE}: {error}"))
        })
    }
}

fn fill_by_call(bytes: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < bytes.len() {
        match getrandom(&mut bytes[filled..], GetRandomFlags::empty()) {
            Ok(got) => filled += got,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

impl Random for OsRandom {
    fn fill(&self, bytes: &mut [u8]) {
        let filled = match &self.device {
            None => fill_by_call(bytes),
            Some(device) => { device }.read_exact(bytes),
        };
        // It gave some when it was opened. Ids that are not random would be worse than the end.
        filled.unwrap_or_else(|error| panic!("the kernel gives no random bytes: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_and_the_device_both_give_random_bytes() {
        for random in [OsRandom::open().unwrap(), OsRandom::of_device().unwrap()] {
            assert_ne!(random.next_u64(), random.next_u64());
            assert_ne!(random.uuid(), random.uuid());
        }
    }
}
