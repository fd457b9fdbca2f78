//! The open containers: one bit each, in place.

use super::query::MAX_DEPTH;
use super::state::State;

/// How many containers are in sight at once.
pub(super) const SIGHT: usize = u64::BITS as usize;

/// What a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    Array,
    Object,
}

/// The open containers, as far as they are *in sight*: all that decides what may follow a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Containers {
    /// How many there are.
    pub(super) depth: usize,
    /// The innermost ones, up to [`SIGHT`]: the lowest bit is set if the innermost is an object.
    objects: u64,
}

/// The kinds of the open containers. What is in sight is one word, which is put away whenever it is full.
#[derive(Debug)]
pub(super) struct Stack {
    open: Containers,
    away: [u64; MAX_DEPTH / SIGHT],
}

impl Stack {
    pub(super) fn new() -> Self {
        Self { open: Containers::default(), away: [0; MAX_DEPTH / SIGHT] }
    }

    /// How many containers are open.
    #[inline]
    pub(super) fn depth(&self) -> usize {
        self.open.depth
    }

    /// Opens a container. The caller keeps the depth within [`MAX_DEPTH`].
    #[inline]
    pub(super) fn push(&mut self, container: Container) {
        debug_assert!(self.open.depth < MAX_DEPTH);
        if self.open.depth.is_multiple_of(SIGHT)
            && let Some(away) = self.away.get_mut(self.open.depth / SIGHT)
        {
            *away = self.open.objects;
        }
        self.open.push(container);
    }

    /// Closes the innermost container.
    #[inline]
    pub(super) fn pop(&mut self) {
        self.open.pop();
        if self.open.depth.is_multiple_of(SIGHT)
            && let Some(away) = self.away.get(self.open.depth / SIGHT)
        {
            self.open.objects = *away;
        }
    }

    /// Those in sight.
    #[inline]
    pub(super) fn open(&self) -> Containers {
        self.open
    }

    /// Opens or closes containers, all within sight.
    #[inline]
    pub(super) fn set_open(&mut self, open: Containers) {
        self.open = open;
    }
}

impl Containers {
    /// Opens one.
    #[inline(always)]
    pub(super) fn push(&mut self, container: Container) {
        self.depth += 1;
        self.objects = self.objects << 1 | u64::from(container == Container::Object);
    }

    /// Closes the innermost, if there is one.
    #[inline(always)]
    pub(super) fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.objects >>= 1;
    }

    /// Whether the innermost is an object.
    #[inline(always)]
    pub(super) fn is_object(self) -> bool {
        self.objects & 1 == 1
    }

    /// What closes the innermost.
    #[inline(always)]
    pub(super) fn closing(self) -> u8 {
        // The two differ by one bit.
        b']' | (self.objects as u8 & 1) << 5
    }

    /// What the grammar expects after a value.
    #[inline(always)]
    pub(super) fn after_value(self) -> State {
        match (self.depth, self.is_object()) {
            (0, _) => State::End,
            (_, false) => State::ElementEnd,
            (_, true) => State::MemberEnd,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The innermost, by what must come after a value in it.
    fn top(stack: &Stack) -> Option<Container> {
        match stack.open().after_value() {
            State::ElementEnd => Some(Container::Array),
            State::MemberEnd => Some(Container::Object),
            _ => None,
        }
    }

    #[test]
    fn containers_come_back_in_reverse_at_every_depth() {
        let kind = |depth: usize| if depth * depth % 7 < 3 { Container::Object } else { Container::Array };
        let mut stack = Stack::new();
        for round in 0..2 {
            for depth in 0..MAX_DEPTH {
                stack.push(kind(depth + round));
                assert_eq!((stack.depth(), top(&stack)), (depth + 1, Some(kind(depth + round))));
            }
            for depth in (0..MAX_DEPTH).rev() {
                stack.pop();
                assert_eq!(top(&stack), depth.checked_sub(1).map(|depth| kind(depth + round)));
            }
        }
        assert_eq!(stack.depth(), 0);
    }
}
