//! Tests of the machines together: tables of rules, the table of roles, and a simulation.

mod fetcher;
mod follower;
mod leader;
mod roles;
mod simulation;

use std::time::Duration;

use super::*;
use crate::log::epochs::Epochs;
use crate::metadata::Partition as Registration;
use crate::types::{BrokerId, LeaderEpoch, Offset};

const LAG_TIME_MAX: Duration = Duration::from_secs(30);
const BACKOFF: Duration = Duration::from_secs(1);
const BROKER: BrokerStatus = BrokerStatus { epoch: 7, is_fenced: false, is_shutting_down: false };

fn settings() -> ReplicaSettings {
    ReplicaSettings {
        leader: LeaderSettings { min_insync_replicas: 1, lag_time_max: LAG_TIME_MAX },
        fetch_backoff: BACKOFF,
        divergence_check: DivergenceCheck::OnFetch,
    }
}

fn registration(replicas: &[BrokerId], isr: &[BrokerId]) -> Registration {
    Registration {
        replicas: replicas.to_vec(),
        directories: Vec::new(),
        isr: isr.to_vec(),
        removing_replicas: Vec::new(),
        adding_replicas: Vec::new(),
        elr: Vec::new(),
        last_known_elr: Vec::new(),
        leader: 1,
        leader_epoch: 3,
        partition_epoch: 5,
        leader_recovery_state: 0,
    }
}

/// The facts of a log, without the log.
#[derive(Clone, Debug, Default)]
struct Facts {
    start: Offset,
    end: Offset,
    high_watermark: Offset,
    epochs: Epochs,
}

impl Facts {
    fn new(
        start: Offset,
        high_watermark: Offset,
        end: Offset,
        epochs: &[(LeaderEpoch, Offset)],
    ) -> Self {
        let mut facts = Self { start, end, high_watermark, ..Self::default() };
        for (epoch, start) in epochs {
            assert!(facts.epochs.assign(*epoch, *start));
        }
        facts
    }

    fn log(&self) -> LogFacts<'_> {
        let Self { start, end, high_watermark, epochs } = self;
        LogFacts { start: *start, end: *end, high_watermark: *high_watermark, epochs }
    }
}
