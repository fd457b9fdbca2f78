//! Hostile documents, made from a sequence of choices. Property tests shrink the choices, the fuzzer evolves them.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test that is wrong may panic")]

use cellgate_routing::Duplicates;
use cellgate_routing::document::AcceptedFaults;

use crate::oracle::Query;

/// Names that documents use and pointers look for, so that they meet often.
const NAMES: &[&str] = &[
    "tenant",
    "id",
    "a",
    "tenant",
    "id",
    "a",
    "0",
    "1",
    "10",
    "",
    "a/b",
    "~",
    "ключ",
    "tenants",
    "tenan",
    "Tenant",
    "ID",
    "ten_ant",
    "i-d_",
    "_id",
    "-",
    "\u{1f600}",
];

const POINTERS: &[&str] = &[
    "/tenant/id",
    "/tenant",
    "/id",
    "/tenant",
    "/a",
    "/id",
    "",
    "/a/0",
    "/a/1/id",
    "/0",
    "/0/0",
    "/a~1b",
    "/~0",
    "/ключ",
    "/",
    "//",
    "/a/-",
    "/a/00",
    "/tenant/tenant/tenant",
    "/\u{1f600}",
    "/10",
    "/a/10",
    "/1/1/1",
];

/// Pointers with `*` and selectors. None of them has an index where another one has `*`.
const BATCH_POINTERS: &[&str] = &[
    "/*/id",
    "/*",
    "/*/tenant/id",
    "/a/*/id",
    "/a/*",
    "/a/*/tenant",
    "/a/[id=x]/tenant",
    "/a/[id=acme]/tenant/id",
    "/a/[tenant=acme]/a",
    "/*/[id=x]/tenant",
    "/[id=x]/a/*/id",
    "/[id=]/tenant",
    "/a/*/a/*/id",
    "/a/[id=x]/a/[id=acme]/tenant",
    "/a/*/a/[tenant=x]/id",
    "/a/[id=x]/id",
    "/a/[id=x]",
    "/tenant/*/ключ",
    "/~2",
    "/a/[ключ=x]/id",
];

/// Texts that hold JSON, and some that almost do.
const EMBEDDED: &[&str] = &[
    r#"{"id":"acme"}"#,
    r#"{"id":"x"}"#,
    r#"{"id":"x","id":"x"}"#,
    r#"{"tenant":{"id":7},"a":["x"]}"#,
    r#"{"ID":"x"}"#,
    r#"{"id":null}"#,
    r#"{"id":"\u0061\ud83d"}"#,
    r#"{"i\ud83d":1,"id":"x"}"#,
    r#""acme""#,
    "7",
    "{",
    "[[[[[[]]]]]]",
    r#"{"id":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}"#,
];

const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "1",
    "-1",
    "42",
    "1e999",
    "-1E-5",
    "0.5",
    "1.0",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775808",
    "-9223372036854775809",
    "123456789012345678901234567890",
    "0e0",
    "1e+1",
    "100",
    "0.000000001",
];

const ODD_NUMBERS: &[&str] = &[
    "01",
    "-",
    "1.",
    ".5",
    "+1",
    "1e",
    "1e+",
    "--1",
    "0x10",
    "NaN",
    "Infinity",
    "-Infinity",
    "1_0",
    "00",
    "-01",
    "1.e1",
];

const BAD_UTF8: &[&[u8]] = &[
    b"\x80",
    b"\xc0\x80",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xe2\x82",
    b"\xf0\x9f\x98",
    b"\xc3",
    b"\xf8",
];

const BAD_ESCAPES: &[&str] =
    &["\\x", "\\u12", "\\ud800", "\\udc00", "\\ud800\\u0041", "\\ud800\\ud800", "\\U0041", "\\u00g0", "\\", "\\ud83dx"];

const TOKENS: &[u8] = b"{}[]:,\"\\0-.e tfn\x00\x1f\x7f\x80\xff\xef\n/u";

/// A sequence of choices. After its end, every choice is the first one.
#[derive(Debug)]
pub(crate) struct Choices<'a>(pub(crate) &'a [u8]);

