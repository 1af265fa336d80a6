//! Leaders and replicas.

use super::*;

#[test]
fn a_leader_shrinks_and_expands_its_isr_and_stale_proposals_are_refused() {
    let mut world = World::of_brokers(2);
    world.topic("a", &[&[1, 2]]);
    let topic = world.machine.image().topics.by_name("a").unwrap().id;
    let epoch = |world: &World, id: i32| world.machine.image().cluster.brokers[&id].epoch;
    let propose = |world: &mut World, partition_epoch, isr: &[i32]| {
        let isr = isr.iter().map(|id| (*id, epoch(world, *id))).collect();
        let proposed = ProposedIsr {
            topic,
            partition: 0,
            leader_epoch: 0,
            partition_epoch,
            isr,
            recovering: false,
        };
        let command = AlterPartition {
            broker_id: 1,
            broker_epoch: epoch(world, 1),
            partitions: vec![proposed],
        };
        world.ask(command).unwrap().remove(0).result
    };
    let state = propose(&mut world, 0, &[1]).unwrap();
    assert_eq!((state.isr, state.partition_epoch, state.leader_epoch), (vec![1], 1, 0));
    assert_eq!(propose(&mut world, 0, &[1]), Err(ErrorCode::InvalidUpdateVersion));
    assert_eq!(propose(&mut world, 9, &[1]), Err(ErrorCode::NotController));
    assert_eq!(propose(&mut world, 1, &[2]), Err(ErrorCode::InvalidRequest), "without its leader");
    assert_eq!(propose(&mut world, 1, &[1, 2]).unwrap().isr, [1, 2]);
    world.heartbeat(2, true, false);
    assert_eq!(propose(&mut world, 3, &[1, 2]), Err(ErrorCode::IneligibleReplica), "2 is fenced");
}

#[test]
fn leaders_are_elected_as_asked_for_or_kafkas_code_says_why_not() {
    let mut world = World::of_brokers(2);
    world.topic("a", &[&[2, 1], &[1, 2]]);
    world.heartbeat(2, true, false);
    world.heartbeat(2, false, false);
    assert_eq!(world.epochs("a")[0], (1, 1));
    let elect = |world: &mut World, election, partitions: Option<Vec<i32>>| {
        let partitions = partitions.map(|indexes| vec![("a".to_owned(), indexes)]);
        let before = world.log.len();
        let mut results = world.ask(ElectLeaders { election, partitions }).unwrap();
        (results.remove(0).1, world.lines_since(before))
    };
    let (results, _) = elect(&mut world, ElectionType::Preferred, Some(vec![0, 1, 7]));
    let codes: Vec<ErrorCode> = results
        .iter()
        .map(|(_, r)| r.as_ref().map_or_else(|e| e.code, |()| ErrorCode::None))
        .collect();
    assert_eq!(
        codes,
        [
            ErrorCode::PreferredLeaderNotAvailable,
            ErrorCode::ElectionNotNeeded,
            ErrorCode::UnknownTopicOrPartition
        ]
    );
    // Back in sync, it can lead.
    let topic = world.machine.image().topics.by_name("a").unwrap();
    let (id, partition_epoch) = (topic.id, topic.partitions[0].partition_epoch);
    let proposed = ProposedIsr {
        topic: id,
        partition: 0,
        leader_epoch: 1,
        partition_epoch,
        isr: vec![(1, -1), (2, -1)],
        recovering: false,
    };
    let broker_epoch = world.machine.image().cluster.brokers[&1].epoch;
    let command = AlterPartition { broker_id: 1, broker_epoch, partitions: vec![proposed] };
    world.ask(command).unwrap();
    let (results, lines) = elect(&mut world, ElectionType::Preferred, None);
    assert_eq!(results, [(0, Ok(()))], "those that are as asked for are not listed");
    assert_eq!(lines, ["change 0 leader 2"]);
}

#[test]
fn a_reassignment_adds_removes_completes_and_can_be_cancelled() {
    let mut world = World::of_brokers(3);
    world.topic("a", &[&[1, 2]]);
    let reassign = |world: &mut World, target: Option<Vec<i32>>| {
        let before = world.log.len();
        let command = AlterPartitionReassignments {
            topics: vec![("a".to_owned(), vec![(0, target)])],
            allow_replication_factor_change: false,
        };
        let result = world.ask(command).unwrap().remove(0).1.remove(0).1;
        (result, world.lines_since(before))
    };
    let (_, lines) = reassign(&mut world, Some(vec![1, 3]));
    assert_eq!(lines, ["change 0 replicas[1, 3, 2] removing[2] adding[3]"]);
    let ongoing = ongoing_reassignments(world.machine.image(), None);
    assert_eq!((&ongoing[0].1[0].adding, &ongoing[0].1[0].removing), (&vec![3], &vec![2]));
    let (_, lines) = reassign(&mut world, None);
    assert_eq!(lines, ["change 0 leader 1 replicas[1, 2] removing[] adding[]"]);
    refused(reassign(&mut world, None).0, ErrorCode::NoReassignmentInProgress, "");
    refused(
        reassign(&mut world, Some(vec![1])).0,
        ErrorCode::InvalidReplicationFactor,
        "The replication factor is changed from 2 to 1",
    );
    reassign(&mut world, Some(vec![1, 3])).0.unwrap();
    let topic = world.machine.image().topics.by_name("a").unwrap();
    let (id, partition) = (topic.id, &topic.partitions[0]);
    let proposed = ProposedIsr {
        topic: id,
        partition: 0,
        leader_epoch: partition.leader_epoch,
        partition_epoch: partition.partition_epoch,
        isr: vec![(1, -1), (2, -1), (3, -1)],
        recovering: false,
    };
    let broker_epoch = world.machine.image().cluster.brokers[&1].epoch;
    let records =
        world.records(AlterPartition { broker_id: 1, broker_epoch, partitions: vec![proposed] });
    assert_eq!(records, ["change 0 leader 1 isr[1, 3] replicas[1, 3] removing[] adding[]"]);
}
