//! What must be true of every assignment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;

fn topic(number: usize) -> TopicId {
    TopicId::from_halves(1, number as u64 + 1)
}

/// Members, each with its topics, over topics with so many partitions.
#[derive(Clone, Debug)]
struct Case {
    counts: Vec<usize>,
    members: Vec<BTreeSet<usize>>,
}

fn spec<'a>(case: &Case, ids: &'a [String], targets: &[Arc<Assignment>]) -> GroupSpec<'a> {
    let members =
        case.members.iter().zip(ids).enumerate().map(|(index, (topics, id))| MemberSpec {
            id,
            instance_id: None,
            topics: topics.iter().map(|number| topic(*number)).collect(),
            target: targets.get(index).cloned().unwrap_or_default(),
        });
    let counts = case.counts.iter().enumerate();
    GroupSpec {
        members: members.collect(),
        partitions: counts.map(|(index, count)| (topic(index), number(*count))).collect(),
        is_homogeneous: case.members.windows(2).all(|pair| pair[0] == pair[1]),
    }
}

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("member-{index:05}")).collect()
}

fn size(target: &Assignment) -> usize {
    target.values().map(Vec::len).sum()
}

/// Every partition that somebody reads has one owner, who reads it.
fn check(case: &Case, targets: &[Arc<Assignment>]) {
    let mut seen = BTreeSet::new();
    for (target, topics) in targets.iter().zip(&case.members) {
        for (id, partitions) in &**target {
            assert!(!partitions.is_empty() && partitions.is_sorted(), "{partitions:?}");
            assert!(topics.iter().any(|number| topic(*number) == *id), "not subscribed");
            for partition in partitions {
                assert!(seen.insert((*id, *partition)), "two owners of {partition}");
            }
        }
    }
    let read: BTreeSet<usize> = case.members.iter().flatten().copied().collect();
    let all: usize = read.iter().map(|number| case.counts[*number]).sum();
    assert_eq!(seen.len(), all, "all are assigned");
}

fn moved(before: &[Arc<Assignment>], after: &[Arc<Assignment>]) -> usize {
    let owners = |targets: &[Arc<Assignment>]| -> BTreeMap<(TopicId, i32), usize> {
        let each = targets.iter().enumerate().flat_map(|(member, target)| {
            let flat = target.iter().flat_map(|(id, at)| at.iter().map(|p| (*id, *p)));
            flat.map(move |partition| (partition, member))
        });
        each.collect()
    };
    let (before, after) = (owners(before), owners(after));
    before.iter().filter(|(partition, owner)| after.get(*partition) != Some(*owner)).count()
}

fn cases() -> impl Strategy<Value = Case> {
    let counts = prop::collection::vec(1usize..20, 1..6);
    counts.prop_flat_map(|counts| {
        let topics = counts.len();
        let one = prop::collection::btree_set(0..topics, 0..=topics);
        let members = prop::collection::vec(one, 1..12);
        (Just(counts), members).prop_map(|(counts, members)| Case { counts, members })
    })
}

proptest! {
    #[test]
    fn every_partition_has_one_owner_who_reads_it(before in cases(), members in 1usize..12) {
        for assignor in [Assignor::Uniform, Assignor::Range] {
            let names = ids(before.members.len().max(members));
            let first = assignor.assign(&spec(&before, &names, &[]));
            check(&before, &first);
            // Members come and go, and their subscriptions turn.
            let mut after = before.clone();
            after.members.rotate_left(1);
            after.members.resize(members, before.members[0].clone());
            let second = assignor.assign(&spec(&after, &names, &first));
            check(&after, &second);
        }
    }

    #[test]
    fn a_uniform_assignment_is_even_and_moves_no_more_than_it_must(
        counts in prop::collection::vec(1usize..30, 1..5),
        few in 1usize..10,
        joining in 0usize..5,
    ) {
        let topics: BTreeSet<usize> = (0..counts.len()).collect();
        let case = |members| Case { counts: counts.clone(), members: vec![topics.clone(); members] };
        let names = ids(few + joining);
        let even = |targets: &[Arc<Assignment>]| {
            let sizes = targets.iter().map(|target| size(target));
            let (least, most) = (sizes.clone().min().unwrap(), sizes.max().unwrap());
            assert!(most - least <= 1, "{least}..{most}");
        };
        let before = Assignor::Uniform.assign(&spec(&case(few), &names, &[]));
        even(&before);
        let again = Assignor::Uniform.assign(&spec(&case(few), &names, &before));
        prop_assert_eq!(&before, &again, "nothing moves when nothing happens");
        let after = Assignor::Uniform.assign(&spec(&case(few + joining), &names, &before));
        even(&after);
        let gained: usize = after[few..].iter().map(|target| size(target)).sum();
        prop_assert_eq!(moved(&before, &after), gained, "only what those who join are given");
    }

    #[test]
    fn members_that_read_different_topics_keep_what_they_have(case in cases()) {
        let names = ids(case.members.len());
        let first = Assignor::Uniform.assign(&spec(&case, &names, &[]));
        let second = Assignor::Uniform.assign(&spec(&case, &names, &first));
        prop_assert_eq!(moved(&first, &second), 0);
    }
}

#[test]
fn ranges_are_in_the_order_of_members_static_ones_first() {
    let case = Case { counts: vec![5, 3], members: vec![BTreeSet::from([0, 1]); 3] };
    let names = ids(3);
    let mut group = spec(&case, &names, &[]);
    group.members[2].instance_id = Some("z");
    let targets = Assignor::Range.assign(&group);
    let of = |index: usize| targets[index].values().cloned().collect::<Vec<_>>();
    assert_eq!(of(2), [vec![0, 1], vec![0]]);
    assert_eq!(of(0), [vec![2, 3], vec![1]]);
    assert_eq!(of(1), [vec![4], vec![2]]);
}

#[test]
fn a_thousand_members_of_ten_thousand_partitions_keep_what_they_have() {
    let topics: BTreeSet<usize> = (0..10).collect();
    let mut case = Case { counts: vec![1_000; 10], members: vec![topics; 1_000] };
    let names = ids(1_001);
    let before = Assignor::Uniform.assign(&spec(&case, &names, &[]));
    check(&case, &before);
    case.members.push(case.members[0].clone());
    let after = Assignor::Uniform.assign(&spec(&case, &names, &before));
    check(&case, &after);
    assert_eq!(moved(&before, &after), size(&after[1_000]));
}
