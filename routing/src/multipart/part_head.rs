//! The header of a part (RFC 7578, 4).

use super::parameter::{BadParameter, Parameter, parameters};
use crate::ascii::{contains, is_utf8_charset};
use crate::reason::Reason;
use crate::token::is_token;

/// The most fields of a header.
const MAX_FIELDS: usize = 16;

/// Reads the header of one part, line by line.
#[derive(Debug, Default)]
pub(super) struct PartHead {
    fields: usize,
    name: Option<Box<[u8]>>,
    is_file: bool,
    content_type: Option<Result<(), Reason>>,
    transfer_encoding: Option<Result<(), Reason>>,
}

/// A line that parsers read in different ways: the reason and the message.
pub(super) type BadLine = (Reason, &'static str);

impl PartHead {
    /// Reads a line without its line break. It is not empty.
    pub(super) fn read(&mut self, line: &[u8]) -> Result<(), BadLine> {
        let malformed = |expected| Err((Reason::BodyMalformed, expected));
        self.fields += 1;
        if self.fields > MAX_FIELDS {
            return malformed("expected at most 16 header fields in a part");
        }
        if line.iter().any(|byte| matches!(byte, ..b' ' | 0x7f) && *byte != b'\t') {
            return malformed("expected a part header without control characters, with CRLF at the end of each line");
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or_default();
        let (name, value) = line.split_at(colon);
        if !is_token(name) {
            return malformed("expected a part header field such as `Content-Disposition: form-data; name=\"field\"`");
        }
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"content-disposition") {
            if self.name.is_some() {
                return malformed("expected one Content-Disposition in each part");
            }
            return self.read_disposition(value);
        }
        let (field, read) = if name.eq_ignore_ascii_case(b"content-type") {
            (&mut self.content_type, check_content_type(value))
        } else if name.eq_ignore_ascii_case(b"content-transfer-encoding") {
            (&mut self.transfer_encoding, check_transfer_encoding(value))
        } else {
            return Ok(());
        };
        self.is_file |= read == Ok(PartContent::File);
        // Parsers differ on which of two fields counts.
        *field = Some(if field.is_some() { Err(Reason::KeyMalformed) } else { read.map(|_| ()) });
        Ok(())
    }

    /// The name of the field, if the header has one.
    pub(super) fn name(&self) -> Option<&[u8]> {
        self.name.as_deref()
    }

    /// Whether some parsers take the part for a file instead of a field: it has a file name, or it is
    /// `application/octet-stream`.
    pub(super) fn is_file(&self) -> bool {
        self.is_file
    }

    /// The reason why parsers may read different text, if there is one.
    pub(super) fn unreadable(&self) -> Option<Reason> {
        [self.content_type, self.transfer_encoding].into_iter().flatten().find_map(Result::err)
    }

    fn read_disposition(&mut self, value: &[u8]) -> Result<(), BadLine> {
        let malformed = |expected| (Reason::BodyMalformed, expected);
        let kind = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
        if !kind.eq_ignore_ascii_case(b"form-data") {
            return Err(malformed("expected the disposition `form-data`"));
        }
        let mut name = None;
        for parameter in parameters(value) {
            let parameter = parameter.map_err(|BadParameter| {
                malformed("expected the parameters of Content-Disposition as in `form-data; name=\"field\"`")
            })?;
            if parameter.starts_with(b"name") {
                if name.is_some() || !parameter.is(b"name") {
                    return Err(malformed("expected one parameter `name` in Content-Disposition, and no `name*`"));
                }
                name = Some(field_name(&parameter)?);
            } else if may_hide_a_name(&parameter) {
                return Err(malformed("expected no text like `name=` inside another parameter of Content-Disposition"));
            } else {
                self.is_file |= parameter.starts_with(b"filename");
            }
        }
        self.name = Some(name.ok_or_else(|| malformed("expected the parameter `name` in Content-Disposition"))?.into());
        Ok(())
    }
}

/// What parsers take the content of a part for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PartContent {
    Text,
    File,
}

fn field_name<'a>(parameter: &Parameter<'a>) -> Result<&'a [u8], BadLine> {
    let value = parameter.value;
    if parameter.ambiguous_rest.is_some() {
        return Err((Reason::BodyMalformed, "expected a field name without escaped quotes"));
    }
    // Apache Commons FileUpload, and with it Tomcat, decodes encoded words (RFC 2047).
    if value.windows(2).any(|pair| pair == b"=?") {
        return Err((Reason::BodyMalformed, "expected a field name without encoded words"));
    }
    match std::str::from_utf8(value) {
        Ok(_) => Ok(value),
        Err(_) => Err((Reason::BodyInvalidUtf8, "expected a field name in UTF-8")),
    }
}

/// Whether a parser that reads quotes and backslashes differently may find a `name` inside this parameter.
fn may_hide_a_name(parameter: &Parameter<'_>) -> bool {
    match parameter.ambiguous_rest {
        Some(rest) => contains(rest, b"name"),
        None => contains(parameter.value, b"name="),
    }
}

/// A part of the type `multipart/mixed` holds other parts, and its own text differs between parsers.
fn check_content_type(value: &[u8]) -> Result<PartContent, Reason> {
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
    let slash = essence.iter().position(|byte| *byte == b'/').ok_or(Reason::KeyMalformed)?;
    let (kind, subtype) = (essence.get(..slash).unwrap_or_default(), essence.get(slash + 1..).unwrap_or_default());
    if !is_token(kind)
        || !is_token(subtype)
        || [&b"multipart"[..], b"message"].iter().any(|other| kind.eq_ignore_ascii_case(other))
    {
        return Err(Reason::KeyMalformed);
    }
    for parameter in parameters(value) {
        let parameter = parameter.map_err(|BadParameter| Reason::KeyMalformed)?;
        if parameter.starts_with(b"charset") && !(parameter.is(b"charset") && is_utf8_charset(parameter.value)) {
            return Err(Reason::CharsetUnsupported);
        }
    }
    let is_file = essence.eq_ignore_ascii_case(b"application/octet-stream");
    Ok(if is_file { PartContent::File } else { PartContent::Text })
}

/// RFC 7578 deprecates the field. Some parsers decode base64 and quoted-printable, and others do not.
fn check_transfer_encoding(value: &[u8]) -> Result<PartContent, Reason> {
    let is_identity = [&b"7bit"[..], b"8bit", b"binary"].iter().any(|name| value.eq_ignore_ascii_case(name));
    if is_identity { Ok(PartContent::Text) } else { Err(Reason::KeyMalformed) }
}
