//! Who a replica is, and its timeouts.

use std::time::Duration;

use super::super::voters::{ReplicaKey, Voter, VoterEndpoint};

/// Identity and configuration of a replica.
#[derive(Clone, Debug)]
pub struct RaftConfig {
    /// The cluster.
    pub cluster_id: String,
    /// This replica, its addresses and the kraft.versions it supports. The directory is known.
    pub local: Voter,
    /// The listener that replicas dial: the first of `controller.listener.names`.
    pub listener: String,
    /// `controller.quorum.bootstrap.servers`, or the addresses of the static voters: host and port.
    pub bootstrap_servers: Vec<(String, u16)>,
    /// Whether the process has the controller role.
    pub can_become_voter: bool,
    /// `controller.quorum.auto.join.enable`.
    pub auto_join: bool,
    /// `controller.quorum.election.timeout.ms`. A random part of the same size is added.
    pub election_timeout: Duration,
    /// `controller.quorum.election.backoff.max.ms`.
    pub election_backoff_max: Duration,
    /// `controller.quorum.fetch.timeout.ms`.
    pub fetch_timeout: Duration,
    /// `controller.quorum.request.timeout.ms`.
    pub request_timeout: Duration,
    /// `controller.quorum.retry.backoff.ms`.
    pub retry_backoff: Duration,
    /// How long a leader may hold this replica's fetches back, in milliseconds.
    pub fetch_max_wait_ms: i32,
    /// `controller.quorum.fetch.max.bytes`.
    pub fetch_max_bytes: i32,
    /// `controller.quorum.fetch.snapshot.max.bytes`.
    pub fetch_snapshot_max_bytes: i32,
    /// Seeds the random part of election timeouts and the choice of bootstrap servers.
    pub seed: u64,
}

impl RaftConfig {
    /// Kafka's defaults for a replica without bootstrap servers.
    pub fn new(cluster_id: String, local: Voter, listener: String, seed: u64) -> Self {
        Self {
            cluster_id,
            local,
            listener,
            bootstrap_servers: Vec::new(),
            can_become_voter: true,
            auto_join: false,
            election_timeout: Duration::from_secs(1),
            election_backoff_max: Duration::from_secs(1),
            fetch_timeout: Duration::from_secs(2),
            request_timeout: Duration::from_secs(2),
            retry_backoff: Duration::from_millis(20),
            fetch_max_wait_ms: 500,
            fetch_max_bytes: 1 << 20,
            fetch_snapshot_max_bytes: 1 << 20,
            seed,
        }
    }

    /// Kafka allows timeouts of 0, with which roles would change for ever without time passing.
    pub(super) fn with_least_timeouts(self) -> Self {
        let least = |timeout: Duration| timeout.max(Duration::from_millis(1));
        Self {
            election_timeout: least(self.election_timeout),
            fetch_timeout: least(self.fetch_timeout),
            request_timeout: least(self.request_timeout),
            retry_backoff: least(self.retry_backoff),
            ..self
        }
    }

    /// This replica.
    pub fn me(&self) -> ReplicaKey {
        self.local.key
    }

    /// The address among `endpoints` that replicas dial.
    pub fn address(&self, endpoints: &[VoterEndpoint]) -> Option<(String, u16)> {
        let endpoint =
            endpoints.iter().find(|at| at.listener.eq_ignore_ascii_case(&self.listener))?;
        Some((endpoint.host.clone(), endpoint.port))
    }
}

/// A small seeded generator (`SplitMix64`; Steele, Lea, Flood 2014). Not for secrets.
#[derive(Clone, Debug)]
pub(super) struct Jitter(u64);

impl Jitter {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`, which is not 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    /// `base` and a random part below it.
    pub(super) fn doubled(&mut self, base: Duration) -> Duration {
        let nanos = u64::try_from(base.as_nanos()).unwrap_or(u64::MAX);
        base + Duration::from_nanos(self.below(nanos.max(1)))
    }
}
