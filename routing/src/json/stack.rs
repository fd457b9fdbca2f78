//! The open containers: one bit each, in place.

use super::query::MAX_DEPTH;

const WORD: usize = u64::BITS as usize;

/// What a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    Array,
    Object,
}

/// The kinds of the open containers, the innermost last.
#[derive(Debug)]
pub(super) struct Stack {
    depth: usize,
    /// The bit of depth `d` is set for an object. Bits beyond `depth` mean nothing.
    objects: [u64; MAX_DEPTH / WORD],
}

impl Stack {
    pub(super) fn new() -> Self {
        Self { depth: 0, objects: [0; MAX_DEPTH / WORD] }
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
        if let Some(word) = self.objects.get_mut(self.depth / WORD) {
            let bit = 1 << (self.depth % WORD);
            *word = if container == Container::Object { *word | bit } else { *word & !bit };
        }
        self.depth += 1;
    }

    /// Closes the innermost container; what contains it, if anything does.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<Container> {
        self.depth = self.depth.saturating_sub(1);
        self.top()
    }

    /// The innermost container.
    #[inline]
    pub(super) fn top(&self) -> Option<Container> {
        let at = self.depth.checked_sub(1)?;
        let word = self.objects.get(at / WORD)?;
        Some(if word >> (at % WORD) & 1 == 1 { Container::Object } else { Container::Array })
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
                let below = depth.checked_sub(1).map(|depth| kind(depth + round));
                assert_eq!(stack.pop(), below);
            }
        }
        assert_eq!((stack.pop(), stack.depth()), (None, 0));
    }
}
