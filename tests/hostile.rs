//! A whole broker in a simulated world, and clients that mean no good: whatever they send is
//! answered or ends their connection, and nobody else notices.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[allow(dead_code, unused_imports, reason = "every test program uses its part of it")]
mod support;

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::time::Duration;

use blumfeld::codec::At;
use blumfeld::codec::shape::{FieldShape, Kind, Shape};
use blumfeld::env::{Connection, Env, OutPart};
use blumfeld::protocol::apis::{APIS, ApiFacts};
use blumfeld::server::apis::served;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use sample::{Dice, Form, HOSTILE, Sample};
use support::broker::{PORT, SimBroker};
use support::simulate;

#[path = "support/sample.rs"]
#[expect(unreachable_pub, reason = "unit tests include it as well")]
mod sample;

/// How long an answer may take. Requests that wait for others are given up then.
const PATIENCE: Duration = Duration::from_secs(5);
/// What the whole world may hold at any time.
const LITTLE: u64 = 48 * MIB;
const MIB: u64 = 1024 * 1024;
const ID: i32 = 0x0bad_cafe;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Answered,
    Closed,
    Waiting,
}

/// One client after the other on the same machine; connects again where it was cut off.
struct Attacker {
    env: Env,
    port: u16,
    connection: Option<Connection>,
}

impl Attacker {
    fn new(env: &Env, port: u16) -> Self {
        Self { env: env.clone(), port, connection: None }
    }

    /// Sends a frame as it is, and sees what becomes of it.
    async fn send(&mut self, frame: &[u8]) -> Outcome {
        let connection = match self.connection.take() {
            Some(open) => open,
            None => self.env.net.connect("broker", self.port).await.unwrap(),
        };
        let Connection { mut reader, mut writer, peer, local } = connection;
        let mut parts = VecDeque::from([OutPart::Bytes(Bytes::copy_from_slice(frame))]);
        if poll_fn(|cx| writer.poll_send(cx, &mut parts)).await.is_err() {
            return Outcome::Closed;
        }
        let mut received = BytesMut::new();
        let answer = async {
            loop {
                let prefix = received.first_chunk::<4>().map(|len| u32::from_be_bytes(*len));
                if prefix.is_some_and(|len| received.len() >= 4 + len as usize) {
                    return true;
                }
                received.reserve(65_536);
                let got = poll_fn(|cx| reader.poll_read(cx, &mut received)).await;
                if !matches!(got, Ok(1..)) {
                    return false;
                }
            }
        };
        match tokio::time::timeout(PATIENCE, answer).await {
            Err(_) => Outcome::Waiting,
            Ok(false) => Outcome::Closed,
            Ok(true) => {
                received.advance(4);
                assert_eq!(received.get_i32(), ID, "an answer to another question");
                self.connection = Some(Connection { reader, writer, peer, local });
                Outcome::Answered
            }
        }
    }
}

/// A frame of this API, with its header, around `body`.
fn frame(api: &ApiFacts, version: i16, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; 4];
    frame.put_i16(api.key);
    frame.put_i16(version);
    frame.put_i32(ID);
    frame.put_i16(-1);
    if version >= api.flexible_from {
        frame.put_u8(0);
    }
    frame.put_slice(body);
    let len = frame.len() as i32 - 4;
    frame[..4].copy_from_slice(&len.to_be_bytes());
    frame
}

/// Whether an honest client is served as ever: it asks for a topic's metadata in little time.
async fn is_served(env: &Env) -> bool {
    let metadata = APIS.iter().find(|api| api.name == "Metadata").unwrap();
    let start = env.clock.now();
    let body = b"\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x06topic\0\0\0\0";
    let outcome = Attacker::new(env, PORT).send(&frame(metadata, 12, body)).await;
    outcome == Outcome::Answered && env.clock.now().since(start) < Duration::from_millis(200)
}

/// Whether a connection of one's own is served; it stays open.
async fn connect(env: &Env, port: u16) -> Option<Attacker> {
    let api_versions = APIS.iter().find(|api| api.name == "ApiVersions").unwrap();
    let mut client = Attacker::new(env, port);
    let outcome = client.send(&frame(api_versions, 0, &[])).await;
    (outcome == Outcome::Answered).then_some(client)
}

