//! The names of the open elements.

/// A stack of names in one text.
#[derive(Debug, Default)]
pub(super) struct OpenNames {
    text: String,
    /// Where each name begins.
    starts: Vec<usize>,
}

impl OpenNames {
    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    pub(super) fn push(&mut self, name: &str) {
        self.starts.push(self.text.len());
        self.text.push_str(name);
    }

    /// The name of the innermost element. `None` if no element is open.
    pub(super) fn last(&self) -> Option<&str> {
        self.text.get(*self.starts.last()?..)
    }

    pub(super) fn pop(&mut self) {
        if let Some(start) = self.starts.pop() {
            self.text.truncate(start);
        }
    }
}
