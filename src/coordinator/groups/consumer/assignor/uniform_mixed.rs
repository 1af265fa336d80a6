//! The uniform assignor of a group whose members read different topics (Kafka 4.4
//! `UniformHeterogeneousAssignmentBuilder`): what nobody has goes to the least loaded readers of its
//! topic, then partitions move, topic by topic, from the most to the least loaded readers until no
//! topic has readers whose loads differ by more than one, or [`ROUNDS_MAX`] rounds are over.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{GroupSpec, number};
use crate::coordinator::groups::consumer::assignment::Assignment;
use crate::types::TopicId;

/// Readers whose subscriptions overlap without being equal may take long to balance; each round
/// about halves what is uneven.
const ROUNDS_MAX: usize = 16;
/// The owner of a partition that nobody owns.
const NOBODY: usize = usize::MAX;

struct Builder {
    /// The owner of each partition, as a place in the list of members.
    owners: BTreeMap<TopicId, Vec<usize>>,
    /// The members that read a topic.
    readers: BTreeMap<TopicId, Vec<usize>>,
    /// How many partitions each member has.
    loads: Vec<usize>,
}

pub(super) fn assign(group: &GroupSpec<'_>) -> Vec<Arc<Assignment>> {
    let mut builder =
        Builder { owners: BTreeMap::new(), readers: BTreeMap::new(), loads: Vec::new() };
    for (index, member) in group.members.iter().enumerate() {
        for topic in member.topics.iter() {
            let owners = || vec![NOBODY; group.count(*topic)];
            builder.owners.entry(*topic).or_insert_with(owners);
            builder.readers.entry(*topic).or_default().push(index);
        }
    }
    builder.loads = vec![0; group.members.len()];
    for (index, member) in group.members.iter().enumerate() {
        for (topic, partitions) in &*member.target {
            if member.topics.binary_search(topic).is_err() {
                continue;
            }
            let Some(owners) = builder.owners.get_mut(topic) else { continue };
            for partition in partitions {
                let slot = usize::try_from(*partition).ok().and_then(|at| owners.get_mut(at));
                if let Some(owner) = slot.filter(|owner| **owner == NOBODY) {
                    *owner = index;
                    builder.loads[index] += 1;
                }
            }
        }
    }
    let topics = builder.sorted_topics();
    for topic in &topics {
        builder.assign_free(*topic);
    }
    builder.balance(&topics);
    let mut targets: Vec<Assignment> = group.members.iter().map(|_| Assignment::new()).collect();
    for (topic, owners) in builder.owners {
        for (partition, owner) in owners.into_iter().enumerate() {
            if owner != NOBODY {
                targets[owner].entry(topic).or_default().push(number(partition));
            }
        }
    }
    let keep = |(target, member): (Assignment, &super::MemberSpec<'_>)| {
        if target == *member.target { Arc::clone(&member.target) } else { Arc::new(target) }
    };
    targets.into_iter().zip(&group.members).map(keep).collect()
}

impl Builder {
    /// Topics with many partitions a reader first, then those with few readers: later ones even
    /// out what these leave.
    fn sorted_topics(&self) -> Vec<TopicId> {
        let mut topics: Vec<(TopicId, usize, usize)> = self
            .readers
            .iter()
            .map(|(topic, readers)| {
                (*topic, self.owners.get(topic).map_or(0, Vec::len), readers.len())
            })
            .collect();
        topics.sort_by(|(a, partitions_a, readers_a), (b, partitions_b, readers_b)| {
            // Fractions are compared by their cross products.
            let (a_over, b_over) = (partitions_a * readers_b, partitions_b * readers_a);
            b_over.cmp(&a_over).then(readers_a.cmp(readers_b)).then(a.cmp(b))
        });
        topics.into_iter().map(|(topic, _, _)| topic).collect()
    }

    fn assign_free(&mut self, topic: TopicId) {
        let (Some(owners), Some(readers)) = (self.owners.get_mut(&topic), self.readers.get(&topic))
        else {
            return;
        };
        if !owners.contains(&NOBODY) {
            return;
        }
        let mut balancer = Balancer::new(readers, &self.loads);
        for owner in owners.iter_mut().filter(|owner| **owner == NOBODY) {
            *owner = balancer.take_least(&self.loads);
            self.loads[*owner] += 1;
        }
    }