#[test]
fn connections_beyond_the_limits_are_closed_and_others_go_on() {
    simulate("connections_beyond_the_limits_are_closed_and_others_go_on", 1, |world| async move {
        const LIMITS: &[(&str, &str)] =
            &[("max.connections", "5"), ("max.connections.per.ip", "3")];
        let mut broker = SimBroker::new(&world, "broker", LIMITS);
        broker.start_and_serve().await;
        let (one, other) = (world.machine("one").start(), world.machine("other").start());
        let mut open = Vec::new();
        for _ in 0..3 {
            open.push(connect(&one, PORT).await.unwrap());
        }
        assert!(connect(&one, PORT).await.is_none(), "three from one address");
        for _ in 0..2 {
            open.push(connect(&other, PORT).await.unwrap());
        }
        assert!(connect(&other, PORT).await.is_none(), "five in all");
        assert!(connect(&one, PORT + 1).await.is_some(), "the controller's listener has no limit");
        drop(open.remove(0));
        tokio::time::sleep(Duration::from_millis(100)).await;
        open.push(connect(&other, PORT).await.unwrap());
        assert!(connect(&other, PORT).await.is_none());
        drop(open);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(is_served(&one).await);
        broker.stop().await;
    });
}

#[test]
fn a_broker_that_ran_out_of_descriptors_accepts_again_when_it_has_some() {
    let test = "a_broker_that_ran_out_of_descriptors_accepts_again_when_it_has_some";
    simulate(test, 1, |world| async move {
        let mut broker = SimBroker::new(&world, "broker", &[]);
        broker.start_and_serve().await;
        let env = world.machine("client").start();
        let (start, events) = (env.clock.now(), processor_time());
        broker.machine().fail_accepts(20);
        assert!(connect(&env, PORT).await.is_some());
        let waited = env.clock.now().since(start);
        assert!(waited >= Duration::from_secs(1), "it pauses between attempts: {waited:?}");
        assert!(processor_time().saturating_sub(events) < Duration::from_secs(1));
        broker.stop().await;
    });
}

/// Starts a broker and lets `attack` loose on it from another machine.
/// The broker goes on serving others, never holds much memory, and stops in good order.
fn under_attack<F: Future<Output = ()>>(
    test: &str,
    memory_max: u64,
    attack: impl FnOnce(Env) -> F,
) {
    let memory = allocation_counter::measure(|| {
        simulate(test, 1, |world| async move {
            let mut broker = SimBroker::new(&world, "broker", &[]);
            broker.start_and_serve().await;
            let env = world.machine("attacker").start();
            assert!(is_served(&env).await);
            attack(env.clone()).await;
            assert!(is_served(&env).await, "afterwards");
            assert_eq!(world.panics(), [""; 0]);
            broker.stop().await;
        });
    });
    assert!(memory.bytes_max < memory_max, "{} bytes", memory.bytes_max);
}

/// The versions of every API that a listener serves, and one before and one after.
fn versions(is_controller: bool) -> Vec<(&'static ApiFacts, i16)> {
    let mut all = Vec::new();
    for api in served(is_controller) {
        let facts = APIS.iter().find(|facts| facts.key == api.key).unwrap();
        all.extend((api.min_version - 1..=api.max_version + 1).map(|version| (facts, version)));
    }
    all
}

#[test]
fn a_request_with_any_values_is_answered() {
    under_attack("a_request_with_any_values_is_answered", LITTLE, |env| async move {
        for (is_controller, port) in [(false, PORT), (true, PORT + 1)] {
            let mut attacker = Attacker::new(&env, port);
            for (api, version) in versions(is_controller) {
                let shape = &api.request;
                let is_known = served(is_controller)
                    .any(|served| served.key == api.key && served.serves(version, false));
                let mut counts = BTreeMap::new();
                for seed in 0..40 {
                    let sample = Sample::of(shape, version, seed);
                    let outcome = attacker.send(&frame(api, version, &sample.body)).await;
                    *counts.entry(outcome).or_insert(0) += 1;
                }
                let expected = if is_known || api.name == "ApiVersions" {
                    // Some end with acks=0 and an error, some ask to wait long.
                    counts.get(&Outcome::Answered).copied() >= Some(20)
                } else {
                    counts.get(&Outcome::Closed) == Some(&40)
                };
                assert!(expected, "{} v{version}: {counts:?}", api.name);
            }
            assert!(is_served(&env).await);
        }
    });
}

#[test]
fn a_request_with_a_hostile_length_anywhere_is_answered_or_ends_its_connection() {
    let test = "a_request_with_a_hostile_length_anywhere_is_answered_or_ends_its_connection";
    under_attack(test, LITTLE, |env| async move {
        for (is_controller, port) in [(false, PORT), (true, PORT + 1)] {
            let mut attacker = Attacker::new(&env, port);
            for (api, version) in versions(is_controller) {
                let shape = &api.request;
                let sample = Sample::of(shape, version, 5);
                for length in &sample.lengths {
                    for value in HOSTILE {
                        let body = sample.with(*length, value);
                        attacker.send(&frame(api, version, &body)).await;
                    }
                }
                assert!(is_served(&env).await, "after {} v{version}", api.name);
            }
        }
    });
}

