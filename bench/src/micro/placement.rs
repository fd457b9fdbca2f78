//! Exact placement of a million keys: memory, look-ups, and look-ups during a configuration change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use arc_swap::ArcSwap;
use cellgate_routing::CellId;
use cellgate_routing::placement::{Placement, Rules};
use serde_json::json;

use super::{Part, digits, thread_time};
use crate::goals::Goal;
use crate::stats::Spread;

const KEYS: usize = 1_000_000;
const ROUNDS: usize = 5;

/// The number of look-ups that are timed together. Their keys fit into the processor's caches; the table does not.
const TOGETHER: usize = 1024;

/// The number of look-ups in each round, spread over the whole table.
const LOOK_UPS: usize = 200 * TOGETHER;

/// The number of table swaps in each round.
const SWAPS: usize = 3;

/// A stride that has no common factor with the number of keys, so that no cache can predict the next key.
const STRIDE: usize = 611_953;

/// A look-up that takes longer, in µs, has waited. A few interrupts take less; building a table takes 1000 times as
/// long.
const PAUSE: f64 = 500.0;

/// The measurements, with one figure for each round.
#[derive(Default)]
struct PlacementFigures {
    bytes_per_key: Vec<f64>,
    build_seconds: Vec<f64>,
    look_up_nanoseconds: Vec<f64>,
    longest_alone: Vec<f64>,
    longest_in_swaps: Vec<f64>,
    waits: Vec<f64>,
}

/// Measures the placement, on this thread and one more.
///
/// # Errors
/// When a key has the wrong cell, or Linux does not report the memory or the waits.
pub(super) fn measure() -> Result<Part> {
    let keys: Vec<String> = (0..KEYS).map(|number| format!("tenant-{number:08}")).collect();
    let mut figures = PlacementFigures::default();
    for _ in 0..ROUNDS {
        figures.round(&keys)?;
    }
    figures.report()
}

impl PlacementFigures {
    fn round(&mut self, keys: &[String]) -> Result<()> {
        let start = thread_time();
        let placement = build(keys);
        self.build_seconds.push((thread_time() - start) as f64 / 1e9);
        let own: usize = keys.iter().map(String::len).sum();
        // This is exact, since the tables are boxed slices. Resident memory would include what the allocator keeps of
        // the list that they are built from.
        self.bytes_per_key.push((placement.heap_bytes().saturating_sub(own)) as f64 / KEYS as f64);
        self.look_up_nanoseconds.push(look_ups(&placement, keys)?);
        self.swaps(placement, keys)
    }

