//! kill -9, again and again, under producers that live on and retry.
//!
//! What a broker has acknowledged is there after any kill, at the offset that was told; what an idempotent producer
//! sent is there once, in its order; files are sound; and Apache Kafka opens the directory as the kill left it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::harness::client::{
    Delivery, Outgoing, Producer, Record, consumer, create_topic, options, read_all, wait_for,
};
use crate::harness::dump::assert_sound;
use crate::harness::kafka::Release;
use crate::harness::watch::wait_for_file;
use crate::harness::{Broker, Home, Make, PATIENCE, Plan};

/// One run more or less: `BLUMFELD_KILLS=50` for the long form.
const KILLS: u32 = 3;
/// Kills of one and the same directory, which would grow without end.
const KILLS_A_HOME: u32 = 5;
/// Of so many kills, Apache Kafka opens what one left.
const KILLS_AN_OPENING: u32 = 10;
/// Segments of 1 MiB, the least that Kafka allows, roll after a thousand records.
const RECORD_BYTES: usize = 1_000;
/// Records under way, of each producer.
const UNDER_WAY: i32 = 1_000;
/// Age of the records of one producer: Apache Kafka forgets a producer whose newest record is a day old when it
/// recovers, and stores the retry of what it had stored once more.
const TWO_DAYS_MS: i64 = 2 * 24 * 3_600_000;

#[test]
fn kill_9_loses_nothing_acknowledged_and_doubles_nothing_idempotent() {
    let kills = std::env::var("BLUMFELD_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    // Every moment has its turn, also when there are few kills: the first is another one each time.
    let first = chance(MOMENTS.len() as u64) as u32;
    let mut story = Story::begin();
    for kill in 0..kills {
        if kill > 0 && kill % KILLS_A_HOME == 0 {
            story = Story::begin();
        }
        let moment = MOMENTS[(first + kill) as usize % MOMENTS.len()];
        let for_apache = kill % KILLS_AN_OPENING == KILLS.min(kills) - 1;
        let stored_twice = story.kill(moment, for_apache);
        println!(
            "kill {} of {kills}, at {moment:?}{}: {} records acknowledged so far, {stored_twice} of \
             the plain producer twice",
            kill + 1,
            if for_apache { ", opened by Apache Kafka" } else { "" },
            story.loads.iter().map(|load| load.told.lock().unwrap().len()).sum::<usize>(),
        );
    }
}

/// What the broker is doing when it is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// Nothing but answering producers.
    Produce,
    /// The file of a new segment has just appeared.
    Roll,
    /// The folder of a partition of a new topic has just appeared.
    TopicCreation,
    /// The folder of a deleted topic's partition has just been renamed.
    TopicDeletion,
    /// One of the checkpoints of offsets is written.
    Checkpoint,
    /// A snapshot of the cluster's metadata is written.
    MetadataSnapshot,
}

const MOMENTS: [Moment; 6] = [
    Moment::Roll,
    Moment::TopicCreation,
    Moment::Checkpoint,
    Moment::TopicDeletion,
    Moment::Produce,
    Moment::MetadataSnapshot,
];

impl Moment {
    /// Waits for the moment, in its first, second or third instance.
    fn wait(self, home: &Home) {
        let nth = chance(3) as usize;
        let data = home.data();
        match self {
            Self::Produce => {}
            Self::Roll => {
                wait_for_file(&data.join("idempotent-0"), nth, |name| name.ends_with(".log"));
            }
            Self::TopicCreation => wait_for_file(&data, nth, |name| {
                name.starts_with(SHORT_LIVED) && !name.ends_with("-delete")
            }),
            Self::TopicDeletion => wait_for_file(&data, nth, |name| name.ends_with("-delete")),
            Self::Checkpoint => wait_for_file(&data, nth, |name| name.contains("-checkpoint")),
            Self::MetadataSnapshot => {
                wait_for_file(&data.join("__cluster_metadata-0"), nth, |name| {
                    name.contains(".checkpoint")
                });
            }
        }
    }
}

/// A directory with the clients that outlive every broker on it.
struct Story {
    /// `None` while the broker is exchanged.
    broker: Option<Broker>,
    loads: Vec<Load>,
    topics: Topics,
    acknowledged: Receiver<usize>,
}

