//! The scanner of a body, with its format.

use crate::body::BodyScanner;
use crate::format::{BodyFormat, Format, FormatQueries};
use crate::reason::Reason;

#[derive(Debug)]
pub(super) struct FormatScanner {
    format: Format,
    scanner: Box<dyn BodyScanner>,
}

impl FormatScanner {
    pub(super) fn new(body: &BodyFormat, queries: &FormatQueries) -> Result<Self, Reason> {
        Ok(Self { format: body.format, scanner: queries.scanner(body)? })
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    pub(super) fn get(&self) -> &dyn BodyScanner {
        self.scanner.as_ref()
    }

    pub(super) fn get_mut(&mut self) -> &mut dyn BodyScanner {
        self.scanner.as_mut()
    }
}
