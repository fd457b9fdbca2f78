//! The open containers: one bit each, in place.

use super::query::MAX_DEPTH;

/// How many containers are in sight at once.
pub(super) const SIGHT: usize = u64::BITS as usize;

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

    /// The kinds of the innermost containers, up to 64: the lowest bit is set if the innermost is an object.
    #[inline]
    pub(super) fn sight(&self) -> u64 {
        self.sight
    }

    /// Opens or closes containers, all within sight.
    #[inline]
    pub(super) fn set_sight(&mut self, depth: usize, sight: u64) {
        self.depth = depth;
        self.sight = sight;
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
