//! Whole brokers in a simulated world: clients work, the machine crashes, and what was promised
//! is judged. `SEED=n` runs one seed, `SEEDS=n` so many.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::time::Duration;

use blumfeld::env::sim::{Crash, World};
use blumfeld::log::LogConfig;
use support::broker::SimBroker;
use support::workload::{Histories, Session, check, read, write};
use support::{seeds, simulate};

const WRITERS: u32 = 3;
const BATCHES: u32 = 60;
const HOST: &str = "broker";
/// How a process ends; `None` is in good order.
const EVERY_WAY: &[Option<Crash>] =
    &[Some(Crash::PowerLoss), Some(Crash::PowerLossKeepingNothing), Some(Crash::Kill), None];

/// Small segments, so that there are many; a flush before each answer if `durable`.
fn log_config(durable: bool) -> LogConfig {
    LogConfig {
        segment_bytes: 2000,
        index_interval_bytes: 300,
        flush_messages: if durable { 1 } else { i64::MAX },
        ..LogConfig::default()
    }
}

/// Clients work while the broker crashes, as `next_crash` has it, and is started again.
async fn crashes(world: World, durable: bool, modes: &'static [Option<Crash>]) {
    let mut rng = world.rng("crashes");
    world.set_latency(1 + rng.below(5));
    world.set_blocking_time(rng.below(4));
    let mut broker = SimBroker::new(&world, HOST, log_config(durable));
    broker.start_and_serve().await;
    let histories = Histories::default();
    let may_forget = !durable && modes.contains(&Some(Crash::PowerLoss));
    let (done, mut all_done) = tokio::sync::mpsc::channel::<()>(1);
    for writer in 1..=WRITERS {
        let env = world.machine(&format!("writer-{writer}")).start();
        let session = Session::new(env.clone(), HOST);
        let rng = world.rng(&format!("writer-{writer}"));
        let (histories, done) = (histories.clone(), done.clone());
        env.threads.spawn(Box::pin(async move {
            write(session, writer, BATCHES, may_forget, rng, histories).await;
            drop(done);
        }));
    }
    drop(done);
    let env = world.machine("reader").start();
    let session = Session::new(env.clone(), HOST);
    env.threads.spawn(Box::pin(read(session, world.rng("reader"), histories.clone())));

    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(rng.below(1500))).await;
        match modes[rng.below(modes.len() as u64) as usize] {
            None => broker.stop().await,
            Some(mode) => {
                broker.crash(mode);
                if !durable && mode != Crash::Kill {
                    histories.lock().values_mut().for_each(|history| history.may_lose_everything());
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(rng.below(500))).await;
        broker.start_and_serve().await;
    }
    let patience = Duration::from_mins(10);
    let finished = tokio::time::timeout(patience, all_done.recv()).await;
    assert!(finished.is_ok(), "after the last crash everything gets through");
    let env = world.machine("judge").start();
    check(Session::new(env, HOST), &histories).await.unwrap();
    let acknowledged: usize = histories.lock().values().map(|h| h.acknowledged_count()).sum();
    assert!(acknowledged > BATCHES as usize, "{acknowledged} records acknowledged");
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_when_the_process_is_killed() {
    for seed in seeds(10) {
        simulate("nothing_acknowledged", seed, |world| {
            crashes(world, false, &[Some(Crash::Kill), None])
        });
    }
}

#[test]
fn nothing_flushed_before_its_answer_is_lost_when_the_power_goes() {
    for seed in seeds(10) {
        simulate("nothing_flushed", seed, |world| crashes(world, true, EVERY_WAY));
    }
}

#[test]
fn a_power_loss_leaves_a_beginning_of_what_was_not_flushed() {
    for seed in seeds(10) {
        simulate("a_power_loss", seed, |world| crashes(world, false, &[Some(Crash::PowerLoss)]));
    }
}

#[test]
fn one_seed_is_one_history() {
    for seed in seeds(3) {
        let run = || simulate("one_seed", seed, |world| crashes(world, true, EVERY_WAY));
        assert_eq!(run(), run(), "seed {seed}");
    }
}
