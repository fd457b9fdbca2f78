//! The multipart scanner gives the same result as a splitter that has the whole body, on hostile bodies cut in every way.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use std::sync::Arc;

use cellgate_routing::body::{BodyScanner, Candidate};
use cellgate_routing::multipart::{FieldQuery, MultipartScanner};
use cellgate_routing::{Duplicates, Reason};
use proptest::collection::vec;
use proptest::prelude::*;

/// The longest key.
const KEY_BYTES: usize = 24;

const BOUNDARIES: [&str; 5] =
    ["b", "--b", "x-y", "abab", "0123456789012345678901234567890123456789012345678901234567890123456789"];

/// Headers of parts, and what each says of its part.
const HEADERS: [(&str, Header); 8] = [
    ("Content-Disposition: form-data; name=\"tenant\"", Header::Wanted),
    ("X-A: b\r\ncontent-disposition: form-data; name=tenant\r\nContent-Type: text/plain", Header::Wanted),
    ("Content-Disposition: form-data; name=\"other\"", Header::Other),
    ("Content-Disposition: form-data; name=\"f\"; filename=\"a\\b\"\r\nContent-Type: image/png", Header::Other),
    ("Content-Disposition: form-data; name=\"tenant\"; filename=\"x\"", Header::File),
    ("Content-Disposition: form-data; name=\"Tenant\"", Header::Ambiguous),
    ("Content-Disposition: form-data; name=\"a\"; name=\"tenant\"", Header::BadLine),
    ("X-A: b", Header::Nameless),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    Wanted,
    Other,
    File,
    Ambiguous,
    /// A line of it is malformed.
    BadLine,
    /// It lacks a line.
    Nameless,
}

/// The value of the field `tenant`, or the reason of the error.
type Verdict = Result<Option<Result<String, Reason>>, Reason>;

/// Splits a whole body, the obvious way.
fn expected(body: &[u8], boundary: &str) -> Verdict {
    let delimiter = format!("--{boundary}");
    let body = body.strip_prefix(b"\r\n").unwrap_or(body);
    let pieces = split(body, delimiter.as_bytes());
    if !pieces[0].is_empty() || pieces.len() == 1 {
        let is_beginning = pieces.len() == 1 && (delimiter.as_bytes().starts_with(body) || body == b"\r");
        return Err(if is_beginning { Reason::BodyTruncated } else { Reason::BodyMalformed });
    }
    let mut found = None;
    let mut has_ended = false;
    for (index, piece) in pieces.iter().enumerate().skip(1) {
        let is_last = index + 1 == pieces.len();
        if has_ended {
            return Err(Reason::BodyMalformed);
        }
        if let Some(epilogue) = piece.strip_prefix(b"--") {
            let broken = epilogue.chunks(2).position(|pair| pair != b"\r\n");
            has_ended = true;
            match broken {
                None => continue,
                Some(at) if is_last && epilogue[at * 2..] == b"\r"[..] => return Err(Reason::BodyTruncated),
                Some(_) => return Err(Reason::BodyMalformed),
            }
        }
        let Some(text) = piece.strip_prefix(b"\r\n") else {
            let is_beginning = is_last && [&b""[..], b"\r", b"-"].contains(piece);
            return Err(if is_beginning { Reason::BodyTruncated } else { Reason::BodyMalformed });
        };
        let header = HEADERS.iter().find(|(header, _)| text.starts_with(format!("{header}\r\n\r\n").as_bytes()));
        let Some((header, kind)) = header else {
            // Only a header that the end of the body cuts is not malformed.
            let lines = text.iter().rposition(|byte| *byte == b'\n').map_or(&text[..0], |at| &text[..=at]);
            let is_beginning = |(header, kind): &(&str, Header)| {
                let is_good = *kind != Header::BadLine || lines.is_empty();
                is_good && format!("{header}\r\n").as_bytes().starts_with(lines)
            };
            // A delimiter in a line of a header is an error of the line, which the end of the body cuts too.
            let is_line_cut = pieces[index + 1..].iter().all(|piece| !piece.contains(&b'\n'));
            let is_cut = is_line_cut && HEADERS.iter().any(is_beginning);
            return Err(if is_cut { Reason::BodyTruncated } else { Reason::BodyMalformed });
        };
        if matches!(kind, Header::BadLine | Header::Nameless) {
            return Err(Reason::BodyMalformed);
        }
        if is_last {
            return Err(Reason::BodyTruncated);
        }
        let content = text[header.len() + 4..].strip_suffix(b"\r\n").ok_or(Reason::BodyMalformed)?;
        let value = match kind {
            Header::Wanted => key(content),
            Header::File => Err(Reason::KeyMalformed),
            Header::Ambiguous => Err(Reason::KeyAmbiguous),
            Header::Other | Header::BadLine | Header::Nameless => continue,
        };
        found = Some(match found {
            None => value,
            Some(Err(conflict @ (Reason::KeyAmbiguous | Reason::KeyDuplicated))) => Err(conflict),
            Some(_) if *kind == Header::Ambiguous => value,
            Some(_) => Err(Reason::KeyDuplicated),
        });
    }
    if has_ended { Ok(found) } else { Err(Reason::BodyTruncated) }
}

