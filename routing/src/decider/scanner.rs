//! The scanner of a body, with its format and the decoder of its codings.

use crate::body::{BodyError, BodyScanner};
use crate::encoding::{BodyDecoder, DecodingCost};
use crate::format::{BodyFormat, Format, FormatQueries};
use crate::reason::Reason;

#[derive(Debug)]
pub(super) struct FormatScanner {
    format: Format,
    scanner: Box<dyn BodyScanner>,
    /// If the body has a Content-Encoding.
    decoder: Option<Box<BodyDecoder>>,
}

impl FormatScanner {
    pub(super) fn new(
        body: &BodyFormat,
        queries: &FormatQueries,
        decoder: Option<Box<BodyDecoder>>,
    ) -> Result<Self, Reason> {
        Ok(Self { format: body.format, scanner: queries.scanner(body)?, decoder })
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    pub(super) fn get(&self) -> &dyn BodyScanner {
        self.scanner.as_ref()
    }

    /// Scans the next bytes of the body, decoded.
    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<(), BodyError> {
        match &mut self.decoder {
            None => self.scanner.push(chunk),
            Some(decoder) => decoder.push(chunk, self.scanner.as_mut()),
        }
    }

    /// Ends the body.
    pub(super) fn finish(&mut self) -> Result<(), BodyError> {
        if let Some(decoder) = &self.decoder {
            decoder.finish()?;
        }
        self.scanner.finish()
    }

    /// The cost of decoding, if the body has a Content-Encoding.
    pub(super) fn decoded(&self) -> Option<DecodingCost> {
        self.decoder.as_ref().map(|decoder| decoder.decoded())
    }
}

/// The values of a body that was scanned, for its rate limits.
#[derive(Clone, Copy, Debug)]
pub struct ScannedBody<'a>(pub(super) &'a FormatScanner);

impl ScannedBody<'_> {
    /// The value at a place, with its format and its index among the sources of that format.
    pub(crate) fn value(&self, format: Format, index: usize) -> Option<Result<&str, Reason>> {
        if self.0.format() == format { self.0.get().candidate(index).found() } else { None }
    }

    /// Whether the value can change only to a conflict, or the body has another format.
    pub(crate) fn is_settled(&self, format: Format, index: usize) -> bool {
        self.0.format() != format || self.0.get().is_settled(index)
    }
}
