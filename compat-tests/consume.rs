//! How librdkafka reads: by offset, by time, by waiting.

use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use crate::harness::client::{
    Outgoing, Reader, consumer, create_topic, delete_records, produce, read_all,
};
use crate::harness::{Broker, PATIENCE, soon};

fn numbered(count: usize) -> Vec<Outgoing> {
    (0..count).map(|n| Outgoing::value(format!("{n}"))).collect()
}

#[test]
fn a_consumer_begins_at_any_offset_also_within_a_batch() {
    let broker = Broker::start("mid-batch");
    for codec in ["none", "lz4"] {
        create_topic(&broker, codec, 1, &[]);
        let mut config = broker.client();
        // One batch of 100 records: nothing is sent before the producer is flushed.
        config.set("compression.type", codec).set("linger.ms", "60000");
        produce(&config, codec, 0, &numbered(100));
        for from in [0, 1, 50, 99] {
            let reader = Reader::new(&broker.client(), codec, 0, Offset::Offset(from));
            let got: Vec<i64> = reader.rest().iter().map(|r| r.text().parse().unwrap()).collect();
            assert_eq!(got, (from..100).collect::<Vec<_>>(), "{codec} from {from}");
        }
        let tail = Reader::new(&broker.client(), codec, 0, Offset::OffsetTail(3)).rest();
        assert_eq!(tail.iter().map(|r| r.offset).collect::<Vec<_>>(), [97, 98, 99]);
    }
}

#[test]
fn a_waiting_consumer_is_given_a_record_when_it_arrives_not_when_its_wait_ends() {
    let broker = Broker::start("long-poll");
    create_topic(&broker, "t", 1, &[]);
    let mut config = broker.client();
    config.set("fetch.wait.max.ms", "50000").set("socket.timeout.ms", "55000");
    // (The end of the partition is reported by the answer to the first fetch, which waits too: go without it.)
    let reader = Reader::new(&config, "t", 0, Offset::Beginning);
    let began = Instant::now();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| reader.wait());
        produce(&broker.client(), "t", 0, &numbered(1));
        assert_eq!(waiting.join().unwrap().text(), "0");
    });
    assert!(began.elapsed() < Duration::from_secs(40), "it waited out the fetch's own limit");
}

#[test]
fn a_consumer_that_asks_for_many_bytes_gets_fewer_when_its_wait_ends() {
    let broker = Broker::start("min-bytes");
    create_topic(&broker, "t", 1, &[]);
    produce(&broker.client(), "t", 0, &numbered(1));
    let mut config = broker.client();
    config.set("fetch.min.bytes", "1000000").set("fetch.wait.max.ms", "1500");
    let reader = Reader::new(&config, "t", 0, Offset::Offset(0));
    let began = Instant::now();
    assert_eq!(reader.wait().text(), "0");
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
}

#[test]
fn a_consumer_reads_beside_the_producer_until_it_has_everything() {
    const COUNT: usize = 20_000;
    let broker = Broker::start("tail");
    create_topic(&broker, "t", 1, &[]);
    let config = broker.client();
    thread::scope(|scope| {
        let reading = scope.spawn(|| Reader::new(&config, "t", 0, Offset::Beginning).take(COUNT));
        produce(&config, "t", 0, &numbered(COUNT));
        let got = reading.join().unwrap();
        assert!(got.iter().enumerate().all(|(n, record)| record.text() == n.to_string()));
    });
}

#[test]
fn an_offset_out_of_range_is_an_error_or_a_reset_as_the_consumer_chose() {
    let broker = Broker::start("out-of-range");
    create_topic(&broker, "t", 1, &[]);
    produce(&broker.client(), "t", 0, &numbered(10));
    delete_records(&broker, "t", 0, Offset::Offset(4));
    for outside in [2, 11] {
        let error = Reader::new(&broker.client(), "t", 0, Offset::Offset(outside)).next();
        assert_eq!(error, Err(RDKafkaErrorCode::AutoOffsetReset), "offset {outside}");
        let mut config = broker.client();
        config.set("auto.offset.reset", "earliest");
        let got = Reader::new(&config, "t", 0, Offset::Offset(outside)).take(6);
        assert_eq!(got[0].offset, 4);
    }
}

#[test]
fn the_watermarks_follow_what_is_produced_and_what_is_deleted() {
    let broker = Broker::start("watermarks");
    create_topic(&broker, "t", 2, &[]);
    let consumer = consumer(&broker.client());
    let watermarks = |partition| consumer.fetch_watermarks("t", partition, PATIENCE);
    soon(Ok((0, 0)), || watermarks(0));
    produce(&broker.client(), "t", 0, &numbered(10));
    assert_eq!((watermarks(0), watermarks(1)), (Ok((0, 10)), Ok((0, 0))));
    delete_records(&broker, "t", 0, Offset::Offset(7));
    assert_eq!(watermarks(0), Ok((7, 10)));
    assert_eq!(read_all(&broker.client(), "t", 0)[0].offset, 7);
    delete_records(&broker, "t", 0, Offset::End);
    assert_eq!(watermarks(0), Ok((10, 10)));

    let broker = broker.stop().start();
    soon(Ok((10, 10)), || watermarks(0));
    produce(&broker.client(), "t", 0, &numbered(1));
    assert_eq!(read_all(&broker.client(), "t", 0)[0].offset, 10);
}

