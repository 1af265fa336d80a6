//! AddOffsetsToTxn: v0-4.
//!
//! The partition that keeps a group's offsets joins a producer's transaction. v2: PRODUCER_FENCED.
//! v3: flexible. v4: TRANSACTION_ABORTABLE. Clients of transaction.version 2 do not send it.

use crate::coordinator::Producer;
use crate::coordinator::transactions::{TransactionCommand, TransactionPartitions};
use crate::metadata::{Operation, Resource};
use crate::protocol::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: AddOffsetsToTxnRequest,
) -> AddOffsetsToTxnResponse {
    let code = match add(context, &request).await {
        Ok(()) => ErrorCode::None,
        Err(ErrorCode::ProducerFenced) if context.version < 2 => ErrorCode::InvalidProducerEpoch,
        Err(code) => code,
    };
    AddOffsetsToTxnResponse::default().with_error_code(code.code())
}

async fn add(context: &RequestContext, request: &AddOffsetsToTxnRequest) -> Result<(), ErrorCode> {
    let id = &*request.transactional_id.0;
    context.require(Operation::Write, Resource::TransactionalId(id))?;
    context.require(Operation::Read, Resource::Group(&request.group_id.0))?;
    if id.is_empty() {
        return Err(ErrorCode::InvalidRequest);
    }
    let groups = &context.broker.groups;
    let image = context.broker.image.load_full();
    let partition = groups
        .partition_for(&image, &request.group_id.0)
        .ok_or(ErrorCode::CoordinatorNotAvailable)?;
    let partitions = TransactionPartitions::from([(groups.topic().to_owned(), [partition].into())]);
    let producer = Producer { id: request.producer_id.0, epoch: request.producer_epoch };
    let command = |_| TransactionCommand::AddPartitions {
        id: id.to_owned(),
        producer,
        partitions: partitions.clone(),
        client_version: 0,
    };
    context.broker.transactions.ask(id, command).await.map(|_| ())
}
