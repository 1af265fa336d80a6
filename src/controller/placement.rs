//! Which brokers hold a new partition (Kafka 4.4 `StripedReplicaPlacer`).
//!
//! Leaders are spread evenly, and the replicas of one partition over the racks: round robin over
//! racks and over the brokers of each rack, from a random start, shuffled when a round repeats.
//! Fenced brokers hold replicas only where unfenced ones run out, and never the first.

use std::collections::BTreeMap;

use crate::types::BrokerId;

/// Randomness for decisions, drawn from one seed so that a decision can be repeated
/// (SplitMix64; Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub struct Entropy {
    states: [u64; 2],
}

/// A broker that may hold replicas: registered, not shutting down, with a directory that is not
/// cordoned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsableBroker {
    /// Which.
    pub id: BrokerId,
    /// Where it stands.
    pub rack: Option<String>,
    /// Whether it is fenced.
    pub fenced: bool,
}

/// Why replicas cannot be placed; the code is INVALID_REPLICATION_FACTOR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// No replica asked for.
    #[error("Invalid replication factor {0}: the replication factor must be positive.")]
    NotPositive(i32),
    /// Nobody to lead.
    #[error("All brokers are currently fenced, or have all their log directories cordoned.")]
    AllFenced,
    /// More replicas than brokers.
    #[error(
        "The target replication factor of {wanted} cannot be reached because only {brokers} \
         broker(s) are registered or some brokers have all their log directories cordoned."
    )]
    TooFewBrokers {
        /// Replicas asked for.
        wanted: i32,
        /// Brokers there are.
        brokers: usize,
    },
}

impl Entropy {
    /// All that follows is determined by the seed.
    pub fn new(seed: u128) -> Self {
        Self { states: [(seed >> 64) as u64, seed as u64] }
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        let [high, low] = self.states;
        self.states = [low, high.wrapping_add(0x9e37_79b9_7f4a_7c15)];
        let mut mixed = high.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next_u64()) * end as u128) >> 64) as usize
    }

    /// A random id.
    pub fn uuid(&mut self) -> crate::types::Uuid {
        loop {
            let halves = [self.next_u64(), self.next_u64()];
            let bytes = (u128::from(halves[0]) << 64) | u128::from(halves[1]);
            if let Some(id) = crate::types::Uuid::from_random_bytes(bytes.to_be_bytes()) {
                return id;
            }
        }
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.below(end + 1));
        }
    }
}

/// The replicas of `partitions` new partitions, `factor` each, the preferred leader first.
pub fn place(
    entropy: &mut Entropy,
    brokers: impl IntoIterator<Item = UsableBroker>,
    partitions: usize,
    factor: i32,
) -> Result<Vec<Vec<BrokerId>>, PlacementError> {
    let mut racks = Racks::new(entropy, brokers);
    let wanted = usize::try_from(factor).ok().filter(|factor| *factor > 0);
    let wanted = wanted.ok_or(PlacementError::NotPositive(factor))?;
    if racks.unfenced == 0 {
        return Err(PlacementError::AllFenced);
    }
    if wanted > racks.total {
        return Err(PlacementError::TooFewBrokers { wanted: factor, brokers: racks.total });
    }
    Ok((0..partitions).map(|_| racks.next(entropy, wanted)).collect())
}

/// The brokers of one rack in one state, handed out in a cycle that begins one further in each
/// round.
#[derive(Debug, Default)]
struct Cycle {
    brokers: Vec<BrokerId>,
    index: usize,
    offset: usize,
    round: usize,
}

impl Cycle {
    fn next(&mut self, round: usize) -> Option<BrokerId> {
        let count = self.brokers.len();
        if count == 0 {
            return None;
        }
        if self.round != round {
            self.round = round;
            self.index = 0;
            self.offset = (self.offset + 1) % count;
        }
        if self.index >= count {
            return None;
        }
        let broker = self.brokers.get((self.index + self.offset) % count).copied();
        self.index += 1;
        broker
    }

    fn start(&mut self, entropy: &mut Entropy) {
        if !self.brokers.is_empty() {
            self.brokers.sort_unstable();
            self.offset = entropy.below(self.brokers.len());
        }
    }
}

#[derive(Debug, Default)]
struct Rack {
    unfenced: Cycle,
    fenced: Cycle,
}

#[derive(Debug)]
struct Racks {
    list: Vec<Rack>,
    total: usize,
    unfenced: usize,
    round: usize,
    offset: usize,
}

impl Racks {
    fn new(entropy: &mut Entropy, brokers: impl IntoIterator<Item = UsableBroker>) -> Self {
        let mut by_name: BTreeMap<Option<String>, Rack> = BTreeMap::new();
        let (mut total, mut unfenced) = (0, 0);
        for broker in brokers {
            let rack = by_name.entry(broker.rack).or_default();
            let cycle = if broker.fenced { &mut rack.fenced } else { &mut rack.unfenced };
            cycle.brokers.push(broker.id);
            total += 1;
            unfenced += usize::from(!broker.fenced);
        }
        let mut racks: Vec<Rack> = by_name.into_values().collect();
        for rack in &mut racks {
            rack.fenced.start(entropy);
            rack.unfenced.start(entropy);
        }
        let offset = if racks.is_empty() { 0 } else { entropy.below(racks.len()) };
        Self { list: racks, total, unfenced, round: 0, offset }
    }

