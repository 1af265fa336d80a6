//! System calls that a kernel, a file system or a sandbox may lack, and what is done instead.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;

/// A system call that can be done without.
pub(super) struct OptionalCall {
    name: &'static str,
    /// What is done instead, for the log.
    instead: &'static str,
    is_missing: AtomicBool,
    is_logged: AtomicBool,
}

impl OptionalCall {
    pub(super) const fn new(name: &'static str, instead: &'static str) -> Self {
        let (is_missing, is_logged) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { name, instead, is_missing, is_logged }
    }

    /// Whether it is worth a try: it was not missing so far.
    pub(super) fn is_there(&self) -> bool {
        !self.is_missing.load(Ordering::Relaxed)
    }

    /// Whether `error` says that the call is not to be had, rather than that it failed. The first
    /// time it is logged. A kernel or a sandbox refuses it for good, a file system for its own files.
    pub(super) fn is_refused(&self, error: Errno) -> bool {
        let for_good = matches!(error, Errno::NOSYS | Errno::PERM | Errno::ACCESS);
        if !for_good && !is_unknown_here(error) {
            return false;
        }
        if for_good {
            self.is_missing.store(true, Ordering::Relaxed);
        }
        if !self.is_logged.swap(true, Ordering::Relaxed) {
            tracing::warn!(call = self.name, %error, "a system call is refused; {}", self.instead);
        }
        true
    }
}

/// Whether an error says that a file, file system or socket does not know a call or an option.
pub(super) fn is_unknown_here(error: Errno) -> bool {
    matches!(error, Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS | Errno::NOPROTOOPT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_call_is_told_from_one_that_failed() {
        let call = OptionalCall::new("call", "another is used");
        assert!(!call.is_refused(Errno::IO) && !call.is_refused(Errno::AGAIN));
        assert!(call.is_refused(Errno::INVAL) && call.is_refused(Errno::OPNOTSUPP));
        assert!(call.is_there(), "other files may have it");
        assert!(call.is_refused(Errno::NOSYS));
        assert!(!call.is_there());
    }
}
