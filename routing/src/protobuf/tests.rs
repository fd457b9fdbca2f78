//! Messages and calls, each cut at every byte.

mod calls;
mod messages;
mod properties;

use std::sync::Arc;

use prost::encoding::{WireType, encode_key, encode_varint};

use super::{MessageQuery, ProtobufScanner};
use crate::body::{BodyError, BodyScanner};
use crate::document::AcceptedFaults;
use crate::format::{Compression, Framing, ScanLimits};
use crate::key::Duplicates;
use crate::reason::Reason;
use crate::value::KeyRule;

const DEPTH: usize = 8;
const KEY_BYTES: usize = 20;

/// The key of one source, or why it has none.
type Key = Option<Result<String, Reason>>;

/// The keys of all sources, or where the body is wrong.
type Scan = Result<Vec<Key>, BodyError>;

fn query(paths: &[&str], duplicates: Duplicates) -> Arc<MessageQuery> {
    let limits = ScanLimits { duplicates, depth: DEPTH, key_bytes: KEY_BYTES, accepted: AcceptedFaults::default() };
    let paths = paths.iter().map(|path| (path.parse().unwrap(), KeyRule::whole(KEY_BYTES)));
    Arc::new(MessageQuery::with_rules(paths.collect(), limits))
}

fn key(scanner: &ProtobufScanner, index: usize) -> Key {
    scanner.candidate(index).found().map(|found| found.map(str::to_owned))
}

/// Scans the chunks. Checks that a settled key changes only to a conflict.
fn scan_chunks<'a>(query: &Arc<MessageQuery>, framing: Framing, chunks: impl Iterator<Item = &'a [u8]>) -> Scan {
    let count = query.source_count();
    let mut scanner = ProtobufScanner::new(Arc::clone(query), framing).unwrap();
    let mut settled: Vec<Option<Key>> = vec![None; count];
    let mut check = |scanner: &ProtobufScanner| {
        for (index, settled) in settled.iter_mut().enumerate() {
            let now = key(scanner, index);
            let is_conflict = matches!(&now, Some(Err(reason)) if reason.is_conflict());
            if let Some(before) = settled {
                assert!(scanner.is_settled(index), "settled for good");
                assert!(*before == now || is_conflict, "{before:?} became {now:?}");
            }
            if scanner.is_settled(index) {
                *settled = Some(now);
            }
        }
    };
    for chunk in chunks {
        scanner.push(chunk)?;
        check(&scanner);
    }
    scanner.finish()?;
    check(&scanner);
    Ok((0..count).map(|index| key(&scanner, index)).collect())
}

/// Scans a body whole, in chunks of each size, and in two parts cut at every byte. All must have the same result.
#[track_caller]
fn scan(query: &Arc<MessageQuery>, framing: Framing, body: &[u8]) -> Scan {
    let whole = scan_chunks(query, framing, std::iter::once(body));
    for size in 1..body.len().min(40) {
        assert_eq!(scan_chunks(query, framing, body.chunks(size)), whole, "{body:02x?} in chunks of {size}");
    }
    for cut in 1..body.len() {
        let (start, end) = body.split_at(cut);
        assert_eq!(scan_chunks(query, framing, [start, end].into_iter()), whole, "{body:02x?} cut at {cut}");
    }
    whole
}

/// The key at a path in one message, under `duplicates: reject`.
#[track_caller]
fn find(path: &str, body: &[u8]) -> Result<Key, Reason> {
    find_by(path, Duplicates::Reject, body)
}

#[track_caller]
fn find_by(path: &str, duplicates: Duplicates, body: &[u8]) -> Result<Key, Reason> {
    let keys = scan(&query(&[path], duplicates), Framing::None, body);
    keys.map(|keys| keys[0].clone()).map_err(|error| error.reason)
}

#[expect(clippy::unnecessary_wraps, reason = "it stands for what was found")]
fn found(key: &str) -> Result<Key, Reason> {
    Ok(Some(Ok(key.to_owned())))
}

fn unusable(reason: Reason) -> Result<Key, Reason> {
    Ok(Some(Err(reason)))
}

const MISSING: Result<Key, Reason> = Ok(None);

fn tag(number: u32, wire: WireType) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_key(number, wire, &mut bytes);
    bytes
}

fn varint(number: u32, value: u64) -> Vec<u8> {
    let mut bytes = tag(number, WireType::Varint);
    encode_varint(value, &mut bytes);
    bytes
}

fn fixed32(number: u32, value: u32) -> Vec<u8> {
    [&tag(number, WireType::ThirtyTwoBit)[..], &value.to_le_bytes()].concat()
}

fn fixed64(number: u32, value: u64) -> Vec<u8> {
    [&tag(number, WireType::SixtyFourBit)[..], &value.to_le_bytes()].concat()
}

/// A string, bytes, a message or a packed field.
fn text(number: u32, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    let mut bytes = tag(number, WireType::LengthDelimited);
    encode_varint(content.len() as u64, &mut bytes);
    [&bytes[..], content].concat()
}

fn group(number: u32, content: impl AsRef<[u8]>) -> Vec<u8> {
    [&tag(number, WireType::StartGroup)[..], content.as_ref(), &tag(number, WireType::EndGroup)].concat()
}

/// A message of a call, with its prefix.
fn frame(flags: u8, message: impl AsRef<[u8]>) -> Vec<u8> {
    let message = message.as_ref();
    let length = u32::try_from(message.len()).unwrap();
    [&[flags][..], &length.to_be_bytes(), message].concat()
}

/// `scan` cuts the body everywhere: the error must be at the same byte, although the field that is passed over inside the group
/// comes in two parts.
#[test]
fn an_open_group_at_the_end_of_its_message_is_refused_at_the_same_byte_however_the_body_is_cut() {
    let body = [0x0a, 0x06, 0x0b, 0x12, 0x03, b'a', b'a', b'a'];
    let error = scan(&query(&["1.3"], Duplicates::Reject), Framing::None, &body).unwrap_err();
    assert_eq!((error.reason, error.offset), (Reason::BodyMalformed, 7));
}
