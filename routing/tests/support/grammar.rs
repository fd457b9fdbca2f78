//! RFC 8259 by recursive descent over the whole document: slow, simple, and written independently of the scanner.
//!
//! It gives the place and the reason of an error. Whether there is an error is checked against serde_json.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test that is wrong may panic")]

use cellgate_routing::{Duplicates, Reason};

use super::{Query, Step, fold, steps};

/// Reason and offset.
pub(crate) type Wrong = (Reason, u64);

/// Checks a whole document. Returns where it has escapes of lone surrogates.
///
/// They are allowed where they cannot change the key: not in the names of an object that a pointer goes through. So the
/// parser follows the pointers.
pub(crate) fn check(document: &[u8], query: &Query) -> Result<Vec<usize>, Wrong> {
    let mut parser = Parser { document, at: 0, depth: 0, query, lone: Vec::new() };
    match document {
        [0xef, 0xbb, 0xbf, ..] if query.accepted.byte_order_mark => parser.at = 3,
        [0xef, 0xbb, 0xbf, ..] => return Err((Reason::BodyByteOrderMark, 0)),
        [0xef, ..] => return Err((Reason::BodyMalformed, 0)),
        _ => {}
    }
    parser.space();
    parser.value(&query.pointers.iter().map(|pointer| steps(pointer)).collect::<Vec<_>>())?;
    parser.space();
    match parser.peek() {
        None => Ok(parser.lone),
        Some(_) => parser.malformed(),
    }
}

struct Parser<'a> {
    document: &'a [u8],
    at: usize,
    depth: usize,
    query: &'a Query,
    /// Where escapes of lone surrogates begin.
    lone: Vec<usize>,
}

/// What is left of the pointers that lead to a value.
type Paths = [Vec<Step>];

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

    fn value(&mut self, paths: &Paths) -> Result<(), Wrong> {
        match self.peek() {
            Some(b'{') => {
                let is_live = paths.iter().any(|path| matches!(path.first(), Some(Step::Name(_))));
                let mut seen = Vec::new();
                self.container(b'}', |parser, _| {
                    let name = parser.string(!is_live)?;
                    let below = parser.member(paths, name, &mut seen);
                    parser.space();
                    parser.expect(|byte| byte == b':')?;
                    parser.space();
                    parser.value(&below)
                })
            }
            Some(b'[') => self.container(b']', |parser, index| parser.value(&elements(paths, index))),
            Some(b'"') => self.string(true).map(drop),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            _ => self.number(),
        }
    }

    /// What is left of the pointers at a member: nothing, if the member does not count.
    fn member(&self, paths: &Paths, name: Option<String>, seen: &mut Vec<String>) -> Vec<Vec<Step>> {
        let Some(name) = name else { return Vec::new() };
        let rejects = self.query.duplicates == Duplicates::Reject;
        let counts = self.query.duplicates == Duplicates::Last
            || !seen.iter().any(|other| *other == name || rejects && fold(other) == fold(&name));
        seen.push(name.clone());
        let rest = |path: &Vec<Step>| match path.split_first() {
            Some((Step::Name(wanted), rest)) if *wanted == name && counts => Some(rest.to_vec()),
            _ => None,
        };
        paths.iter().filter_map(rest).collect()
    }

    fn container(&mut self, end: u8, mut item: impl FnMut(&mut Self, usize) -> Result<(), Wrong>) -> Result<(), Wrong> {
        if self.depth == self.query.depth {
            return Err((Reason::BodyTooDeep, self.at as u64));
        }
        self.at += 1;
        self.depth += 1;
        self.space();
        if !self.takes(end) {
            for index in 0.. {
                item(self, index)?;
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

    /// A string. Returns its text, unless it has a lone surrogate.
    fn string(&mut self, may_have_lone: bool) -> Result<Option<String>, Wrong> {
        let (start, lone) = (self.at, self.lone.len());
        self.expect(|byte| byte == b'"')?;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    let has_lone = self.lone.len() > lone;
                    return Ok((!has_lone).then(|| serde_json::from_slice(&self.document[start..self.at]).unwrap()));
                }
                Some(b'\\') => self.escape(may_have_lone)?,
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

    fn escape(&mut self, may_be_lone: bool) -> Result<(), Wrong> {
        let start = self.at;
        self.at += 1;
        if self.expect(|byte| b"\"\\/bfnrtu".contains(&byte))? != b'u' {
            return Ok(());
        }
        // A lone surrogate is found at the first byte that shows that it is one.
        match self.unit()? {
            0xdc00..=0xdfff => self.lone(start, self.at - 1, may_be_lone),
            0xd800..=0xdbff => {
                let after = self.at;
                for (offset, wanted) in [(0, b'\\'), (1, b'u')] {
                    match self.document.get(after + offset) {
                        None => return Err((Reason::BodyTruncated, (after + offset) as u64)),
                        Some(byte) if *byte == wanted => {}
                        Some(_) => return self.lone(start, after + offset, may_be_lone),
                    }
                }
                self.at += 2;
                match self.unit()? {
                    0xdc00..=0xdfff => Ok(()),
                    0xd800..=0xdbff => {
                        let last = self.at - 1;
                        // The second one may be the first of a pair.
                        self.at = after;
                        self.lone(start, last, may_be_lone)
                    }
                    _ => self.lone(start, self.at - 1, may_be_lone),
                }
            }
            _ => Ok(()),
        }
    }

    fn lone(&mut self, start: usize, found: usize, is_allowed: bool) -> Result<(), Wrong> {
        if !is_allowed || !self.query.accepted.lone_surrogates {
            return Err((Reason::BodyLoneSurrogate, found as u64));
        }
        self.lone.push(start);
        Ok(())
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

/// What is left of the pointers at an element.
fn elements(paths: &Paths, index: usize) -> Vec<Vec<Step>> {
    let mut below = Vec::new();
    for path in paths {
        match path.split_first() {
            Some((Step::Each, rest)) => below.push(rest.to_vec()),
            Some((Step::Selector(name, _), rest)) => {
                below.push(rest.to_vec());
                below.push(vec![Step::Name(name.clone())]);
            }
            Some((Step::Name(name), rest)) if *name == index.to_string() => below.push(rest.to_vec()),
            _ => {}
        }
    }
    below
}