impl Story {
    fn begin() -> Self {
        let broker = Broker::plan("kills")
            .with("log.segment.bytes", 1 << 20)
            .with("log.flush.offset.checkpoint.interval.ms", 20)
            .with("log.flush.start.offset.checkpoint.interval.ms", 20)
            .with("replica.high.watermark.checkpoint.interval.ms", 20)
            .with("log.segment.delete.delay.ms", 500)
            .with("metadata.log.max.record.bytes.between.snapshots", 2_000)
            .start();
        create_topic(&broker, "idempotent", 3, &[]);
        // Acknowledged when it is synced, so that a kill nearly always meets what is stored and not acknowledged.
        create_topic(&broker, "two-days-old", 1, &[("flush.messages", "1")]);
        create_topic(&broker, "plain", 2, &[("flush.messages", "1")]);
        let (report, acknowledged) = channel();
        let config = lasting(&broker.client());
        let mut idempotent = config.clone();
        idempotent.set("enable.idempotence", "true");
        let mut plain = config.clone();
        plain.set("enable.idempotence", "false").set("acks", "1");
        let loads = vec![
            Load::new("idempotent", 3, &idempotent, report.clone()),
            Load {
                age_ms: TWO_DAYS_MS,
                ..Load::new("two-days-old", 1, &idempotent, report.clone())
            },
            Load { once: false, ..Load::new("plain", 2, &plain, report) },
        ];
        Self { loads, topics: Topics::new(&config), acknowledged, broker: Some(broker) }
    }

    /// Kills the broker at `moment`, starts it again while its clients retry, and looks at everything. Returns how many
    /// records of the plain producer are stored twice, as they may be.
    fn kill(&mut self, moment: Moment, for_apache: bool) -> usize {
        let stop = AtomicBool::new(false);
        let broker = self.broker.take().unwrap();
        let (loads, topics, acknowledged) = (&mut self.loads, &mut self.topics, &self.acknowledged);
        let (broker, left) = thread::scope(|scope| {
            let _stops = StopWhenDropped(&stop);
            let told: Vec<_> = loads.iter().map(|load| load.told.clone()).collect();
            let known = topics.known.clone();
            for load in loads {
                scope.spawn(|| load.send_until(&stop));
            }
            scope.spawn(|| topics.come_and_go_until(&stop));

            let wanted = 500 + chance(3_000) as usize;
            let mut count = 0;
            while count < wanted {
                count += acknowledged.recv_timeout(PATIENCE).expect("producers are acknowledged");
            }
            moment.wait(broker.home());
            let plan = broker.kill();
            let left = for_apache.then(|| Left {
                home: plan.home().copy("killed"),
                told: told.iter().map(|told| told.lock().unwrap().clone()).collect(),
                topics: known.lock().unwrap().clone(),
            });
            (plan.start(), left)
        });

        let config = broker.client();
        let when = format!("after a kill at {moment:?}");
        let stored: Vec<_> = self.loads.iter().map(|load| load.check(&config, &when)).collect();
        self.topics.check(&config, &when);
        let plan = broker.stop();
        assert_sound(&plan.home().data());
        if let Some(left) = left {
            self.open_with_apache(left, &plan, &stored, &when);
        }
        self.broker = Some(plan.start());
        let plain = self.loads.iter().zip(&stored).find(|(load, _)| !load.once).unwrap();
        plain.1.iter().map(Vec::len).sum::<usize>() - plain.0.sent as usize
    }

    /// Apache Kafka on what the kill left: it serves what we recovered and had acknowledged.
    fn open_with_apache(&self, left: Left, plan: &Plan, ours: &[Vec<Vec<u64>>], when: &str) {
        let apache = plan.clone().at(left.home).run_by(Make::Apache(Release::V4_4_0)).start();
        let config = apache.client();
        for ((load, told), ours) in self.loads.iter().zip(&left.told).zip(ours) {
            let theirs = load.stored(&config, &format!("Apache Kafka {when}"));
            for (partition, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
                // We have gone on since.
                let begin = &ours[..theirs.len().min(ours.len())];
                assert!(begin == theirs, "{}-{partition} differs {when}", load.topic);
            }
            load.check_told(told, &theirs, &format!("Apache Kafka {when}"));
        }
        let there = names(&config);
        for (name, topic) in &left.topics {
            match topic {
                Topic::Exists { .. } => {
                    assert!(there.contains(name), "Apache Kafka: {name} is lost {when}");
                }
                Topic::Deleted => {
                    assert!(!there.contains(name), "Apache Kafka: {name} is back {when}");
                }
                Topic::Unknown => {}
            }
        }
        apache.stop();
    }
}

/// What a kill has left, and what was acknowledged until then.
struct Left {
    home: Home,
    told: Vec<BTreeMap<u64, i64>>,
    topics: BTreeMap<String, Topic>,
}

/// Clients that never give a record up, and find a broker that is back at once.
fn lasting(config: &ClientConfig) -> ClientConfig {
    let mut config = config.clone();
    config
        .set("message.timeout.ms", "0")
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "100")
        .set("retry.backoff.ms", "20")
        .set("linger.ms", "2")
        .set("batch.num.messages", "50");
    config
}