impl Choices<'_> {
    fn next(&mut self) -> usize {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                usize::from(*first)
            }
            None => 0,
        }
    }

    fn of<'t, T: ?Sized>(&mut self, all: &[&'t T]) -> &'t T {
        all[self.next() % all.len()]
    }

    /// True once in `n` times, and never by default.
    fn rarely(&mut self, n: usize) -> bool {
        self.next() % n == n - 1
    }

    /// A query, mostly of one pointer and with limits that documents reach.
    pub(crate) fn query(&mut self) -> Query {
        let count = if self.rarely(4) { self.next() % 8 } else { 1 };
        let duplicates = [Duplicates::Reject, Duplicates::First, Duplicates::Last][self.next() % 3];
        let pointers = if self.rarely(3) { BATCH_POINTERS } else { POINTERS };
        Query {
            pointers: (0..count).map(|_| self.of(pointers).to_owned()).collect(),
            duplicates,
            depth: if self.rarely(8) { 1 + self.next() % 70 } else { 64 },
            key_bytes: if self.rarely(4) { 1 + self.next() % 40 } else { 16 },
            records: self.rarely(5),
            then: self.rarely(6).then(|| self.of(POINTERS).to_owned()),
            accepted: AcceptedFaults { lone_surrogates: !self.rarely(4), byte_order_mark: self.rarely(4) },
        }
    }

    /// A body for a query: a document, a batch, or one of them on each line.
    pub(crate) fn body(&mut self, query: &Query) -> Vec<u8> {
        let one = |choices: &mut Self| if choices.rarely(3) { choices.batch() } else { choices.document() };
        if !query.records {
            return one(self);
        }
        let mut out = Vec::new();
        for _ in 0..self.next() % 5 {
            let mut document = one(self);
            if !self.rarely(8) {
                document.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
            }
            out.extend(document);
            out.extend(self.of(&["\n", "\n", "\r\n", "\n \t\n", "\n\n", "\n", " ", ""]).bytes());
        }
        out
    }

    /// A list of small objects with few names and few values, so that elements agree, match and conflict.
    pub(crate) fn batch(&mut self) -> Vec<u8> {
        let (before, after) =
            [("[", "]"), ("{\"a\":[", "]}"), ("{\"a\":[{}],\"a\":[", "]}"), ("{\"tenant\":[", "],\"id\":\"x\"}")]
                [self.next() % 4];
        let mut out = before.as_bytes().to_vec();
        self.elements(&mut out, 0);
        out.extend(after.bytes());
        while self.rarely(6) {
            self.mutate(&mut out);
        }
        out
    }

    fn elements(&mut self, out: &mut Vec<u8>, depth: usize) {
        for element in 0..self.next() % 5 {
            if element > 0 {
                out.push(b',');
            }
            if self.rarely(8) {
                self.value(out, 4);
                continue;
            }
            out.push(b'{');
            for member in 0..self.next() % 4 {
                if member > 0 {
                    out.push(b',');
                }
                let name = self.of(&["id", "tenant", "id", "tenant", "a", "x", "ключ", "Id"]);
                if depth < 2 && (name == "a" || self.rarely(12)) {
                    out.extend(format!("\"{name}\":[").bytes());
                    self.elements(out, depth + 1);
                    out.push(b']');
                    continue;
                }
                let value = self.of(&[
                    "\"x\"",
                    "\"x\"",
                    "\"acme\"",
                    "\"acme\"",
                    "\"\\u0078\"",
                    "\"\"",
                    "null",
                    "7",
                    "{\"id\":\"acme\"}",
                    "{\"id\":\"x\"}",
                    "{}",
                    "\"\\udc00\"",
                    "\"x\\ud83d\"",
                ]);
                out.extend(format!("\"{name}\":{value}").bytes());
            }
            out.push(b'}');
        }
    }

    /// Places to cut a document of this length.
    pub(crate) fn cuts(&mut self, length: usize) -> Vec<usize> {
        let mut cuts: Vec<usize> =
            (0..self.next() % 8).map(|_| (self.next() << 8 | self.next()) % (length + 1)).collect();
        cuts.sort_unstable();
        cuts
    }

    /// A document: mostly valid, or nearly.
    pub(crate) fn document(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        if self.rarely(64) {
            out.extend(self.of(&[b"\xef\xbb\xbf".as_slice(), b"\xef\xbb", b"\xef", b"\xff\xfe"]));
        }
        self.space(&mut out);
        if self.rarely(16) {
            self.deep(&mut out);
        } else if self.rarely(8) {
            self.value(&mut out, 0);
        } else {
            self.object(&mut out, 0);
        }
        self.space(&mut out);
        while self.rarely(3) {
            self.mutate(&mut out);
        }
        out
    }

    /// A document with a list of records that have nearly the same shape, as API answers have.
    pub(crate) fn records(&mut self) -> Vec<u8> {
        let shape: Vec<usize> = (0..1 + self.next() % 6).map(|_| self.next()).collect();
        let gap = [b"".as_slice(), b"", b"\n  ", b"\n                     ", b" "][self.next() % 5];
        let names: Vec<&str> = shape.iter().map(|_| self.of(NAMES)).collect();
        let (before, after) =
            [("{\"items\":[", "],\"tenant\":{\"id\":\"last\"}}"), ("[", "]"), ("{\"a\":{\"a\":[", "]}}")]
                [self.next() % 3];
        let mut out = before.as_bytes().to_vec();
        for record in 0..2 + self.next() % 20 {
            if record > 0 {
                out.push(b',');
            }
            out.extend(gap);
            out.push(b'{');
            for (field, (kind, name)) in shape.iter().zip(&names).enumerate() {
                if field > 0 {
                    out.push(b',');
                }
                out.extend(gap);
                out.extend(format!("\"{name}\":").bytes());
                self.field(&mut out, *kind, gap);
            }
            out.extend(gap);
            out.push(b'}');
        }
        out.extend(after.bytes());
        out
    }

    fn field(&mut self, out: &mut Vec<u8>, kind: usize, gap: &[u8]) {
        if self.rarely(16) {
            return self.value(out, 4);
        }
        match kind % 9 {
            0 => out.extend(self.of(&["true", "false", "null"]).bytes()),
            1 => out.extend(self.of(NUMBERS).bytes()),
            2 => out.extend((self.next() * self.next()).to_string().bytes()),
            3 => self.string(out),
            4 => out.extend(format!("\"{}\"", "y".repeat(self.next() % 70)).bytes()),
            5 => out.extend(self.of(&["{}", "[]", "[[]]", "[{}]", "[1]", "{\"id\":7}"]).bytes()),
            6 => self.value(out, 4),
            _ => {
                out.push(b'[');
                for element in 0..self.next() % 5 {
                    if element > 0 {
                        out.push(b',');
                    }
                    out.extend(gap);
                    let kind = self.next() % 6;
                    self.field(out, kind, gap);
                }
                out.push(b']');
            }
        }
    }

    fn mutate(&mut self, out: &mut Vec<u8>) {
        let at = (self.next() << 8 | self.next()) % (out.len() + 1);
        match self.next() % 5 {
            0 => out.truncate(at),
            1 => out.insert(at, TOKENS[self.next() % TOKENS.len()]),
            2 => drop(out.splice(at..at, self.of(BAD_UTF8).iter().copied())),
            3 if at < out.len() => drop(out.remove(at)),
            _ if at < out.len() => out[at] ^= 1 << (self.next() % 8),
            _ => {}
        }
    }

    fn space(&mut self, out: &mut Vec<u8>) {
        let length = match self.next() % 16 {
            12 => 1,
            13 => 3,
            14 => self.next() % 20,
            15 => self.next() % 80,
            _ => 0,
        };
        (0..length).for_each(|index| out.push(b" \n\t\r"[(index + length) % 4]));
    }

    /// Nested containers, about as deep as the limit.
    fn deep(&mut self, out: &mut Vec<u8>) {
        let depth = 56 + self.next() % 16;
        let kinds = self.next();
        let is_object = |level: usize| kinds >> (level % 8) & 1 == 1;
        for level in 0..depth {
            out.extend(if is_object(level) { b"{\"a\":".as_slice() } else { b"[" });
        }
        self.value(out, 3);
        (0..depth).rev().for_each(|level| out.push(if is_object(level) { b'}' } else { b']' }));
    }

    fn value(&mut self, out: &mut Vec<u8>, depth: usize) {
        let kinds = if depth > 5 { 6 } else { 12 };
        match self.next() % kinds {
            0 => out.extend(self.of(&["null", "true", "false"]).bytes()),
            1 | 2 => out.extend(self.of(NUMBERS).bytes()),
            3..6 => self.string(out),
            6..10 => self.object(out, depth),
            _ => self.array(out, depth),
        }
        if self.rarely(200) {
            out.extend(self.of(ODD_NUMBERS).bytes());
        }
    }

    fn object(&mut self, out: &mut Vec<u8>, depth: usize) {
        out.push(b'{');
        self.space(out);
        for member in 0..(self.next() + 3) % 6 {
            if member > 0 {
                out.push(b',');
                self.space(out);
            }
            let name = self.of(NAMES);
            self.quoted(out, name);
            self.space(out);
            out.push(b':');
            self.space(out);
            self.value(out, depth + 1);
            self.space(out);
        }
        out.push(b'}');
    }

    fn array(&mut self, out: &mut Vec<u8>, depth: usize) {
        out.push(b'[');
        self.space(out);
        for element in 0..self.next() % 14 {
            if element > 0 {
                out.push(b',');
                self.space(out);
            }
            self.value(out, depth + 1);
            self.space(out);
        }
        out.push(b']');
    }

    fn string(&mut self, out: &mut Vec<u8>) {
        if self.rarely(12) {
            let text = self.of(EMBEDDED);
            return self.quoted(out, text);
        }
        let mut text = String::new();
        for _ in 0..self.next() % 6 {
            match self.next() % 8 {
                0..3 => text.push_str(self.of(&["acme", "x", "globex corporation", "eu-1"])),
                3 => text.push_str(self.of(&["å", "日本語", "\u{1f600}", "\u{10ffff}", "\u{fffd}", "ß\u{80}"])),
                4 => text.push_str(self.of(&["\n", "\t", "\u{0}", "\u{1f}", "\u{7f}", "\u{8}\u{c}\r"])),
                5 => text.push_str(self.of(&["\"", "\\", "/", "\\\\", "\\\""])),
                _ => text.extend(std::iter::repeat_n('x', self.next())),
            }
        }
        self.quoted(out, &text);
    }

    /// A string in quotes, escaped where it must be and sometimes where it need not be.
    fn quoted(&mut self, out: &mut Vec<u8>, text: &str) {
        out.push(b'"');
        let escapes = if self.rarely(4) { self.next() } else { 0 };
        for (index, character) in text.chars().enumerate() {
            let is_needed = character < ' ' || character == '"' || character == '\\';
            if !is_needed && escapes >> (index % 8) & 1 == 0 {
                out.extend(character.encode_utf8(&mut [0; 4]).bytes());
                continue;
            }
            match (character, self.next() % 3) {
                ('"' | '\\' | '/', 0) => out.extend([b'\\', character as u8]),
                ('\n', 0) => out.extend(b"\\n"),
                ('\t', 0) => out.extend(b"\\t"),
                (_, 1) => character
                    .encode_utf16(&mut [0; 2])
                    .iter()
                    .for_each(|unit| out.extend(format!("\\u{unit:04X}").bytes())),
                _ => character
                    .encode_utf16(&mut [0; 2])
                    .iter()
                    .for_each(|unit| out.extend(format!("\\u{unit:04x}").bytes())),
            }
        }
        if self.rarely(100) {
            out.extend(self.of(BAD_ESCAPES).bytes());
        }
        if self.rarely(100) {
            out.extend(self.of(BAD_UTF8));
        }
        out.push(b'"');
    }
}
