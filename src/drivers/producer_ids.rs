//! Producer ids for this broker's clients, from blocks that the controller commits before use.

use std::future::Future;
use std::ops::Range;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::controller::ControllerClient;
use crate::controller::command::{AllocateProducerIds, ProducerIdBlock, Refusal};
use crate::types::{BrokerId, ErrorCode, ProducerId};

/// The ids that are left of the current block. None is given twice, also after a kill.
pub struct ProducerIds {
    broker_id: BrokerId,
    controller: ControllerClient,
    state: Mutex<BlockState>,
    /// Notified when a request for a block has ended.
    refilled: Notify,
}

#[derive(Debug)]
struct BlockState {
    broker_epoch: i64,
    left: Range<ProducerId>,
    /// Whether a block is being requested: one request at a time.
    is_refilling: bool,
}

/// What the state has for a caller.
enum NextStep<'a> {
    Id(ProducerId),
    /// The caller requests a block.
    Refill(Refill<'a>),
    /// Another caller does.
    Wait,
}

/// The right to request a block. Another caller may do so once this is dropped.
struct Refill<'a> {
    ids: &'a ProducerIds,
    broker_epoch: i64,
}

impl Drop for Refill<'_> {
    fn drop(&mut self) {
        self.ids.state.lock().is_refilling = false;
        self.ids.refilled.notify_waiters();
    }
}

impl ProducerIds {
    /// No block yet; one is requested when an id is first needed.
    pub fn new(broker_id: BrokerId, controller: ControllerClient) -> Self {
        let state = BlockState { broker_epoch: -1, left: 0..0, is_refilling: false };
        Self { broker_id, controller, state: Mutex::new(state), refilled: Notify::new() }
    }

    /// The broker is registered under another epoch.
    pub fn set_broker_epoch(&self, epoch: i64) {
        self.state.lock().broker_epoch = epoch;
    }

    /// An id that no other producer has.
    ///
    /// Errors: COORDINATOR_LOAD_IN_PROGRESS, which clients retry, when no block can be had (Kafka
    /// 4.4 `RPCProducerIdManager`).
    pub async fn next(&self) -> Result<ProducerId, ErrorCode> {
        let broker_id = self.broker_id;
        let request =
            |broker_epoch| self.controller.call(AllocateProducerIds { broker_id, broker_epoch });
        self.next_from(request).await
    }

    async fn next_from<Requested>(
        &self,
        request: impl Fn(i64) -> Requested,
    ) -> Result<ProducerId, ErrorCode>
    where
        Requested: Future<Output = Result<ProducerIdBlock, Refusal>>,
    {
        loop {
            let refilled = self.refilled.notified();
            let mut refilled = std::pin::pin!(refilled);
            // Registered before the look, so that no end of a request falls between.
            refilled.as_mut().enable();
            match self.take() {
                NextStep::Id(id) => return Ok(id),
                NextStep::Wait => refilled.await,
                NextStep::Refill(refill) => {
                    let block = request(refill.broker_epoch).await.map_err(|refusal| {
                        tracing::debug!(%refusal, "no block of producer ids");
                        ErrorCode::CoordinatorLoadInProgress
                    })?;
                    self.state.lock().left = block.first..block.first + i64::from(block.len);
                }
            }
        }
    }

    fn take(&self) -> NextStep<'_> {
        let mut state = self.state.lock();
        if let Some(id) = state.left.next() {
            return NextStep::Id(id);
        }
        if state.is_refilling {
            return NextStep::Wait;
        }
        state.is_refilling = true;
        NextStep::Refill(Refill { ids: self, broker_epoch: state.broker_epoch })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::controller::tests::Node;
    use super::*;

    fn block(first: ProducerId) -> ProducerIdBlock {
        ProducerIdBlock { first, len: 2 }
    }

    #[tokio::test]
    async fn a_block_is_requested_once_for_all_who_wait_and_again_when_it_is_used_up() {
        let ids = ProducerIds::new(1, Node::start().client);
        ids.set_broker_epoch(7);
        let requests = Cell::new(0);
        let request = |epoch| {
            assert_eq!(epoch, 7);
            requests.set(requests.get() + 1);
            let first = requests.get() * 1000;
            async move {
                tokio::task::yield_now().await;
                Ok(block(first))
            }
        };
        let next = || ids.next_from(request);
        let (a, b, c) = tokio::join!(next(), next(), next());
        let mut given = [a, b, c].map(Result::unwrap);
        given.sort_unstable();
        assert_eq!((given, requests.get()), ([1000, 1001, 2000], 2));
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_or_fails_lets_another_request() {
        let ids = ProducerIds::new(1, Node::start().client);
        let never = |_| std::future::pending();
        let gone = tokio::select! {
            biased;
            id = ids.next_from(never) => Some(id),
            () = std::future::ready(()) => None,
        };
        assert_eq!(gone, None);
        let refused = |_| std::future::ready(Err(Refusal::from(ErrorCode::NotController)));
        let failed = ids.next_from(refused).await;
        assert_eq!(failed, Err(ErrorCode::CoordinatorLoadInProgress));
        let granted = |_| std::future::ready(Ok(block(5)));
        assert_eq!(ids.next_from(granted).await, Ok(5));
    }
}