/// A producer that lives over kills, with all that it sent and was told.
struct Load {
    topic: &'static str,
    partitions: u64,
    /// Whether every record must be stored once and in order.
    once: bool,
    /// How long ago its records say they were made.
    age_ms: i64,
    producer: Producer,
    /// Records are numbered as they are sent, and go to the partitions in turn.
    sent: u64,
    /// The offset of each acknowledged record.
    told: Arc<Mutex<BTreeMap<u64, i64>>>,
    report: Sender<usize>,
}

impl Load {
    fn new(
        topic: &'static str,
        partitions: u64,
        config: &ClientConfig,
        report: Sender<usize>,
    ) -> Self {
        let producer = Producer::new(config);
        Self {
            topic,
            partitions,
            once: true,
            age_ms: 0,
            producer,
            sent: 0,
            told: Arc::default(),
            report,
        }
    }

    fn send_until(&mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            for _ in 0..20 {
                if self.producer.in_flight() < UNDER_WAY {
                    let record = Outgoing::value(value(self.sent)).at(now_ms() - self.age_ms);
                    let partition = (self.sent % self.partitions) as i32;
                    assert_eq!(self.producer.send(self.topic, Some(partition), &record), self.sent);
                    self.sent += 1;
                }
            }
            let reports = self.producer.reports(Duration::ZERO);
            self.take(reports);
        }
        let reports = self.producer.finish();
        self.take(reports);
        assert_eq!(
            self.told.lock().unwrap().len() as u64,
            self.sent,
            "{}: all have an answer",
            self.topic
        );
    }

    fn take(&self, reports: Vec<Delivery>) {
        self.report.send(reports.len()).ok();
        let mut told = self.told.lock().unwrap();
        for report in reports {
            let offset = report.outcome.unwrap_or_else(|error| {
                panic!("{}: record {} was given up: {error}", self.topic, report.index)
            });
            told.insert(report.index, offset);
        }
    }

    /// The numbers of the records that are stored, for each partition, at offsets without a gap.
    fn stored(&self, config: &ClientConfig, when: &str) -> Vec<Vec<u64>> {
        (0..self.partitions as i32)
            .map(|partition| {
                let records = read_all(config, self.topic, partition);
                let place = format!("{}-{partition} {when}", self.topic);
                let numbers = records.iter().enumerate().map(|(offset, record)| {
                    assert_eq!(record.offset, offset as i64, "{place}: the offsets have a gap");
                    number(record, &place)
                });
                numbers.collect()
            })
            .collect()
    }

    /// Checks that all that was acknowledged is where it was said to be, and returns what is stored.
    fn check(&self, config: &ClientConfig, when: &str) -> Vec<Vec<u64>> {
        let stored = self.stored(config, when);
        self.check_told(&self.told.lock().unwrap(), &stored, when);
        for (partition, stored) in stored.iter().enumerate().filter(|_| self.once) {
            let sent = (partition as u64..self.sent).step_by(self.partitions as usize);
            for (offset, (stored, sent)) in stored.iter().zip(sent.clone()).enumerate() {
                let place = format!("{}-{partition} {when}", self.topic);
                assert_eq!(*stored, sent, "{place}: offset {offset} of an idempotent producer");
            }
            assert_eq!(stored.len(), sent.count(), "{}-{partition} {when}: the count", self.topic);
        }
        stored
    }

    fn check_told(&self, told: &BTreeMap<u64, i64>, stored: &[Vec<u64>], when: &str) {
        for (number, &offset) in told {
            let partition = (number % self.partitions) as usize;
            let found = stored[partition].get(usize::try_from(offset).unwrap());
            let topic = self.topic;
            assert_eq!(found, Some(number), "{topic}-{partition} {when}: acknowledged at {offset}");
        }
    }
}

/// A record that cannot be mistaken for another one.
fn value(number: u64) -> String {
    format!("{number:016} ").repeat(RECORD_BYTES / 17)
}

fn number(record: &Record, place: &str) -> u64 {
    let text = record.text();
    let number = text[..16].parse().unwrap();
    assert_eq!(text, value(number), "{place}: offset {} holds something else", record.offset);
    number
}

/// How the names of topics that come and go begin.
const SHORT_LIVED: &str = "short-lived-";
/// So many exist at a time.
const LIVING: usize = 4;

/// What is known of a topic that came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Topic {
    /// Its creation was acknowledged, and then maybe a record.
    Exists { written: bool },
    /// Its deletion was acknowledged.
    Deleted,
    /// The broker was asked for its creation or deletion, and has not answered.
    Unknown,
}