    /// Times single look-ups, first alone, then while another thread builds tables and swaps them in.
    fn swaps(&mut self, placement: Placement, keys: &[String]) -> Result<()> {
        let current = ArcSwap::from_pointee(placement);
        let done = AtomicBool::new(false);
        let longest = |until: &mut dyn FnMut(usize) -> bool| -> Result<f64> {
            let (mut longest, mut count) = (0, 0);
            while !until(count) {
                let key = keys.get(count * STRIDE % KEYS).context("a key")?;
                let start = thread_time();
                let placed = current.load().place(key);
                longest = longest.max(thread_time() - start);
                ensure!(placed.is_some(), "{key} has no cell");
                count += 1;
            }
            Ok(longest as f64 / 1000.0)
        };
        self.longest_alone.push(longest(&mut |count| count >= LOOK_UPS)?);
        let in_swaps = std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..SWAPS {
                    current.store(Arc::new(build(keys)));
                }
                done.store(true, Ordering::Release);
            });
            let before = waits()?;
            let longest = longest(&mut |_| done.load(Ordering::Acquire))?;
            anyhow::Ok((longest, waits()?.saturating_sub(before)))
        });
        let (longest, waits) = in_swaps?;
        self.longest_in_swaps.push(longest);
        self.waits.push(waits as f64);
        Ok(())
    }

    fn report(&self) -> Result<Part> {
        let spread = |values: &[f64]| Spread::of(values.iter().copied()).context("no rounds");
        let bytes = spread(&self.bytes_per_key)?;
        let build = spread(&self.build_seconds)?;
        let look_up = spread(&self.look_up_nanoseconds)?;
        let alone = spread(&self.longest_alone)?;
        let swaps = spread(&self.longest_in_swaps)?;
        let waits = spread(&self.waits)?;
        let goals = vec![
            Goal::at_most("placement of 1 000 000 keys: bytes per key beyond the keys' own", bytes, 24.0),
            Goal::at_most("placement of 1 000 000 keys: a look-up, ns", look_up, 300.0),
            Goal::at_most("placement of 1 000 000 keys: built in, s", build, 1.0),
            Goal::at_most(
                "placement of 1 000 000 keys: the longest look-up while tables are swapped, µs",
                swaps,
                PAUSE,
            ),
            Goal::at_most("placement of 1 000 000 keys: look-ups that had to wait for a swap", waits, 0.0),
        ];
        let cell = |value: Spread| format!("{} ({} to {})", digits(value.median), digits(value.min), digits(value.max));
        let rows = [
            ("bytes per key beyond the keys' own, on the heap", cell(bytes)),
            ("building it, s of CPU time", cell(build)),
            ("a look-up of a key that exists, the table not in a cache, ns of CPU time", cell(look_up)),
            ("the longest of 200 000 look-ups, nothing else going on, µs of CPU time", cell(alone)),
            ("the longest look-up while three tables are built and swapped in, µs of CPU time", cell(swaps)),
            ("times that a look-up had to wait meanwhile", cell(waits)),
        ];
        let mut markdown =
            String::from("\n## Exact placement of 1 000 000 keys\n\n| | median (min to max) |\n|---|--:|\n");
        for (what, value) in &rows {
            markdown += &format!("| {what} | {value} |\n");
        }
        let json = json!({
            "bytes_per_key": self.bytes_per_key,
            "build_seconds": self.build_seconds,
            "look_up_nanoseconds": self.look_up_nanoseconds,
            "longest_look_up_microseconds": {"alone": self.longest_alone, "in_swaps": self.longest_in_swaps},
            "waits": self.waits,
        });
        Ok(Part { name: "placement", markdown, json, goals })
    }
}

fn build(keys: &[String]) -> Placement {
    let exact = keys.iter().map(|key| (key.as_str(), CellId(1))).collect();
    Placement::new(Rules { exact, ..Rules::default() })
}

/// Nanoseconds for one, on average.
fn look_ups(placement: &Placement, keys: &[String]) -> Result<f64> {
    let (mut spent, mut count) = (0, 0);
    while count < LOOK_UPS {
        // A request's key is in the cache and the table is not, so the keys are copied first.
        let asked: Vec<String> =
            (count..count + TOGETHER).filter_map(|number| keys.get(number * STRIDE % KEYS).cloned()).collect();
        let start = thread_time();
        let found = asked.iter().filter(|key| placement.place(std::hint::black_box(key)).is_some()).count();
        spent += thread_time() - start;
        ensure!(found == TOGETHER, "{found} of {TOGETHER} keys have a cell");
        count += TOGETHER;
    }
    Ok(spent as f64 / count as f64)
}

/// How often this thread has waited so far (voluntary context switches). Interruptions do not count.
fn waits() -> Result<u64> {
    status("voluntary_ctxt_switches:")
}

/// A number of `/proc/thread-self/status`.
fn status(field: &str) -> Result<u64> {
    let status = std::fs::read_to_string("/proc/thread-self/status")?;
    let value = status.lines().find_map(|line| line.strip_prefix(field)?.split_whitespace().next()?.parse().ok());
    value.with_context(|| format!("no {field} in /proc/thread-self/status"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_counted() {
        let before = waits().unwrap();
        std::thread::spawn(std::thread::yield_now).join().unwrap();
        assert!(waits().unwrap() >= before);
    }

    #[test]
    fn the_stride_reaches_every_key() {
        let (mut a, mut b) = (KEYS, STRIDE);
        while b > 0 {
            (a, b) = (b, a % b);
        }
        assert_eq!(a, 1);
    }
}
