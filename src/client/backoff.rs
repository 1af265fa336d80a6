//! Exponential back-off with jitter (Kafka 4.4 `ExponentialBackoff`).

use std::time::Duration;

/// The relative size of the jitter, to either side.
const JITTER_PERCENT: u64 = 20;

/// A time that doubles with each failure, up to a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExponentialBackoff {
    /// The time after the first failure.
    pub initial: Duration,
    /// The longest time.
    pub max: Duration,
}

impl ExponentialBackoff {
    /// The time after so many failures (0 is the first), varied by a fifth to either side by
    /// `random`, never above the bound.
    pub fn after(&self, failures: u32, random: u64) -> Duration {
        let doubled = self.initial.saturating_mul(2_u32.saturating_pow(failures)).min(self.max);
        // Per mille, so that the range has enough steps.
        let per_mille = 1_000 - 10 * JITTER_PERCENT + random % (20 * JITTER_PERCENT + 1);
        let nanos = doubled.as_nanos() * u128::from(per_mille) / 1_000;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: ExponentialBackoff =
        ExponentialBackoff { initial: Duration::from_millis(50), max: Duration::from_secs(1) };

    #[test]
    fn it_doubles_up_to_its_bound() {
        let middle = 200;
        let times: Vec<_> = (0..7).map(|n| BACKOFF.after(n, middle).as_millis()).collect();
        assert_eq!(times, [50, 100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!(BACKOFF.after(u32::MAX, middle), BACKOFF.max);
    }

    #[test]
    fn jitter_stays_within_a_fifth_and_reaches_both_ends() {
        let times: Vec<_> = (0..401).map(|random| BACKOFF.after(1, random)).collect();
        assert_eq!(times.iter().min(), Some(&Duration::from_millis(80)));
        assert_eq!(times.iter().max(), Some(&Duration::from_millis(120)));
    }

    proptest::proptest! {
        #[test]
        fn it_never_exceeds_its_bound(failures: u32, random: u64) {
            proptest::prop_assert!(BACKOFF.after(failures, random) <= BACKOFF.max);
        }
    }
}
