//! One step of a decoder.

/// The result of one step of a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DecodingStep {
    /// The bytes taken from the input.
    pub(crate) read: usize,
    /// The bytes put into the output.
    pub(crate) written: usize,
    pub(crate) end: StepEnd,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "a build without decoders constructs only one")]
pub(crate) enum StepEnd {
    /// The decoder needs more input or more room.
    More,
    /// The stream, or one member of it, is complete.
    Complete,
    /// The bytes are not what the coding says.
    Damaged,
}
