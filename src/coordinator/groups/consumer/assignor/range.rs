//! The range assignor (Kafka 4.4 `RangeAssignor`): the partitions of each topic in order, cut into
//! one range a member. Static members come first, by their instance, so that they keep their place
//! when they come back under another id.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{GroupSpec, number};
use crate::coordinator::groups::consumer::assignment::Assignment;

/// What is left of a topic.
struct RangeSplit {
    next: usize,
    partitions: usize,
    quota: usize,
    extra: usize,
}

pub(super) fn assign(group: &GroupSpec<'_>) -> Vec<Arc<Assignment>> {
    let mut order: Vec<usize> = (0..group.members.len()).collect();
    order.sort_by_key(|index| {
        let member = &group.members[*index];
        (member.instance_id.is_none(), member.instance_id.unwrap_or(member.id))
    });
    let mut readers: BTreeMap<_, usize> = BTreeMap::new();
    for topic in group.members.iter().flat_map(|member| member.topics.iter()) {
        *readers.entry(*topic).or_default() += 1;
    }
    let cut = |(topic, readers)| {
        let partitions = group.count(topic);
        (
            topic,
            RangeSplit {
                next: 0,
                partitions,
                quota: partitions / readers,
                extra: partitions % readers,
            },
        )
    };
    let mut cuts: BTreeMap<_, RangeSplit> = readers.into_iter().map(cut).collect();
    let mut targets: Vec<Arc<Assignment>> =
        group.members.iter().map(|member| Arc::clone(&member.target)).collect();
    for index in order {
        let mut assignment = Assignment::new();
        for topic in group.members[index].topics.iter() {
            let Some(cut) = cuts.get_mut(topic) else { continue };
            let quota = cut.quota + usize::from(cut.extra > 0);
            cut.extra = cut.extra.saturating_sub(1);
            let end = (cut.next + quota).min(cut.partitions);
            if cut.next < end {
                assignment.insert(*topic, (cut.next..end).map(number).collect());
            }
            cut.next = end;
        }
        if *targets[index] != assignment {
            targets[index] = Arc::new(assignment);
        }
    }
    targets
}
