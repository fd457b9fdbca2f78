//! The problems of a configuration, with their places: the error that callers see.

use std::fmt;

use super::fault::Fault;

/// A configuration was refused. It has at least one problem; they are in the order of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    file: Box<str>,
    problems: Vec<Problem>,
}

/// One mistake in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// The field, such as `placement.overrides.acme` or `key[0].header`. Empty for the whole document.
    pub path: String,
    /// What is wrong and what is allowed.
    pub message: String,
}

impl ConfigError {
    /// The file's name, as the caller gave it.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The problems, at least one, in the order of the text.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    pub(super) fn new(file: &str, problems: Vec<Problem>) -> Self {
        Self { file: file.into(), problems }
    }

    pub(super) fn from_fault(fault: Fault, text: &str, file: &str) -> Self {
        let (line, column) = fault.position.line_and_column(text);
        Self::new(file, vec![Problem { line, column, path: String::new(), message: fault.message }])
    }
}

/// One line for each problem: `FILE:LINE:COLUMN: PATH: MESSAGE`.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let Problem { line, column, path, message } = problem;
            let newline = if index == 0 { "" } else { "\n" };
            let colon = if path.is_empty() { "" } else { ": " };
            write!(f, "{newline}{}:{line}:{column}: {path}{colon}{message}", self.file)?;
        }
        Ok(())
    }
}
