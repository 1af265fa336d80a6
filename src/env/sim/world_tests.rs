use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind, IoSlice};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::{Crash, EPOCH, World, paused_runtime};
use crate::env::{Connection, Env, Listener, Net, OpenMode, OutPart, ReadHalf, WriteHalf};

/// Runs a test in a world, and asserts that no task panicked.
fn in_world<T, F: Future<Output = T>>(seed: u64, test: impl FnOnce(World) -> F) -> T {
    let runtime = paused_runtime();
    runtime.block_on(async {
        let world = World::new(seed);
        let result = test(world.clone()).await;
        assert_eq!(world.panics(), [""; 0]);
        result
    })
}

fn bytes(text: &'static [u8]) -> OutPart {
    OutPart::Bytes(Bytes::from_static(text))
}

async fn send(writer: &mut Box<dyn WriteHalf>, parts: Vec<OutPart>) -> io::Result<()> {
    let mut parts = VecDeque::from(parts);
    poll_fn(|cx| writer.poll_send(cx, &mut parts)).await
}

/// Reads until there are `len` bytes or the stream ends.
async fn receive(reader: &mut Box<dyn ReadHalf>, len: usize) -> io::Result<Vec<u8>> {
    let mut buffer = BytesMut::new();
    while buffer.len() < len {
        buffer.reserve(4096);
        if poll_fn(|cx| reader.poll_read(cx, &mut buffer)).await? == 0 {
            break;
        }
    }
    Ok(buffer.to_vec())
}

async fn listen(env: &Env) -> Box<dyn Listener> {
    env.net.listen("", 9092).await.unwrap()
}

async fn pair(client: &Env, server: &Env, host: &str) -> (Connection, Connection) {
    let mut listener = listen(server).await;
    let connected = client.net.connect(host, 9092).await.unwrap();
    (connected, listener.accept().await.unwrap().open().unwrap())
}

#[test]
fn a_stream_carries_more_than_it_holds_and_ranges_are_read_when_they_are_sent() {
    in_world(1, |world| async move {
        let (client, server) = (world.machine("client").start(), world.machine("server").start());
        let (mut here, mut there) = pair(&client, &server, "server").await;
        assert_eq!(here.peer, there.local);
        assert_eq!(here.local, there.peer);
        let file = server.disk.open(Path::new("/f"), OpenMode::CreateNew).unwrap();
        file.write_at(&[IoSlice::new(&vec![1; 1_000_000])], 0).unwrap();
        let range = OutPart::File { file: Arc::clone(&file), position: 0, len: 1_000_000 };
        server.threads.spawn(Box::pin(async move {
            send(&mut there.writer, vec![bytes(b"head"), range, bytes(b"tail")]).await.unwrap();
        }));
        let head = receive(&mut here.reader, 4).await.unwrap().len();
        // What is not on its way yet is sent as it is then.
        file.write_at(&[IoSlice::new(&[2; 1])], 999_999).unwrap();
        let rest = receive(&mut here.reader, usize::MAX).await.unwrap();
        assert_eq!(head + rest.len(), 1_000_008);
        assert_eq!(rest[rest.len() - 6..], *b"\x01\x02tail");
    });
}

