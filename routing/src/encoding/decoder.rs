//! The layers of a body's codings, with their limits.

use std::time::Duration;

use super::codec::Codec;
use super::content_coding::ContentCoding;
use super::limits::{Allowance, BLOCK, DecodingCost, DecodingLimits};
use super::step::StepEnd;
use crate::body::{BodyError, BodyScanner};
use crate::reason::Reason;

/// The bytes that a layer decodes at a time.
const OUTPUT: usize = 16 << 10;

/// A gzip member or zstd frame counts as at least this many decoded bytes, so that empty ones are not free.
const MEMBER_BYTES: u64 = 4 << 10;

/// Decodes a body and passes its text to a scanner.
pub(crate) struct BodyDecoder {
    layers: Vec<DecodingLayer>,
    /// The bytes of the body so far.
    received: u64,
    budget: DecodingBudget,
}

struct DecodingLayer {
    codec: Codec,
    output: Box<[u8]>,
    decoded: u64,
    /// The decoded bytes, and those that members count as.
    charged: u64,
    /// Whether the body may end here.
    is_complete: bool,
}

/// The limits, and the allowance and the time so far.
struct DecodingBudget {
    limits: DecodingLimits,
    allowance: Allowance,
    /// The time of earlier chunks.
    spent: Duration,
    /// The clock at the beginning of this chunk.
    began: Duration,
}

impl BodyDecoder {
    /// A decoder for codings in the order in which they must be undone.
    ///
    /// # Errors
    /// This build does not read a coding: [`Reason::BodyEncoded`].
    pub(crate) fn new(codings: &[ContentCoding], limits: DecodingLimits) -> Result<Box<Self>, Reason> {
        let layers = codings.iter().map(|coding| DecodingLayer::new(*coding)).collect::<Result<_, _>>()?;
        let budget =
            DecodingBudget { limits, allowance: limits.allowance(0), spent: Duration::ZERO, began: Duration::ZERO };
        Ok(Box::new(Self { layers, received: 0, budget }))
    }

    /// Decodes the next bytes of the body and scans what they decode to.
    ///
    /// # Errors
    /// The bytes are not what their coding says, a limit is exceeded, or the scanner refuses the text. Offsets are those
    /// of the text. The caller must not push again.
    pub(crate) fn push(&mut self, chunk: &[u8], scanner: &mut dyn BodyScanner) -> Result<(), BodyError> {
        self.budget.start();
        let pushed = self.push_blocks(chunk, scanner);
        self.budget.stop();
        pushed
    }

    fn push_blocks(&mut self, mut chunk: &[u8], scanner: &mut dyn BodyScanner) -> Result<(), BodyError> {
        while !chunk.is_empty() {
            // Blocks, so that the allowance of a byte does not depend on the chunk that it came in.
            let left = usize::try_from(BLOCK - self.received % BLOCK).unwrap_or(usize::MAX);
            let (piece, rest) = chunk.split_at(left.min(chunk.len()));
            self.budget.allowance = self.budget.limits.allowance(self.received / BLOCK + 1);
            self.received += piece.len() as u64;
            decode(&mut self.layers, piece, &mut self.budget, &mut |text| scanner.push(text))?;
            chunk = rest;
        }
        Ok(())
    }

    /// Ends the body.
    ///
    /// # Errors
    /// The body is cut off.
    pub(crate) fn finish(&self) -> Result<(), BodyError> {
        match self.layers.iter().find(|layer| !layer.is_complete) {
            None => Ok(()),
            Some(layer) => Err(layer.damaged("expected the rest of the encoded body")),
        }
    }

    /// The cost so far.
    pub(crate) fn decoded(&self) -> DecodingCost {
        let memory = |layer: &DecodingLayer| layer.codec.memory(layer.decoded) + OUTPUT as u64;
        DecodingCost {
            bytes: self.layers.last().map_or(0, |layer| layer.decoded),
            time: self.budget.spent,
            memory: self.layers.iter().map(memory).fold(0, u64::saturating_add),
        }
    }
}

/// Without the state of the decoders.
impl std::fmt::Debug for BodyDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BodyDecoder")
    }
}

/// Decodes bytes through all layers. The recursion is as deep as there are layers: at most two.
fn decode(
    layers: &mut [DecodingLayer],
    input: &[u8],
    budget: &mut DecodingBudget,
    text: &mut dyn FnMut(&[u8]) -> Result<(), BodyError>,
) -> Result<(), BodyError> {
    match layers.split_first_mut() {
        None => text(input),
        Some((layer, inner)) => layer.decode(input, budget, &mut |bytes, budget| decode(inner, bytes, budget, text)),
    }
}