    fn balance(&mut self, topics: &[TopicId]) {
        let shared: Vec<TopicId> = topics
            .iter()
            .copied()
            .filter(|topic| self.readers.get(topic).is_some_and(|readers| readers.len() > 1))
            .collect();
        let mut last_moved = None;
        for _ in 0..ROUNDS_MAX {
            for topic in &shared {
                if last_moved == Some(*topic) {
                    return; // Since its turn nothing has moved.
                }
                if self.balance_topic(*topic) || last_moved.is_none() {
                    last_moved = Some(*topic);
                }
            }
        }
    }

    /// Whether a partition has moved.
    fn balance_topic(&mut self, topic: TopicId) -> bool {
        let (Some(owners), Some(readers)) = (self.owners.get_mut(&topic), self.readers.get(&topic))
        else {
            return false;
        };
        let loads = readers.iter().map(|reader| self.loads[*reader]);
        let (least, most) = (loads.clone().min().unwrap_or(0), loads.max().unwrap_or(0));
        if most - least <= 1 {
            return false;
        }
        // What each owner can give, its last partition first.
        let mut held: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (partition, owner) in owners.iter().enumerate() {
            held.entry(*owner).or_default().push(partition);
        }
        let mut balancer = Balancer::new(readers, &self.loads);
        let mut has_moved = false;
        while !balancer.is_balanced() {
            let given = loop {
                let Some(giver) = balancer.take_most(&self.loads) else { break None };
                match held.get_mut(&giver).and_then(Vec::pop) {
                    Some(partition) => break Some((giver, partition)),
                    None => balancer.exclude_most(),
                }
            };
            let Some((giver, partition)) = given else { break };
            let receiver = balancer.take_least(&self.loads);
            if balancer.is_balanced() {
                break;
            }
            owners[partition] = receiver;
            self.loads[giver] -= 1;
            self.loads[receiver] += 1;
            has_moved = true;
        }
        has_moved
    }
}

/// Readers by load: a range of the least loaded ones that grows upwards as they are given to, and
/// one of the most loaded ones that grows downwards as they are taken from.
struct Balancer {
    /// Places of members, by load.
    sorted: Vec<usize>,
    least_end: usize,
    least_load: isize,
    next_least: usize,
    most_start: usize,
    most_end: usize,
    most_load: isize,
    next_most: isize,
}

fn signed(value: usize) -> isize {
    isize::try_from(value).unwrap_or(isize::MAX)
}

impl Balancer {
    fn new(readers: &[usize], loads: &[usize]) -> Self {
        let mut sorted = readers.to_vec();
        sorted.sort_by_key(|reader| (loads[*reader], *reader));
        let load = |reader: Option<&usize>| reader.map_or(0, |reader| signed(loads[*reader]));
        let (least, most) = (load(sorted.first()), load(sorted.last()));
        let end = sorted.len();
        Self {
            sorted,
            least_end: 0,
            least_load: least - 1,
            next_least: 0,
            most_start: end,
            most_end: end,
            most_load: most + 1,
            next_most: signed(end) - 1,
        }
    }

    /// The next reader to give to.
    fn take_least(&mut self, loads: &[usize]) -> usize {
        if self.next_least >= self.least_end {
            self.least_load += 1;
            while self
                .sorted
                .get(self.least_end)
                .is_some_and(|r| signed(loads[*r]) == self.least_load)
            {
                self.least_end += 1;
            }
            self.next_least = 0;
        }
        let reader = self.sorted[self.next_least];
        self.next_least += 1;
        reader
    }

    /// The next reader to take from.
    fn take_most(&mut self, loads: &[usize]) -> Option<usize> {
        if self.next_most < signed(self.most_start) {
            let below = self.most_start.checked_sub(1).map(|at| signed(loads[self.sorted[at]]));
            match below {
                // Whoever was in the range has nothing to give: it begins anew further down.
                Some(load) if self.most_end <= self.most_start => self.most_load = load,
                _ => self.most_load -= 1,
            }
            while let Some(at) = self.most_start.checked_sub(1)
                && signed(loads[self.sorted[at]]) == self.most_load
            {
                self.most_start = at;
            }
            self.next_most = signed(self.most_end) - 1;
        }
        let at = usize::try_from(self.next_most).ok()?;
        self.next_most -= 1;
        Some(self.sorted[at])
    }

    /// The reader that was last taken has nothing to give.
    fn exclude_most(&mut self) {
        let Ok(at) = usize::try_from(self.next_most + 1) else { return };
        self.most_end -= 1;
        self.sorted.swap(at, self.most_end);
    }

    fn is_balanced(&self) -> bool {
        self.most_load - self.least_load <= 1
    }
}
