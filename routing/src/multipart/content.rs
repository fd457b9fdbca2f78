//! The content of a part, up to the delimiter that ends it.

use memchr::memmem::Finder;

/// The line break before a delimiter. It belongs to the delimiter, not to the content.
const LINE_BREAK: &[u8] = b"\r\n";

/// Searches content for `--` and the boundary. Memory: about two delimiters.
#[derive(Debug)]
pub(super) struct ContentReader {
    /// Finds `--boundary`.
    finder: Finder<'static>,
    /// The last bytes of the content so far, which may be the beginning of a delimiter.
    held: Vec<u8>,
}

/// What a chunk of content has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentEnd {
    /// The content goes on in the next chunk.
    Open,
    /// The content ends with a delimiter, whose last byte is before this index.
    Delimiter(usize),
    /// The boundary occurs, but not at the beginning of a line. It ends before this index. Many parsers take it for a
    /// delimiter, and others do not.
    Stray(usize),
}

impl ContentReader {
    pub(super) fn new(boundary: &[u8]) -> Self {
        let delimiter = [b"--", boundary].concat();
        let held = Vec::with_capacity(2 * (LINE_BREAK.len() + delimiter.len()));
        Self { finder: Finder::new(&delimiter).into_owned(), held }
    }

    /// `--` and the boundary.
    pub(super) fn delimiter(&self) -> &[u8] {
        self.finder.needle()
    }

    /// Whether the bytes have the boundary.
    pub(super) fn is_in(&self, bytes: &[u8]) -> bool {
        self.finder.find(bytes).is_some()
    }

    /// Reads the content of a part and passes it on in pieces, up to the delimiter.
    pub(super) fn read(&mut self, chunk: &[u8], mut pass: impl FnMut(&[u8])) -> ContentEnd {
        let length = self.delimiter().len();
        let overlap = LINE_BREAK.len() + length;
        if !self.held.is_empty() {
            // A delimiter that begins in the held bytes ends in these.
            let before = self.held.len();
            let start = chunk.get(..overlap).unwrap_or(chunk);
            self.held.extend_from_slice(start);
            if let Some(at) = self.finder.find(&self.held) {
                let end = content_end(&self.held, at, (at + length).saturating_sub(before), &mut pass);
                self.held.clear();
                return end;
            }
            if start.len() == chunk.len() {
                let certain = self.held.len().saturating_sub(overlap - 1);
                pass(self.held.get(..certain).unwrap_or_default());
                self.held.drain(..certain);
                return ContentEnd::Open;
            }
            self.held.truncate(before);
            pass(&self.held);
            self.held.clear();
        }
        match self.finder.find(chunk) {
            Some(at) => content_end(chunk, at, at + length, &mut pass),
            None => {
                let (certain, held) = chunk.split_at(chunk.len().saturating_sub(overlap - 1));
                pass(certain);
                self.held.extend_from_slice(held);
                ContentEnd::Open
            }
        }
    }
}

/// The boundary is at `at` in these bytes and ends before `end` in the chunk.
fn content_end(bytes: &[u8], at: usize, end: usize, pass: &mut impl FnMut(&[u8])) -> ContentEnd {
    match bytes.get(..at).and_then(|before| before.strip_suffix(LINE_BREAK)) {
        Some(content) => {
            pass(content);
            ContentEnd::Delimiter(end)
        }
        None => ContentEnd::Stray(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The content and how it ends: with the number of bytes up to the end of the boundary.
    fn read(body: &[u8], boundary: &str, cuts: &[usize]) -> (Vec<u8>, Option<(bool, usize)>) {
        let mut reader = ContentReader::new(boundary.as_bytes());
        let (mut content, mut start) = (Vec::new(), 0);
        for end in cuts.iter().copied().chain([body.len()]) {
            match reader.read(&body[start..end], |piece| content.extend_from_slice(piece)) {
                ContentEnd::Open => start = end,
                ContentEnd::Delimiter(at) => return (content, Some((true, start + at))),
                ContentEnd::Stray(at) => return (content, Some((false, start + at))),
            }
            assert!(reader.held.len() < 2 * (boundary.len() + 4), "{} bytes held", reader.held.len());
        }
        (content, None)
    }

    #[test]
    fn content_ends_at_the_first_delimiter_however_it_is_cut() {
        for (body, boundary, content, end) in [
            ("abc\r\n--xy", "xy", "abc", Some((true, 9))),
            ("\r\n--xy", "xy", "", Some((true, 6))),
            ("a\r\n\r\n--xy--", "xy", "a\r\n", Some((true, 9))),
            ("a\r\n--x\r\n--xxy\r\n--xy", "xy", "a\r\n--x\r\n--xxy", Some((true, 19))),
            ("----\r\n-----x", "---x", "----", Some((true, 12))),
            ("---\r\r\n--x", "x", "---\r", Some((true, 9))),
            ("a\n--xy", "xy", "", Some((false, 6))),
            ("--xy", "xy", "", Some((false, 4))),
            ("\n--xy", "xy", "", Some((false, 5))),
            ("abc--xy\r\n--xy", "xy", "", Some((false, 7))),
        ] {
            let bytes = body.as_bytes();
            for first in 0..=bytes.len() {
                for second in first..=bytes.len() {
                    let (found, found_end) = read(bytes, boundary, &[first, second]);
                    assert_eq!(found_end, end, "{body:?} cut at {first} and {second}");
                    if end.is_some_and(|(is_delimiter, _)| is_delimiter) {
                        assert_eq!(found, content.as_bytes(), "{body:?} cut at {first} and {second}");
                    }
                }
            }
            let all: Vec<usize> = (0..bytes.len()).collect();
            assert_eq!(read(bytes, boundary, &all).1, end, "{body:?} byte by byte");
        }
    }

    #[test]
    fn content_without_a_delimiter_is_passed_on_but_for_its_end() {
        let body = b"\r\n--boundarx\r\n-".repeat(1000);
        let (content, end) = read(&body, "boundary", &[1, 7, 500, 501, 9000]);
        assert_eq!(end, None);
        assert!(body.starts_with(&content) && body.len() - content.len() < 12, "{}", content.len());
    }
}
