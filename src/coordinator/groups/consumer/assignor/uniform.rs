//! The uniform assignor of a group whose members all read the same topics (Kafka 4.4
//! `UniformHomogeneousAssignmentBuilder`): each member keeps what it has up to its share, and what
//! is left goes to those who have less.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{GroupSpec, number};
use crate::coordinator::groups::consumer::assignment::Assignment;
use crate::types::{PartitionIndex, TopicId};

pub(super) fn assign(group: &GroupSpec<'_>) -> Vec<Arc<Assignment>> {
    let count = group.members.len();
    let topics = &group.members[0].topics;
    let mut taken: BTreeMap<TopicId, Vec<bool>> =
        topics.iter().map(|topic| (*topic, vec![false; group.count(*topic)])).collect();
    let total: usize = taken.values().map(Vec::len).sum();
    let share = total / count;
    // How many members have one partition more than the others.
    let mut extra = total % count;
    let mut targets = Vec::with_capacity(count);
    let mut unfilled = Vec::new();
    for (index, member) in group.members.iter().enumerate() {
        let mut has_extra = extra > 0;
        let quota = share + usize::from(has_extra);
        let (target, kept) = keep(&member.target, quota, &mut taken);
        let mut missing = quota - kept;
        if missing > 0 && has_extra && count - index > extra {
            // Enough members come that may have the extra partition, or have it already.
            missing -= 1;
            has_extra = false;
        }
        if missing > 0 {
            unfilled.push((index, missing));
        }
        extra -= usize::from(has_extra);
        targets.push(target);
    }
    let mut free = taken.into_iter().flat_map(|(topic, taken)| {
        let free = taken.into_iter().enumerate().filter(|(_, is_taken)| !is_taken);
        free.map(move |(index, _)| (topic, number(index)))
    });
    for (index, missing) in unfilled {
        let target = Arc::make_mut(&mut targets[index]);
        for (topic, partition) in free.by_ref().take(missing) {
            target.entry(topic).or_default().push(partition);
        }
        target.values_mut().for_each(|partitions| partitions.sort_unstable());
    }
    targets
}

/// What a member keeps of its target, and how much that is.
fn keep(
    before: &Arc<Assignment>,
    quota: usize,
    taken: &mut BTreeMap<TopicId, Vec<bool>>,
) -> (Arc<Assignment>, usize) {
    let mut kept = 0;
    let mut loses = false;
    let mut target = Assignment::new();
    for (topic, partitions) in &**before {
        let mut taken = taken.get_mut(topic);
        let mut keeps = |partition: &PartitionIndex| {
            let slot = usize::try_from(*partition).ok().zip(taken.as_mut());
            let slot = slot.and_then(|(index, taken)| taken.get_mut(index));
            let keeps = kept < quota && slot.as_ref().is_some_and(|is_taken| !**is_taken);
            if let (true, Some(slot)) = (keeps, slot) {
                *slot = true;
                kept += 1;
            }
            keeps
        };
        let of_topic: Vec<_> = partitions.iter().copied().filter(|at| keeps(at)).collect();
        loses |= of_topic.len() < partitions.len();
        if !of_topic.is_empty() {
            target.insert(*topic, of_topic);
        }
    }
    (if loses { Arc::new(target) } else { Arc::clone(before) }, kept)
}
