//! What librdkafka produces, and what the broker makes of it.

use std::time::{SystemTime, UNIX_EPOCH};

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, Timestamp};

use crate::harness::client::{
    Outgoing, Producer, Reader, Record, assert_received, create_topic, produce, read_all,
};
use crate::harness::{Broker, PATIENCE};

/// Milliseconds since 1970.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// Records of every shape: keys and values present, empty and absent, headers with equal names and absent values,
/// explicit timestamps that go back and forth, sizes from nothing to some kilobytes.
fn assorted(count: usize) -> Vec<Outgoing> {
    let start = now() - 10_000_000;
    (0..count)
        .map(|index| Outgoing {
            key: match index % 4 {
                0 => None,
                1 => Some(Vec::new()),
                _ => Some(format!("key {}", index % 7).into_bytes()),
            },
            value: match index % 5 {
                0 => None,
                1 => Some(Vec::new()),
                _ => Some(format!("value {index} ").repeat(index % 97).into_bytes()),
            },
            headers: match index % 3 {
                0 => Vec::new(),
                1 => vec![("trace".to_owned(), Some(index.to_be_bytes().to_vec()))],
                _ => vec![
                    ("same".to_owned(), Some(b"first".to_vec())),
                    ("same".to_owned(), Some(Vec::new())),
                    ("none".to_owned(), None),
                ],
            },
            timestamp: Some(start + (index as i64 * 7_919) % 1_000_000),
        })
        .collect()
}

#[test]
fn records_of_every_shape_come_back_as_they_were_sent_in_each_codec() {
    let broker = Broker::start("codecs");
    let sent = assorted(2_000);
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        create_topic(&broker, codec, 1, &[]);
        let reports = produce(broker.client().set("compression.type", codec), codec, 0, &sent);
        for (offset, report) in reports.iter().enumerate() {
            assert_eq!(report.offset(), offset as i64, "{codec}");
        }
        assert_received(codec, &sent, &read_all(&broker.client(), codec, 0), 0);
    }
}

#[test]
fn a_topic_with_a_codec_of_its_own_stores_what_it_is_sent_in_that_codec() {
    let broker = Broker::start("recompress");
    let sent = assorted(500);
    for codec in ["uncompressed", "gzip", "snappy", "lz4", "zstd"] {
        create_topic(&broker, codec, 1, &[("compression.type", codec)]);
        for client in ["none", "lz4"] {
            produce(broker.client().set("compression.type", client), codec, 0, &sent);
        }
        let got = read_all(&broker.client(), codec, 0);
        assert_received(codec, &sent, &got[..500], 0);
        assert_received(codec, &sent, &got[500..], 500);
    }
}

#[test]
fn acks_0_1_and_all_each_store_every_record() {
    let broker = Broker::start("acks");
    for acks in ["0", "1", "all"] {
        let topic = format!("acks-{acks}");
        create_topic(&broker, &topic, 1, &[]);
        let sent: Vec<_> = (0..1_000).map(|n| Outgoing::value(format!("{n}"))).collect();
        let reports = produce(broker.client().set("acks", acks), &topic, 0, &sent);
        if acks != "0" {
            assert!(reports.iter().map(|r| r.offset()).eq(0..1_000), "acks={acks}");
        }
        // With acks=0 the broker may not have stored the last of them yet.
        let reader = Reader::new(&broker.client(), &topic, 0, Offset::Beginning);
        assert_received(&topic, &sent, &reader.take(1_000), 0);
    }
}

#[test]
fn an_idempotent_producer_with_five_requests_in_flight_writes_each_record_once_and_in_order() {
    let broker = Broker::start("idempotent");
    create_topic(&broker, "t", 3, &[]);
    let mut config = broker.client();
    config
        .set("enable.idempotence", "true")
        .set("max.in.flight.requests.per.connection", "5")
        .set("batch.num.messages", "10")
        .set("linger.ms", "0");
    let mut producer = Producer::new(&config);
    let sent: Vec<_> = (0..9_000).map(|n| Outgoing::value(format!("{n}"))).collect();
    for (n, record) in sent.iter().enumerate() {
        producer.send("t", Some((n % 3) as i32), record);
    }
    for report in producer.finish() {
        assert_eq!(report.offset(), report.index as i64 / 3);
    }
    for partition in 0..3 {
        let expected: Vec<_> = sent.iter().skip(partition).step_by(3).cloned().collect();
        let got = read_all(&broker.client(), "t", partition as i32);
        assert_received("in order", &expected, &got, 0);
    }
}