#[test]
fn the_peer_of_a_killed_process_reads_to_the_end_or_is_reset() {
    in_world(1, |world| async move {
        let (client, machine) = (world.machine("client").start(), world.machine("server"));
        let (mut here, mut there) = pair(&client, &machine.start(), "server").await;
        send(&mut there.writer, vec![bytes(b"last words")]).await.unwrap();
        machine.crash(Crash::Kill);
        assert_eq!(receive(&mut here.reader, 100).await.unwrap(), b"last words");

        let (mut here, _there) = pair(&client, &machine.start(), "server").await;
        send(&mut here.writer, vec![bytes(b"never read")]).await.unwrap();
        machine.crash(Crash::Kill);
        let error = receive(&mut here.reader, 1).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let error = send(&mut here.writer, vec![bytes(b"x")]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        let refused = client.net.connect("server", 9092).await.err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_machine_without_power_is_silent_until_it_is_up_again() {
    in_world(1, |world| async move {
        let (client, machine) = (world.machine("client").start(), world.machine("server"));
        let (mut here, _there) = pair(&client, &machine.start(), "server").await;
        machine.crash(Crash::PowerLoss);
        send(&mut here.writer, vec![bytes(b"anyone?")]).await.unwrap();
        let answer = tokio::time::timeout(Duration::from_hours(1), receive(&mut here.reader, 1));
        assert!(answer.await.is_err(), "silence");
        let connected = client.net.connect("server", 9092).await;
        assert_eq!(connected.err().unwrap().kind(), ErrorKind::TimedOut);
        machine.start();
        let error = receive(&mut here.reader, 1).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_cut_link_holds_bytes_back_until_it_heals() {
    in_world(1, |world| async move {
        let machines = [world.machine("client"), world.machine("server")];
        let [client, server] = machines.each_ref().map(Env::sim);
        let (mut here, mut there) = pair(&client, &server, "server").await;
        world.cut_one_way(&machines[0], &machines[1]);
        send(&mut here.writer, vec![bytes(b"held")]).await.unwrap();
        let hour = Duration::from_hours(1);
        assert!(tokio::time::timeout(hour, receive(&mut there.reader, 4)).await.is_err());
        send(&mut there.writer, vec![bytes(b"other way")]).await.unwrap();
        assert_eq!(receive(&mut here.reader, 9).await.unwrap(), b"other way");
        world.heal_all();
        assert_eq!(receive(&mut there.reader, 4).await.unwrap(), b"held");
        world.reset_connections(&machines[0], &machines[1]);
        assert!(receive(&mut there.reader, 1).await.is_err());
        assert!(receive(&mut here.reader, 1).await.is_err());
    });
}

#[test]
fn names_addresses_and_ports_are_those_of_a_network() {
    in_world(1, |world| async move {
        let env = world.machine("one").start();
        assert_eq!(env.net.canonical_host_name(), "one");
        let mut listener = listen(&env).await;
        let address = listener.local_addresses()[0];
        for host in ["one", "localhost", &address.ip().to_string()] {
            drop(env.net.connect(host, 9092).await.unwrap());
            drop(listener.accept().await.unwrap());
        }
        let taken = env.net.listen("", 9092).await.err().unwrap();
        assert_eq!(taken.kind(), ErrorKind::AddrInUse);
        drop(listener);
        let free = env.net.listen("", 0).await.unwrap().local_addresses()[0].port();
        assert_ne!(free, 0);
        let unknown = env.net.connect("two", 9092).await.err().unwrap();
        assert_eq!(unknown.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn an_accept_without_descriptors_fails_and_the_listener_stays_usable() {
    in_world(1, |world| async move {
        let machine = world.machine("one");
        let env = machine.start();
        let mut listener = listen(&env).await;
        let _client = env.net.connect("one", 9092).await.unwrap();
        machine.fail_accepts(2);
        let results = [listener.accept().await, listener.accept().await, listener.accept().await];
        assert_eq!(results.map(|result| result.is_ok()), [false, false, true]);
    });
}

#[test]
fn the_tasks_of_a_crashed_process_do_nothing_more() {
    in_world(1, |world| async move {
        let machine = world.machine("one");
        let env = machine.start();
        let ticks = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&ticks);
        let threads = Arc::clone(&env.threads);
        env.threads.spawn(Box::pin(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(1)).await;
                let counted = Arc::clone(&counted);
                threads.spawn(Box::pin(async move {
                    counted.fetch_add(1, Ordering::Relaxed);
                }));
            }
        }));
        tokio::time::sleep(Duration::from_millis(100)).await;
        let then = ticks.load(Ordering::Relaxed);
        assert!(then > 50, "{then}");
        machine.crash(Crash::Kill);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(ticks.load(Ordering::Relaxed), then);
        assert_eq!(machine.start().threads.run_blocking(|| 7).await, 7);
    });
}

#[test]
fn clocks_show_the_worlds_time_and_a_machines_error() {
    in_world(1, |world| async move {
        let machine = world.machine("one");
        tokio::time::sleep(Duration::from_secs(1)).await;
        let env = machine.start();
        env.clock.sleep_until(env.clock.now() + Duration::from_secs(5)).await;
        assert_eq!(env.clock.now().0, 5_000_000_000, "its own monotonic time began with it");
        assert_eq!(env.clock.wall().0, EPOCH.0 + 6_000);
        machine.jump_wall_clock(-3_600_000);
        assert_eq!(env.clock.wall().0, EPOCH.0 + 6_000 - 3_600_000);
        drop(env.disk.open(Path::new("/f"), OpenMode::CreateNew).unwrap());
        let modified = env.disk.info(Path::new("/f")).unwrap().unwrap().modified_ms;
        assert_eq!(modified, EPOCH.0 + 6_000 - 3_600_000);
    });
}

/// Three clients talk to an echo server whose machine crashes now and then.
fn echo(seed: u64) -> (u64, u64) {
    in_world(seed, |world| async move {
        world.set_latency(5);
        let server = world.machine("server");
        let mut chance = world.rng("test");
        for name in ["a", "b", "c"] {
            let client = world.machine(name).start();
            let net: Arc<dyn Net> = Arc::clone(&client.net);
            client.threads.spawn(Box::pin(async move {
                loop {
                    let Ok(mut connection) = net.connect("server", 9092).await else { continue };
                    while send(&mut connection.writer, vec![bytes(b"hello")]).await.is_ok() {
                        let wait = Duration::from_millis(50);
                        let answer = receive(&mut connection.reader, 5);
                        match tokio::time::timeout(wait, answer).await {
                            Ok(Ok(echo)) if echo == b"hello" => {}
                            _ => break,
                        }
                    }
                }
            }));
        }
        for _ in 0..5 {
            let env = server.start();
            let threads = Arc::clone(&env.threads);
            let mut listener = listen(&env).await;
            env.threads.spawn(Box::pin(async move {
                loop {
                    let mut connection = listener.accept().await.unwrap().open().unwrap();
                    threads.spawn_connection(Box::pin(async move {
                        while let Ok(got) = receive(&mut connection.reader, 5).await
                            && !got.is_empty()
                        {
                            let parts = vec![OutPart::Bytes(Bytes::from(got))];
                            let _ = send(&mut connection.writer, parts).await;
                        }
                    }));
                }
            }));
            tokio::time::sleep(Duration::from_millis(100 + chance.below(200))).await;
            server.crash(if chance.coin() { Crash::Kill } else { Crash::PowerLoss });
            tokio::time::sleep(Duration::from_millis(chance.below(200))).await;
        }
        (world.trace().hash(), world.trace().events())
    })
}

#[test]
fn the_same_seed_gives_the_same_world() {
    for seed in 0..5 {
        let first = echo(seed);
        assert!(first.1 > 500, "{} events", first.1);
        assert_eq!(first, echo(seed), "seed {seed}");
    }
    assert_ne!(echo(1).0, echo(2).0);
}
