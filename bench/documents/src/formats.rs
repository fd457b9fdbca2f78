//! Bodies of other formats than JSON, with the tenant in each.

use std::fmt::Write as _;

use super::{FRAME, Kind, document};

/// The boundary between the parts of [`multipart`].
pub const BOUNDARY: &str = "----WebKitFormBoundary7MA4YWxkTrZu0gW";

/// A `multipart/form-data` body of `size` bytes: a file, and behind it the field `tenant`.
#[must_use]
pub fn multipart(size: usize, tenant: &str) -> Vec<u8> {
    let start = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    let end = format!(
        "\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"tenant\"\r\n\r\n{tenant}\r\n--{BOUNDARY}--\r\n"
    );
    let file = b"Lorem ipsum dolor sit amet,\r\nconsectetur - ".iter().cycle().copied();
    let room = size.saturating_sub(start.len() + end.len());
    start.bytes().chain(file.take(room)).chain(end.bytes()).collect()
}

/// One gRPC message of `size` bytes with its prefix: a `string tenant = 1`, and behind it a `bytes payload = 2`.
#[must_use]
pub fn grpc(size: usize, tenant: &str) -> Vec<u8> {
    const PREFIX: usize = 5;
    let mut message = vec![1 << 3 | 2];
    varint(&mut message, tenant.len());
    message.extend_from_slice(tenant.as_bytes());
    message.push(2 << 3 | 2);
    // The length of the payload takes two bytes from 128 bytes on, and three from 16 KiB on.
    let left = size.saturating_sub(PREFIX + message.len());
    let length = (1..=3).map(|bytes| left.saturating_sub(bytes)).find(|length| varint_bytes(*length) == left - length);
    let length = length.unwrap_or_default();
    varint(&mut message, length);
    message.resize(message.len() + length, b'p');
    let mut body = vec![0];
    body.extend_from_slice(&u32::try_from(message.len()).unwrap_or_default().to_be_bytes());
    body.extend_from_slice(&message);
    body
}

/// One gRPC message of about `size` bytes with its prefix: many small fields, and behind them a `string tenant = 1`.
#[must_use]
pub fn grpc_of_fields(size: usize, tenant: &str) -> Vec<u8> {
    let mut message = Vec::with_capacity(size);
    while message.len() < size.saturating_sub(32) {
        // An integer, a text, a double, and a message that no path enters.
        message.extend_from_slice(
            b"\x10\xd2\x85\xd8\xcc\x04\x1a\x0da rather good\x29\0\0\0\0\0\0\xf0\x3f\xa2\x06\x05\x08\x96\x01\x10\x01",
        );
    }
    message.push(1 << 3 | 2);
    varint(&mut message, tenant.len());
    message.extend_from_slice(tenant.as_bytes());
    let mut body = vec![0];
    body.extend_from_slice(&u32::try_from(message.len()).unwrap_or_default().to_be_bytes());
    body.extend_from_slice(&message);
    body
}

/// A SOAP envelope of about `size` bytes. The body has order lines, and behind them an element `tenant`.
#[must_use]
pub fn xml(size: usize, tenant: &str) -> Vec<u8> {
    let mut body = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\">\n<soap:Body>\n<Order xmlns=\"urn:orders\">\n",
    );
    for number in 0.. {
        if body.len() + 220 >= size {
            break;
        }
        // Writing to a string cannot fail.
        let _ = writeln!(
            body,
            "  <line id=\"{number}\" unit='piece'><name>a rather good widget &amp; more</name><price>12.50</price></line>"
        );
    }
    let _ = write!(body, "  <tenant>{tenant}</tenant>\n</Order>\n</soap:Body>\n</soap:Envelope>\n");
    body.into_bytes()
}

/// A MessagePack document of about `size` bytes: a map of an array of small maps, and of the member `tenant`.
#[must_use]
pub fn msgpack(size: usize, tenant: &str) -> Vec<u8> {
    // id: an integer of 32 bits; name: a text; price: a float of 64 bits; active: true; tags: an array of two texts.
    const LINE: &[u8] =
        b"\x85\xa2id\xce\x00\x01\xe2\x40\xa4name\xb5a rather good widget \xa5price\xcb\x40\x29\0\0\0\0\0\0\
        \xa6active\xc3\xa4tags\x92\xa2t1\xa2t2";
    let lines = u16::try_from(size.saturating_sub(32) / LINE.len()).unwrap_or(u16::MAX);
    let mut body = b"\x82\xa5lines\xdc".to_vec();
    body.extend_from_slice(&lines.to_be_bytes());
    (0..lines).for_each(|_| body.extend_from_slice(LINE));
    body.extend_from_slice(b"\xa6tenant\xd9");
    body.push(u8::try_from(tenant.len()).unwrap_or_default());
    body.extend_from_slice(tenant.as_bytes());
    body
}

/// NDJSON of `size` bytes: records of about 512 bytes, each with the tenant.
#[must_use]
pub fn ndjson(size: usize, tenant: &str) -> Vec<u8> {
    const RECORD: usize = 512;
    let shortest = FRAME + tenant.len() + 3;
    let mut body = Vec::with_capacity(size);
    while body.len() < size {
        let left = size - body.len() - 1;
        let length = if left < RECORD + shortest { left } else { RECORD - 1 };
        body.extend_from_slice(document(Kind::Objects, length, super::KeyAt::First, tenant).as_bytes());
        body.push(b'\n');
    }
    body
}

fn varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn varint_bytes(value: usize) -> usize {
    let mut bytes = Vec::new();
    varint(&mut bytes, value);
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_have_exactly_the_requested_length() {
        for size in [512, 4096, 65_536, 1_000_000] {
            assert_eq!(multipart(size, "acme").len(), size);
            assert_eq!(grpc(size, "acme").len(), size);
            assert_eq!(ndjson(size, "acme").len(), size);
        }
    }

    #[test]
    fn a_grpc_message_has_two_fields() {
        let body = grpc(300, "acme");
        assert_eq!(body.get(..13), Some(&b"\0\0\0\x01\x27\x0a\x04acme\x12\x9e"[..]));
        assert_eq!(body.get(13..16), Some(&b"\x02pp"[..]));
    }

    #[test]
    fn bodies_of_many_parts_have_about_the_requested_length() {
        for size in [512, 4096, 65_536] {
            for body in [grpc_of_fields(size, "acme"), xml(size, "acme"), msgpack(size, "acme")] {
                assert!((size - size / 2..=size).contains(&body.len()), "{} instead of {size} bytes", body.len());
            }
        }
    }

    #[test]
    fn every_record_has_the_tenant() {
        let body = String::from_utf8(ndjson(65_536, "acme")).unwrap();
        assert!(body.ends_with('\n') && body.lines().count() > 100);
        for line in body.lines() {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(record["tenant"]["id"], "acme");
        }
    }
}