#[test]
fn many_producers_on_many_partitions_keep_each_partition_in_order() {
    const PARTITIONS: usize = 50;
    const PER_PARTITION: usize = 40;
    let broker = Broker::start("partitions");
    create_topic(&broker, "t", PARTITIONS as i32, &[]);
    let mut producers: Vec<_> = (0..4)
        .map(|n| Producer::new(broker.client().set("enable.idempotence", ["false", "true"][n % 2])))
        .collect();
    for n in 0..PER_PARTITION {
        for partition in 0..PARTITIONS {
            let record = Outgoing::value(format!("{n}"));
            producers[partition % 4].send("t", Some(partition as i32), &record);
        }
    }
    for producer in &producers {
        assert!(producer.finish().iter().all(|report| report.outcome.is_ok()));
    }
    for partition in 0..PARTITIONS as i32 {
        let got = read_all(&broker.client(), "t", partition);
        let values: Vec<usize> = got.iter().map(|record| record.text().parse().unwrap()).collect();
        assert_eq!(values, (0..PER_PARTITION).collect::<Vec<_>>(), "partition {partition}");
    }
}

#[test]
fn a_record_up_to_the_topics_limit_is_taken_and_a_larger_one_refused() {
    let broker = Broker::start("sizes");
    create_topic(&broker, "default", 1, &[]);
    create_topic(&broker, "large", 1, &[("max.message.bytes", "8000000")]);
    create_topic(&broker, "small", 1, &[("max.message.bytes", "1000")]);
    let mut config = broker.client();
    config.set("message.max.bytes", "20000000");
    let of = |size: usize| [Outgoing::value(vec![b'x'; size])];

    // The batch of one record costs 70 bytes and some beyond the value: 1048588 is Kafka's default limit.
    assert_eq!(produce(&config, "default", 0, &of(1_048_000))[0].offset(), 0);
    let too_large = Err(RDKafkaErrorCode::MessageSizeTooLarge);
    assert_eq!(produce(&config, "default", 0, &of(1_048_600))[0].outcome, too_large);
    assert_eq!(produce(&config, "large", 0, &of(7_900_000))[0].offset(), 0);
    assert_eq!(produce(&config, "large", 0, &of(8_000_001))[0].outcome, too_large);
    assert_eq!(produce(&config, "small", 0, &of(900))[0].offset(), 0);
    assert_eq!(produce(&config, "small", 0, &of(1_000))[0].outcome, too_large);

    // A fetch limit below the record's size still brings it: at least one batch, whatever the limit.
    let mut small_fetches = broker.client();
    small_fetches.set("fetch.message.max.bytes", "1000").set("fetch.max.bytes", "1000");
    small_fetches.set("message.max.bytes", "1000");
    let got = read_all(&small_fetches, "large", 0);
    assert_eq!(
        got.iter().map(|r| r.value.as_ref().unwrap().len()).collect::<Vec<_>>(),
        [7_900_000]
    );
}

#[test]
fn log_append_time_replaces_the_producers_timestamps() {
    let broker = Broker::start("append-time");
    create_topic(&broker, "t", 1, &[("message.timestamp.type", "LogAppendTime")]);
    for codec in ["none", "zstd"] {
        let before = now();
        let sent: Vec<_> = (0..10).map(|n| Outgoing::value(format!("{n}")).at(1_000 + n)).collect();
        let reports = produce(broker.client().set("compression.type", codec), "t", 0, &sent);
        let after = now();
        let appended = |timestamp: Timestamp| match timestamp {
            Timestamp::LogAppendTime(time) => (before..=after).contains(&time),
            _ => false,
        };
        // Delivery reports of librdkafka carry the time, not its type.
        assert!(reports[0].timestamp.to_millis().is_some_and(|t| (before..=after).contains(&t)));
        let first = reports[0].offset();
        let got = Reader::new(&broker.client(), "t", 0, Offset::Offset(first)).rest();
        assert_eq!(got.len(), 10);
        assert!(got.iter().all(|record| appended(record.timestamp)), "{codec}: {got:?}");
    }
}

#[test]
fn a_timestamp_outside_the_topics_bounds_is_refused() {
    let broker = Broker::start("timestamp-bounds");
    let hour = 3_600_000;
    create_topic(&broker, "default", 1, &[]);
    create_topic(&broker, "past", 1, &[("message.timestamp.before.max.ms", "3600000")]);
    let outcome = |topic, timestamp| {
        produce(&broker.client(), topic, 0, &[Outgoing::value("x").at(timestamp)])[0].outcome
    };
    assert_eq!(outcome("default", now() - 1_000 * 24 * hour), Ok(0), "no bound on the past");
    assert_eq!(outcome("default", now() + 2 * hour), Err(RDKafkaErrorCode::InvalidTimestamp));
    assert_eq!(outcome("past", now() - 2 * hour), Err(RDKafkaErrorCode::InvalidTimestamp));
    assert_eq!(outcome("past", now() - hour / 2), Ok(0));
}

