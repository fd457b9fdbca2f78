//! UTF-8 in pieces.

/// Validates text in pieces of any size. Between two pieces, it keeps the bytes of an incomplete character.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Utf8Scan {
    bytes: [u8; 4],
    length: usize,
}

/// The text is not UTF-8. The field is the number of bytes from the beginning of the wrong character to the end of the piece.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InvalidUtf8 {
    pub(super) bytes_before_end: usize,
}

impl Utf8Scan {
    /// Reads the next piece.
    ///
    /// # Errors
    /// A character is not UTF-8.
    pub(super) fn push(&mut self, mut piece: &[u8]) -> Result<(), InvalidUtf8> {
        while self.length > 0 {
            let Some((byte, rest)) = piece.split_first() else { return Ok(()) };
            if let Some(room) = self.bytes.get_mut(self.length) {
                *room = *byte;
            }
            self.length += 1;
            match std::str::from_utf8(self.kept()) {
                Ok(_) => self.length = 0,
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(InvalidUtf8 { bytes_before_end: self.length - 1 + piece.len() }),
            }
            piece = rest;
        }
        let Err(error) = std::str::from_utf8(piece) else { return Ok(()) };
        let rest = piece.get(error.valid_up_to()..).unwrap_or_default();
        if error.error_len().is_some() {
            return Err(InvalidUtf8 { bytes_before_end: rest.len() });
        }
        for (room, byte) in self.bytes.iter_mut().zip(rest) {
            *room = *byte;
        }
        self.length = rest.len();
        Ok(())
    }

    /// Ends the text, for the next one.
    ///
    /// # Errors
    /// The last character is incomplete.
    pub(super) fn end(&mut self) -> Result<(), InvalidUtf8> {
        match std::mem::take(&mut self.length) {
            0 => Ok(()),
            bytes_before_end => Err(InvalidUtf8 { bytes_before_end }),
        }
    }

    fn kept(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The offset of the wrong character, with a cut at each place.
    fn check(text: &[u8], expected: Option<usize>) {
        for cut in 0..=text.len() {
            let mut scan = Utf8Scan::default();
            let (first, second) = text.split_at(cut);
            let found = (scan.push(first).map_err(|error| cut - error.bytes_before_end))
                .and_then(|()| scan.push(second).map_err(|error| text.len() - error.bytes_before_end))
                .and_then(|()| scan.end().map_err(|error| text.len() - error.bytes_before_end));
            assert_eq!(found.err(), expected, "{} cut at {cut}", text.escape_ascii());
        }
    }

    #[test]
    fn the_verdict_does_not_depend_on_the_pieces() {
        for text in ["", "acme", "å", "a€b", "\u{1f600}\u{1f600}", "\u{10ffff}\u{7ff}"] {
            check(text.as_bytes(), None);
        }
        let wrong: [(&[u8], usize); 8] = [
            (b"\x80", 0),
            (b"a\xff", 1),
            (b"a\xc0\x80", 1),
            (b"\xed\xa0\x80", 0),
            (b"\xf4\x90\x80\x80", 0),
            (b"ab\xe2\x82", 2),
            (b"\xe2\x82a", 0),
            (b"\xc3\xa5\xc3", 2),
        ];
        for (text, at) in wrong {
            check(text, Some(at));
        }
    }
}
