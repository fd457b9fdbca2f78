//! Look-ups at a million keys, and what a slot table costs to make.

use cellgate_routing::CellId;
use cellgate_routing::placement::{DEFAULT_SLOTS, Placement, Rules, Slots};
use divan::{Bencher, black_box};

const KEYS: usize = 1_000_000;

fn main() {
    divan::main();
}

fn keys(start: usize) -> Vec<String> {
    (start..start + KEYS).map(|number| format!("tenant-{number:08}")).collect()
}

fn look_up(bencher: Bencher<'_, '_>, asked: &[String]) {
    let known = keys(0);
    let exact = known.iter().map(|key| (key.as_str(), CellId(1))).collect();
    let placement = Placement::new(Rules { exact, ..Rules::default() });
    // Keys that no cache foresees: a stride without a common factor with their number. Each is copied first, as a
    // request's key has just been read, while the table has not.
    let mut index = 0;
    let next = || {
        index = (index + 611_953) % KEYS;
        asked.get(index).cloned().unwrap_or_default()
    };
    bencher.with_inputs(next).bench_local_refs(|key| placement.place(black_box(key)));
}

#[divan::bench]
fn exact_hit(bencher: Bencher<'_, '_>) {
    look_up(bencher, &keys(0));
}

#[divan::bench]
fn exact_miss(bencher: Bencher<'_, '_>) {
    look_up(bencher, &keys(KEYS));
}

#[divan::bench]
fn slot(bencher: Bencher<'_, '_>) {
    let placement = Placement::new(Rules {
        slots: Slots::new(DEFAULT_SLOTS, 0, [(CellId(0), "cell-a", 1), (CellId(1), "cell-b", 1)]),
        by_slot: true,
        ..Rules::default()
    });
    bencher.bench_local(|| placement.place(black_box("tenant-00000001")));
}

#[divan::bench(args = [3, 32, 1024])]
fn slot_table(bencher: Bencher<'_, '_>, cells: u16) {
    let names: Vec<_> = (0..cells).map(|cell| format!("cell-{cell}")).collect();
    bencher.bench_local(|| {
        Slots::new(DEFAULT_SLOTS, 0, (0..).map(CellId).zip(&names).map(|(id, name)| (id, name.as_str(), 1)))
    });
}
