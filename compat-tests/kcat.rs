//! kcat as Debian ships it, on the older librdkafka that Debian ships.

use serde_json::Value;

use crate::harness::Broker;
use crate::harness::client::{Outgoing, assert_received, create_topic, produce, read_all};

#[test]
fn kcat_lists_the_broker_and_its_topics() {
    let broker = Broker::start("kcat-list");
    create_topic(&broker, "t", 3, &[]);
    let listed = broker.kcat(&["-L"], "").ok();
    for expected in [
        " 1 brokers:".to_owned(),
        format!("  broker 1 at {} (controller)", broker.address()),
        "  topic \"t\" with 3 partitions:".to_owned(),
        "    partition 2, leader 1, replicas: 1, isrs: 1".to_owned(),
    ] {
        assert!(listed.contains(&expected), "{expected:?} is missing:\n{listed}");
    }

    let json: Value = serde_json::from_str(&broker.kcat(&["-L", "-J"], "").ok()).unwrap();
    assert_eq!(json["brokers"][0]["name"], broker.address());
    let topics = json["topics"].as_array().unwrap();
    let topic = topics.iter().find(|topic| topic["topic"] == "t").unwrap();
    assert_eq!(topic["partitions"].as_array().unwrap().len(), 3);
    assert_eq!(topic["partitions"][0]["leader"], 1);
}

#[test]
fn kcat_produces_in_every_codec_and_consumes_what_it_produced() {
    let broker = Broker::start("kcat-codecs");
    let lines: String = (0..500).map(|n| format!("key{n}:value {n}\n")).collect();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        create_topic(&broker, codec, 1, &[]);
        broker.kcat(&["-P", "-t", codec, "-K:", "-z", codec, "-H", "from=kcat"], &lines).ok();
        let format = ["-C", "-t", codec, "-o", "beginning", "-e", "-q", "-f", "%k:%s\\n"];
        assert_eq!(broker.kcat(&format, "").ok(), lines, "{codec}");
        let records = read_all(&broker.client(), codec, 0);
        assert_eq!(records.len(), 500);
        assert_eq!(records[7].headers, [("from".to_owned(), Some(b"kcat".to_vec()))]);
    }
}

#[test]
fn kcat_reads_ranges_tails_and_json() {
    let broker = Broker::start("kcat-consume");
    create_topic(&broker, "t", 1, &[]);
    let sent: Vec<_> = (0..100)
        .map(|n| Outgoing::pair(format!("k{n}"), format!("v{n}")).at(1_000 * (n + 1)))
        .collect();
    produce(&broker.client(), "t", 0, &sent);
    let read = |args: &[&str]| {
        let mut all = vec!["-C", "-t", "t", "-p", "0", "-q", "-e", "-f", "%o "];
        all.extend(args);
        broker.kcat(&all, "").ok()
    };
    assert_eq!(read(&["-o", "95"]), "95 96 97 98 99 ");
    assert_eq!(read(&["-o", "-2"]), "98 99 ");
    assert_eq!(read(&["-o", "10", "-c", "3"]), "10 11 12 ");
    assert_eq!(read(&["-o", "s@21000", "-o", "e@24000"]), "20 21 22 ");

    let json = broker.kcat(&["-C", "-t", "t", "-o", "99", "-e", "-q", "-J"], "").ok();
    let record: Value = serde_json::from_str(&json).unwrap();
    for (field, expected) in [
        ("topic", Value::from("t")),
        ("partition", Value::from(0)),
        ("offset", Value::from(99)),
        ("tstype", Value::from("create")),
        ("ts", Value::from(100_000)),
        ("key", Value::from("k99")),
        ("payload", Value::from("v99")),
    ] {
        assert_eq!(record[field], expected, "{field} of {json}");
    }
}

#[test]
fn kcat_asks_for_offsets_by_time() {
    let broker = Broker::start("kcat-query");
    create_topic(&broker, "t", 2, &[]);
    let sent: Vec<_> = (0..10).map(|n| Outgoing::value("x").at(1_000 * (n + 1))).collect();
    produce(&broker.client(), "t", 0, &sent);
    let answer = broker.kcat(&["-Q", "-t", "t:0:5500", "-t", "t:1:5500"], "").ok();
    let mut lines: Vec<_> = answer.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["t [0] offset 5", "t [1] offset -1"]);
    assert_eq!(broker.kcat(&["-Q", "-t", "t:0:-1"], "").ok().trim(), "t [0] offset 10");
    assert_eq!(broker.kcat(&["-Q", "-t", "t:0:-2"], "").ok().trim(), "t [0] offset 0");
}

#[test]
fn kcat_sends_empty_and_absent_values() {
    let broker = Broker::start("kcat-null");
    create_topic(&broker, "t", 1, &[]);
    broker.kcat(&["-P", "-t", "t", "-p", "0", "-K:", "-Z"], "k:\n:v\n").ok();
    let expected = [
        Outgoing { value: None, ..Outgoing::pair("k", "") },
        Outgoing { key: None, ..Outgoing::value("v") },
    ];
    assert_received("kcat -Z", &expected, &read_all(&broker.client(), "t", 0), 0);
}

#[test]
fn kcat_is_told_of_a_topic_that_does_not_exist() {
    let broker = Broker::plan("kcat-unknown").with("auto.create.topics.enable", false).start();
    let ran = broker.kcat(&["-C", "-t", "absent", "-e"], "");
    assert!(!ran.succeeded(), "{ran}");
    assert!(ran.stderr.contains("Unknown topic"), "{ran}");
}
