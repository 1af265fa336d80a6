//! Requests that wait until the log of a partition reaches an offset (Kafka 4.4 `DelayedProduce`).

use std::collections::VecDeque;

use super::leader::NotEnoughReplicas;
use crate::types::{ErrorCode, Mono, Offset};

/// Why a produce request that was appended is not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AckFailure {
    /// The records are committed, and the ISR has become too small since they were appended.
    #[error("the records are appended, but {0}")]
    NotEnoughReplicas(NotEnoughReplicas),
    /// The replicas in sync did not all fetch the records in time.
    #[error("the records are appended, but not replicated within the request timeout")]
    TimedOut,
    /// This broker stopped leading before the records were committed.
    #[error("this broker stopped leading the partition before the records were replicated")]
    NotLeader,
    /// The log failed before the records were committed.
    #[error("the log is offline: {0}")]
    Offline(String),
}

impl AckFailure {
    /// The Kafka code of this failure.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotEnoughReplicas(_) => ErrorCode::NotEnoughReplicasAfterAppend,
            Self::TimedOut => ErrorCode::RequestTimedOut,
            Self::NotLeader => ErrorCode::NotLeaderOrFollower,
            Self::Offline(_) => ErrorCode::KafkaStorageError,
        }
    }
}

/// What a waiting request is told.
pub type AckResult = Result<(), AckFailure>;

#[derive(Debug)]
struct Waiter<T> {
    /// The offset after its last record.
    upto: Offset,
    deadline: Option<Mono>,
    ticket: T,
}

/// Appends of one partition that wait for an offset, in the order of that offset. `T` answers one
/// of them: it is moved in by [`ParkedAcks::park`] and moved out once, with its result.
#[derive(Debug)]
pub struct ParkedAcks<T> {
    waiting: VecDeque<Waiter<T>>,
    parked: u64,
    answered: u64,
}

impl<T> Default for ParkedAcks<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), parked: 0, answered: 0 }
    }
}

impl<T> ParkedAcks<T> {
    /// Parks a request until everything below `upto` is committed. Retries wait for the original's
    /// offset, which may be lower than that of requests that wait already.
    pub fn park(&mut self, upto: Offset, deadline: Option<Mono>, ticket: T) {
        let at = match self.waiting.back() {
            Some(last) if last.upto > upto => self.waiting.partition_point(|w| w.upto <= upto),
            _ => self.waiting.len(),
        };
        self.waiting.insert(at, Waiter { upto, deadline, ticket });
        self.parked += 1;
    }

    /// How many requests wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether no request waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Answers the requests whose records lie below `reached`: the high watermark. `size` is the
    /// leader's check of the ISR after the append ([`super::PartitionLeader::check_after_append`]).
    pub fn release(
        &mut self,
        reached: Offset,
        size: Result<(), NotEnoughReplicas>,
        mut answer: impl FnMut(T, AckResult),
    ) {
        while self.waiting.front().is_some_and(|waiter| waiter.upto <= reached) {
            let Some(waiter) = self.waiting.pop_front() else { break };
            self.answered += 1;
            answer(waiter.ticket, size.map_err(AckFailure::NotEnoughReplicas));
        }
        self.check();
    }

    /// Answers the requests whose time is up with [`AckFailure::TimedOut`].
    pub fn expire(&mut self, now: Mono, mut answer: impl FnMut(T, AckResult)) {
        let is_late = |waiter: &Waiter<T>| waiter.deadline.is_some_and(|deadline| deadline <= now);
        if !self.waiting.iter().any(is_late) {
            return;
        }
        for waiter in std::mem::take(&mut self.waiting) {
            if is_late(&waiter) {
                self.answered += 1;
                answer(waiter.ticket, Err(AckFailure::TimedOut));
            } else {
                self.waiting.push_back(waiter);
            }
        }
        self.check();
    }

    /// The earliest deadline of a waiting request.
    pub fn next_deadline(&self) -> Option<Mono> {
        self.waiting.iter().filter_map(|waiter| waiter.deadline).min()
    }

    /// Answers all requests with a failure: leadership is lost, or the log failed. Call
    /// [`ParkedAcks::release`] with the last high watermark first.
    pub fn fail(&mut self, failure: &AckFailure, mut answer: impl FnMut(T, AckResult)) {
        for waiter in self.waiting.drain(..) {
            self.answered += 1;
            answer(waiter.ticket, Err(failure.clone()));
        }
        self.check();
    }

    fn check(&self) {
        let open = self.parked - self.answered;
        assert_eq!(open, self.waiting.len() as u64, "each request is answered once");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOO_FEW: NotEnoughReplicas = NotEnoughReplicas { in_sync: 1, required: 2 };

    fn parked(requests: &[(Offset, Option<u64>)]) -> ParkedAcks<usize> {
        let mut acks = ParkedAcks::default();
        for (ticket, (upto, deadline)) in requests.iter().enumerate() {
            acks.park(*upto, deadline.map(Mono), ticket);
        }
        acks
    }

    #[test]
    fn requests_are_released_in_the_order_of_their_offsets() {
        let mut acks = parked(&[(3, None), (5, None), (4, None), (9, None)]);
        let mut answers = Vec::new();
        acks.release(5, Ok(()), |ticket, result| answers.push((ticket, result)));
        assert_eq!(answers, [(0, Ok(())), (2, Ok(())), (1, Ok(()))]);
        assert_eq!(acks.len(), 1);
        acks.release(5, Ok(()), |ticket, _| panic!("request {ticket} is answered again"));
    }

    /// KIP-966, Kafka 4.4 `Partition.checkEnoughReplicasReachOffset`.
    #[test]
    fn committed_records_of_a_shrunken_isr_are_reported_as_appended() {
        let mut acks = parked(&[(3, None)]);
        let mut codes = Vec::new();
        acks.release(3, Err(TOO_FEW), |_, result| codes.extend(result.map_err(|e| e.code()).err()));
        assert_eq!(codes, [ErrorCode::NotEnoughReplicasAfterAppend]);
    }

    #[test]
    fn only_late_requests_time_out() {
        let mut acks = parked(&[(3, Some(10)), (4, None), (5, Some(20)), (6, Some(10))]);
        assert_eq!(acks.next_deadline(), Some(Mono(10)));
        acks.expire(Mono(9), |ticket, _| panic!("request {ticket} has time left"));
        let mut late = Vec::new();
        acks.expire(Mono(10), |ticket, result| late.push((ticket, result)));
        assert_eq!(late, [(0, Err(AckFailure::TimedOut)), (3, Err(AckFailure::TimedOut))]);
        assert_eq!((acks.len(), acks.next_deadline()), (2, Some(Mono(20))));
    }

    #[test]
    fn loss_of_leadership_fails_what_is_not_committed() {
        let mut acks = parked(&[(3, None), (5, None)]);
        let mut answers = Vec::new();
        acks.release(3, Ok(()), |ticket, result| answers.push((ticket, result)));
        acks.fail(&AckFailure::NotLeader, |ticket, result| answers.push((ticket, result)));
        assert_eq!(answers, [(0, Ok(())), (1, Err(AckFailure::NotLeader))]);
        assert!(acks.is_empty());
    }
}