fn key(content: &[u8]) -> Result<String, Reason> {
    match std::str::from_utf8(content) {
        _ if content.is_empty() => Err(Reason::KeyEmpty),
        _ if content.len() > KEY_BYTES => Err(Reason::KeyTooLong),
        Err(_) => Err(Reason::KeyInvalidUtf8),
        Ok(text) if text.chars().any(char::is_control) => Err(Reason::KeyControlCharacter),
        Ok(text) => Ok(text.to_owned()),
    }
}

fn split<'a>(mut body: &'a [u8], delimiter: &[u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    while let Some(at) = body.windows(delimiter.len()).position(|window| window == delimiter) {
        pieces.push(&body[..at]);
        body = &body[at + delimiter.len()..];
    }
    pieces.push(body);
    pieces
}

/// The scanner's verdict, and the offset of its error.
fn scanned(body: &[u8], boundary: &str, cuts: &[usize]) -> (Verdict, u64) {
    let query = FieldQuery::new(vec!["tenant".into()], Duplicates::Reject, KEY_BYTES);
    let mut scanner = MultipartScanner::new(Arc::new(query), boundary.as_bytes());
    let mut start = 0;
    for end in cuts.iter().copied().chain([body.len()]) {
        if let Err(error) = scanner.push(&body[start..end]) {
            return (Err(error.reason), error.offset);
        }
        start = end;
    }
    match (scanner.finish(), scanner.candidate(0)) {
        (Err(error), _) => (Err(error.reason), error.offset),
        (Ok(()), Candidate::Missing) => (Ok(None), 0),
        (Ok(()), Candidate::Found(key)) => (Ok(Some(Ok(key.to_owned()))), 0),
        (Ok(()), Candidate::Unusable(reason)) => (Ok(Some(Err(reason))), 0),
    }
}

fn check_every_cut(body: &[u8], boundary: &str) -> Result<(), TestCaseError> {
    let whole = scanned(body, boundary, &[]);
    let bytes: Vec<usize> = (0..body.len()).collect();
    prop_assert_eq!(&scanned(body, boundary, &bytes), &whole, "byte by byte: {}", body.escape_ascii());
    for cut in 0..=body.len() {
        prop_assert_eq!(&scanned(body, boundary, &[cut]), &whole, "cut at {}: {}", cut, body.escape_ascii());
    }
    Ok(())
}

