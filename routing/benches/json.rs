//! Speed of the JSON scanner with its fast path and without (`reference`), beside two yardsticks. `memchr` searches for a
//! byte that does not occur, which is the least that anything can do with every byte. serde_json's `IgnoredAny` is a good
//! parser that keeps nothing and needs the whole body.
//!
//! `cargo bench -p cellgate-routing --bench json`

use std::fmt::Write as _;
use std::sync::Arc;

use cellgate_routing::Duplicates;
use cellgate_routing::body::{BodyScanner, Candidate};
use cellgate_routing::document::DocumentQuery;
use cellgate_routing::json::JsonScanner;
use divan::counter::BytesCount;
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

/// 32 KiB is the filter's default limit.
const SIZES: &[usize] = &[256, 4 << 10, 32 << 10, 1 << 20];

/// Makes a document of about this size.
type Make = fn(usize) -> String;

/// Records of one shape, with the key before them.
fn same_shape_key_first(size: usize) -> String {
    format!("{{\"tenant\":{{\"id\":\"acme\"}},\"items\":{}}}", list(size.saturating_sub(38), same_shape_record))
}

/// Records of one shape, with different values.
fn same_shape(size: usize) -> String {
    key_last(size, same_shape_record)
}

/// Records of nearly one shape: lists in them have up to three elements.
fn nearly_same_shape(size: usize) -> String {
    key_last(size, nearly_same_shape_record)
}

/// The same, indented.
fn indented(size: usize) -> String {
    let value: serde_json::Value = serde_json::from_str(&nearly_same_shape(size * 4 / 7)).unwrap_or_default();
    serde_json::to_string_pretty(&value).unwrap_or_default()
}

/// Records of five shapes, in no order.
fn five_shapes(size: usize) -> String {
    key_last(size, five_shapes_record)
}

/// Records whose names differ, so that nothing repeats.
fn different_names(size: usize) -> String {
    key_last(size, different_names_record)
}

/// Messages of a conversation: long strings with escape sequences and non-ASCII characters.
fn messages(size: usize) -> String {
    key_last(size, message)
}

/// One string.
fn text(size: usize) -> String {
    let text = "Lorem ipsum dolor sit amet, consectetur. ".repeat(size / 41 + 1);
    let text = text.get(..size.saturating_sub(40)).unwrap_or_default();
    format!("{{\"text\":\"{text}\",\"tenant\":{{\"id\":\"acme\"}}}}")
}

fn key_last(size: usize, record: fn(&mut Random) -> String) -> String {
    format!("{{\"items\":{},\"tenant\":{{\"id\":\"acme\"}}}}", list(size.saturating_sub(38), record))
}

/// A list of at most `size` bytes.
fn list(size: usize, record: fn(&mut Random) -> String) -> String {
    let mut random = Random(7);
    let mut out = String::from("[");
    let mut separator = "";
    loop {
        let item = record(&mut random);
        if out.len() + separator.len() + item.len() >= size {
            out.push(']');
            return out;
        }
        out.push_str(separator);
        out.push_str(&item);
        separator = ",";
    }
}

fn same_shape_record(random: &mut Random) -> String {
    let (id, sku, title) = (random.below(1_000_000), random.text(12), random.text(35));
    let (price, cents, active, team) = (random.below(1000), random.below(100), random.flag(), random.below(100));
    format!(
        "{{\"id\":{id},\"sku\":\"{sku}\",\"title\":\"{title}\",\"price\":{price}.{cents:02},\"active\":{active},\
         \"owner\":{{\"team\":{team},\"lead\":null}}}}"
    )
}

fn nearly_same_shape_record(random: &mut Random) -> String {
    let (id, name, price, cents) = (random.below(1_000_000), random.text(35), random.below(1000), random.below(100));
    let tags: Vec<String> = (0..random.below(4)).map(|_| format!("\"t{}\"", random.below(500))).collect();
    let (tags, active, team) = (tags.join(","), random.flag(), random.below(100));
    format!(
        "{{\"id\":{id},\"name\":\"{name}\",\"price\":{price}.{cents:02},\"tags\":[{tags}],\"active\":{active},\
         \"owner\":{{\"team\":{team},\"lead\":null}}}}"
    )
}

