//! The open containers, one bit each.

use super::state::GrammarState;
use crate::document::{Container, MAX_DEPTH};

/// How many containers are in the innermost word of the stack, and are therefore quick to reach.
pub(super) const RECENT: usize = u64::BITS as usize;

/// The depth and the kinds of the [`RECENT`] innermost containers: all that decides what may follow a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Containers {
    /// How many containers are open.
    pub(super) depth: usize,
    /// The lowest bit is set if the innermost one is an object, the next bit for the one around it, and so on.
    objects: u64,
}

/// The kinds of all open containers: the recent ones, and full words of those around them.
#[derive(Debug)]
pub(super) struct Stack {
    recent: Containers,
    outer: [u64; MAX_DEPTH / RECENT],
}

impl Stack {
    pub(super) fn new() -> Self {
        Self { recent: Containers::default(), outer: [0; MAX_DEPTH / RECENT] }
    }

    /// How many containers are open.
    #[inline]
    pub(super) fn depth(&self) -> usize {
        self.recent.depth
    }

    /// Opens a container. The caller keeps the depth within [`MAX_DEPTH`].
    #[inline]
    pub(super) fn push(&mut self, container: Container) {
        debug_assert!(self.recent.depth < MAX_DEPTH);
        if self.recent.depth.is_multiple_of(RECENT)
            && let Some(outer) = self.outer.get_mut(self.recent.depth / RECENT)
        {
            *outer = self.recent.objects;
        }
        self.recent.push(container);
    }

    /// Closes the innermost container.
    #[inline]
    pub(super) fn pop(&mut self) {
        self.recent.pop();
        if self.recent.depth.is_multiple_of(RECENT)
            && let Some(outer) = self.outer.get(self.recent.depth / RECENT)
        {
            self.recent.objects = *outer;
        }
    }

    #[inline]
    pub(super) fn recent(&self) -> Containers {
        self.recent
    }

    /// Replaces the recent containers. The caller must have opened and closed only containers within the innermost word.
    #[inline]
    pub(super) fn set_recent(&mut self, recent: Containers) {
        self.recent = recent;
    }
}

impl Containers {
    /// Opens a container.
    #[inline(always)]
    pub(super) fn push(&mut self, container: Container) {
        self.depth += 1;
        self.objects = self.objects << 1 | u64::from(container == Container::Object);
    }

    /// Closes the innermost container, if there is one.
    #[inline(always)]
    pub(super) fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.objects >>= 1;
    }

    /// Whether the innermost container is an object.
    #[inline(always)]
    pub(super) fn is_object(self) -> bool {
        self.objects & 1 == 1
    }

    /// The bracket that closes the innermost container.
    #[inline(always)]
    pub(super) fn closing_bracket(self) -> u8 {
        // The two brackets differ by one bit.
        b']' | (self.objects as u8 & 1) << 5
    }

    /// The state after a value.
    #[inline(always)]
    pub(super) fn after_value(self) -> GrammarState {
        match (self.depth, self.is_object()) {
            (0, _) => GrammarState::End,
            (_, false) => GrammarState::ElementEnd,
            (_, true) => GrammarState::MemberEnd,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The innermost container, by the state after a value in it.
    fn top(stack: &Stack) -> Option<Container> {
        match stack.recent().after_value() {
            GrammarState::ElementEnd => Some(Container::Array),
            GrammarState::MemberEnd => Some(Container::Object),
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
