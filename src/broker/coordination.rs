//! The coordinators of a broker: groups and transactions, on the partitions that store them.

use std::sync::Arc;

use super::data_plane::DataPlane;
use super::settings::BrokerSettings;
use crate::coordinator::groups::Groups;
use crate::drivers::ControlPlane;
use crate::drivers::coordinators::{CoordinatorDependencies, Coordinators};
use crate::drivers::producer_ids::ProducerIds;
use crate::drivers::transactions::Transactions;
use crate::metadata::image::Changes;

/// The coordinators, and what they need of the controller.
pub(super) struct Coordination {
    pub(super) groups: Arc<Coordinators<Groups>>,
    pub(super) transactions: Arc<Transactions>,
    pub(super) producer_ids: Arc<ProducerIds>,
}

impl Coordination {
    /// Starts the coordinators of the partitions that are `led` here.
    pub(super) fn start(
        data: &DataPlane,
        settings: &BrokerSettings,
        control: &ControlPlane,
        led: &Changes,
    ) -> Self {
        let surroundings = || CoordinatorDependencies {
            env: data.env.clone(),
            this_broker: settings.node_id,
            partitions: Arc::clone(&data.partitions),
            flusher: Arc::clone(&data.flusher),
            image: control.feed.images(),
        };
        let image = control.feed.image();
        let groups = group_coordinators(settings, surroundings());
        groups.on_image(&image, led);
        let producer_ids = ProducerIds::new(settings.node_id, control.controller.clone());
        let producer_ids = Arc::new(producer_ids);
        let configuration = Arc::clone(&settings.configuration);
        let transactions = Transactions::new(
            surroundings(),
            Arc::clone(&producer_ids),
            Arc::clone(&groups),
            &settings.configuration.started_with().transaction,
            Arc::new(move || configuration.latest().transaction.clone()),
        );
        transactions.on_image(&image, led);
        Self { groups, transactions, producer_ids }
    }
}

/// The coordinators of groups, over the partitions of `__consumer_offsets`.
fn group_coordinators(
    settings: &BrokerSettings,
    surroundings: CoordinatorDependencies,
) -> Arc<Coordinators<Groups>> {
    let config = Arc::clone(&settings.groups);
    Arc::new(Coordinators::new(
        "__consumer_offsets",
        surroundings,
        settings.offsets_log_use,
        Box::new(move |_| Groups::new(Arc::clone(&config))),
        Box::new(|_, effect| match effect {}),
    ))
}