    /// The replicas of one partition. `wanted` is at most the number of brokers, and one of them
    /// is unfenced: both loops end.
    fn next(&mut self, entropy: &mut Entropy, wanted: usize) -> Vec<BrokerId> {
        // After as many partitions as there are leaders, the same lists would come again.
        if self.round == self.unfenced && self.unfenced > 1 {
            entropy.shuffle(&mut self.list);
            for rack in &mut self.list {
                entropy.shuffle(&mut rack.unfenced.brokers);
                entropy.shuffle(&mut rack.fenced.brokers);
            }
            self.round = 0;
        }
        let count = self.list.len();
        self.offset %= count;
        let round = self.round;
        let mut replicas = Vec::with_capacity(wanted);
        let mut leader_rack = self.offset;
        loop {
            if let Some(leader) = self.list[leader_rack].unfenced.next(round) {
                replicas.push(leader);
                break;
            }
            leader_rack = (leader_rack + 1) % count;
        }
        // The leader's rack is passed over once, so that the second replica stands elsewhere.
        let mut passed_over = Some(leader_rack);
        let mut at = self.offset;
        while replicas.len() < wanted {
            if passed_over == Some(at) {
                passed_over = None;
            } else {
                let rack = &mut self.list[at];
                replicas.extend(rack.unfenced.next(round).or_else(|| rack.fenced.next(round)));
            }
            at = (at + 1) % count;
        }
        self.round += 1;
        self.offset += 1;
        replicas
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brokers(spec: &str) -> Vec<UsableBroker> {
        // "1a 2b 3b!": id, rack, `!` for fenced; `-` for no rack.
        spec.split_whitespace()
            .map(|word| {
                let fenced = word.ends_with('!');
                let word = word.trim_end_matches('!');
                let (id, rack) = word.split_at(word.len() - 1);
                let rack = (rack != "-").then(|| rack.to_owned());
                UsableBroker { id: id.parse().unwrap(), rack, fenced }
            })
            .collect()
    }

    fn check_error(spec: &str, factor: i32, expect: &str) {
        let error = place(&mut Entropy::new(1), brokers(spec), 1, factor).unwrap_err();
        assert_eq!(error.to_string(), expect);
    }

    #[test]
    fn one_broker_gets_every_partition() {
        let placed = place(&mut Entropy::new(7), brokers("1-"), 5, 1).unwrap();
        assert_eq!(placed, vec![vec![1]; 5]);
    }

    #[test]
    fn leaders_are_spread_evenly_and_replicas_over_racks() {
        for seed in 0..200 {
            let all = brokers("0a 1a 2b 3b 4c 5c");
            let placed = place(&mut Entropy::new(seed), all.clone(), 6, 3).unwrap();
            let mut leaders: Vec<_> = placed.iter().map(|replicas| replicas[0]).collect();
            leaders.sort_unstable();
            assert_eq!(leaders, [0, 1, 2, 3, 4, 5], "seed {seed}");
            for replicas in &placed {
                let mut racks: Vec<_> = replicas.iter().map(|id| id / 2).collect();
                racks.sort_unstable();
                assert_eq!(racks, [0, 1, 2], "seed {seed}: {replicas:?}");
            }
        }
    }

    #[test]
    fn a_fenced_broker_never_leads_and_helps_out_at_the_end() {
        for seed in 0..50 {
            let placed = place(&mut Entropy::new(seed), brokers("1- 2-! 3-"), 8, 3).unwrap();
            for replicas in placed {
                assert_ne!(replicas[0], 2);
                let mut sorted = replicas.clone();
                sorted.sort_unstable();
                assert_eq!(sorted, [1, 2, 3], "each broker once");
            }
        }
    }

    #[test]
    fn what_cannot_be_placed_is_refused_with_kafkas_words() {
        check_error(
            "1-",
            0,
            "Invalid replication factor 0: the replication factor must be positive.",
        );
        check_error(
            "1-!",
            1,
            "All brokers are currently fenced, or have all their log directories cordoned.",
        );
        check_error(
            "1- 2-",
            3,
            "The target replication factor of 3 cannot be reached because only 2 broker(s) are \
             registered or some brokers have all their log directories cordoned.",
        );
    }

    #[test]
    fn the_same_seed_gives_the_same_ids() {
        assert_eq!(Entropy::new(5).uuid(), Entropy::new(5).uuid());
        assert_ne!(Entropy::new(5).uuid(), Entropy::new(6).uuid());
    }
}
