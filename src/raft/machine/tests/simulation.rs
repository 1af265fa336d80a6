//! Random faults over a cluster of replicas, checked after every event, then peace: the cluster must
//! agree on a leader and commit. `RAFT_SEEDS` sets the number of seeds, `RAFT_SEED` runs one.

use std::collections::BTreeMap;
use std::panic::catch_unwind;

use super::super::super::voters::Voter;
use super::super::faults::PlantedFault;
use super::super::*;
use super::world::{Chaos, World, ms};
use crate::types::BrokerId;

const SEEDS: u64 = 60;
/// A planted fault must show within so many seeds.
const SEEDS_FOR_A_FAULT: u64 = 400;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// What all seeds together must have seen, or they prove little.
const COVERED: &[&str] = &[
    "election",
    "resignation",
    "truncation",
    "snapshot installed",
    "voters recorded",
    "several batches fetched",
    "graceful shutdown",
    "voter update asked",
    "old disk removal asked",
    "join asked",
    "voter added",
    "voter removed",
    "kraft.version raised",
    "vote",
];

/// One history: chaos, then a quiet phase. Returns what has happened in it.
fn run(seed: u64, fault: Option<PlantedFault>) -> BTreeMap<&'static str, u64> {
    let kraft_version = i16::from(!seed.is_multiple_of(4));
    let voters = [3, 3, 5, 3, 4, 2, 1][(seed % 7) as usize];
    let mut world = World::new(seed, 6, voters, kraft_version, fault);
    world.auto_join = seed % 3 != 1;
    world.chaos = Chaos {
        loss_percent: world.rng.below(10),
        duplicate_percent: world.rng.below(10),
        delay_max: ms(1 + world.rng.below(60)),
        sync_max: ms(1 + world.rng.below(80)),
        restart_after_vote_percent: world.rng.below(40),
        ..Chaos::none()
    };
    for id in 1..=6 {
        world.start(id);
    }
    if seed % 3 == 2 {
        // Most faults meet no settled cluster: this one does.
        world.run_for(ms(8000));
        let (id, other) = (pick(&mut world), pick(&mut world));
        replace_disk(&mut world, id, other);
    }
    let (actions, tempo) = (60 + world.rng.below(120), [40, 150, 400][world.rng.below(3) as usize]);
    for _ in 0..actions {
        let pause = 1 + world.rng.below(tempo);
        world.run_for(ms(pause));
        act(&mut world);
    }
    calm(&mut world);
    world.coverage
}

fn pick(world: &mut World) -> BrokerId {
    1 + world.rng.below(world.nodes.len() as u64) as BrokerId
}

fn act(world: &mut World) {
    let id = pick(world);
    let other = pick(world);
    match world.rng.below(33) {
        0..=7 => {
            for leader in world.leaders() {
                for _ in 0..=world.rng.below(3) {
                    world.append(leader);
                }
            }
        }
        8..=9 => world.crash(id),
        10..=13 => world.start(id),
        14 => _ = world.chaos.cuts.insert((id, other)),
        15 => {
            for peer in 1..=world.nodes.len() as BrokerId {
                world.chaos.cuts.insert((id, peer));
                world.chaos.cuts.insert((peer, id));
            }
        }
        16..=17 => world.chaos.cuts.clear(),
        18 => {
            let time = ms(world.rng.below(5000));
            world.pause(id, time);
        }
        19..=20 => {
            let clean = world.rng.below(2) == 0;
            world.snapshot(id, clean);
        }
        21 => {
            if let Some(leader) = world.leader() {
                let epoch = world.machine(leader).unwrap().epoch();
                world.input(leader, RaftInput::Resign(epoch));
            }
        }
        22 => world.shut_down(id),
        23..=24 => replace_disk(world, id, other),
        25..=27 => change_voters(world, id),
        28 => {
            if let Some(leader) = world.leader() {
                world.upgrade(leader);
            }
        }
        29..=31 => {
            world.crash(id);
            world.start(id);
        }
        // Voters that all move at once never find one another again.
        _ if is_settled(world) => {
            world.move_host(id);
            world.start(id);
        }
        _ => {}
    }
}

/// The voters that no longer exist or have moved, in any set that a node knows.
fn unreachable_voters(world: &World) -> usize {
    let is_unreachable = |voter: &&Voter| {
        let local = world.local(voter.key.id);
        voter.key.directory.is_some()
            && (voter.key, &voter.endpoints) != (local.key, &local.endpoints)
    };
    let sets = world.nodes.iter().map(|(id, node)| {
        let history = match world.machine(*id) {
            Some(machine) => machine.history().clone(),
            None => node.disk.log.history(&world.formatted()),
        };
        history.voters().iter().filter(is_unreachable).count()
    });
    sets.max().unwrap_or(0)
}

/// All nodes run and know one committed set of voters, which can spare one of them.
fn is_settled(world: &World) -> bool {
    let Some(leader) = world.leader().and_then(|id| world.machine(id)) else { return false };
    let history = leader.history();
    let is_committed = history.voters_offset().is_some_and(|at| Some(at) < leader.high_watermark());
    is_committed
        && history.kraft_version() == 1
        && history.voters().len() >= 3
        && unreachable_voters(world) == 0
        && world.nodes.keys().all(|id| {
            world.machine(*id).is_some_and(|machine| {
                let own = machine.history();
                own.voters() == history.voters() && own.voters_offset() < machine.high_watermark()
            })
        })
}

/// A voter loses its disk while another node is down, too.
fn replace_disk(world: &mut World, id: BrokerId, other: BrokerId) {
    if is_settled(world) && world.leader() != Some(id) {
        world.wipe(id);
        world.start(id);
        if world.leader() != Some(other) {
            world.crash(other);
        }
        for leader in world.leaders() {
            world.append(leader);
        }
    }
}

