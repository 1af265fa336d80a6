//! The queue without a connection.

use super::super::pipeline::{CallAnswer, Failure, Pipeline, PipelinedCall};
use super::super::versions::NodeVersions;
use super::super::{LostReason, UnsentReason};
use super::*;
use crate::codec::shape::Versions;
use crate::protocol::ApiFacts;
use crate::protocol::apis::facts;
use crate::protocol::messages::{DecodeError, EncodeError};
use crate::types::Mono;

type Outcome = Result<Bytes, Failure>;

/// What became of the calls, by number.
#[derive(Clone, Default)]
struct Outcomes(Arc<parking_lot::Mutex<Vec<(u8, Outcome)>>>);

impl Outcomes {
    fn take(&self) -> Vec<(u8, Outcome)> {
        std::mem::take(&mut self.0.lock())
    }
}

struct Scripted {
    number: u8,
    deadline: Mono,
    outcomes: Outcomes,
}

impl PipelinedCall for Scripted {
    fn api(&self) -> &'static ApiFacts {
        facts(key::Heartbeat).unwrap()
    }
    fn versions(&self) -> Versions {
        Versions { first: 0, last: 4 }
    }
    fn deadline(&self) -> Mono {
        self.deadline
    }
    fn is_abandoned(&self) -> bool {
        false
    }
    fn encode(&mut self, _: i16, _: i32) -> Result<Bytes, EncodeError> {
        Ok(Bytes::from(vec![self.number; 10]))
    }
    fn complete(self: Box<Self>, outcome: Result<CallAnswer, Failure>) -> Result<(), DecodeError> {
        let outcome = outcome.map(|answer| answer.frame);
        self.outcomes.0.lock().push((self.number, outcome));
        Ok(())
    }
}

fn with_calls(in_flight_max: usize, deadlines: &[u64]) -> (Pipeline, Outcomes) {
    let mut pipeline = Pipeline::new(100, in_flight_max);
    let outcomes = Outcomes::default();
    for (number, deadline) in deadlines.iter().enumerate() {
        let (number, deadline) = (number as u8, Mono(*deadline));
        pipeline.enqueue(Box::new(Scripted { number, deadline, outcomes: outcomes.clone() }));
    }
    (pipeline, outcomes)
}

fn node() -> NodeVersions {
    NodeVersions::of(&api_versions(ErrorCode::None, OFFERED))
}

#[test]
fn a_lost_connection_tells_requests_that_left_from_those_that_did_not() {
    // Bytes of three frames of ten bytes that the socket took, and how many requests left.
    for (sent, left) in [(0, 0), (1, 1), (10, 1), (11, 2), (20, 2), (29, 3), (30, 3)] {
        let (mut pipeline, outcomes) = with_calls(3, &[9; 4]);
        while pipeline.next_frame(&node()).is_some() {}
        pipeline.record_sent(sent);
        pipeline.connection_lost(&LostReason::ClosedByPeer, Mono(5));
        let outcomes = outcomes.take();
        assert_eq!(outcomes.len(), 3, "the fourth waits for the next connection");
        for (number, outcome) in outcomes {
            let expected = if number < left {
                Failure::Lost(LostReason::ClosedByPeer)
            } else {
                Failure::Unsent(UnsentReason::ConnectionLost(LostReason::ClosedByPeer))
            };
            assert_eq!(outcome, Err(expected), "request {number} after {sent} bytes");
        }
        assert!(pipeline.next_frame(&node()).is_some());
    }
}

#[test]
fn a_response_that_comes_before_its_request_was_sent_is_a_violation() {
    let (mut pipeline, _outcomes) = with_calls(1, &[9]);
    pipeline.next_frame(&node()).unwrap();
    let answer = Bytes::from_static(&[0, 0, 0, 0]);
    assert!(matches!(pipeline.answer(answer.clone()), Err(LostReason::Violation(_))));
    pipeline.record_sent(10);
    assert_eq!(pipeline.answer(answer), Ok(()));
}

#[test]
fn deadlines_fail_what_is_queued_and_report_what_is_in_flight() {
    let (mut pipeline, outcomes) = with_calls(1, &[30, 10, 20]);
    pipeline.next_frame(&node()).unwrap();
    assert_eq!(pipeline.next_deadline(), Some(Mono(10)));
    assert!(!pipeline.expire(Mono(10)));
    assert_eq!(outcomes.take(), [(1, Err(Failure::Unsent(UnsentReason::DeadlinePassed)))]);
    assert!(!pipeline.expire(Mono(29)));
    assert_eq!(outcomes.take().len(), 1);
    assert!(pipeline.expire(Mono(30)));
    assert_eq!(outcomes.take(), []);
}

#[test]
fn a_response_answers_the_oldest_request() {
    let (mut pipeline, _outcomes) = with_calls(1, &[9; 3]);
    for id in 0..3_i32 {
        pipeline.next_frame(&node()).unwrap();
        pipeline.record_sent(10);
        assert_eq!(pipeline.answer(Bytes::copy_from_slice(&id.to_be_bytes())), Ok(()));
    }
    assert!(pipeline.is_empty());
}