/// Topics that are created, written to and deleted, without a pause.
struct Topics {
    admin: AdminClient<DefaultClientContext>,
    producer: Producer,
    count: u64,
    known: Arc<Mutex<BTreeMap<String, Topic>>>,
}

impl Topics {
    fn new(config: &ClientConfig) -> Self {
        let producer = Producer::new(config);
        Self { admin: config.create().unwrap(), producer, count: 0, known: Arc::default() }
    }

    fn know(&self, name: &str, topic: Topic) {
        self.known.lock().unwrap().insert(name.to_owned(), topic);
    }

    fn come_and_go_until(&mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            let name = format!("{SHORT_LIVED}{:06}", self.count);
            self.count += 1;
            if self.create(&name) {
                self.producer.send(&name, Some(0), &Outgoing::value(name.as_str()));
                for report in self.producer.finish() {
                    assert_eq!(report.outcome, Ok(0), "{name}");
                }
                self.know(&name, Topic::Exists { written: true });
            }
            let exists = |topic: &Topic| matches!(topic, Topic::Exists { .. });
            let living: Vec<String> = {
                let known = self.known.lock().unwrap();
                known
                    .iter()
                    .filter(|(_, topic)| exists(topic))
                    .map(|(name, _)| name.clone())
                    .collect()
            };
            if living.len() > LIVING {
                self.delete(&living[0]);
            }
        }
    }

    /// Whether the creation was acknowledged.
    fn create(&self, name: &str) -> bool {
        self.know(name, Topic::Unknown);
        let topic = NewTopic::new(name, 2, TopicReplication::Fixed(1));
        let answer = wait_for(self.admin.create_topics([&topic], &options()));
        match answer.as_deref() {
            Ok([Ok(_)]) => {
                self.know(name, Topic::Exists { written: false });
                true
            }
            // The kill took the answer, and the client asked once more.
            Ok([Err((_, RDKafkaErrorCode::TopicAlreadyExists))]) => {
                self.know(name, Topic::Exists { written: false });
                true
            }
            Ok([Err((_, code))]) | Err(KafkaError::AdminOp(code)) if is_of_the_kill(*code) => false,
            other => panic!("CreateTopics of {name}: {other:?}"),
        }
    }

    fn delete(&self, name: &str) {
        self.know(name, Topic::Unknown);
        let answer = wait_for(self.admin.delete_topics(&[name], &options()));
        match answer.as_deref() {
            Ok([Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition))]) => {
                self.know(name, Topic::Deleted);
            }
            Ok([Err((_, code))]) | Err(KafkaError::AdminOp(code)) if is_of_the_kill(*code) => {}
            other => panic!("DeleteTopics of {name}: {other:?}"),
        }
    }

    /// Checks that topics exist as was acknowledged, with their records, and learns what became of the others.
    fn check(&mut self, config: &ClientConfig, when: &str) {
        let there = names(config);
        let mut known = self.known.lock().unwrap();
        for (name, topic) in &mut *known {
            match topic {
                Topic::Exists { written } => {
                    assert!(there.contains(name), "{name} is lost {when}");
                    let records = read_all(config, name, 0);
                    let values: Vec<_> = records.iter().map(Record::text).collect();
                    assert!(!*written || values == [name], "{name} holds {values:?} {when}");
                }
                Topic::Deleted => assert!(!there.contains(name), "{name} is back {when}"),
                Topic::Unknown if there.contains(name) => *topic = Topic::Exists { written: false },
                Topic::Unknown => *topic = Topic::Deleted,
            }
        }
        let short_lived = there.iter().filter(|name| name.starts_with(SHORT_LIVED));
        let strangers: Vec<_> = short_lived.filter(|name| !known.contains_key(*name)).collect();
        assert!(strangers.is_empty(), "nobody asked for {strangers:?}");
    }
}

/// Whether a client says so of a request whose broker went away.
fn is_of_the_kill(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{BrokerTransportFailure, OperationTimedOut, RequestTimedOut};
    matches!(code, BrokerTransportFailure | OperationTimedOut | RequestTimedOut)
}

/// The names of all topics.
fn names(config: &ClientConfig) -> Vec<String> {
    let metadata = consumer(config).fetch_metadata(None, PATIENCE).unwrap();
    metadata.topics().iter().map(|topic| topic.name().to_owned()).collect()
}

/// Ends the loads also when what they run beside has failed.
struct StopWhenDropped<'a>(&'a AtomicBool);

impl Drop for StopWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Milliseconds since 1970.
fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// A number below `bound` that nobody foresees.
fn chance(bound: u64) -> u64 {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
    u64::from(nanos) / 97 % bound
}
