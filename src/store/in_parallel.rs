//! Work on many things where blocking is allowed, several at once.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::env::Env;

/// How many things are taken at a time: few enough that all threads end together.
const TAKEN_AT_ONCE: usize = 64;

/// Does `work` on each of `items`; the results in their order.
pub(super) async fn in_parallel<T: Send + 'static, R: Send + 'static>(
    env: &Env,
    items: Vec<T>,
    work: impl Fn(T) -> R + Send + Sync + 'static,
) -> Vec<R> {
    let count = items.len();
    let threads = env.threads.blocking_parallelism().min(count.div_ceil(TAKEN_AT_ONCE));
    let left = Arc::new(Mutex::new((0, items.into_iter())));
    let work = Arc::new(work);
    let mut running = Vec::new();
    for _ in 0..threads {
        let (left, work) = (Arc::clone(&left), Arc::clone(&work));
        running.push(env.threads.run_blocking(move || {
            let mut done: Vec<(usize, Vec<R>)> = Vec::new();
            loop {
                let (turn, taken) = {
                    let (turn, left) = &mut *left.lock();
                    *turn += 1;
                    (*turn, left.take(TAKEN_AT_ONCE).collect::<Vec<T>>())
                };
                if taken.is_empty() {
                    return done;
                }
                done.push((turn, taken.into_iter().map(&*work).collect()));
            }
        }));
    }
    let mut turns: Vec<(usize, Vec<R>)> = all(running).await.into_iter().flatten().collect();
    turns.sort_unstable_by_key(|(turn, _)| *turn);
    let mut results = Vec::with_capacity(count);
    for (_, of_turn) in turns {
        results.extend(of_turn);
    }
    results
}

/// Runs all futures, and gives their results in order.
async fn all<T, F: Future<Output = T>>(futures: Vec<F>) -> Vec<T> {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut results: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        let mut pending = false;
        for (future, result) in futures.iter_mut().zip(&mut results) {
            if result.is_none() {
                match future.as_mut().poll(cx) {
                    std::task::Poll::Ready(value) => *result = Some(value),
                    std::task::Poll::Pending => pending = true,
                }
            }
        }
        if pending { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_stand_in_the_order_of_what_they_are_of() {
        let env = Env::real(&crate::env::Limits::default()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for count in [0, 1, TAKEN_AT_ONCE, 1000] {
            let doubled = in_parallel(&env, (0..count).collect(), |number| number * 2);
            let expected: Vec<usize> = (0..count).map(|number| number * 2).collect();
            assert_eq!(runtime.block_on(doubled), expected);
        }
    }
}
