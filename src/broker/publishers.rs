//! The publishers of a broker, in the order in which they act on a new image: logs and roles of
//! partitions, then the coordinators on them, then what the controller is to be told.
//!
//! Configuration, quotas and access control need none: they are read from the image of the request.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::coordinator::groups::command::GroupCommand;
use crate::drivers::{Coordinators, Publisher, transactions};
use crate::metadata::MetadataImage;
use crate::metadata::image::Changes;
use crate::store::Placement;

type Done<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// The publishers, in their order.
pub(super) fn in_order(
    placement: &Arc<Placement>,
    transactions: &Arc<transactions::Transactions>,
    groups: &Arc<Coordinators<crate::coordinator::groups::Groups>>,
    changed: &Arc<Notify>,
) -> Vec<Arc<dyn Publisher>> {
    vec![
        Arc::new(PartitionPublisher(Arc::clone(placement))),
        Arc::new(TransactionPublisher(Arc::clone(transactions))),
        Arc::new(Groups(Arc::clone(groups))),
        Arc::new(Reports(Arc::clone(changed))),
    ]
}

/// Creates, opens and deletes logs, and sets the role of each partition.
struct PartitionPublisher(Arc<Placement>);

impl Publisher for PartitionPublisher {
    fn publish<'a>(&'a self, image: &'a Arc<MetadataImage>, changes: &'a Changes) -> Done<'a> {
        Box::pin(self.0.apply(image, changes))
    }
}

/// Loads and unloads transaction coordinators.
struct TransactionPublisher(Arc<transactions::Transactions>);

impl Publisher for TransactionPublisher {
    fn publish<'a>(&'a self, image: &'a Arc<MetadataImage>, changes: &'a Changes) -> Done<'a> {
        self.0.on_image(image, changes);
        Box::pin(ready(()))
    }
}

/// Loads and unloads group coordinators, and tells them which topics came and went.
struct Groups(Arc<Coordinators<crate::coordinator::groups::Groups>>);

impl Groups {
    /// Gives every coordinator a command, which it has executed when this returns.
    fn submit(&self, command: &GroupCommand) {
        for partition in self.0.partitions() {
            // The reply says nothing that a publisher needs.
            let _ = self.0.submit(partition, command.clone());
        }
    }
}

impl Publisher for Groups {
    fn publish<'a>(&'a self, image: &'a Arc<MetadataImage>, changes: &'a Changes) -> Done<'a> {
        self.0.on_image(image, changes);
        if !changes.topics_deleted.is_empty() {
            let deleted = changes.topics_deleted.iter().map(|topic| topic.name.to_string());
            self.submit(&GroupCommand::TopicsDeleted(deleted.collect()));
        }
        if !changes.topics_created.is_empty() {
            self.submit(&GroupCommand::TopicsCreated(image.offset));
        }
        Box::pin(ready(()))
    }
}

/// Wakes the task that reports to the controller about partitions.
struct Reports(Arc<Notify>);

impl Publisher for Reports {
    fn publish<'a>(&'a self, _: &'a Arc<MetadataImage>, changes: &'a Changes) -> Done<'a> {
        if !changes.partitions.is_empty() {
            self.0.notify_one();
        }
        Box::pin(ready(()))
    }
}