#[test]
fn offsets_for_times_are_the_first_at_or_after_each_time() {
    let broker = Broker::start("times");
    create_topic(&broker, "t", 1, &[]);
    create_topic(&broker, "empty", 1, &[]);
    // Out of order on purpose, in batches of one and of many, compressed and not.
    let at = |times: &[i64]| -> Vec<_> {
        times.iter().map(|&time| Outgoing::value("x").at(time)).collect()
    };
    produce(&broker.client(), "t", 0, &at(&[1_000]));
    let mut batched = broker.client();
    batched.set("linger.ms", "60000").set("compression.type", "gzip");
    produce(&batched, "t", 0, &at(&[5_000, 3_000, 4_000]));
    produce(&broker.client(), "t", 0, &at(&[2_000]));
    produce(&broker.client(), "t", 0, &at(&[9_000]));

    let consumer = consumer(&broker.client());
    let offset_for = |topic: &str, time: i64| {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, Offset::Offset(time)).unwrap();
        let answer = consumer.offsets_for_times(list, PATIENCE).unwrap();
        let element = answer.find_partition(topic, 0).unwrap();
        element.error().unwrap();
        element.offset()
    };
    for (time, expected) in [
        (0, Offset::Offset(0)),
        (1_000, Offset::Offset(0)),
        (1_001, Offset::Offset(1)),
        (3_000, Offset::Offset(1)),
        (5_000, Offset::Offset(1)),
        (5_001, Offset::Offset(5)),
        (9_000, Offset::Offset(5)),
        (9_001, Offset::End),
    ] {
        assert_eq!(offset_for("t", time), expected, "time {time}");
    }
    assert_eq!(offset_for("empty", 0), Offset::End);
}

#[test]
fn one_consumer_reads_a_hundred_partitions_through_its_fetch_session() {
    const PARTITIONS: i32 = 100;
    let broker = Broker::start("session");
    create_topic(&broker, "t", PARTITIONS, &[]);
    let consumer = consumer(&broker.client());
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset("t", partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    // In rounds: partitions fall silent and come back, and new records are found in any of them.
    for round in 0..3 {
        for partition in (round..PARTITIONS).step_by(7) {
            produce(&broker.client(), "t", partition, &numbered(2));
        }
        let expected = (round..PARTITIONS).step_by(7).count() * 2;
        let mut got = 0;
        let deadline = Instant::now() + PATIENCE;
        while got < expected && Instant::now() < deadline {
            match consumer.poll(PATIENCE) {
                Some(Ok(_)) => got += 1,
                Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) | None => {}
                Some(Err(error)) => panic!("{error}"),
            }
        }
        assert_eq!(got, expected, "round {round}");
    }
}

#[test]
fn both_isolation_levels_read_everything_when_nothing_is_transactional() {
    let broker = Broker::start("isolation");
    create_topic(&broker, "t", 1, &[]);
    produce(&broker.client(), "t", 0, &numbered(100));
    for level in ["read_uncommitted", "read_committed"] {
        let got = read_all(broker.client().set("isolation.level", level), "t", 0);
        assert_eq!(got.len(), 100, "{level}");
    }
}

#[test]
fn a_partition_of_many_small_segments_reads_as_one() {
    let broker = Broker::start("segments");
    create_topic(&broker, "t", 1, &[("segment.bytes", "1048576")]);
    let sent: Vec<_> = (0..6_000).map(|n| Outgoing::value(format!("{n:01000}"))).collect();
    produce(broker.client().set("batch.size", "20000"), "t", 0, &sent);
    let logs = crate::harness::dump::files(&broker.home().data().join("t-0"), &["log"]);
    assert!(logs.len() >= 5, "{logs:?}");
    let got = read_all(&broker.client(), "t", 0);
    crate::harness::client::assert_received("segments", &sent, &got, 0);
}

#[test]
fn segments_beyond_their_retention_are_deleted_and_the_rest_stays_readable() {
    let broker = Broker::plan("retention").with("log.retention.check.interval.ms", 200).start();
    create_topic(
        &broker,
        "t",
        1,
        &[
            ("segment.bytes", "1048576"),
            ("retention.bytes", "2097152"),
            ("file.delete.delay.ms", "0"),
        ],
    );
    let sent: Vec<_> = (0..8_000).map(|n| Outgoing::value(format!("{n:01000}"))).collect();
    produce(broker.client().set("batch.size", "20000"), "t", 0, &sent);
    let consumer = consumer(&broker.client());
    let deadline = Instant::now() + PATIENCE;
    let low = loop {
        let (low, high) = consumer.fetch_watermarks("t", 0, PATIENCE).unwrap();
        assert_eq!(high, 8_000);
        // 8 MB less whole segments of 1 MB, down to where one more would leave less than 2 MB.
        if low > 4_500 {
            break low;
        }
        assert!(Instant::now() < deadline, "still {low}");
    };
    let got = read_all(&broker.client(), "t", 0);
    assert!(got[0].offset >= low);
    let rest = &sent[got[0].offset as usize..];
    crate::harness::client::assert_received("retention", rest, &got, got[0].offset);
}
