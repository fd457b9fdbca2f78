//! gzip, zlib and raw deflate (RFC 1952, 1950, 1951).

use flate2::{Decompress, FlushDecompress, Status};

use super::gzip::{GzipHeader, GzipTrailer, START};
use super::step::{DecodingStep, StepEnd};

/// The memory of a decoder: the window of 32 KiB, the tables, and what surrounds them.
pub(super) const MEMORY: u64 = 48 << 10;

/// The bytes that tell a zlib stream from a raw one that only looks like it.
const SNIFFED: usize = 5;

/// One gzip member, one zlib stream, or one raw deflate stream.
#[derive(Debug)]
pub(crate) struct FlateDecoder {
    state: FlateState,
    inflate: Decompress,
    /// The sum of the bytes so far, which the end of a gzip member has too. A zlib stream checks its own.
    trailer: Option<GzipTrailer>,
}

#[derive(Debug)]
enum FlateState {
    Header(GzipHeader),
    /// The first bytes of a body with the coding `deflate`, until they show whether it is a zlib stream.
    Sniffing {
        bytes: [u8; SNIFFED],
        read: usize,
    },
    Data,
    Trailer,
    Complete,
}

impl FlateDecoder {
    /// A decoder of gzip members.
    pub(crate) fn gzip() -> Self {
        Self {
            state: FlateState::Header(GzipHeader::default()),
            inflate: Decompress::new(false),
            trailer: Some(GzipTrailer::default()),
        }
    }

    /// A decoder of zlib streams.
    pub(crate) fn zlib() -> Self {
        Self { state: FlateState::Data, inflate: Decompress::new(true), trailer: None }
    }

    /// A decoder of zlib streams and of raw deflate streams.
    pub(super) fn deflate() -> Self {
        Self {
            state: FlateState::Sniffing { bytes: [0; SNIFFED], read: 0 },
            inflate: Decompress::new(true),
            trailer: None,
        }
    }

    /// Decodes the next bytes.
    pub(crate) fn step(&mut self, input: &[u8], output: &mut [u8]) -> DecodingStep {
        let mut read = 0;
        while let Some(byte) = input.get(read) {
            let end = match &mut self.state {
                FlateState::Header(header) => match header.push(*byte) {
                    Ok(false) => StepEnd::More,
                    Ok(true) => {
                        self.state = FlateState::Data;
                        StepEnd::More
                    }
                    Err(()) => StepEnd::Damaged,
                },
                FlateState::Sniffing { bytes, read: sniffed } => {
                    if let Some(next) = bytes.get_mut(*sniffed) {
                        *next = *byte;
                    }
                    *sniffed += 1;
                    let first = bytes.get(..*sniffed).unwrap_or_default();
                    match Wrapper::of(first) {
                        None => StepEnd::More,
                        Some(wrapper) => {
                            let (bytes, sniffed) = (*bytes, *sniffed);
                            let step = self.begin(wrapper, bytes.get(..sniffed).unwrap_or_default(), output);
                            return DecodingStep { read: read + 1, ..step };
                        }
                    }
                }
                FlateState::Data => {
                    let step = self.inflate(input.get(read..).unwrap_or_default(), output);
                    return DecodingStep { read: read + step.read, ..step };
                }
                FlateState::Trailer => {
                    let Some(trailer) = &mut self.trailer else { return damaged(read) };
                    if trailer.push(*byte) {
                        self.state = FlateState::Complete;
                        let end = if trailer.is_intact() { StepEnd::Complete } else { StepEnd::Damaged };
                        return DecodingStep { read: read + 1, written: 0, end };
                    }
                    StepEnd::More
                }
                FlateState::Complete => StepEnd::Damaged,
            };
            read += 1;
            if end == StepEnd::Damaged {
                return damaged(read);
            }
        }
        match self.state {
            // What did not fit into the last output.
            FlateState::Data => DecodingStep { read, ..self.inflate(&[], output) },
            _ => DecodingStep { read, written: 0, end: StepEnd::More },
        }
    }

    /// Whether the stream may end here.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.state, FlateState::Complete)
    }

    /// Only gzip has members (RFC 1952, 2.2).
    pub(super) fn may_go_on(&self, first: u8) -> bool {
        self.trailer.is_some() && START.first() == Some(&first)
    }

    /// Prepares for the next gzip member or zlib stream, which costs less than a new decoder. A body with the coding `deflate`
    /// is one stream: its decoder is never restarted.
    pub(crate) fn restart(&mut self) {
        let is_gzip = self.trailer.is_some();
        self.inflate.reset(!is_gzip);
        self.trailer = is_gzip.then(GzipTrailer::default);
        self.state = if is_gzip { FlateState::Header(GzipHeader::default()) } else { FlateState::Data };
    }

    /// Decodes the bytes that were read to tell the wrapper. They decode to less than an output buffer.
    fn begin(&mut self, wrapper: Wrapper, first: &[u8], output: &mut [u8]) -> DecodingStep {
        match wrapper {
            Wrapper::Zlib => {}
            Wrapper::None => self.inflate = Decompress::new(false),
            Wrapper::Unclear => return damaged(0),
        }
        self.state = FlateState::Data;
        let step = self.inflate(first, output);
        // What the stream leaves of these bytes lies behind its end.
        if step.read == first.len() { step } else { DecodingStep { end: StepEnd::Damaged, ..step } }
    }

    fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> DecodingStep {
        let (total_in, total_out) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self.inflate.decompress(input, output, FlushDecompress::None);
        let read = count(self.inflate.total_in() - total_in);
        let written = count(self.inflate.total_out() - total_out);
        if let Some(trailer) = &mut self.trailer {
            trailer.add(output.get(..written).unwrap_or_default());
        }
        let end = match status {
            Err(_) => StepEnd::Damaged,
            Ok(Status::StreamEnd) if self.trailer.is_some() => {
                self.state = FlateState::Trailer;
                StepEnd::More
            }
            Ok(Status::StreamEnd) => {
                self.state = FlateState::Complete;
                StepEnd::Complete
            }
            Ok(Status::Ok | Status::BufError) => StepEnd::More,
        };
        DecodingStep { read, written, end }
    }
}

/// The bytes around the deflate data of a body with the coding `deflate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrapper {
    /// RFC 1950, as RFC 9110 says.
    Zlib,
    /// None. Browsers and servers read such bodies too.
    None,
    /// The bytes are a zlib stream, and also a raw one that begins with a stored block: two servers may read two texts.
    Unclear,
}

impl Wrapper {
    /// The wrapper, once these first bytes show it.
    fn of(first: &[u8]) -> Option<Self> {
        match *first {
            [] => None,
            // The method is deflate, with a window of at most 32 KiB.
            [cmf, ..] if cmf & 0x0f != 8 || cmf >> 4 > 7 => Some(Wrapper::None),
            [_] => None,
            // The check bits, and no preset dictionary.
            [cmf, flags, ..] if (u16::from(cmf) << 8 | u16::from(flags)) % 31 != 0 || flags & 0x20 != 0 => {
                Some(Wrapper::None)
            }
            // In a raw stream, a first byte of method 8 begins a stored block: its length and the complement follow.
            [_, low, high, low_complement, high_complement, ..] => {
                let is_stored = low == !low_complement && high == !high_complement;
                Some(if is_stored { Wrapper::Unclear } else { Wrapper::Zlib })
            }
            _ => None,
        }
    }
}

fn damaged(read: usize) -> DecodingStep {
    DecodingStep { read, written: 0, end: StepEnd::Damaged }
}

fn count(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
