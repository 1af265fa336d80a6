//! The follower's side of an incremental fetch session (KIP-227; Kafka 4.4 `FetchSessionHandler`).

use crate::types::ErrorCode;

/// "No session" in a response, and in the request that begins one.
const NO_SESSION: i32 = 0;
/// The epoch of a request that names all partitions and begins a session.
const FIRST_EPOCH: i32 = 0;

/// The session that the next request belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FetchSession {
    id: i32,
    epoch: i32,
}

/// What the header of a response means for the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionVerdict {
    /// Its partitions are answers.
    Process,
    /// The next request begins a new session at once.
    Resend,
    /// The next request begins a new session, after a back-off.
    BackOff,
}

impl FetchSession {
    /// Before the first request.
    pub(super) fn new() -> Self {
        Self { id: NO_SESSION, epoch: FIRST_EPOCH }
    }

    /// The session id of the next request.
    pub(super) fn id(self) -> i32 {
        self.id
    }

    /// The session epoch of the next request.
    pub(super) fn epoch(self) -> i32 {
        self.epoch
    }

    /// Whether the next request names all partitions.
    pub(super) fn is_full(self) -> bool {
        self.epoch == FIRST_EPOCH
    }

    /// The next request closes the session and begins another: its outcome at the leader is
    /// unknown.
    pub(super) fn restart(&mut self) {
        self.epoch = FIRST_EPOCH;
    }

    /// Takes a response: its session id, or its top-level error. `fits` states whether its
    /// partitions are the expected ones.
    pub(super) fn on_response(
        &mut self,
        answer: Result<i32, ErrorCode>,
        fits: bool,
    ) -> SessionVerdict {
        match answer {
            Err(ErrorCode::FetchSessionIdNotFound) => {
                *self = Self::new();
                SessionVerdict::Resend
            }
            Err(ErrorCode::InvalidFetchSessionEpoch) => {
                self.restart();
                SessionVerdict::Resend
            }
            Err(_) => {
                self.restart();
                SessionVerdict::BackOff
            }
            Ok(_) if !fits => {
                if self.is_full() {
                    *self = Self::new();
                } else {
                    self.restart();
                }
                SessionVerdict::BackOff
            }
            // The leader has no room for a session, or closed it.
            Ok(NO_SESSION) => {
                *self = Self::new();
                SessionVerdict::Process
            }
            Ok(id) => {
                let epoch = if self.epoch == i32::MAX { 1 } else { self.epoch + 1 };
                *self = Self { id, epoch };
                SessionVerdict::Process
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: i32, epoch: i32) -> FetchSession {
        FetchSession { id, epoch }
    }

    /// Kafka 4.4 `FetchSessionHandler.handleResponse`.
    #[test]
    fn a_response_continues_or_restarts_the_session() {
        use SessionVerdict::{BackOff, Process, Resend};
        let new = FetchSession::new();
        for (before, answer, fits, verdict, after) in [
            (new, Ok(7), true, Process, session(7, 1)),
            (new, Ok(0), true, Process, new),
            (new, Ok(7), false, BackOff, new),
            (session(7, 3), Ok(7), true, Process, session(7, 4)),
            (session(7, i32::MAX), Ok(7), true, Process, session(7, 1)),
            (session(7, 3), Ok(0), true, Process, new),
            (session(7, 3), Ok(7), false, BackOff, session(7, 0)),
            (session(7, 3), Err(ErrorCode::FetchSessionIdNotFound), true, Resend, new),
            (session(7, 3), Err(ErrorCode::InvalidFetchSessionEpoch), true, Resend, session(7, 0)),
            (session(7, 3), Err(ErrorCode::FetchSessionTopicIdError), true, BackOff, session(7, 0)),
            (session(7, 3), Err(ErrorCode::UnsupportedVersion), true, BackOff, session(7, 0)),
        ] {
            let mut now = before;
            assert_eq!(now.on_response(answer, fits), verdict, "{before:?} {answer:?}");
            assert_eq!(now, after, "{before:?} {answer:?}");
        }
    }
}
