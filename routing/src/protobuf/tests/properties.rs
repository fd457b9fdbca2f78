//! Any message, with prost as the judge.

use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

use super::calls::{base64, gzip, zlib};
use super::*;
use crate::key;

#[derive(Clone, PartialEq, Message)]
struct Tenant {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(int64, tag = "2")]
    number: i64,
    #[prost(sint32, tag = "3")]
    zigzag: i32,
    #[prost(sfixed64, tag = "300000")]
    fixed: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Order {
    #[prost(message, optional, tag = "1")]
    tenant: Option<Tenant>,
    #[prost(message, repeated, tag = "2")]
    batch: Vec<Tenant>,
    #[prost(bytes, tag = "3")]
    payload: Vec<u8>,
    #[prost(uint32, repeated, tag = "4")]
    packed: Vec<u32>,
    #[prost(uint32, repeated, packed = "false", tag = "5")]
    unpacked: Vec<u32>,
    #[prost(double, tag = "6")]
    amount: f64,
    #[prost(btree_map = "string, bool", tag = "536870911")]
    labels: std::collections::BTreeMap<String, bool>,
}

/// Each with its value in [`expected`].
const PATHS: [&str; 7] = ["1.1", "1.2:int64", "1.3:sint32", "1.300000:sfixed64", "2*.1", "4*:uint32", "5*:uint32"];

/// The keys that a server finds in a message. A default value is not on the wire.
fn expected(order: &Order) -> Vec<Key> {
    let tenant = order.tenant.clone().unwrap_or_default();
    vec![
        string(&tenant.id),
        number(tenant.number),
        number(tenant.zigzag.into()),
        number(tenant.fixed),
        agreed(order.batch.iter().map(|tenant| string(&tenant.id))),
        agreed(order.packed.iter().map(|number| Some(Ok(number.to_string())))),
        agreed(order.unpacked.iter().map(|number| Some(Ok(number.to_string())))),
    ]
}

fn string(text: &str) -> Key {
    (!text.is_empty()).then(|| key::check(text.as_bytes(), KEY_BYTES).map(str::to_owned))
}

fn number(value: i64) -> Key {
    (value != 0).then(|| Ok(value.to_string()))
}

fn agreed(keys: impl Iterator<Item = Key>) -> Key {
    keys.flatten().fold(None, |before, key| match before {
        None => Some(key),
        Some(before) if before == key => Some(before),
        Some(_) => Some(Err(Reason::KeyConflict)),
    })
}

fn tenant() -> impl Strategy<Value = Tenant> {
    let id = prop_oneof![4 => "[ab]{0,2}", 1 => "\\PC{0,24}", 1 => any::<String>()];
    let number = prop_oneof![Just(0), -2..3i64, any::<i64>()];
    (id, number, any::<i32>(), any::<i64>()).prop_map(|(id, number, zigzag, fixed)| Tenant {
        id,
        number,
        zigzag,
        fixed,
    })
}

fn order() -> impl Strategy<Value = Order> {
    let labels = proptest::collection::btree_map("[a-z]{0,3}", any::<bool>(), 0..3);
    let lists = (vec(tenant(), 0..3), vec(0..3u32, 0..3), vec(0..3u32, 0..3));
    (proptest::option::of(tenant()), lists, vec(any::<u8>(), 0..20), any::<f64>(), labels).prop_map(
        |(tenant, (batch, packed, unpacked), payload, amount, labels)| Order {
            tenant,
            batch,
            payload,
            packed,
            unpacked,
            amount,
            labels,
        },
    )
}

/// Bytes close to a message: some are changed, others cut out or put in.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), 0..3u8, prop_oneof![any::<u8>(), 0..0x30u8]);
    (vec(order(), 1..3), vec(change, 0..4)).prop_map(|(orders, changes)| {
        // Two messages, one behind the other, are one that is merged.
        let mut bytes: Vec<u8> = orders.iter().flat_map(Message::encode_to_vec).collect();
        for (index, change, byte) in changes {
            let index = index.index(bytes.len() + 1);
            match change {
                0 => bytes.insert(index, byte),
                1 if index < bytes.len() => bytes[index] = byte,
                _ if index < bytes.len() => drop(bytes.remove(index)),
                _ => {}
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn the_keys_are_those_of_prost(order in order()) {
        let keys = scan(&query(&PATHS, Duplicates::Reject), Framing::None, &order.encode_to_vec());
        prop_assert_eq!(keys, Ok(expected(&order)));
    }

    /// Whatever the bytes are: a key is the one that prost finds, and an absent one is absent for it too.
    #[test]
    fn no_server_finds_another_key(bytes in damaged()) {
        for duplicates in [Duplicates::Reject, Duplicates::Last] {
            let keys = scan(&query(&PATHS, duplicates), Framing::None, &bytes);
            if let (Ok(keys), Ok(order)) = (keys, Order::decode(&bytes[..])) {
                for (path, (key, expected)) in PATHS.iter().zip(keys.into_iter().zip(expected(&order))) {
                    match key {
                        Some(Ok(ref found)) if found != "0" => prop_assert_eq!(key, expected, "{}", path),
                        None => prop_assert_eq!(expected, None, "{}", path),
                        Some(_) => {}
                    }
                }
            }
        }
    }

    /// What prost refuses for its syntax is refused.
    #[test]
    fn what_is_no_message_is_refused(bytes in vec(prop_oneof![any::<u8>(), 0..0x30u8], 0..24)) {
        // A message without fields of its own: prost only skips.
        let is_message = <()>::decode(&bytes[..]).is_ok();
        let result = scan(&query(&["536870911.1"], Duplicates::Reject), Framing::None, &bytes);
        if !is_message {
            prop_assert!(result.is_err(), "{:02x?}", bytes);
        }
    }

    #[test]
    fn the_messages_of_a_call_are_read_in_any_framing(
        orders in vec((order(), any::<bool>()), 0..3),
        is_gzip in any::<bool>(),
    ) {
        let compression = if is_gzip { Compression::Gzip } else { Compression::Deflate };
        let body: Vec<u8> = orders.iter().flat_map(|(order, is_compressed)| {
            let message = order.encode_to_vec();
            match (is_compressed, is_gzip) {
                (false, _) => frame(0, message),
                (true, true) => frame(1, gzip(&message)),
                (true, false) => frame(1, zlib(&message)),
            }
        }).collect();
        let each: Vec<_> = orders.iter().map(|(order, _)| expected(order)).collect();
        let all = (0..PATHS.len()).map(|path| agreed(each.iter().map(|keys| keys[path].clone()))).collect();
        let query = query(&PATHS, Duplicates::Reject);
        let expected = Ok::<Vec<Key>, BodyError>(all);
        for framing in [Framing::Grpc(compression), Framing::GrpcWeb(compression)] {
            prop_assert_eq!(&scan_chunks(&query, framing, body.chunks(7)), &expected);
        }
        let web = Framing::GrpcWebText(compression);
        prop_assert_eq!(&scan_chunks(&query, web, base64(&body).chunks(5)), &expected);
    }

    #[test]
    fn no_call_panics_and_no_cut_matters(bytes in vec(prop_oneof![any::<u8>(), 0..4u8], 0..40), web in any::<bool>()) {
        let framing = if web { Framing::GrpcWeb(Compression::Gzip) } else { Framing::Grpc(Compression::Deflate) };
        let _ = scan(&query(&PATHS, Duplicates::Reject), framing, &bytes);
    }
}
