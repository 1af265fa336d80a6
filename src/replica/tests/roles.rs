//! The table of roles, as a whole, and a replica that walks it.

use super::super::*;
use super::{BROKER, Facts, registration};
use crate::types::{LeaderEpoch, Mono};

const ROLES: [ReplicaRoleKind; 4] = [
    ReplicaRoleKind::Leader,
    ReplicaRoleKind::Follower,
    ReplicaRoleKind::Offline,
    ReplicaRoleKind::Closed,
];

const EVENTS: [ReplicaRoleEvent; 7] = [
    ReplicaRoleEvent::Outdated,
    ReplicaRoleEvent::Elected,
    ReplicaRoleEvent::LeaderKept,
    ReplicaRoleEvent::FollowNew,
    ReplicaRoleEvent::FollowKept,
    ReplicaRoleEvent::LogFailed,
    ReplicaRoleEvent::Closed,
];

const TABLE: &str = "\
Outdated
    Leader   kept
    Follower kept
    Offline  kept
    Closed   kept
Elected
    Leader   RecordEpochStart -> Leader -> WakeReaders
    Follower StopFetching, RecordEpochStart -> Leader -> WakeReaders
    Offline  kept
    Closed   kept
LeaderKept
    Leader   kept
    Follower never
    Offline  kept
    Closed   kept
FollowNew
    Leader   FailWaiting, ForgetVerifications -> Follower -> StartFetching, WakeReaders
    Follower StopFetching -> Follower -> StartFetching, WakeReaders
    Offline  kept
    Closed   kept
FollowKept
    Leader   never
    Follower kept
    Offline  kept
    Closed   kept
LogFailed
    Leader   FailWaiting -> Offline -> WakeReaders
    Follower StopFetching -> Offline -> WakeReaders
    Offline  kept
    Closed   kept
Closed
    Leader   FailWaiting -> Closed -> WakeReaders
    Follower StopFetching -> Closed -> WakeReaders
    Offline  Closed
    Closed   kept
";

fn describe(from: ReplicaRoleKind, event: ReplicaRoleEvent) -> String {
    let Some(transition) = transition(from, event) else { return "never".to_owned() };
    if !transition.is_new {
        assert_eq!(transition.to, from);
        return "kept".to_owned();
    }
    let steps = |steps: &[RoleStep]| {
        let names: Vec<_> = steps.iter().map(|step| format!("{step:?}")).collect();
        names.join(", ")
    };
    let parts = [steps(transition.before), format!("{:?}", transition.to), steps(transition.after)];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(" -> ")
}

#[test]
fn every_event_in_every_role_is_as_the_table_says() {
    let mut played = String::new();
    for event in EVENTS {
        played.push_str(&format!("{event:?}\n"));
        for role in ROLES {
            played.push_str(&format!("    {:8} {}\n", format!("{role:?}"), describe(role, event)));
        }
    }
    assert_eq!(played, TABLE, "{played}");
}

/// A host that notes the steps.
#[derive(Default)]
struct Notes {
    facts: Facts,
    steps: Vec<String>,
    log_fails: bool,
}

impl ReplicaHost for Notes {
    fn log(&self) -> LogFacts<'_> {
        self.facts.log()
    }

    fn local_end(&self) -> LocalEnd {
        LocalEnd::appended(self.facts.end)
    }

    fn broker(&self, _: crate::types::BrokerId) -> Option<BrokerStatus> {
        Some(BROKER)
    }

    fn settings(&self) -> ReplicaSettings {
        super::settings()
    }

    fn perform(&mut self, step: RoleStep, epoch: LeaderEpoch) -> Result<(), String> {
        let records = step == RoleStep::RecordEpochStart;
        self.steps.push(if records { format!("{step:?} {epoch}") } else { format!("{step:?}") });
        if self.log_fails && records {
            return Err("no space left".to_owned());
        }
        Ok(())
    }
}

fn at(leader: i32, leader_epoch: i32, partition_epoch: i32) -> crate::metadata::Partition {
    crate::metadata::Partition {
        leader,
        leader_epoch,
        partition_epoch,
        ..registration(&[1, 2, 3], &[1, 2, 3])
    }
}

/// Kafka 4.4 `Partition.makeLeader`, `Partition.makeFollower`; KAFKA-7415.
#[test]
fn a_replica_changes_its_role_with_its_leader_epoch() {
    let mut host = Notes::default();
    let mut replica = Replica::new(1, &host);
    let mut take = |host: &mut Notes, registration| {
        let _ = replica.on_registration(Mono(0), &registration, host);
        (replica.kind(), std::mem::take(&mut host.steps).join(", "))
    };
    for (name, registration, kind, steps) in [
        (
            "elected",
            at(1, 4, 10),
            ReplicaRoleKind::Leader,
            "StopFetching, RecordEpochStart 4, WakeReaders",
        ),
        ("again", at(1, 4, 10), ReplicaRoleKind::Leader, ""),
        ("ISR change", at(1, 4, 11), ReplicaRoleKind::Leader, ""),
        ("older", at(2, 3, 9), ReplicaRoleKind::Leader, ""),
        ("another leader in the epoch", at(2, 4, 12), ReplicaRoleKind::Leader, ""),
        ("elected again", at(1, 5, 13), ReplicaRoleKind::Leader, "RecordEpochStart 5, WakeReaders"),
        (
            "another leader",
            at(2, 6, 14),
            ReplicaRoleKind::Follower,
            "FailWaiting, ForgetVerifications, StartFetching, WakeReaders",
        ),
        ("the same leader", at(2, 6, 15), ReplicaRoleKind::Follower, ""),
        (
            "no leader",
            at(-1, 7, 16),
            ReplicaRoleKind::Follower,
            "StopFetching, StartFetching, WakeReaders",
        ),
    ] {
        assert_eq!(take(&mut host, registration), (kind, steps.to_owned()), "{name}");
    }
    host.log_fails = true;
    let (kind, steps) = take(&mut host, at(1, 8, 17));
    assert_eq!(kind, ReplicaRoleKind::Offline);
    assert_eq!(steps, "StopFetching, RecordEpochStart 8, StopFetching, WakeReaders");
    assert_eq!(take(&mut host, at(1, 9, 18)), (ReplicaRoleKind::Offline, String::new()));
}