/// Content with much that is nearly a delimiter, and rarely one.
fn content(boundary: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let delimiter = format!("\r\n--{boundary}");
    let beginnings = (1..delimiter.len()).map(|end| delimiter[..end].to_owned().into_bytes()).collect::<Vec<_>>();
    let ends = (1..delimiter.len()).map(|start| delimiter[start..].to_owned().into_bytes()).collect::<Vec<_>>();
    let piece = prop_oneof![
        6 => prop::sample::select(beginnings),
        3 => prop::sample::select(vec![&b"\r"[..], b"\n", b"-", b"--", b"\r\n", b"\xff", b"\xc3\xa5"]).prop_map(<[u8]>::to_vec),
        4 => "[a-z]{1,6}".prop_map(String::into_bytes),
        1 => prop::sample::select(ends),
    ];
    prop_oneof![
        3 => vec(piece, 0..6).prop_map(|pieces| pieces.concat()),
        2 => "[a-z]{1,8}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..200),
    ]
}

fn body(boundary: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let header = prop_oneof![9 => 0..6_usize, 1 => 0..HEADERS.len()].prop_map(|index| HEADERS[index].0);
    let part = (header, content(boundary)).prop_map(move |(header, content)| {
        [format!("--{boundary}\r\n{header}\r\n\r\n").as_bytes(), &content, b"\r\n"].concat()
    });
    let start = prop::sample::select(vec!["", "", "", "", "", "\r\n", "x", "\n"]);
    let end = prop::sample::select(vec!["--", "--", "--", "--\r\n", "--\r\n\r\n", "--\r", "--\r\nx", "-", ""]);
    (start, vec(part, 0..4), end).prop_map(move |(start, parts, end)| {
        [start.as_bytes(), &parts.concat(), format!("--{boundary}{end}").as_bytes()].concat()
    })
}

fn any_body() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    prop::sample::select(&BOUNDARIES[..]).prop_flat_map(|boundary| (Just(boundary), body(boundary)))
}

/// `PROPTEST_CASES` runs more of them.
fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_body_in_two_chunks((boundary, body) in any_body()) {
        let found = scanned(&body, boundary, &[]).0;
        prop_assert_eq!(found, expected(&body, boundary), "{}", body.escape_ascii());
        check_every_cut(&body, boundary)?;
    }

    #[test]
    fn every_beginning_of_a_body((boundary, body) in any_body()) {
        for end in 0..body.len() {
            let body = &body[..end];
            prop_assert_eq!(scanned(body, boundary, &[]).0, expected(body, boundary), "{}", body.escape_ascii());
        }
    }

    #[test]
    fn any_body_in_many_chunks((boundary, body) in any_body(), cuts in vec(any::<prop::sample::Index>(), 1..12)) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(body.len())).collect();
        cuts.sort_unstable();
        prop_assert_eq!(scanned(&body, boundary, &cuts), scanned(&body, boundary, &[]), "cut at {:?}", cuts);
    }

    /// One byte is another one, also in headers: the oracle does not know those.
    #[test]
    fn any_changed_body_in_two_chunks((boundary, mut body) in any_body(), at in any::<prop::sample::Index>(), byte: u8) {
        let at = at.index(body.len());
        body[at] = byte;
        check_every_cut(&body, boundary)?;
    }
}

/// The generator must reach every kind of verdict. Otherwise the properties would prove nothing about it.
#[test]
fn bodies_reach_every_verdict() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut seen = std::collections::BTreeMap::new();
    let mut runner = TestRunner::deterministic();
    for _ in 0..20_000 {
        let (boundary, body) = any_body().new_tree(&mut runner).unwrap().current();
        let kind = match expected(&body, boundary) {
            Ok(None) => "missing",
            Ok(Some(Ok(_))) => "found",
            Ok(Some(Err(reason))) | Err(reason) => reason.label(),
        };
        *seen.entry(kind).or_insert(0) += 1;
    }
    println!("{seen:?}");
    let kinds = "found missing key_empty key_too_long key_control_character key_invalid_utf8 key_malformed \
        key_duplicated key_ambiguous body_malformed body_truncated";
    for kind in kinds.split_whitespace() {
        assert!(seen.get(kind).is_some_and(|count| *count >= 10), "{kind}: {seen:?}");
    }
}
