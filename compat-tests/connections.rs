//! Connections as a client may treat them: closed in half, flooded, slow. Spoken by hand, since no library does it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::client::{Outgoing, create_topic, produce};
use crate::harness::{Broker, PATIENCE};

const FETCH: i16 = 1;
const METADATA: i16 = 3;
const API_VERSIONS: i16 = 18;

fn connect(broker: &Broker) -> TcpStream {
    let stream = TcpStream::connect(broker.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn frame(api: i16, version: i16, id: i32, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend((10 + body.len() as i32).to_be_bytes());
    frame.extend(api.to_be_bytes());
    frame.extend(version.to_be_bytes());
    frame.extend(id.to_be_bytes());
    frame.extend((-1i16).to_be_bytes());
    frame.extend(body);
    frame
}

/// A Fetch of partition 0 of topic `t` from `offset`, that waits for a byte for `wait_ms`.
fn fetch(id: i32, offset: i64, wait_ms: i32) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend((-1i32).to_be_bytes());
    body.extend(wait_ms.to_be_bytes());
    body.extend(1i32.to_be_bytes());
    body.extend((1i32 << 20).to_be_bytes());
    body.push(0);
    body.extend(1i32.to_be_bytes());
    body.extend([0, 1, b't']);
    body.extend(1i32.to_be_bytes());
    body.extend(0i32.to_be_bytes());
    body.extend(offset.to_be_bytes());
    body.extend((1i32 << 20).to_be_bytes());
    frame(FETCH, 4, id, &body)
}

/// Metadata of all topics.
fn metadata(id: i32) -> Vec<u8> {
    frame(METADATA, 1, id, &(-1i32).to_be_bytes())
}

/// The next answer's correlation id, or nothing at the end of the connection.
fn answer(stream: &mut TcpStream) -> Option<i32> {
    let mut prefix = [0; 8];
    stream.read_exact(&mut prefix).ok()?;
    let len = i32::from_be_bytes(prefix[..4].try_into().unwrap());
    let mut rest = vec![0; len as usize - 4];
    stream.read_exact(&mut rest).ok()?;
    Some(i32::from_be_bytes(prefix[4..].try_into().unwrap()))
}

/// Under a flood that starves the others of its worker, no answer comes before the flood ends.
const STARVED: Duration = Duration::from_secs(10);

#[test]
fn a_half_closed_client_gets_all_its_answers_and_then_the_end() {
    let broker = Broker::start("half_closed");
    create_topic(&broker, "t", 1, &[]);
    produce(&broker.client(), "t", 0, &[Outgoing::value("before")]);
    for requests in [
        vec![metadata(1)],
        vec![fetch(1, 0, 500), metadata(2)],
        vec![fetch(1, 1, 1_500)],
        vec![fetch(1, 1, 700), metadata(2), fetch(3, 1, 700)],
    ] {
        let mut stream = connect(&broker);
        stream.write_all(&requests.concat()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        for id in 1..=requests.len() as i32 {
            assert_eq!(answer(&mut stream), Some(id), "of {}", requests.len());
        }
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "the end");
    }
}

#[test]
fn a_client_that_floods_a_worker_leaves_others_their_turns() {
    let broker = Broker::start("flooded");
    create_topic(&broker, "t", 100, &[]);
    let stop = Arc::new(AtomicBool::new(false));
    let (send, flooded) = mpsc::channel();
    let floods: Vec<_> = [metadata(1), frame(API_VERSIONS, 0, 1, &[]), fetch(1, 0, 0)]
        .into_iter()
        .map(|request| {
            let (mut sends, stop) = (connect(&broker), Arc::clone(&stop));
            let mut reads = sends.try_clone().unwrap();
            thread::spawn(move || {
                let flood = request.repeat(200);
                while !stop.load(Ordering::Relaxed) {
                    sends.write_all(&flood).unwrap();
                }
                sends.shutdown(Shutdown::Both).unwrap();
            });
            let send = send.clone();
            thread::spawn(move || {
                reads.read_exact(&mut vec![0; 64 * 1024]).unwrap();
                send.send(()).unwrap();
                drop(std::io::copy(&mut reads, &mut std::io::sink()));
            })
        })
        .collect();
    floods.iter().for_each(|_| flooded.recv_timeout(PATIENCE).unwrap());
    // On every worker, however many there are.
    let mut others: Vec<_> = (0..8).map(|_| connect(&broker)).collect();
    let mut worst = Duration::ZERO;
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        for stream in &mut others {
            let asked = Instant::now();
            stream.write_all(&frame(API_VERSIONS, 0, 7, &[])).unwrap();
            assert_eq!(answer(stream), Some(7));
            worst = worst.max(asked.elapsed());
        }
    }
    stop.store(true, Ordering::Relaxed);
    floods.into_iter().for_each(|flood| flood.join().unwrap());
    assert!(worst < STARVED, "an answer took {worst:?}");
}

#[test]
fn a_request_that_arrives_byte_by_byte_outlives_the_idle_time_and_one_that_stops_does_not() {
    let broker = Broker::plan("byte_by_byte").with("connections.max.idle.ms", 2_000).start();
    let (mut steady, mut stalled) = (connect(&broker), connect(&broker));
    let request = frame(API_VERSIONS, 0, 7, &[]);
    stalled.write_all(&request[..5]).unwrap();
    steady.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let (last, others) = request.split_last().unwrap();
    for byte in others {
        steady.write_all(&[*byte]).unwrap();
        let nothing = steady.read(&mut [0]).unwrap_err().kind();
        assert!(matches!(nothing, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{nothing}");
    }
    steady.set_read_timeout(Some(PATIENCE)).unwrap();
    steady.write_all(&[*last]).unwrap();
    assert_eq!(answer(&mut steady), Some(7), "after 7 seconds");
    assert_eq!(answer(&mut stalled), None);
}
