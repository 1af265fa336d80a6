//! Many calls over a network that delays, cuts and resets, to a peer that restarts.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::*;
use crate::env::sim::Rng;

/// How often the peer received each request.
type Seen = Arc<Mutex<BTreeMap<i16, u32>>>;

/// Answers one connection, and breaks off at times.
async fn serve(mut session: Session, mut rng: Rng, seen: Seen) {
    while let Some(request) = session.request().await {
        match request.key {
            key::ApiVersions => {
                let versions = api_versions(ErrorCode::None, OFFERED);
                session.answer(&request, request.version, &versions).await;
            }
            _ => {
                *seen.lock().entry(request.number()).or_insert(0) += 1;
                tokio::time::sleep(Duration::from_millis(rng.below(300))).await;
                session.echo(&request).await;
            }
        }
        if rng.one_in(20) {
            return;
        }
    }
}

/// One run. Returns its fingerprint, and how many calls had which outcome.
fn run(seed: u64) -> (u64, [u32; 3]) {
    let mut fingerprint = (0, [0; 3]);
    let result = &mut fingerprint;
    in_world(seed, |scene| async move {
        let mut rng = scene.world.rng("test");
        scene.world.set_latency(rng.below(100));
        let seen = Seen::default();
        let mut peer = scene.listen().await;
        let (counted, mut peer_rng) = (Arc::clone(&seen), scene.world.rng("peer"));
        let peer_env = scene.peer_env.clone();
        scene.peer_env.threads.spawn(Box::pin(async move {
            loop {
                let session = peer.accept().await;
                let label = peer_rng.next_u64().to_string();
                let rng = peer_rng.fork(&label);
                peer_env.threads.spawn(Box::pin(serve(session, rng, Arc::clone(&counted))));
            }
        }));
        let in_flight_max = 1 + rng.below(4) as usize;
        let client = scene.client(ClientSettings { in_flight_max, ..settings() });
        let outcomes = Arc::new(Mutex::new(BTreeMap::new()));
        for number in 0..100 {
            let (client, outcomes) = (client.clone(), Arc::clone(&outcomes));
            let timeout = Duration::from_millis(20 + rng.below(2_000));
            let clock = Arc::clone(&scene.env.clock);
            scene.env.threads.spawn(Box::pin(async move {
                let deadline = clock.now() + timeout;
                let outcome = call(&client, number, timeout).await;
                let late = clock.now().since(deadline);
                assert!(late < Duration::from_millis(10), "{late:?} late: {outcome:?}");
                outcomes.lock().insert(number, outcome);
            }));
            tokio::time::sleep(Duration::from_millis(rng.below(100))).await;
            match rng.below(40) {
                0 => scene.world.reset_connections(&scene.near, &scene.far),
                1 => scene.world.cut(&scene.near, &scene.far),
                2..8 => scene.world.heal_all(),
                _ => {}
            }
        }
        scene.world.heal_all();
        tokio::time::sleep(60 * SECOND).await;
        let (outcomes, seen) = (outcomes.lock(), seen.lock());
        assert_eq!(outcomes.len(), 100, "every call ends");
        let mut counts = [0; 3];
        for (number, outcome) in &*outcomes {
            let times = seen.get(number).copied().unwrap_or(0);
            match outcome {
                Ok(answer) => {
                    assert_eq!((answer, times), (number, 1));
                    counts[0] += 1;
                }
                Err(error) if error.was_sent() => {
                    assert!(times <= 1, "{number} came {times} times");
                    counts[1] += 1;
                }
                Err(error) => {
                    assert_eq!(times, 0, "{number} came, and yet: {error}");
                    counts[2] += 1;
                }
            }
        }
        *result = (scene.world.trace().hash(), counts);
    });
    fingerprint
}

#[test]
fn every_call_ends_in_time_and_is_sent_at_most_once_and_never_if_it_says_so() {
    let mut totals = [0; 3];
    for seed in 0..60 {
        let (_, counts) = run(seed);
        totals.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
    }
    assert!(totals.iter().all(|total| *total > 100), "every outcome happens: {totals:?}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    assert_eq!(run(7), run(7));
}