fn five_shapes_record(random: &mut Random) -> String {
    let (a, b, flag, text) = (random.below(1_000_000), random.below(1000), random.flag(), random.text(40));
    match random.below(5) {
        0 => format!("{{\"type\":\"created\",\"at\":{a},\"by\":\"{text}\",\"id\":{b}}}"),
        1 => format!("{{\"type\":\"moved\",\"from\":{{\"x\":{a},\"y\":{b}}},\"to\":{{\"x\":{b},\"y\":{a}}}}}"),
        2 => format!("{{\"type\":\"tagged\",\"tags\":[\"{a}\",\"{b}\"],\"note\":\"{text}\"}}"),
        3 => format!("{{\"type\":\"priced\",\"price\":{b}.5,\"currency\":\"EUR\",\"valid\":{flag}}}"),
        _ => format!("{{\"type\":\"deleted\",\"at\":{a},\"reason\":null,\"cascade\":[{b},{a},{b}]}}"),
    }
}

fn different_names_record(random: &mut Random) -> String {
    let (a, b, c, text) = (random.below(100_000), random.below(1000), random.below(10_000), random.text(35));
    format!("{{\"user_{a}\":{{\"visits_{b}\":{c},\"name_{c}\":\"{text}\"}},\"flag_{c}\":{}}}", random.flag())
}

fn message(random: &mut Random) -> String {
    const ENDS: [&str; 6] = ["\\n", "\\\"", ". ", ", ", " \\u00e9t\\u00e9 ", " ü "];
    let mut content = String::new();
    for _ in 0..3 + random.below(12) {
        let end = ENDS.get(random.below(6) as usize).copied().unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = write!(content, "{}{end}", random.text(60));
    }
    format!("{{\"role\":\"user\",\"content\":\"{content}\"}}")
}

/// The linear congruential generator of Numerical Recipes. Values differ, so that branch predictors cannot learn a
/// document by heart.
struct Random(u32);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) % bound
    }

    fn flag(&mut self) -> bool {
        self.below(2) == 0
    }

    /// Plain text that is shorter than `bound`.
    fn text(&mut self, bound: u32) -> &'static str {
        let text = "a rather good widget of medium size with several more words behind it";
        text.get(..self.below(bound) as usize).unwrap_or(text)
    }
}

fn query() -> Arc<DocumentQuery> {
    let pointer = "/tenant/id".parse().into_iter().collect();
    Arc::new(DocumentQuery::new(pointer, Duplicates::Reject, 64, 256))
}

fn scan<const FAST: bool>(bencher: Bencher<'_, '_>, document: &str, new: fn(Arc<DocumentQuery>) -> JsonScanner<FAST>) {
    let query = query();
    bencher.counter(BytesCount::of_str(document)).bench_local(|| {
        let mut scanner = new(Arc::clone(&query));
        let scanned = scanner.push(black_box(document.as_bytes())).and_then(|()| scanner.finish());
        assert!(scanned.is_ok() && matches!(scanner.candidate(0), Candidate::Found("acme")));
    });
}

fn serde_json(bencher: Bencher<'_, '_>, document: &str) {
    bencher.counter(BytesCount::of_str(document)).bench_local(|| {
        let ignored: Result<serde::de::IgnoredAny, _> = serde_json::from_slice(black_box(document.as_bytes()));
        assert!(ignored.is_ok());
    });
}

fn memchr(bencher: Bencher<'_, '_>, document: &str) {
    bencher
        .counter(BytesCount::of_str(document))
        .bench_local(|| assert_eq!(memchr::memchr(0, black_box(document.as_bytes())), None));
}

macro_rules! group {
    ($($name:ident),*) => {$(
        mod $name {
            use super::*;

            const MAKE: Make = super::$name;

            #[divan::bench(args = SIZES)]
            fn cellgate(bencher: Bencher<'_, '_>, size: usize) {
                scan(bencher, &MAKE(size), JsonScanner::new);
            }

            #[divan::bench(args = SIZES)]
            fn reference(bencher: Bencher<'_, '_>, size: usize) {
                scan(bencher, &MAKE(size), JsonScanner::reference);
            }

            #[divan::bench(args = SIZES)]
            fn serde_json(bencher: Bencher<'_, '_>, size: usize) {
                super::serde_json(bencher, &MAKE(size));
            }

            #[divan::bench(args = SIZES)]
            fn memchr(bencher: Bencher<'_, '_>, size: usize) {
                super::memchr(bencher, &MAKE(size));
            }
        }
    )*};
}

group!(same_shape_key_first, same_shape, nearly_same_shape, indented, five_shapes, different_names, messages, text);
