//! The open containers, and how many items each still needs.

use crate::document::Container;

/// The open containers, from the root inwards. The caller bounds the depth.
#[derive(Debug, Default)]
pub(super) struct ItemCounts {
    open: Vec<OpenContainer>,
}

#[derive(Debug)]
struct OpenContainer {
    kind: Container,
    /// How many elements or members follow, with the current one. `None` if a break ends the container.
    left: Option<u64>,
    /// Whether the next item is a member's name.
    is_name_next: bool,
}

/// What follows an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// Nothing: the item was the document.
    Document,
    /// The value of the member whose name the item was.
    MemberValue,
    /// The next member of the object.
    Member,
    /// The next element of the array.
    Element,
    /// The end of the innermost container.
    ContainerEnd,
}

impl ItemCounts {
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Whether the next item is a member's name.
    pub(super) fn is_name_next(&self) -> bool {
        self.open.last().is_some_and(|container| container.is_name_next)
    }

    /// Opens a container. `length` is its number of elements or members, if it is known.
    pub(super) fn open(&mut self, kind: Container, length: Option<u64>) {
        self.open.push(OpenContainer { kind, left: length, is_name_next: kind == Container::Object });
    }

    /// Whether the innermost container is complete as soon as it is open.
    pub(super) fn is_full(&self) -> bool {
        self.open.last().is_some_and(|container| container.left == Some(0))
    }

    /// Whether a break may come next. It must not stand for a member's value.
    pub(super) fn may_break(&self) -> bool {
        self.open.last().is_some_and(|container| {
            container.left.is_none() && (container.is_name_next || container.kind == Container::Array)
        })
    }

    /// Closes the innermost container.
    pub(super) fn close(&mut self) {
        self.open.pop();
    }

    /// An item is complete.
    pub(super) fn end_item(&mut self) -> After {
        let Some(container) = self.open.last_mut() else { return After::Document };
        if container.is_name_next {
            container.is_name_next = false;
            return After::MemberValue;
        }
        container.left = container.left.map(|left| left.saturating_sub(1));
        container.is_name_next = container.kind == Container::Object;
        match (container.left, container.kind) {
            (Some(0), _) => After::ContainerEnd,
            (_, Container::Array) => After::Element,
            (_, Container::Object) => After::Member,
        }
    }
}