#[test]
fn a_request_that_ends_early_ends_its_connection() {
    under_attack("a_request_that_ends_early_ends_its_connection", LITTLE, |env| async move {
        for (is_controller, port) in [(false, PORT), (true, PORT + 1)] {
            let mut attacker = Attacker::new(&env, port);
            for (api, version) in versions(is_controller) {
                let whole = frame(api, version, &Sample::of(&api.request, version, 2).body);
                for len in 4..whole.len() {
                    let mut part = whole[..len].to_vec();
                    part[..4].copy_from_slice(&(len as i32 - 4).to_be_bytes());
                    let outcome = attacker.send(&part).await;
                    let is_unknown = !served(is_controller)
                        .any(|served| served.key == api.key && served.serves(version, false));
                    let may_answer = api.name == "ApiVersions" && is_unknown;
                    assert!(
                        outcome == Outcome::Closed || may_answer,
                        "{} v{version}, {len} of {} bytes: {outcome:?}",
                        api.name,
                        whole.len()
                    );
                }
            }
        }
    });
}

/// Processor time of this thread.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[test]
fn a_request_with_many_elements_is_answered_in_time_and_memory_of_its_length() {
    let test = "a_request_with_many_elements_is_answered_in_time_and_memory_of_its_length";
    under_attack(test, 160 * MIB, |env| async move {
        for (is_controller, port) in [(false, PORT), (true, PORT + 1)] {
            let mut attacker = Attacker::new(&env, port);
            for api in served(is_controller) {
                let facts = APIS.iter().find(|facts| facts.key == api.key).unwrap();
                let shape = &facts.request;
                for (version, depth) in
                    [(api.min_version, 0), (api.max_version, 0), (api.max_version, 1)]
                {
                    let mut times = Vec::new();
                    for count in [10_000, 40_000] {
                        let sample = Sample::large(shape, version, depth, count);
                        let before = processor_time();
                        attacker.send(&frame(facts, version, &sample.body)).await;
                        times.push(processor_time().saturating_sub(before));
                    }
                    // Four times the length takes four times as long, not sixteen times.
                    assert!(
                        times[1] < 9 * times[0] + Duration::from_millis(200),
                        "{} v{version}, depth {depth}: {times:?}",
                        facts.name
                    );
                }
            }
        }
    });
}

#[test]
fn noise_of_any_kind_ends_in_answers_or_a_closed_connection() {
    under_attack(
        "noise_of_any_kind_ends_in_answers_or_a_closed_connection",
        LITTLE,
        |env| async move {
            let mut dice = Dice(0x5eed);
            let mut attacker = Attacker::new(&env, PORT);
            for round in 0..3_000 {
                let api = &APIS[dice.below(APIS.len() as u64) as usize];
                let bits = 1 + dice.below(9);
                let len = dice.below(1 << bits);
                let noise: Vec<u8> = (0..len).map(|_| dice.below(256) as u8).collect();
                let bytes = match round % 3 {
                    0 => frame(api, dice.below(20) as i16, &noise),
                    1 => {
                        let shape = &api.request;
                        let version = api.max_version;
                        let mut body = Sample::of(shape, version, dice.below(1_000)).body;
                        for _ in 0..=dice.below(3) {
                            if !body.is_empty() {
                                let at = dice.below(body.len() as u64) as usize;
                                body[at] = dice.below(256) as u8;
                            }
                        }
                        frame(api, version, &body)
                    }
                    _ => [&(noise.len() as u32).to_be_bytes()[..], &noise].concat(),
                };
                attacker.send(&bytes).await;
            }
        },
    );
}

#[test]
fn frames_that_claim_too_much_end_their_connection() {
    under_attack("frames_that_claim_too_much_end_their_connection", LITTLE, |env| async move {
        let api_versions = APIS.iter().find(|api| api.name == "ApiVersions").unwrap();
        let mut tags = frame(api_versions, 3, b"\x01\x01");
        tags.truncate(14);
        Form::Varint.write(&mut tags, 2_000_000);
        tags.resize(tags.len() + 4_000_000, 0);
        let len = tags.len() as i32 - 4;
        tags[..4].copy_from_slice(&len.to_be_bytes());
        let cases = [
            b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n".to_vec(),
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
            b"\x00\x00\x00\x0e\x00\x03\x00\x00\x0b\xad\xca\xfe\xff\xff\x3c\x0c\x00\xb6".to_vec(),
            104_857_601u32.to_be_bytes().to_vec(),
            (-1i32).to_be_bytes().to_vec(),
            i32::MIN.to_be_bytes().to_vec(),
            0u32.to_be_bytes().to_vec(),
            tags,
        ];
        for (number, bytes) in cases.iter().enumerate() {
            let outcome = Attacker::new(&env, PORT).send(bytes).await;
            assert_eq!(outcome, Outcome::Closed, "case {number}");
        }
    });
}
