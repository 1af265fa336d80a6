//! Partitions move between two log directories while clients write, and the power goes.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use blumfeld::env::sim::{Crash, Fault, SimDisk, World};
use blumfeld::env::{Disk, Env};
use blumfeld::record::BatchBuilder;
use blumfeld::types::{ErrorCode, Timestamp};
use kafka_protocol::messages::alter_replica_log_dirs_request::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::{
    AlterReplicaLogDirsRequest, DeleteTopicsRequest, DescribeLogDirsRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use crate::support::broker::{DATA, SimBroker};
use crate::support::workload::{Histories, PARTITIONS, Session, TOPIC, check, write};
use crate::support::{seeds, simulate};
use crate::{HOST, LOOK};

const OTHER: &str = "/other";
const ALTER_REPLICA_LOG_DIRS: i16 = 2;
const DESCRIBE_LOG_DIRS: i16 = 4;
const DELETE_TOPICS: i16 = 6;
const TWO_DIRS: &[(&str, &str)] = &[
    ("log.flush.interval.messages", "1"),
    ("log.dirs", "/data,/other"),
    ("log.segment.delete.delay.ms", "1000"),
];

fn move_all(to: &'static str) -> AlterReplicaLogDirsRequest {
    let topic = AlterReplicaLogDirTopic::default()
        .with_name(TopicName(StrBytes::from_static_str(TOPIC)))
        .with_partitions((0..PARTITIONS).collect());
    let dir = AlterReplicaLogDir::default()
        .with_path(StrBytes::from_static_str(to))
        .with_topics(vec![topic]);
    AlterReplicaLogDirsRequest::default().with_dirs(vec![dir])
}

/// The partitions in each directory, and whether any is on its way.
async fn where_they_are(session: &mut Session) -> std::io::Result<(Vec<(String, usize)>, bool)> {
    let request = DescribeLogDirsRequest::default().with_topics(None);
    let response = session.call(DESCRIBE_LOG_DIRS, &request).await?;
    let (mut found, mut on_the_way) = (Vec::new(), false);
    for dir in &response.results {
        if dir.error_code != 0 {
            return Err(std::io::Error::other(format!("{}: {}", &*dir.log_dir, dir.error_code)));
        }
        let partitions = dir.topics.iter().flat_map(|topic| &topic.partitions);
        on_the_way |= partitions.clone().any(|partition| partition.is_future_key);
        let live = partitions.filter(|partition| !partition.is_future_key).count();
        found.push((dir.log_dir.to_string(), live));
    }
    Ok((found, on_the_way))
}

/// Moves all partitions to and fro, until nobody answers.
async fn to_and_fro(env: Env, rounds: usize) {
    let mut session = Session::new(env, HOST);
    for round in 0..rounds {
        let to = if round % 2 == 0 { OTHER } else { DATA };
        let Ok(response) = session.call(ALTER_REPLICA_LOG_DIRS, &move_all(to)).await else {
            return;
        };
        for partition in &response.results[0].partitions {
            let code = ErrorCode::from_code(partition.error_code).unwrap();
            assert!(matches!(code, ErrorCode::None | ErrorCode::KafkaStorageError), "{code:?}");
        }
        for _ in 0..400 {
            match where_they_are(&mut session).await {
                Ok((_, false)) => break,
                Ok((_, true)) => tokio::time::sleep(LOOK).await,
                Err(_) => return,
            }
        }
    }
}

/// The partitions' own directories on disk, and those of copies.
fn on_disk(disk: &SimDisk) -> (Vec<String>, Vec<String>) {
    let all: Vec<String> = [DATA, OTHER]
        .iter()
        .flat_map(|dir| disk.list(Path::new(dir)).unwrap())
        .filter(|entry| entry.is_dir && entry.name.starts_with(TOPIC))
        .map(|entry| entry.name)
        .collect();
    let (mut live, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|name| !name.contains('.'));
    live.sort();
    (live, rest)
}

/// Whether the power stayed until everything was done.
async fn moves(
    world: World,
    prepare: impl FnOnce(&SimDisk),
    is_calm: fn(&SimDisk) -> bool,
    mode: Crash,
) -> bool {
    let mut broker = SimBroker::new(&world, HOST, TWO_DIRS);
    broker.start_and_serve().await;
    let histories = Histories::default();
    let env = world.machine("writer").start();
    let (done, mut all_done) = tokio::sync::mpsc::channel::<()>(1);
    Session::new(env.clone(), HOST).create_topic().await;
    let session = Session::new(env.clone(), HOST);
    let (rng, written) = (world.rng("writer"), histories.clone());
    env.threads.spawn(Box::pin(async move {
        write(session, 1, 12, false, rng, written).await;
        drop(done);
    }));
    tokio::time::sleep(Duration::from_millis(60)).await;
    let disk = broker.machine().disk();
    prepare(&disk);
    let (moved, mut all_moved) = tokio::sync::mpsc::channel::<()>(1);
    env.threads.clone().spawn(Box::pin(async move {
        to_and_fro(env, 2).await;
        drop(moved);
    }));
    let mut waited = Duration::ZERO;
    let is_over = || {
        let is_done = all_done.is_closed() && all_moved.is_closed();
        is_done || disk.is_without_power() || broker.has_ended()
    };
    while !is_over() && waited < Duration::from_secs(30) {
        tokio::time::sleep(LOOK).await;
        waited += LOOK;
    }
    let stayed = is_calm(&disk);
    broker.crash(mode);
    let (live, rest) = on_disk(&broker.machine().disk());
    for partition in 0..PARTITIONS {
        let name = format!("{TOPIC}-{partition}");
        let whole = live.iter().filter(|known| **known == name).count();
        let is_future =
            |known: &&String| known.starts_with(&format!("{name}.")) && known.ends_with("-future");
        assert!(whole <= 1, "{name} is there twice");
        assert!(whole == 1 || rest.iter().any(|n| is_future(&n)), "{name} is nowhere: {rest:?}");
    }
    broker.start_and_serve().await;
    let finished = tokio::time::timeout(Duration::from_mins(10), all_done.recv()).await;
    assert!(finished.is_ok(), "everything gets through in the end");
    let _ = all_moved.recv().await;
    let env = world.machine("judge").start();
    check(Session::new(env.clone(), HOST), &histories).await.unwrap();
    // What was under way is finished, and what is left of it removed after a while.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let (places, on_the_way) = where_they_are(&mut Session::new(env, HOST)).await.unwrap();
    assert!(!on_the_way, "{places:?}");
    broker.stop().await;
    let (live, rest) = on_disk(&broker.machine().disk());
    let expected: BTreeSet<String> = (0..PARTITIONS).map(|n| format!("{TOPIC}-{n}")).collect();
    assert_eq!(live, expected.into_iter().collect::<Vec<_>>(), "{rest:?}");
    assert_eq!(rest, [""; 0], "nothing else is left");
    // And the next start finds it where it is.
    broker.start_and_serve().await;
    let env = world.machine("second judge").start();
    check(Session::new(env.clone(), HOST), &histories).await.unwrap();
    stayed
}

#[test]
fn a_power_cut_after_any_change_of_a_move_leaves_each_partition_whole_in_one_place() {
    for seed in seeds(1) {
        for cut in 1.. {
            let name = format!("a_power_cut_after_any_change_of_a_move # after change {cut}");
            let mode = [Crash::PowerLoss, Crash::PowerLossKeepingNothing, Crash::Kill];
            let mode = mode[(cut as usize + seed as usize) % 3];
            let prepare = |disk: &SimDisk| disk.cut_power_after(cut);
            let is_calm = |disk: &SimDisk| !disk.is_without_power();
            let (_, stayed) = simulate(&name, seed, |world| moves(world, prepare, is_calm, mode));
            if stayed {
                break;
            }
        }
    }
}

#[test]
fn a_call_of_the_disk_that_fails_in_a_move_costs_no_partition() {
    for seed in seeds(1) {
        for nth in 0.. {
            let name = format!("a_call_of_the_disk_that_fails_in_a_move # call {nth}");
            let fault = if nth % 2 == seed % 2 { Fault::eio() } else { Fault::enospc() };
            let prepare = |disk: &SimDisk| disk.inject(fault.path(TOPIC).after(nth));
            let is_calm = |disk: &SimDisk| disk.faults_left() > 0;
            let life = |world| moves(world, prepare, is_calm, Crash::PowerLoss);
            let (_, calm) = simulate(&name, seed, life);
            if calm {
                break;
            }
        }
    }
}

#[test]
fn new_partitions_go_where_the_fewest_are_and_a_move_to_where_one_lies_ends_its_move() {
    simulate("new_partitions_go_where_the_fewest_are", 1, |world| async move {
        let mut broker = SimBroker::new(&world, HOST, TWO_DIRS);
        broker.start_and_serve().await;
        let mut session = Session::new(world.machine("client").start(), HOST);
        session.create_topic().await;
        let (places, _) = where_they_are(&mut session).await.unwrap();
        assert_eq!(places, [(DATA.to_owned(), 1), (OTHER.to_owned(), 1)]);
        let answer = session.call(ALTER_REPLICA_LOG_DIRS, &move_all("/nowhere")).await.unwrap();
        let code = |answer: &kafka_protocol::messages::AlterReplicaLogDirsResponse| {
            ErrorCode::from_code(answer.results[0].partitions[0].error_code).unwrap()
        };
        assert_eq!(code(&answer), ErrorCode::LogDirNotFound);
        let mut other = move_all(OTHER);
        other.dirs[0].topics[0].name = TopicName(StrBytes::from_static_str("none"));
        let answer = session.call(ALTER_REPLICA_LOG_DIRS, &other).await.unwrap();
        assert_eq!(code(&answer), ErrorCode::UnknownTopicOrPartition);
        session.call(ALTER_REPLICA_LOG_DIRS, &move_all(OTHER)).await.unwrap();
        session.call(ALTER_REPLICA_LOG_DIRS, &move_all(DATA)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
        let (places, on_the_way) = where_they_are(&mut session).await.unwrap();
        assert_eq!((places[0].1, on_the_way), (PARTITIONS as usize, false), "{places:?}");
        broker.stop().await;
    });
}

#[test]
fn a_topic_that_is_deleted_while_it_moves_leaves_nothing() {
    for seed in seeds(10) {
        simulate("a_topic_that_is_deleted_while_it_moves", seed, |world| async move {
            world.set_blocking_time(20);
            let mut broker = SimBroker::new(&world, HOST, TWO_DIRS);
            broker.start_and_serve().await;
            let mut session = Session::new(world.machine("client").start(), HOST);
            session.create_topic().await;
            for partition in 0..PARTITIONS {
                assert_eq!(write_one(&mut session, partition).await, ErrorCode::None);
            }
            session.call(ALTER_REPLICA_LOG_DIRS, &move_all(OTHER)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(seed * 20)).await;
            let name = TopicName(StrBytes::from_static_str(TOPIC));
            let topic = DeleteTopicState::default().with_name(Some(name));
            let request =
                DeleteTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
            let answer = session.call(DELETE_TOPICS, &request).await.unwrap();
            assert_eq!(answer.responses[0].error_code, 0);
            tokio::time::sleep(Duration::from_secs(10)).await;
            assert_eq!(on_disk(&broker.machine().disk()), (Vec::new(), Vec::new()));
            // One of the same name begins anew.
            session.create_topic().await;
            assert_eq!(write_one(&mut session, 0).await, ErrorCode::None);
            broker.stop().await;
        });
    }
}

/// R14, R10.
#[test]
fn a_log_directory_that_fails_goes_offline_alone_and_the_last_one_ends_the_broker() {
    simulate("a_log_directory_that_fails", 1, |world| async move {
        let mut broker = SimBroker::new(&world, HOST, TWO_DIRS);
        broker.start_and_serve().await;
        let mut session = Session::new(world.machine("client").start(), HOST);
        session.create_topic().await;
        broker.machine().disk().inject(Fault::eio().path(OTHER).always());
        let mut errors = Vec::new();
        for partition in 0..PARTITIONS {
            errors.push(write_one(&mut session, partition).await);
        }
        assert_eq!(errors.iter().filter(|error| **error == ErrorCode::None).count(), 1);
        assert!(errors.contains(&ErrorCode::KafkaStorageError), "{errors:?}");
        tokio::time::sleep(Duration::from_secs(20)).await;
        let again: Vec<ErrorCode> =
            vec![write_one(&mut session, 0).await, write_one(&mut session, 1).await];
        assert_eq!(again, errors, "the failed one stays offline, the other serves");
        let answer = session.call(ALTER_REPLICA_LOG_DIRS, &move_all(OTHER)).await.unwrap();
        for partition in &answer.results[0].partitions {
            assert_eq!(partition.error_code, ErrorCode::KafkaStorageError.code());
        }
        assert!(where_they_are(&mut session).await.is_err(), "it is described as failed");
        assert!(!broker.has_ended());
        broker.machine().disk().inject(Fault::eio().path(DATA).always());
        write_one(&mut session, 0).await;
        write_one(&mut session, 1).await;
        tokio::time::sleep(Duration::from_mins(1)).await;
        assert!(broker.has_ended(), "nothing is left to serve from");
    });
}

async fn write_one(session: &mut Session, partition: i32) -> ErrorCode {
    let mut builder = BatchBuilder::new(0);
    builder.push(Timestamp(1_767_225_600_000), None, Some(b"x"));
    let batch = bytes::Bytes::from(builder.build().unwrap());
    match session.produce(partition, batch).await {
        Ok(Ok(_)) => ErrorCode::None,
        Ok(Err(error)) => error,
        Err(_) => ErrorCode::NetworkException,
    }
}
