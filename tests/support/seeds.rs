//! Which seeds a run tries.

#![expect(unreachable_pub, reason = "each test is a crate of its own, which uses these")]

/// The seeds of a run: `SEED=n` is that one alone, `SEEDS=n` is so many from 0.
pub fn seeds(default_count: u64) -> Vec<u64> {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    match (number("SEED"), number("SEEDS")) {
        (Some(seed), _) => vec![seed],
        (None, count) => (0..count.unwrap_or(default_count)).collect(),
    }
}
