//! The problems found so far: the first ones of the text, and how many more there are.

use super::error::{ConfigError, Problem};
use super::text::Position;

/// The most problems that an error lists.
const MAX_PROBLEMS: usize = 20;

/// Collects problems in any order. It keeps at most [`MAX_PROBLEMS`], the first of the text, so a large file can have
/// very many.
#[derive(Debug, Default)]
pub(super) struct Problems {
    /// In the order of the text.
    first: Vec<Noted>,
    /// How many more there are.
    more: usize,
}

/// A problem whose line and column are not counted yet.
#[derive(Debug)]
struct Noted {
    offset: usize,
    path: String,
    message: String,
}

impl Problems {
    /// Notes a problem at an offset. Path and message are built only for a problem that may be listed.
    pub(super) fn note(&mut self, offset: usize, path: &dyn Fn() -> String, message: &dyn Fn() -> String) {
        if self.may_list(offset) {
            self.insert(Noted { offset, path: path(), message: message() });
        }
    }

    /// Whether a problem at this offset is among the first so far. If not, it is only counted.
    fn may_list(&mut self, offset: usize) -> bool {
        let may_list = self.first.len() < MAX_PROBLEMS || self.first.last().is_some_and(|last| offset < last.offset);
        self.more += usize::from(!may_list);
        may_list
    }

    fn insert(&mut self, noted: Noted) {
        let index = self.first.partition_point(|other| other.offset <= noted.offset);
        self.first.insert(index, noted);
        if self.first.len() > MAX_PROBLEMS {
            self.first.pop();
            self.more += 1;
        }
    }

    /// Whether there is no problem so far.
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// The value, or the problems if there are any.
    pub(super) fn finish<T>(self, value: T, text: &str, file: &str) -> Result<T, ConfigError> {
        if self.first.is_empty() { Ok(value) } else { Err(self.into_error(text, file)) }
    }

    /// The error that lists the problems, of which there is at least one.
    pub(super) fn into_error(self, text: &str, file: &str) -> ConfigError {
        let mut problems: Vec<_> = self
            .first
            .into_iter()
            .map(|Noted { offset, path, message }| {
                let (line, column) = Position::Offset(offset).line_and_column(text);
                Problem { line, column, path, message }
            })
            .collect();
        if let Some(last) = problems.last_mut().filter(|_| self.more > 0) {
            let plural = if self.more == 1 { "" } else { "s" };
            last.message.push_str(&format!(" (and {} more problem{plural})", self.more));
        }
        ConfigError::new(file, problems)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// The listed offsets, the number of other problems, and how many messages were built.
    fn note(order: impl Iterator<Item = usize>) -> (Vec<usize>, usize, usize) {
        let (mut problems, built) = (Problems::default(), Cell::new(0));
        for offset in order {
            problems.note(offset, &String::new, &|| {
                built.set(built.get() + 1);
                String::from("wrong")
            });
        }
        (problems.first.iter().map(|noted| noted.offset).collect(), problems.more, built.get())
    }

    #[test]
    fn a_message_is_built_only_for_a_problem_that_may_be_listed() {
        let first: Vec<_> = (0..MAX_PROBLEMS).collect();
        assert_eq!(note(0..50_000), (first.clone(), 50_000 - MAX_PROBLEMS, MAX_PROBLEMS));
        // Two sections in the other order: at most MAX_PROBLEMS messages for each.
        let sections = (25_000..50_000).chain(0..25_000);
        assert_eq!(note(sections), (first.clone(), 50_000 - MAX_PROBLEMS, 2 * MAX_PROBLEMS));
        assert_eq!(note((0..100).rev()), (first, 100 - MAX_PROBLEMS, 100));
    }

    #[test]
    fn one_more_problem_is_singular() {
        let mut problems = Problems::default();
        for offset in 0..=MAX_PROBLEMS {
            problems.note(offset, &String::new, &|| "wrong".into());
        }
        assert!(problems.into_error("", "a").to_string().ends_with(": wrong (and 1 more problem)"));
    }
}
