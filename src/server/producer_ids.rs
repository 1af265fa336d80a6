//! Producer ids for this broker's clients, from blocks that the controller records before use.

use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::Mutex;

use crate::controller::command::AllocateProducerIds;
use crate::controller::driver::ControllerHandle;
use crate::types::{BrokerId, ErrorCode, ProducerId};

/// Ids that are left of the block at hand. None is given twice, also after a kill.
#[derive(Debug)]
pub struct ProducerIds {
    broker_id: BrokerId,
    broker_epoch: AtomicI64,
    left: Mutex<std::ops::Range<ProducerId>>,
    /// One request for a block at a time.
    refill: tokio::sync::Mutex<()>,
}

impl ProducerIds {
    /// Without a block yet.
    pub fn new(broker_id: BrokerId, broker_epoch: i64) -> Self {
        Self {
            broker_id,
            broker_epoch: AtomicI64::new(broker_epoch),
            left: Mutex::new(0..0),
            refill: tokio::sync::Mutex::new(()),
        }
    }

    /// The broker is registered under another epoch.
    pub fn set_broker_epoch(&self, epoch: i64) {
        self.broker_epoch.store(epoch, Ordering::Release);
    }

    fn take(&self) -> Option<ProducerId> {
        self.left.lock().next()
    }

    /// An id that nobody has. Asks the controller for a block when none is left.
    ///
    /// Errors: what the controller says; COORDINATOR_LOAD_IN_PROGRESS, which clients retry, when
    /// it cannot be asked (Kafka 4.4 `RPCProducerIdManager`).
    pub async fn next(&self, controller: ControllerHandle) -> Result<ProducerId, ErrorCode> {
        loop {
            if let Some(id) = self.take() {
                return Ok(id);
            }
            let _one = self.refill.lock().await;
            if let Some(id) = self.take() {
                return Ok(id);
            }
            let broker_epoch = self.broker_epoch.load(Ordering::Acquire);
            let command = AllocateProducerIds { broker_id: self.broker_id, broker_epoch };
            let block =
                controller.call(command).await.map_err(|_| ErrorCode::CoordinatorLoadInProgress)?;
            *self.left.lock() = block.first..block.first + i64::from(block.len);
        }
    }
}
