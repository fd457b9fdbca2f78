//! The open containers: one bit each, in place.

use super::query::MAX_DEPTH;

/// How many containers are in sight at once.
const SIGHT: usize = u64::BITS as usize;

/// What a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    Array,
    Object,
}

/// The kinds of the open containers.
///
/// The innermost ones, up to 64, are *in sight*: bits of one word, the innermost lowest. The word is put away whenever
/// it is full.
#[derive(Debug)]
pub(super) struct Stack {
    depth: usize,
    sight: u64,
    away: [u64; MAX_DEPTH / SIGHT],
}

/// The containers in sight, to work on: `depth` is the only one of the numbers that may change, within the others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    /// The lowest bit is set if the innermost container is an object.
    pub(super) objects: u64,
    pub(super) depth: usize,
    pub(super) least: usize,
    pub(super) most: usize,
}

impl Stack {
    pub(super) fn new() -> Self {
        Self { depth: 0, sight: 0, away: [0; MAX_DEPTH / SIGHT] }
    }

    /// How many containers are open.
    #[inline]
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// Opens a container. The caller keeps the depth within [`MAX_DEPTH`].
    #[inline]
    pub(super) fn push(&mut self, container: Container) {
        debug_assert!(self.depth < MAX_DEPTH);
        if self.depth.is_multiple_of(SIGHT)
            && let Some(away) = self.away.get_mut(self.depth / SIGHT)
        {
            *away = self.sight;
        }
        self.sight = self.sight << 1 | u64::from(container == Container::Object);
        self.depth += 1;
    }

    /// Closes the innermost container.
    #[inline]
    pub(super) fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.sight >>= 1;
        if self.depth.is_multiple_of(SIGHT)
            && let Some(away) = self.away.get(self.depth / SIGHT)
        {
            self.sight = *away;
        }
    }

    /// The innermost container.
    #[inline]
    pub(super) fn top(&self) -> Option<Container> {
        match (self.depth, self.sight & 1) {
            (0, _) => None,
            (_, 0) => Some(Container::Array),
            _ => Some(Container::Object),
        }
    }

    /// The containers in sight, when at least one is open.
    pub(super) fn sight(&self) -> Sight {
        let least = self.depth.saturating_sub(1) / SIGHT * SIGHT + 1;
        Sight { objects: self.sight, depth: self.depth, least, most: least + SIGHT - 1 }
    }

    /// Takes back what [`Stack::sight`] has given, changed.
    pub(super) fn set_sight(&mut self, sight: Sight) {
        self.depth = sight.depth;
        self.sight = sight.objects;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_come_back_in_reverse_at_every_depth() {
        let kind = |depth: usize| if depth * depth % 7 < 3 { Container::Object } else { Container::Array };
        let mut stack = Stack::new();
        for round in 0..2 {
            for depth in 0..MAX_DEPTH {
                stack.push(kind(depth + round));
                assert_eq!((stack.depth(), stack.top()), (depth + 1, Some(kind(depth + round))));
            }
            for depth in (0..MAX_DEPTH).rev() {
                stack.pop();
                assert_eq!(stack.top(), depth.checked_sub(1).map(|depth| kind(depth + round)));
            }
        }
        assert_eq!(stack.depth(), 0);
    }
}
