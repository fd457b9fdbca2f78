//! RFC 8259 by recursive descent over the whole document: slow, simple, and written independently of the scanner.
//!
//! It gives the place and the reason of an error. Whether there is an error is checked against serde_json.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test that is wrong may panic")]

use cellgate_routing::Reason;

/// Reason and offset.
pub(crate) type Wrong = (Reason, u64);

/// Checks a whole document.
pub(crate) fn check(document: &[u8], max_depth: usize) -> Result<(), Wrong> {
    let mut parser = Parser { document, at: 0, depth: 0, max_depth };
    match document {
        [0xef, 0xbb, 0xbf, ..] => return Err((Reason::BodyByteOrderMark, 0)),
        [0xef, ..] => return Err((Reason::BodyMalformed, 0)),
        _ => {}
    }
    parser.space();
    parser.value()?;
    parser.space();
    match parser.peek() {
        None => Ok(()),
        Some(_) => parser.malformed(),
    }
}

struct Parser<'a> {
    document: &'a [u8],
    at: usize,
    depth: usize,
    max_depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.document.get(self.at).copied()
    }

    /// The next byte is wrong, or there is none.
    fn malformed<T>(&self) -> Result<T, Wrong> {
        let reason = if self.peek().is_some() { Reason::BodyMalformed } else { Reason::BodyTruncated };
        Err((reason, self.at as u64))
    }

    fn expect(&mut self, allowed: impl Fn(u8) -> bool) -> Result<u8, Wrong> {
        match self.peek() {
            Some(byte) if allowed(byte) => {
                self.at += 1;
                Ok(byte)
            }
            _ => self.malformed(),
        }
    }

    fn takes(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn space(&mut self) {
        while self.takes(b' ') || self.takes(b'\t') || self.takes(b'\n') || self.takes(b'\r') {}
    }

    fn value(&mut self) -> Result<(), Wrong> {
        match self.peek() {
            Some(b'{') => self.container(b'}', |parser| {
                parser.string()?;
                parser.space();
                parser.expect(|byte| byte == b':')?;
                parser.space();
                parser.value()
            }),
            Some(b'[') => self.container(b']', Self::value),
            Some(b'"') => self.string(),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            _ => self.number(),
        }
    }

    fn container(&mut self, end: u8, item: impl Fn(&mut Self) -> Result<(), Wrong>) -> Result<(), Wrong> {
        if self.depth == self.max_depth {
            return Err((Reason::BodyTooDeep, self.at as u64));
        }
        self.at += 1;
        self.depth += 1;
        self.space();
        if !self.takes(end) {
            loop {
                item(self)?;
                self.space();
                if self.takes(end) {
                    break;
                }
                self.expect(|byte| byte == b',')?;
                self.space();
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn literal(&mut self, text: &str) -> Result<(), Wrong> {
        text.bytes().try_for_each(|letter| self.expect(|byte| byte == letter).map(drop))
    }

    fn digits(&mut self) -> Result<(), Wrong> {
        self.expect(|byte| byte.is_ascii_digit())?;
        while self.expect(|byte| byte.is_ascii_digit()).is_ok() {}
        Ok(())
    }

    fn number(&mut self) -> Result<(), Wrong> {
        self.takes(b'-');
        if !self.takes(b'0') {
            self.digits()?;
        }
        if self.takes(b'.') {
            self.digits()?;
        }
        if self.takes(b'e') || self.takes(b'E') {
            let _ = self.takes(b'+') || self.takes(b'-');
            self.digits()?;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<(), Wrong> {
        self.expect(|byte| byte == b'"')?;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(0x80..) => self.character()?,
                Some(0x20..) => self.at += 1,
                _ => return self.malformed(),
            }
        }
    }

    /// One character beyond ASCII.
    fn character(&mut self) -> Result<(), Wrong> {
        let rest = &self.document[self.at..];
        let longest = &rest[..rest.len().min(4)];
        for len in 1..=longest.len() {
            match std::str::from_utf8(&longest[..len]) {
                Ok(_) => {
                    self.at += len;
                    return Ok(());
                }
                Err(error) if error.error_len().is_some() => return Err((Reason::BodyInvalidUtf8, self.at as u64)),
                Err(_) => {}
            }
        }
        Err((Reason::BodyTruncated, self.document.len() as u64))
    }

    fn escape(&mut self) -> Result<(), Wrong> {
        self.at += 1;
        if self.expect(|byte| b"\"\\/bfnrtu".contains(&byte))? != b'u' {
            return Ok(());
        }
        // A surrogate in the wrong place is an error at its last digit.
        match self.unit()? {
            0xdc00..=0xdfff => Err((Reason::BodyMalformed, self.at as u64 - 1)),
            0xd800..=0xdbff => {
                self.expect(|byte| byte == b'\\')?;
                self.expect(|byte| byte == b'u')?;
                match self.unit()? {
                    0xdc00..=0xdfff => Ok(()),
                    _ => Err((Reason::BodyMalformed, self.at as u64 - 1)),
                }
            }
            _ => Ok(()),
        }
    }

    fn unit(&mut self) -> Result<u32, Wrong> {
        let start = self.at;
        for _ in 0..4 {
            self.expect(|byte| byte.is_ascii_hexdigit())?;
        }
        let digits = std::str::from_utf8(&self.document[start..self.at]).unwrap();
        Ok(u32::from_str_radix(digits, 16).unwrap())
    }
}
