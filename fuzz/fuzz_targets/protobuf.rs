//! Protobuf messages and their framings, at every cut. The first byte of the input chooses the media type.
#![no_main]

mod every_cut;

use std::sync::LazyLock;

use cellgate_routing::Decider;
use libfuzzer_sys::fuzz_target;

const MEDIA_TYPES: [&str; 4] =
    ["application/x-protobuf", "application/grpc", "application/grpc-web+proto", "application/grpc-web-text"];

static DECIDER: LazyLock<Decider> =
    LazyLock::new(|| every_cut::decider(r#"[{"protobuf":"1.1"},{"protobuf":"2*.3:int64"}]"#));

fuzz_target!(|input: &[u8]| {
    let Some((choice, body)) = input.split_first() else { return };
    every_cut::decide(&DECIDER, &every_cut::head(MEDIA_TYPES[usize::from(*choice) % MEDIA_TYPES.len()]), body);
});
