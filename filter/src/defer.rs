//! How a deferred request reaches the ext-proc service.
//!
//! No one body mode of Envoy's ext_proc filter is right for every request, so the filter names one in the value of
//! [`cellgate_routing::headers::DEFER`], and a matcher in front of ext_proc picks the variant that is configured so.

use cellgate_routing::Reason;

/// The first part of the deferral header's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `BUFFERED`: the whole body in one message. Keeps the Content-Length and has a timeout, but the body must fit
    /// into Envoy's buffer.
    Buffer,
    /// `FULL_DUPLEX_STREAMED`: a body of any size. Becomes chunked on its way upstream.
    Stream,
    /// No body is sent.
    Headers,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Mode; 3] = [Mode::Buffer, Mode::Stream, Mode::Headers];

    /// The mode for a request whose headers are known. `inspect_bytes` is what fits into Envoy's buffer.
    #[must_use]
    pub fn choose(end_of_stream: bool, content_length: Option<u64>, inspect_bytes: u64) -> Self {
        match content_length {
            _ if end_of_stream => Mode::Headers,
            Some(length) if length <= inspect_bytes => Mode::Buffer,
            _ => Mode::Stream,
        }
    }

    /// The name in headers, metrics and logs.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Mode::Buffer => "buffer",
            Mode::Stream => "stream",
            Mode::Headers => "headers",
        }
    }

    /// The deferral header's value: `MODE;REASON`.
    #[must_use]
    pub fn header(self, reason: Reason) -> String {
        [self.label(), ";", reason.label()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_follows_the_body() {
        assert_eq!(Mode::choose(true, None, 10), Mode::Headers);
        assert_eq!(Mode::choose(true, Some(5), 10), Mode::Headers);
        assert_eq!(Mode::choose(false, Some(0), 10), Mode::Buffer);
        assert_eq!(Mode::choose(false, Some(10), 10), Mode::Buffer);
        assert_eq!(Mode::choose(false, Some(11), 10), Mode::Stream);
        assert_eq!(Mode::choose(false, None, 10), Mode::Stream);
    }

    #[test]
    fn the_header_names_mode_and_reason() {
        assert_eq!(Mode::Stream.header(Reason::BodyTooLarge), "stream;body_too_large");
    }
}
