//! The multipart body that curl makes of `--form` (RFC 7578).

use super::data::read;
use super::options::CurlOption;
use super::{BadCurl, FileReader, text};

/// The media types that curl knows by the end of a file's name.
const TYPES: [(&str, &str); 10] = [
    (".gif", "image/gif"),
    (".jpg", "image/jpeg"),
    (".jpeg", "image/jpeg"),
    (".png", "image/png"),
    (".svg", "image/svg+xml"),
    (".txt", "text/plain"),
    (".htm", "text/html"),
    (".html", "text/html"),
    (".pdf", "application/pdf"),
    (".xml", "application/xml"),
];

/// A part of the form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FormPart {
    name: String,
    file_name: Option<String>,
    media_type: Option<String>,
    content: Vec<u8>,
}

impl FormPart {
    /// Reads `NAME=CONTENT`; with `--form` also `NAME=@FILE`, `NAME=<FILE`, and `;type=` and `;filename=` behind these.
    pub(super) fn read(option: CurlOption, value: &[u8], files: FileReader<'_>) -> Result<Self, BadCurl> {
        let bad = || BadCurl::Form(String::from_utf8_lossy(value).into_owned());
        let end = value.iter().position(|byte| *byte == b'=').ok_or_else(bad)?;
        let (name, content) = value.split_at(end);
        let (name, content) = (text(name)?.to_owned(), content.get(1..).unwrap_or_default());
        if option == CurlOption::FormString {
            return Ok(Self { name, file_name: None, media_type: None, content: content.to_vec() });
        }
        let (sign, content) = match content.split_first() {
            Some((sign @ (b'@' | b'<'), content)) => (Some(*sign), content),
            Some((b'(', _)) => return Err(bad()),
            _ => (None, content),
        };
        let (word, mut rest) = word(content).ok_or_else(bad)?;
        let mut part = Self { name, file_name: None, media_type: None, content: word };
        while let Some(parameter) = rest.strip_prefix(b";") {
            let parameter = parameter.trim_ascii_start();
            if let Some(media_type) = parameter.strip_prefix(b"type=") {
                // A type may have parameters of its own.
                let end = media_type.windows(10).position(|window| window == b";filename=");
                let (media_type, after) = media_type.split_at(end.unwrap_or(media_type.len()));
                part.media_type = Some(text(media_type)?.to_owned());
                rest = after;
            } else {
                let (file_name, after) = parameter.strip_prefix(b"filename=").and_then(self::word).ok_or_else(bad)?;
                part.file_name = Some(text(&file_name)?.to_owned());
                rest = after;
            }
        }
        match sign {
            None => return Ok(part),
            Some(b'@') => {
                // A list of files becomes a part of parts.
                if part.content.contains(&b',') {
                    return Err(bad());
                }
                let file = text(&part.content)?;
                let base = file.rsplit('/').next().unwrap_or_default().to_owned();
                let lower = base.to_ascii_lowercase();
                let guess = TYPES.iter().find(|(end, _)| lower.ends_with(end));
                let guess = guess.map_or("application/octet-stream", |(_, media_type)| media_type);
                part.media_type.get_or_insert_with(|| guess.to_owned());
                part.file_name.get_or_insert(base);
            }
            Some(_) => {}
        }
        part.content = read(&part.content, files)?;
        Ok(part)
    }
}

/// The body, and its boundary. Parts of a body of another type than a form are attachments.
pub(super) fn body(parts: &[FormPart], media_type: &str) -> (Vec<u8>, String) {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let disposition = if essence.eq_ignore_ascii_case("multipart/form-data") { "form-data" } else { "attachment" };
    let is_in_a_part = |boundary: &String| {
        let boundary = boundary.as_bytes();
        parts.iter().any(|part| part.content.windows(boundary.len()).any(|window| window == boundary))
    };
    // curl takes a random one. The decision does not depend on it.
    let mut boundaries = (0_u64..).map(|number| format!("{:-<24}{number:016x}", ""));
    let boundary = boundaries.find(|boundary| !is_in_a_part(boundary)).unwrap_or_default();
    let mut body = Vec::new();
    for part in parts {
        let mut head = format!("--{boundary}\r\nContent-Disposition: {disposition}; name=\"{}\"", escape(&part.name));
        if let Some(name) = &part.file_name {
            head += &format!("; filename=\"{}\"", escape(name));
        }
        head += "\r\n";
        if let Some(media_type) = &part.media_type {
            head += &format!("Content-Type: {media_type}\r\n");
        }
        body.extend(head.bytes());
        body.extend(b"\r\n");
        body.extend(&part.content);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{boundary}--\r\n").bytes());
    (body, boundary)
}

/// The text up to a semicolon, or in double quotes with backslashes; and the rest. `None` if it is malformed.
fn word(value: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let Some(mut rest) = value.strip_prefix(b"\"") else {
        let (word, rest) = value.split_at(value.iter().position(|byte| *byte == b';').unwrap_or(value.len()));
        return Some((word.to_vec(), rest));
    };
    let mut word = Vec::new();
    loop {
        rest = match rest {
            [b'"', after @ ..] => return (after.is_empty() || after.starts_with(b";")).then_some((word, after)),
            [b'\\', byte @ (b'"' | b'\\'), after @ ..] | [byte, after @ ..] => {
                word.push(*byte);
                after
            }
            [] => return None,
        };
    }
}

/// As the WHATWG HTML standard escapes names in a form.
fn escape(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}
