//! librdkafka's transactional producer: all of a transaction is read, or nothing of it.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::harness::client::{create_topic, read_all};
use crate::harness::{Broker, PATIENCE, soon};

/// A producer of this transactional id, which fences those before it.
pub(crate) fn transactional(broker: &Broker, id: &str, timeout: Duration) -> BaseProducer {
    let producer: BaseProducer = broker
        .client()
        .set("transactional.id", id)
        .set("transaction.timeout.ms", timeout.as_millis().to_string())
        .set("linger.ms", "0")
        .create()
        .unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    producer
}

pub(crate) fn send(producer: &BaseProducer, partition: i32, value: &str) {
    let record: BaseRecord<'_, (), str> = BaseRecord::to("t").partition(partition).payload(value);
    producer.send(record).map_err(|(error, _)| error).unwrap();
}

/// What a reader of this isolation level gets of a partition.
pub(crate) fn read(broker: &Broker, level: &str, partition: i32) -> Vec<String> {
    let mut config: ClientConfig = broker.client();
    let records = read_all(config.set("isolation.level", level), "t", partition);
    records.iter().map(|record| record.text().to_owned()).collect()
}

#[test]
fn what_is_committed_is_read_and_what_is_aborted_only_by_who_asks_for_everything() {
    let broker = Broker::start("commit-abort");
    create_topic(&broker, "t", 2, &[]);
    let producer = transactional(&broker, "tx", PATIENCE);
    for round in 0..4 {
        producer.begin_transaction().unwrap();
        for partition in [0, 1] {
            send(&producer, partition, &format!("{round}"));
        }
        producer.flush(PATIENCE).unwrap();
        if round % 2 == 0 {
            producer.commit_transaction(PATIENCE).unwrap();
        } else {
            producer.abort_transaction(PATIENCE).unwrap();
        }
    }
    for partition in [0, 1] {
        soon(vec!["0".to_owned(), "2".to_owned()], || read(&broker, "read_committed", partition));
        assert_eq!(read(&broker, "read_uncommitted", partition), ["0", "1", "2", "3"]);
    }
    // Once more from the files alone.
    let broker = broker.kill().start();
    for partition in [0, 1] {
        assert_eq!(read(&broker, "read_committed", partition), ["0", "2"]);
        assert_eq!(read(&broker, "read_uncommitted", partition), ["0", "1", "2", "3"]);
    }
}

#[test]
fn an_open_transaction_holds_back_what_is_written_behind_it() {
    let broker = Broker::start("open");
    create_topic(&broker, "t", 1, &[]);
    let first = transactional(&broker, "first", PATIENCE);
    let second = transactional(&broker, "second", PATIENCE);
    first.begin_transaction().unwrap();
    send(&first, 0, "a");
    first.flush(PATIENCE).unwrap();
    second.begin_transaction().unwrap();
    send(&second, 0, "b");
    second.commit_transaction(PATIENCE).unwrap();
    assert_eq!(read(&broker, "read_uncommitted", 0), ["a", "b"]);
    assert_eq!(read(&broker, "read_committed", 0), Vec::<String>::new());
    first.commit_transaction(PATIENCE).unwrap();
    soon(vec!["a".to_owned(), "b".to_owned()], || read(&broker, "read_committed", 0));
}

#[test]
fn a_producer_that_another_of_its_id_has_followed_is_fenced() {
    let broker = Broker::start("fenced");
    create_topic(&broker, "t", 1, &[]);
    let first = transactional(&broker, "tx", PATIENCE);
    first.begin_transaction().unwrap();
    send(&first, 0, "zombie");
    first.flush(PATIENCE).unwrap();
    let second = transactional(&broker, "tx", PATIENCE);
    let error = first.commit_transaction(PATIENCE).unwrap_err();
    let code = error.rdkafka_error_code();
    assert!(
        matches!(
            code,
            Some(
                RDKafkaErrorCode::Fenced
                    | RDKafkaErrorCode::ProducerFenced
                    | RDKafkaErrorCode::InvalidProducerEpoch
            )
        ),
        "{error}"
    );
    second.begin_transaction().unwrap();
    send(&second, 0, "heir");
    second.commit_transaction(PATIENCE).unwrap();
    soon(vec!["heir".to_owned()], || read(&broker, "read_committed", 0));
}

#[test]
fn a_broker_killed_within_a_transaction_lets_its_producer_commit_afterwards() {
    let broker = Broker::start("killed");
    create_topic(&broker, "t", 2, &[]);
    let producer = transactional(&broker, "tx", PATIENCE);
    producer.begin_transaction().unwrap();
    send(&producer, 0, "a");
    send(&producer, 1, "b");
    producer.flush(PATIENCE).unwrap();
    let broker = broker.kill().start();
    assert_eq!(read(&broker, "read_committed", 0), Vec::<String>::new());
    producer.commit_transaction(PATIENCE).unwrap();
    soon(vec!["a".to_owned()], || read(&broker, "read_committed", 0));
    soon(vec!["b".to_owned()], || read(&broker, "read_committed", 1));
}

#[test]
fn a_transaction_whose_producer_is_gone_is_aborted_when_its_time_is_over() {
    let broker = Broker::plan("timeout")
        .with("transaction.abort.timed.out.transaction.cleanup.interval.ms", 200)
        .start();
    create_topic(&broker, "t", 1, &[]);
    let gone = transactional(&broker, "gone", Duration::from_secs(1));
    gone.begin_transaction().unwrap();
    send(&gone, 0, "lost");
    gone.flush(PATIENCE).unwrap();
    let other = transactional(&broker, "other", PATIENCE);
    other.begin_transaction().unwrap();
    send(&other, 0, "kept");
    other.commit_transaction(PATIENCE).unwrap();
    soon(vec!["kept".to_owned()], || read(&broker, "read_committed", 0));
}

#[test]
fn offsets_in_a_transaction_count_when_it_is_committed_and_only_then() {
    let broker = Broker::start("offsets");
    create_topic(&broker, "t", 1, &[]);
    let mut config = broker.client();
    config.set("group.id", "g").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut at = TopicPartitionList::new();
    at.add_partition_offset("t", 0, Offset::Offset(0)).unwrap();
    consumer.assign(&at).unwrap();
    let producer = transactional(&broker, "tx", PATIENCE);
    let committed = || {
        let mut asked = TopicPartitionList::new();
        asked.add_partition("t", 0);
        let told = consumer.committed_offsets(asked, PATIENCE).unwrap();
        told.find_partition("t", 0).unwrap().offset()
    };
    let in_transaction = |offset: i64| {
        producer.begin_transaction().unwrap();
        send(&producer, 0, "v");
        producer.flush(PATIENCE).unwrap();
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset("t", 0, Offset::Offset(offset)).unwrap();
        let group = consumer.group_metadata().unwrap();
        producer.send_offsets_to_transaction(&offsets, &group, PATIENCE).unwrap();
    };
    in_transaction(7);
    producer.abort_transaction(PATIENCE).unwrap();
    soon(Offset::Invalid, committed);
    in_transaction(8);
    producer.commit_transaction(PATIENCE).unwrap();
    soon(Offset::Offset(8), committed);
    let broker = broker.kill().start();
    soon(Offset::Offset(8), committed);
    assert_eq!(read(&broker, "read_committed", 0), ["v"]);
}
