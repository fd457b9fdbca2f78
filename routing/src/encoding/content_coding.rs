//! The codings that a Content-Encoding names (RFC 9110, 8.4.1).

use crate::format::Format;
use crate::head::Head;
use crate::reason::Reason;

/// The most codings that one body may have. `gzip, gzip` occurs where two proxies both compress.
const MAX_LAYERS: usize = 2;

/// A coding that Cellgate can decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContentCoding {
    /// RFC 1952.
    Gzip,
    /// RFC 1950, or RFC 1951 without the wrapper that RFC 9110 asks for.
    Deflate,
    /// RFC 7932.
    Brotli,
    /// RFC 8878, with a window of at most 8 MiB (RFC 9659).
    Zstd,
}

/// The codings that are decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContentCodings {
    /// gzip and zstd, of JSON and XML. A server that does not decode such a body cannot read it as a document of its format
    /// either, because of its first bytes. So it cannot find another key in it.
    #[default]
    Unmistakable,
    /// These, of every format.
    Listed(CodingSet),
}

/// A set of codings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodingSet(u8);

impl ContentCoding {
    /// Every coding.
    pub const ALL: [ContentCoding; 4] =
        [ContentCoding::Gzip, ContentCoding::Deflate, ContentCoding::Brotli, ContentCoding::Zstd];

    /// The name in a Content-Encoding and in a configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ContentCoding::Gzip => "gzip",
            ContentCoding::Deflate => "deflate",
            ContentCoding::Brotli => "br",
            ContentCoding::Zstd => "zstd",
        }
    }

    /// The coding with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|coding| coding.name() == name)
    }

    /// Whether the filter decodes a body with these codings: only one, and only gzip or deflate.
    pub(crate) fn are_for_the_filter(codings: &[Self]) -> bool {
        matches!(codings, [ContentCoding::Gzip | ContentCoding::Deflate])
    }

    /// The coding of an element of a Content-Encoding, in any case. `x-gzip` is gzip (RFC 9110, 8.4.1.3).
    fn of_element(element: &[u8]) -> Option<Self> {
        if element.eq_ignore_ascii_case(b"x-gzip") {
            return Some(ContentCoding::Gzip);
        }
        Self::ALL.into_iter().find(|coding| element.eq_ignore_ascii_case(coding.name().as_bytes()))
    }
}

impl CodingSet {
    /// Adds a coding.
    pub fn insert(&mut self, coding: ContentCoding) {
        self.0 |= 1 << coding as u8;
    }

    /// Whether the set has a coding.
    #[must_use]
    pub const fn contains(self, coding: ContentCoding) -> bool {
        self.0 & 1 << coding as u8 != 0
    }
}

impl ContentCodings {
    /// Whether bodies of a format with this coding are decoded.
    #[must_use]
    pub const fn contains(self, coding: ContentCoding, format: Format) -> bool {
        match self {
            // No JSON text and no XML document begins as gzip does, 0x1f, or as zstd does, `(`, or one of 0x50 to 0x5f (among
            // them `[`) and `*`. Readers of the other formats may skip what they cannot read.
            ContentCodings::Unmistakable => {
                matches!(coding, ContentCoding::Gzip | ContentCoding::Zstd)
                    && matches!(format, Format::Json | Format::Xml)
            }
            ContentCodings::Listed(set) => set.contains(coding),
        }
    }

    /// The codings of a request's body, in the order in which they must be undone. Empty if it has none.
    ///
    /// # Errors
    /// There are more than two, or one that is unknown or not decoded in this format: [`Reason::BodyEncoded`].
    pub(crate) fn of_body<H: Head + ?Sized>(self, head: &H, format: Format) -> Result<Vec<ContentCoding>, Reason> {
        let mut codings = Vec::new();
        for element in elements(head) {
            let coding = ContentCoding::of_element(element).filter(|coding| self.contains(*coding, format));
            codings.push(coding.ok_or(Reason::BodyEncoded)?);
            if codings.len() > MAX_LAYERS {
                return Err(Reason::BodyEncoded);
            }
        }
        codings.reverse();
        Ok(codings)
    }
}

/// Whether the body has a coding other than `identity`.
#[must_use]
pub fn is_encoded<H: Head + ?Sized>(head: &H) -> bool {
    elements(head).next().is_some()
}

/// The elements of all Content-Encoding fields, in order, without empty ones and `identity`.
fn elements<H: Head + ?Sized>(head: &H) -> impl Iterator<Item = &[u8]> {
    let elements = head.values("content-encoding").flat_map(|value| value.split(|byte| *byte == b','));
    elements.map(<[u8]>::trim_ascii).filter(|element| !element.is_empty() && !element.eq_ignore_ascii_case(b"identity"))
}
