//! Slots: the hash of a key selects a slot, and a table from weighted rendezvous hashing gives the slot's cell.
//!
//! Every cell draws a number for every slot, by a hash of the slot, the cell's name and the seed. The lowest cost in
//! proportion to the weight wins the slot. So a change to one cell moves slots only to or from that cell. All numbers are
//! integers, so that every platform and language agrees. `docs/placement.md` is the specification.

use xxhash_rust::xxh64::xxh64;

use crate::action::CellId;
use crate::sorted::sorted;

/// The default number of slots.
pub const DEFAULT_SLOTS: u32 = 16_384;

/// The longest cell name.
pub const MAX_CELL_NAME: usize = 63;

/// 32 fractional bits.
const ONE: u64 = 1 << 32;

/// The floor of log2(e) in 32 fractional bits.
const LOG2_E: u64 = 6_196_328_018;

/// The slot table.
#[derive(Clone, Debug, Default)]
pub struct Slots {
    seed: u64,
    owners: Box<[CellId]>,
}

impl Slots {
    /// Distributes `count` slots over the cells by name and weight. A cell with weight 0 gets none.
    #[must_use]
    pub fn new<'a>(count: u32, seed: u64, cells: impl IntoIterator<Item = (CellId, &'a str, u32)>) -> Self {
        let cells: Vec<_> = cells.into_iter().filter(|(_, _, weight)| *weight > 0).collect();
        // The first of equal costs wins, so this order breaks ties.
        let by_name = sorted(cells.iter().enumerate().map(|(index, (_, name, _))| (*name, index)).collect::<Vec<_>>());
        let cells: Vec<_> = by_name
            .iter()
            .filter_map(|(_, index)| cells.get(*index))
            .map(|(cell, name, weight)| WeightedCell { cell: *cell, name, weight: u64::from(*weight) })
            .collect();
        let owners =
            if cells.is_empty() { Box::default() } else { (0..count).map(|slot| owner(slot, seed, &cells)).collect() };
        Self { seed, owners }
    }

    /// The key's slot.
    #[must_use]
    pub fn slot(&self, key: &str) -> u32 {
        let count = self.owners.len().max(1) as u64;
        // Below the count, which is a u32.
        u32::try_from(xxh64(key.as_bytes(), self.seed) % count).unwrap_or_default()
    }

    /// The cell that owns the key's slot. The first cell if the table is empty.
    #[must_use]
    pub fn place(&self, key: &str) -> CellId {
        let slot = usize::try_from(self.slot(key)).unwrap_or_default();
        self.owners.get(slot).copied().unwrap_or(CellId(0))
    }

    /// Each slot's cell.
    #[must_use]
    pub fn owners(&self) -> &[CellId] {
        &self.owners
    }
}

struct WeightedCell<'a> {
    cell: CellId,
    name: &'a str,
    weight: u64,
}

/// The cell with the smallest `cost / weight`.
fn owner(slot: u32, seed: u64, cells: &[WeightedCell<'_>]) -> CellId {
    let mut ticket = Vec::with_capacity(size_of::<u32>() + MAX_CELL_NAME);
    let mut best: Option<(u64, &WeightedCell<'_>)> = None;
    for candidate in cells {
        ticket.clear();
        ticket.extend_from_slice(&slot.to_be_bytes());
        ticket.extend_from_slice(candidate.name.as_bytes());
        let draw = xxh64(&ticket, seed);
        // Costs are at most 2^38 and weights below 2^20: the products fit.
        let wins = |cost: u64| best.is_none_or(|(least, winner)| cost * winner.weight < least * candidate.weight);
        // Most draws are far too small to win. A lower bound of the cost shows that without a logarithm.
        if wins(cost_floor(draw)) {
            let cost = cost(draw);
            if wins(cost) {
                best = Some((cost, candidate));
            }
        }
    }
    best.map_or(CellId(0), |(_, winner)| winner.cell)
}

/// `-log2(draw / 2^64)` in 32 fractional bits: 64 minus the binary logarithm, whose bits come from repeated squaring.
fn cost(draw: u64) -> u64 {
    let draw = draw | 1;
    let zeros = draw.leading_zeros();
    // The mantissa, from 1 up to 2, with 63 fractional bits.
    let mut mantissa = draw << zeros;
    let mut fraction = 0;
    for _ in 0..32 {
        let square = u128::from(mantissa) * u128::from(mantissa);
        let carry = square >> 127;
        fraction = fraction << 1 | u64::from(carry == 1);
        #[expect(clippy::cast_possible_truncation, reason = "a square of 2^63..2^64, shifted back to that range")]
        {
            mantissa = (square >> (63 + carry)) as u64;
        }
    }
    u64::from(zeros + 1) * ONE - fraction
}

/// At most [`cost`], as `-ln x >= 1 - x`, rounded down.
fn cost_floor(draw: u64) -> u64 {
    (((u128::from(!draw) >> 32) * u128::from(LOG2_E)) >> 32).try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests;