/// Adds an observer, or removes a voter: a lost one if there is one.
fn change_voters(world: &mut World, id: BrokerId) {
    let leaders = world.leaders();
    for leader in leaders {
        let voters = world.machine(leader).unwrap().history().voters().clone();
        let lost = voters.iter().find(|voter| voter.key != world.key(voter.key.id));
        let request = match lost {
            Some(lost) => RaftRequest::RemoveVoter(lost.key),
            None if unreachable_voters(world) > 0 => continue,
            None if voters.get(id).is_some() && voters.len() > 2 => {
                RaftRequest::RemoveVoter(world.key(id))
            }
            None => {
                let local = world.local(id);
                let (voter, endpoints) = (local.key, local.endpoints);
                let ack_when_committed = true;
                RaftRequest::AddVoter(AddVoterRequest { voter, endpoints, ack_when_committed })
            }
        };
        world.ask(leader, request);
    }
}

/// Everything works again: one leader, and a new record reaches all nodes.
fn calm(world: &mut World) {
    world.chaos = Chaos::none();
    let ids: Vec<BrokerId> = world.nodes.keys().copied().collect();
    for id in &ids {
        world.pause(*id, ms(0));
        world.start(*id);
    }
    world.run_for(ms(15_000));
    // Nodes that were shutting down have stopped by now.
    for id in &ids {
        world.start(*id);
    }
    let agreed = |world: &World| {
        let leaders = world.leaders();
        let [leader] = leaders[..] else { return false };
        let epoch = world.machine(leader).map(QuorumMachine::epoch);
        world.nodes.keys().all(|id| {
            let machine = world.machine(*id);
            machine.map(QuorumMachine::epoch) == epoch
                && machine.and_then(QuorumMachine::leader) == Some(leader)
        })
    };
    world.run_while_not(ms(30_000), "one leader that all know", agreed);
    let leader = world.leader().unwrap();
    world.append(leader);
    let end = world.machine(leader).unwrap().log().end().offset;
    world.run_while_not(ms(20_000), "a record reaches every node", |world| {
        let knows =
            |id: &BrokerId| world.machine(*id).and_then(QuorumMachine::high_watermark) >= Some(end);
        world.nodes.keys().all(knows)
    });
}

#[test]
fn replicas_agree_whatever_fails() {
    if let Some(seed) = number("RAFT_SEED") {
        run(seed, None);
        return;
    }
    let mut coverage: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..number("RAFT_SEEDS").unwrap_or(SEEDS) {
        match catch_unwind(|| run(seed, None)) {
            Ok(seen) => {
                for (event, count) in seen {
                    *coverage.entry(event).or_insert(0) += count;
                }
            }
            Err(panic) => {
                eprintln!("seed {seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{coverage:?}");
    let missing: Vec<_> = COVERED.iter().filter(|it| !coverage.contains_key(*it)).collect();
    assert!(missing.is_empty(), "no seed has seen {missing:?}");
}

/// The first seed that finds a planted fault, and what it finds.
fn find(fault: PlantedFault) -> (u64, String) {
    let seeds = number("RAFT_SEEDS").unwrap_or(SEEDS_FOR_A_FAULT);
    for seed in 0..seeds {
        if let Err(panic) = catch_unwind(|| run(seed, Some(fault))) {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let violation = panic.downcast_ref::<String>().cloned().or(text).unwrap_or_default();
            return (seed, violation);
        }
    }
    panic!("{fault:?} is not found in {seeds} seeds");
}

macro_rules! planted_faults {
    ($($name:ident: $fault:ident, $violation:literal;)*) => {$(
        #[test]
        fn $name() {
            let (seed, violation) = find(PlantedFault::$fault);
            println!("{:?}: seed {seed}: {violation}", PlantedFault::$fault);
            let is_expected = violation.contains($violation);
            assert!(is_expected, "seed {seed} finds something else: {violation}");
        }
    )*};
}

planted_faults! {
    a_vote_that_is_not_persisted_is_found: VoteNotPersisted, "votes for";
    a_vote_given_twice_is_found: VoteGivenTwice, "votes for";
    a_vote_for_a_shorter_log_is_found: VoteIgnoresLog, "lacks";
    a_pre_vote_in_the_next_epoch_is_found: PreVoteRaisesEpoch, "asks for votes in an epoch that is not its own";
    a_commit_of_an_older_epoch_is_found: CommitOfOlderEpoch, "by count";
    a_leader_that_counts_itself_before_its_sync_is_found: LeaderCountsItselfBeforeSync, "committed by";
    records_that_count_when_they_are_sent_are_found: SentRecordsCount, "committed by";
    a_diverging_fetch_that_counts_is_found: DivergingFetchCounts, "committed by";
    an_observer_that_counts_as_a_voter_is_found: ObserverCountsAsVoter, "committed by";
    a_high_watermark_from_a_diverging_response_is_found: HighWatermarkFromDivergingResponse, "committed beyond the log";
    a_high_watermark_beyond_the_log_is_found: HighWatermarkBeyondLog, "its log ends at";
    a_truncation_to_the_high_watermark_is_found: TruncationToHighWatermark, "which is committed";
    a_fetch_before_the_sync_is_found: FetchBeforeSync, "committed by";
    a_voter_change_before_an_own_commit_is_found: VoterChangeBeforeOwnCommit, " before ";
    a_snapshot_above_the_high_watermark_is_found: SnapshotAboveHighWatermark, "installs a snapshot of other records";
    a_restarted_leader_that_keeps_its_epoch_is_found: RestartedLeaderKeepsEpoch, "lead epoch";
}
