//! The body that curl makes of `--data` and its relatives.

use super::options::CurlOption;
use super::{BadCurl, FileReader, text};

/// Adds the data of an option to the data before it.
pub(super) fn add(
    data: &mut Option<Vec<u8>>,
    option: CurlOption,
    value: &[u8],
    files: FileReader<'_>,
) -> Result<(), BadCurl> {
    let new = match (option, value.strip_prefix(b"@")) {
        (CurlOption::DataUrlencode, _) => urlencode(value, files)?,
        // curl removes line ends and NUL from the file.
        (CurlOption::Data, Some(file)) => {
            let mut bytes = read(file, files)?;
            bytes.retain(|byte| !matches!(byte, b'\r' | b'\n' | 0));
            bytes
        }
        (CurlOption::DataBinary | CurlOption::Json, Some(file)) => read(file, files)?,
        _ => value.to_vec(),
    };
    match data {
        Some(data) => {
            if option != CurlOption::Json {
                data.push(b'&');
            }
            data.extend(new);
        }
        None => *data = Some(new),
    }
    Ok(())
}

/// `CONTENT`, `=CONTENT`, `NAME=CONTENT`, `@FILE` or `NAME@FILE`. Only the content is encoded.
pub(super) fn urlencode(value: &[u8], files: FileReader<'_>) -> Result<Vec<u8>, BadCurl> {
    let position = |sign: u8| value.iter().position(|byte| *byte == sign);
    let Some(end) = position(b'=').or_else(|| position(b'@')) else { return Ok(encode(value)) };
    let (name, rest) = value.split_at(end);
    let (sign, content) = rest.split_at(1);
    let content = if sign == b"@" { encode(&read(content, files)?) } else { encode(content) };
    Ok(if name.is_empty() { content } else { [name, b"=", &content].concat() })
}

pub(super) fn read(file: &[u8], files: FileReader<'_>) -> Result<Vec<u8>, BadCurl> {
    let file = text(file)?;
    if file == "-" {
        return Err(BadCurl::Stdin);
    }
    files(file).map_err(|error| BadCurl::File { file: file.to_owned(), error })
}

fn encode(text: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    for byte in text {
        match byte {
            b' ' => encoded.push(b'+'),
            b'-' | b'.' | b'_' | b'~' => encoded.push(*byte),
            _ if byte.is_ascii_alphanumeric() => encoded.push(*byte),
            _ => encoded.extend(format!("%{byte:02X}").bytes()),
        }
    }
    encoded
}
