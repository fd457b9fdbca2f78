//! The time of a decision: `cargo bench -p cellgate-limiting`.

use std::sync::atomic::{AtomicU64, Ordering};

use cellgate_limiting::{Charge, EmbeddedStore, Enforcement, KeyHasher, Limit, LimitId, LimitKey, Micros, Usage};
use divan::{Bencher, black_box};

const KEYS: u64 = 1_000_000;

fn main() {
    divan::main();
}

/// Of limits, by their places.
const NAMES: [&str; 4] = ["tenant", "cell", "api-key", "all"];

fn limit(text: &str) -> Limit {
    text.parse().unwrap_or_else(|_| std::process::abort())
}

fn key(id: LimitId, number: u64) -> LimitKey {
    KeyHasher::new([7; 16]).key(NAMES.get(usize::from(id.0)).unwrap_or(&""), [format!("tenant-{number:08}").as_bytes()])
}

fn charge(id: u16, number: u64, limit: Limit) -> Charge {
    let id = LimitId(id);
    Charge { id, key: key(id, number), limit, cost: 1, enforcement: Enforcement::Enforce }
}

/// Decides requests of a million keys in a stride that no cache foresees, 1 µs apart.
fn decide(bencher: Bencher<'_, '_>, limits: &[Limit]) {
    let store = EmbeddedStore::new(4 * usize::try_from(KEYS).unwrap_or(0));
    let clock = AtomicU64::new(1);
    let charges = |number: u64| -> Vec<Charge> {
        limits
            .iter()
            .zip(0..)
            .map(|(limit, id)| charge(id, if id == 0 { number } else { number % 16 }, *limit))
            .collect()
    };
    let all: Vec<_> = (0..KEYS).map(charges).collect();
    for charges in &all {
        let _ = store.charge(charges, Micros(clock.fetch_add(1, Ordering::Relaxed)));
    }
    bencher
        .with_inputs(|| {
            let now = clock.fetch_add(1, Ordering::Relaxed);
            // A copy: a request's charges have just been made, while the store's memory is cold.
            let place = usize::try_from(now.wrapping_mul(611_953) % KEYS).unwrap_or(0);
            (Micros(now), all.get(place).cloned().unwrap_or_default())
        })
        .bench_refs(|(now, charges)| store.charge(black_box(charges), *now));
}

/// A million keys in use, each looked up where no cache has it.
#[divan::bench(threads = [1, 2, 8], sample_count = 2000)]
fn one_limit(bencher: Bencher<'_, '_>) {
    decide(bencher, &[limit("1000/d")]);
}

/// A key is in use for 1 ms, so that most requests evict one.
#[divan::bench(threads = [1, 2, 8], sample_count = 2000)]
fn one_short_limit(bencher: Bencher<'_, '_>) {
    decide(bencher, &[limit("1000/s")]);
}

/// The second and the third limit have 16 keys, such as cells: all threads meet there.
#[divan::bench(threads = [1, 2, 8], sample_count = 2000)]
fn three_limits(bencher: Bencher<'_, '_>) {
    decide(bencher, &[limit("1000/d"), limit("1000000/s"), limit("1000000/s")]);
}

#[divan::bench(threads = [1, 2, 8], sample_count = 2000)]
fn refused(bencher: Bencher<'_, '_>) {
    decide(bencher, &[limit("1/d")]);
}

/// One key for all requests.
#[divan::bench(threads = [1, 2, 8], sample_count = 2000)]
fn one_key(bencher: Bencher<'_, '_>) {
    let store = EmbeddedStore::new(1_000);
    let clock = AtomicU64::new(1);
    let charges = [charge(0, 1, limit("1000000/s"))];
    bencher.bench(|| store.charge(black_box(&charges), Micros(clock.fetch_add(1, Ordering::Relaxed))));
}

/// A full table without anything to evict: each new key looks at 32 usages, and shares the overflow.
#[divan::bench]
fn new_key_in_a_full_store(bencher: Bencher<'_, '_>) {
    let store = EmbeddedStore::new(64 * 1_024);
    let day = limit("1/d");
    let fill: Vec<_> = (0..200_000).map(|number| charge(0, number, day)).collect();
    for charge in &fill {
        let _ = store.charge(&[*charge], Micros(0));
    }
    let number = AtomicU64::new(KEYS);
    bencher
        .with_inputs(|| charge(0, number.fetch_add(1, Ordering::Relaxed), limit("1000000/s")))
        .bench_values(|charge| store.charge(&[charge], Micros(1)));
}

/// The arithmetic alone: half of the requests are admitted.
#[divan::bench]
fn arithmetic(bencher: Bencher<'_, '_>) {
    let limit = limit("143/s;burst=10");
    let (mut usage, mut now) = (Usage::unused(limit), 0);
    bencher.bench_local(|| {
        now += 3_500;
        let (verdict, after) = usage.charge(black_box(limit), 1, Micros(now));
        usage = after;
        verdict
    });
}

/// The digest of a key, which a request pays before its limits are judged.
#[divan::bench]
fn digest(bencher: Bencher<'_, '_>) {
    let hasher = KeyHasher::new([7; 16]);
    bencher.bench(|| hasher.key("limit", [black_box(b"tenant-00000042".as_slice())]));
}
