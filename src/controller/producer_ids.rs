//! Blocks of producer ids (Kafka 4.4 `ProducerIdControlManager`).

use super::command::{AllocateProducerIds, ProducerIdBlock, Refusal};
use super::machine::{Context, Controller, ControllerDecision};
use crate::metadata::record::ProducerIdsRecord;
use crate::types::{ErrorCode, ProducerId};

/// How many ids a broker gets at once (Kafka 4.4 `ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE`).
pub const BLOCK_LEN: i32 = 1000;

impl Controller {
    /// The next block. Its end is on record before the first id is used, so that none is used
    /// twice whatever stops.
    pub(super) fn allocate_producer_ids(
        &mut self,
        _context: Context,
        command: AllocateProducerIds,
    ) -> Result<ControllerDecision<ProducerIdBlock>, Refusal> {
        let AllocateProducerIds { broker_id, broker_epoch } = command;
        self.check_epoch(broker_id, broker_epoch)?;
        let first: ProducerId = self.image().next_producer_id.max(0);
        let Some(next_producer_id) = first.checked_add(ProducerId::from(BLOCK_LEN)) else {
            return Err(Refusal::new(
                ErrorCode::UnknownServerError,
                "Exhausted all producerIds as the next block's end producerId has exceeded the \
                 int64 type limit",
            ));
        };
        let record = ProducerIdsRecord { broker_id, broker_epoch, next_producer_id };
        let block = ProducerIdBlock { first, len: BLOCK_LEN };
        Ok(ControllerDecision::split(vec![record.into()], block))
    }
}
