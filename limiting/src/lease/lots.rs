//! Lots: the units that are out under one lease, by the time of their charge.
//!
//! The units of a key are alike, so it is free to choose which of them were spent. The oldest were, and the newest come back:
//! a refund of them is worth most.

use crate::limit::Limit;
use crate::time::Micros;

/// The most lots of a key in a session. If there are more, the two oldest become one, with the time of the older one, so
/// that a refund is worth less and never more.
const MAX_LOTS: usize = 4;

/// Units that were charged at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Lot {
    pub(super) units: u32,
    pub(super) limit: Limit,
    pub(super) charged: Micros,
}

/// The lots of a key in a session, the oldest first. None is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Lots(Vec<Lot>);

impl Lots {
    pub(super) fn units(&self) -> u32 {
        self.0.iter().fold(0, |sum, lot| sum.saturating_add(lot.units))
    }

    pub(super) fn push(&mut self, lot: Lot) {
        if lot.units > 0 {
            self.0.push(lot);
        }
        if self.0.len() > MAX_LOTS {
            let oldest = self.0.remove(0);
            if let Some(next) = self.0.first_mut() {
                *next = merged(oldest, *next);
            }
        }
    }

    /// Removes units that were spent, and returns how many there were.
    pub(super) fn take_oldest(&mut self, units: u32) -> u32 {
        let mut left = units;
        self.0.retain_mut(|lot| {
            let taken = left.min(lot.units);
            left -= taken;
            lot.units -= taken;
            lot.units > 0
        });
        units - left
    }

    /// Removes units that come back.
    pub(super) fn take_newest(&mut self, units: u32) -> Vec<Lot> {
        let mut left = units;
        let mut taken = Vec::new();
        while left > 0 {
            let Some(newest) = self.0.last_mut() else { break };
            let part = left.min(newest.units);
            taken.push(Lot { units: part, ..*newest });
            left -= part;
            newest.units -= part;
            if newest.units == 0 {
                self.0.pop();
            }
        }
        taken
    }
}

/// Of two limits, the one with the faster rate: a refund is worth what that has not paid back.
fn merged(older: Lot, newer: Lot) -> Lot {
    let limit = if newer.limit.rate().exceeds(older.limit.rate()) { newer.limit } else { older.limit };
    Lot { units: older.units.saturating_add(newer.units), limit, charged: older.charged.min(newer.charged) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lot(units: u32, charged: u64) -> Lot {
        Lot { units, limit: "10/s".parse().unwrap(), charged: Micros(charged) }
    }

    #[test]
    fn the_oldest_units_are_spent_and_the_newest_come_back() {
        let mut lots = Lots::default();
        lots.push(lot(3, 1));
        lots.push(lot(0, 2));
        lots.push(lot(3, 3));
        assert_eq!((lots.take_oldest(2), lots.units()), (2, 4));
        assert_eq!(lots.take_newest(2), [lot(2, 3)]);
        assert_eq!(lots.take_newest(9), [lot(1, 3), lot(1, 1)]);
        assert_eq!((lots.take_oldest(1), lots.units()), (0, 0));
    }

    #[test]
    fn beyond_four_lots_the_oldest_two_count_as_the_older_one() {
        let mut lots = Lots::default();
        let fast = Lot { limit: "20/s".parse().unwrap(), ..lot(2, 2) };
        for next in [lot(1, 1), fast, lot(3, 3), lot(4, 4), lot(5, 5)] {
            lots.push(next);
        }
        assert_eq!(lots.units(), 15);
        assert_eq!(lots.take_newest(15)[3], Lot { units: 3, charged: Micros(1), ..fast });
    }
}