/// Takes what a layer has decoded.
type Output<'a> = &'a mut dyn FnMut(&[u8], &mut DecodingBudget) -> Result<(), BodyError>;

impl DecodingLayer {
    fn new(coding: ContentCoding) -> Result<Self, Reason> {
        let output = vec![0; OUTPUT].into_boxed_slice();
        Ok(Self { codec: Codec::new(coding)?, output, decoded: 0, charged: 0, is_complete: false })
    }

    /// Decodes all of the input, and gives out all that it decodes to.
    fn decode(&mut self, mut input: &[u8], budget: &mut DecodingBudget, output: Output<'_>) -> Result<(), BodyError> {
        loop {
            if self.is_complete {
                let Some(first) = input.first() else { return Ok(()) };
                self.go_on(*first, budget)?;
            }
            self.check_time(budget)?;
            let step = self.codec.step(input, &mut self.output);
            input = input.get(step.read..).unwrap_or_default();
            let is_drained = step.written < self.output.len();
            // What comes before a fault counts, so that the result does not depend on the chunks.
            self.give_out(step.written, budget, output)?;
            match step.end {
                StepEnd::Damaged => return Err(self.damaged("expected the data of its Content-Encoding")),
                StepEnd::Complete => self.is_complete = true,
                StepEnd::More if is_drained && input.is_empty() => return Ok(()),
                // The decoder takes nothing and gives nothing.
                StepEnd::More if step.read == 0 && step.written == 0 => {
                    return Err(self.damaged("expected the data of its Content-Encoding"));
                }
                StepEnd::More => {}
            }
        }
    }

    /// Passes on decoded bytes, up to the allowance.
    fn give_out(&mut self, written: usize, budget: &mut DecodingBudget, output: Output<'_>) -> Result<(), BodyError> {
        let allowance = budget.allowance;
        let left = usize::try_from(allowance.bytes.saturating_sub(self.charged)).unwrap_or(usize::MAX);
        let within = written.min(left);
        self.decoded += within as u64;
        self.charged += within as u64;
        if within > 0 {
            output(self.output.get(..within).unwrap_or_default(), budget)?;
        }
        if within < written { Err(self.exceeded(allowance)) } else { Ok(()) }
    }

    /// Goes on behind a complete member.
    fn go_on(&mut self, first: u8, budget: &DecodingBudget) -> Result<(), BodyError> {
        if !self.codec.may_go_on(first) {
            return Err(self.damaged("expected no data behind the end of the encoded body"));
        }
        if !budget.limits.accepts_members {
            let expected = "expected one gzip member or zstd frame";
            return Err(BodyError { reason: Reason::BodySeveralMembers, offset: self.decoded, expected });
        }
        self.charged = self.charged.saturating_add(MEMBER_BYTES);
        if self.charged > budget.allowance.bytes {
            return Err(self.exceeded(budget.allowance));
        }
        self.codec.restart();
        self.is_complete = false;
        Ok(())
    }

    fn check_time(&self, budget: &DecodingBudget) -> Result<(), BodyError> {
        if budget.elapsed() <= budget.limits.time {
            return Ok(());
        }
        let expected = "expected a body that is decoded within `limits.decode_ms`";
        Err(BodyError { reason: Reason::BodyDecodeTime, offset: self.decoded, expected })
    }

    fn damaged(&self, expected: &'static str) -> BodyError {
        BodyError { reason: Reason::BodyEncodingMalformed, offset: self.decoded, expected }
    }

    fn exceeded(&self, allowance: Allowance) -> BodyError {
        let expected = match allowance.exceeded {
            Reason::BodyDecodedRatio => "expected at most `limits.decoded_ratio` bytes for each byte of the body",
            Reason::BodyTooLarge => "expected at most 8 times `limits.inspect_bytes` in the filter",
            _ => "expected at most `limits.decoded_bytes`",
        };
        BodyError { reason: allowance.exceeded, offset: self.decoded, expected }
    }
}

impl DecodingBudget {
    fn start(&mut self) {
        self.began = self.now();
    }

    fn stop(&mut self) {
        self.spent = self.elapsed();
    }

    fn elapsed(&self) -> Duration {
        self.spent.saturating_add(self.now().saturating_sub(self.began))
    }

    /// Without a clock, no time passes.
    fn now(&self) -> Duration {
        self.limits.clock.map_or(Duration::ZERO, |clock| clock())
    }
}