#[test]
fn a_record_without_a_key_is_refused_by_a_compacted_topic() {
    let broker = Broker::start("compacted");
    create_topic(&broker, "t", 1, &[("cleanup.policy", "compact")]);
    let outcome = |record| produce(&broker.client(), "t", 0, &[record])[0].outcome;
    assert_eq!(outcome(Outgoing::value("v")), Err(RDKafkaErrorCode::InvalidRecord));
    assert_eq!(outcome(Outgoing::pair("k", "v")), Ok(0));
    assert_eq!(outcome(Outgoing { value: None, ..Outgoing::pair("k", "") }), Ok(1));
}

#[test]
fn a_topic_is_created_by_its_first_record_with_the_brokers_defaults() {
    let broker = Broker::plan("auto-create").with("num.partitions", 3).start();
    let reports = produce(&broker.client(), "fresh", 2, &[Outgoing::value("first")]);
    assert_eq!(reports[0].offset(), 0);
    assert_eq!(read_all(&broker.client(), "fresh", 2)[0].text(), "first");
    assert_eq!(read_all(&broker.client(), "fresh", 0), Vec::<Record>::new());
}

#[test]
fn without_auto_creation_an_unknown_topic_is_refused_and_stays_unknown() {
    let broker = Broker::plan("no-auto-create").with("auto.create.topics.enable", false).start();
    let mut config = broker.client();
    config.set("topic.metadata.propagation.max.ms", "100").set("message.timeout.ms", "20000");
    let outcome = produce(&config, "absent", 0, &[Outgoing::value("x")])[0].outcome;
    // librdkafka says so itself, of what the broker's Metadata told it.
    assert!(
        matches!(
            outcome,
            Err(RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition)
        ),
        "{outcome:?}"
    );
}

#[test]
fn an_illegal_topic_name_is_refused_with_kafkas_error() {
    let broker = Broker::start("illegal-name");
    let outcome = produce(&broker.client(), "no/slash", 0, &[Outgoing::value("x")])[0].outcome;
    assert_eq!(outcome, Err(RDKafkaErrorCode::InvalidTopic));
}

#[test]
fn producers_and_consumers_live_through_a_clean_restart() {
    let broker = Broker::start("restart");
    create_topic(&broker, "t", 1, &[]);
    let config = broker.client();
    let mut producer = Producer::new(config.clone().set("enable.idempotence", "true"));
    let reader = Reader::new(&config, "t", 0, Offset::Beginning);
    for n in 0..100 {
        producer.send("t", Some(0), &Outgoing::value(format!("{n}")));
    }
    producer.finish();
    assert_eq!(reader.take(100).len(), 100);

    let broker = broker.stop();
    for n in 100..200 {
        producer.send("t", Some(0), &Outgoing::value(format!("{n}")));
    }
    let broker = broker.start();
    assert!(producer.finish().iter().map(|r| r.offset()).eq(100..200));
    let mut got = Vec::new();
    while got.len() < 100 {
        match reader.next() {
            Ok(Some(record)) => got.push(record.text().parse::<usize>().unwrap()),
            Ok(None) => {}
            Err(
                RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::OperationTimedOut,
            ) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(got, (100..200).collect::<Vec<_>>());
    broker.stop();
}

#[test]
fn a_stopped_broker_keeps_everything_that_it_acknowledged() {
    let broker = Broker::start("stop");
    let sent = assorted(1_000);
    create_topic(&broker, "t", 1, &[]);
    produce(&broker.client(), "t", 0, &sent);
    let plan = broker.stop();
    assert!(plan.home().data().join(".kafka_cleanshutdown").exists());
    let broker = plan.start();
    assert_received("after the restart", &sent, &read_all(&broker.client(), "t", 0), 0);
    let reports = produce(&broker.client(), "t", 0, &[Outgoing::value("next")]);
    assert_eq!(reports[0].offset(), 1_000);
}

#[test]
fn a_producer_that_lingers_nothing_is_answered_at_once() {
    let broker = Broker::start("latency");
    create_topic(&broker, "t", 1, &[]);
    let mut producer = Producer::new(broker.client().set("linger.ms", "0"));
    for n in 0..200 {
        producer.send("t", Some(0), &Outgoing::value(format!("{n}")));
        assert_eq!(producer.reports(PATIENCE)[0].offset(), n);
    }
}
