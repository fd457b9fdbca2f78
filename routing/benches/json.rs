//! How fast a body is scanned, beside two yardsticks: `memchr` for a byte that does not occur (the least anyone can do
//! with every byte) and serde_json's `IgnoredAny` (a good parser that keeps nothing, and needs the whole body).
//!
//! `cargo bench -p cellgate-routing --bench json`

use std::fmt::Write as _;
use std::sync::Arc;

use cellgate_routing::Duplicates;
use cellgate_routing::body::{BodyScanner, Candidate};
use cellgate_routing::json::{JsonQuery, JsonScanner};
use divan::counter::BytesCount;
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

const SIZES: &[usize] = &[256, 4 << 10, 64 << 10, 1 << 20];

/// A document of about `size` bytes.
type Make = fn(usize) -> String;

/// Many small objects, no two alike, with the key before them.
fn objects_key_first(size: usize) -> String {
    format!("{{\"tenant\":{{\"id\":\"acme\"}},\"items\":{}}}", objects(size.saturating_sub(38)))
}

/// Many small objects, no two alike, with the key after them.
fn objects_key_last(size: usize) -> String {
    format!("{{\"items\":{},\"tenant\":{{\"id\":\"acme\"}}}}", objects(size.saturating_sub(38)))
}

/// One string.
fn text(size: usize) -> String {
    let text = "Lorem ipsum dolor sit amet, consectetur. ".repeat(size / 41 + 1);
    let text = text.get(..size.saturating_sub(40)).unwrap_or_default();
    format!("{{\"text\":\"{text}\",\"tenant\":{{\"id\":\"acme\"}}}}")
}

/// The objects again, indented.
fn pretty(size: usize) -> String {
    let value: serde_json::Value = serde_json::from_str(&objects_key_last(size * 4 / 7)).unwrap_or_default();
    serde_json::to_string_pretty(&value).unwrap_or_default()
}

/// A generator of Numerical Recipes: branch predictors must not learn the document by heart.
fn objects(size: usize) -> String {
    let mut state = 7_u32;
    let mut random = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % below
    };
    let mut out = String::from("[");
    let mut separator = "";
    loop {
        let mut item = String::new();
        let (id, price, cents) = (random(1_000_000), random(1000), random(100));
        let name = &"a rather good widget of medium size"[..random(35) as usize];
        let _ = write!(item, "{separator}{{\"id\":{id},\"name\":\"{name}\",\"price\":{price}.{cents},\"tags\":[");
        let tags: Vec<String> = (0..random(4)).map(|_| format!("\"t{}\"", random(500))).collect();
        let (active, team) = (random(2) == 0, random(100));
        let _ = write!(item, "{}],\"active\":{active},\"owner\":{{\"team\":{team},\"lead\":null}}}}", tags.join(","));
        if out.len() + item.len() >= size {
            out.push(']');
            return out;
        }
        out.push_str(&item);
        separator = ",";
    }
}

fn query() -> Arc<JsonQuery> {
    let pointer = "/tenant/id".parse().into_iter().collect();
    Arc::new(JsonQuery::new(pointer, Duplicates::Reject, 64, 256))
}

fn cellgate(bencher: Bencher<'_, '_>, document: &str) {
    let query = query();
    bencher.counter(BytesCount::of_str(document)).bench_local(|| {
        let mut scanner = JsonScanner::new(Arc::clone(&query));
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
                super::cellgate(bencher, &MAKE(size));
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

group!(objects_key_first, objects_key_last, text, pretty);
