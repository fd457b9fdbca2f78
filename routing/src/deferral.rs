//! How the filter hands a request to the ext-proc service.
//!
//! No single body mode of Envoy's ext_proc filter suits every request. So the filter sets the deferral header
//! ([`crate::headers::DEFER`]) to `MODE;REASON`, and a matcher before ext_proc selects the processor for that mode.

use std::str::FromStr;

use crate::reason::Reason;

/// How ext_proc sends a deferred request's body to the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyMode {
    /// `BUFFERED`: the whole body in one message. It keeps the Content-Length and has a timeout, but the body must fit
    /// into Envoy's buffer.
    Buffer,
    /// `FULL_DUPLEX_STREAMED`: a body of any size. The upstream receives it without a Content-Length.
    Stream,
    /// `NONE`: no body.
    Headers,
}

/// The value of the deferral header: a body mode, and why the request is deferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deferral {
    /// How the body is sent to the service.
    pub mode: BodyMode,
    /// Why the filter does not decide.
    pub reason: Reason,
}

/// The text is not a deferral header's value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a valid deferral: expected `MODE;REASON`, such as `stream;body_too_large`")]
pub struct BadDeferral(String);

impl BodyMode {
    /// Every mode.
    pub const ALL: [BodyMode; 3] = [BodyMode::Buffer, BodyMode::Stream, BodyMode::Headers];

    /// The mode for a request of which only the head is known. `inspect_bytes` is what fits into Envoy's buffer.
    #[must_use]
    pub fn of_head(end_of_stream: bool, content_length: Option<u64>, inspect_bytes: u64) -> Self {
        match content_length {
            _ if end_of_stream => BodyMode::Headers,
            Some(length) if length <= inspect_bytes => BodyMode::Buffer,
            _ => BodyMode::Stream,
        }
    }

    /// The name in the deferral header, metrics and logs.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            BodyMode::Buffer => "buffer",
            BodyMode::Stream => "stream",
            BodyMode::Headers => "headers",
        }
    }

    /// The start of the deferral header's value, for a matcher: `MODE;`.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            BodyMode::Buffer => "buffer;",
            BodyMode::Stream => "stream;",
            BodyMode::Headers => "headers;",
        }
    }
}

impl Deferral {
    /// The deferral header's value: `MODE;REASON`.
    #[must_use]
    pub fn header_value(self) -> String {
        [self.mode.prefix(), self.reason.label()].concat()
    }
}

impl FromStr for Deferral {
    type Err = BadDeferral;

    fn from_str(text: &str) -> Result<Self, BadDeferral> {
        let parse = || {
            let (mode, reason) = text.split_once(';')?;
            let mode = BodyMode::ALL.into_iter().find(|known| known.label() == mode)?;
            Some(Self { mode, reason: reason.parse().ok()? })
        };
        parse().ok_or_else(|| BadDeferral(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_selects_the_mode() {
        assert_eq!(BodyMode::of_head(true, None, 10), BodyMode::Headers);
        assert_eq!(BodyMode::of_head(true, Some(5), 10), BodyMode::Headers);
        assert_eq!(BodyMode::of_head(false, Some(0), 10), BodyMode::Buffer);
        assert_eq!(BodyMode::of_head(false, Some(10), 10), BodyMode::Buffer);
        assert_eq!(BodyMode::of_head(false, Some(11), 10), BodyMode::Stream);
        assert_eq!(BodyMode::of_head(false, None, 10), BodyMode::Stream);
    }

    #[test]
    fn the_header_value_names_mode_and_reason() {
        let deferral = Deferral { mode: BodyMode::Stream, reason: Reason::BodyTooLarge };
        assert_eq!(deferral.header_value(), "stream;body_too_large");
    }

    #[test]
    fn every_header_value_is_parsed_back() {
        for mode in BodyMode::ALL {
            for &reason in Reason::ALL {
                let deferral = Deferral { mode, reason };
                assert_eq!(deferral.header_value().parse(), Ok(deferral));
                assert!(deferral.header_value().starts_with(mode.prefix()));
            }
        }
    }

    #[test]
    fn other_values_are_refused() {
        for bad in ["", "stream", "stream;", "stream;unknown", "Stream;exact", " stream;exact", "stream;exact;"] {
            let error = bad.parse::<Deferral>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{bad}` is not a valid deferral: expected `MODE;REASON`")), "{error}");
        }
    }
}
