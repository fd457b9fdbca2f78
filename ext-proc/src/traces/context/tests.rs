use hyper::header::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn metadata<'a>(fields: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value).unwrap());
    }
    map
}

/// `name: value, name: value`
fn read(fields: &str) -> TraceContext {
    let fields = fields.split(", ").filter_map(|field| field.split_once(": "));
    TraceContext::of(&metadata(fields.map(|(name, value)| (name, value.as_bytes()))))
}

fn context(parent: Option<(&str, &str)>, sampled: Option<bool>, is_w3c: bool) -> TraceContext {
    let parent = parent.map(|(trace, span)| SpanIds {
        trace: TraceId::from_hex(trace).unwrap(),
        span: SpanId::from_hex(span).unwrap(),
    });
    TraceContext { parent, sampled, is_w3c }
}

#[test]
fn w3c_names_the_parent_and_whether_it_is_sampled() {
    for (flags, sampled) in [("00", false), ("01", true), ("02", false), ("03", true), ("fe", false), ("ff", true)] {
        let expected = context(Some((TRACE, SPAN)), Some(sampled), true);
        for (version, rest) in [("00", ""), ("01", ""), ("cc", "-more-of-it"), ("fe", "-")] {
            let field = format!("traceparent: {version}-{TRACE}-{SPAN}-{flags}{rest}");
            assert_eq!(read(&field), expected, "{field}");
        }
    }
}

#[test]
fn b3_is_read_in_both_forms_with_ids_of_either_length() {
    let (long, short) = (Some((TRACE, SPAN)), Some(("0000000000000000a3ce929d0e0e4736", SPAN)));
    for (fields, parent, sampled) in [
        (format!("b3: {TRACE}-{SPAN}-1"), long, Some(true)),
        (format!("b3: {TRACE}-{SPAN}-d"), long, Some(true)),
        (format!("b3: {TRACE}-{SPAN}-0-05e3ac9a4f6e3b90"), long, Some(false)),
        (format!("b3: {TRACE}-{SPAN}"), long, None),
        (format!("b3: a3ce929d0e0e4736-{SPAN}-1"), short, Some(true)),
        ("b3: 0".to_owned(), None, Some(false)),
        ("b3: d".to_owned(), None, Some(true)),
        (format!("x-b3-traceid: {TRACE}, x-b3-spanid: {SPAN}, x-b3-sampled: 1"), long, Some(true)),
        (format!("x-b3-traceid: {TRACE}, x-b3-spanid: {SPAN}, x-b3-sampled: 0"), long, Some(false)),
        (format!("x-b3-traceid: a3ce929d0e0e4736, x-b3-spanid: {SPAN}, x-b3-flags: 1"), short, Some(true)),
        (format!("x-b3-traceid: {TRACE}, x-b3-spanid: {SPAN}"), long, None),
        ("x-b3-sampled: false".to_owned(), None, Some(false)),
    ] {
        assert_eq!(read(&fields), context(parent, sampled, false), "{fields}");
    }
    let both = format!("traceparent: 00-{TRACE}-{SPAN}-01, b3: 0, x-b3-sampled: 0");
    assert_eq!(read(&both).sampled, Some(true), "W3C first");
    assert_eq!(read("b3: 1, x-b3-sampled: 0").sampled, Some(true), "then the single field");
}

/// "A context is used whole or not at all": otherwise the caller's flag makes traces without a parent.
#[test]
fn junk_ids_of_b3_are_ignored_with_their_flag() {
    for fields in [
        format!("x-b3-traceid: JUNK, x-b3-spanid: {SPAN}, x-b3-sampled: 1"),
        format!("x-b3-traceid: {TRACE}, x-b3-traceid: {TRACE}, x-b3-spanid: {SPAN}, x-b3-flags: 1"),
    ] {
        assert_eq!(read(&fields), TraceContext::default(), "{fields}");
    }
}

/// The SDK's propagator takes some of these: short ids and signs, because it parses numbers.
#[test]
fn junk_is_ignored_whole() {
    let zeros = "0".repeat(32);
    let upper = TRACE.to_uppercase();
    for traceparent in [
        "",
        "-",
        "---",
        "00",
        &format!("00-{TRACE}-{SPAN}"),
        &format!("00-{TRACE}-{SPAN}-"),
        &format!("00-{TRACE}-{SPAN}-1"),
        &format!("00-{TRACE}-{SPAN}-01-"),
        &format!("00-{TRACE}-{SPAN}-01-more"),
        &format!("00-{TRACE}-{SPAN}-0g"),
        &format!("01-{TRACE}-{SPAN}-01more"),
        &format!("ff-{TRACE}-{SPAN}-01"),
        &format!("0-0{TRACE}-{SPAN}-01"),
        &format!("00-{upper}-{SPAN}-01"),
        &format!("0A-{TRACE}-{SPAN}-01"),
        &format!("00-{zeros}-{SPAN}-01"),
        &format!("00-{TRACE}-0000000000000000-01"),
        &format!("00-{TRACE}-+0f067aa0ba902b7-01"),
        &format!("00-{TRACE}-0f067aa0ba902b7-001"),
        &format!(" 00-{TRACE}-{SPAN}-0"),
        &format!("00_{TRACE}_{SPAN}_01"),
        &format!("01-{TRACE}-{SPAN}-01-{}", "x".repeat(512)),
        &"0".repeat(64 << 10),
        &format!("00-{TRACE}-{SPAN}-01").repeat(1200),
    ] {
        let map = metadata([("traceparent", traceparent.as_bytes())]);
        assert_eq!(TraceContext::of(&map), TraceContext::default(), "{}", traceparent.get(..80).unwrap_or(traceparent));
    }
    let valid = format!("00-{TRACE}-{SPAN}-01");
    let twice = metadata([("traceparent", valid.as_bytes()), ("traceparent", valid.as_bytes())]);
    assert_eq!(TraceContext::of(&twice), TraceContext::default(), "nobody knows which one counts");
    for b3 in [
        "",
        "2",
        "true",
        &format!("{TRACE}-{SPAN}-2"),
        &format!("{TRACE}-{SPAN}-1-"),
        &format!("{TRACE}-{SPAN}-1-{SPAN}-1"),
        &format!("{upper}-{SPAN}-1"),
        &format!("{zeros}-{SPAN}-1"),
        &format!("{TRACE}-{SPAN}{SPAN}"),
        &format!("{TRACE}{SPAN}"),
        &"1".repeat(64 << 10),
    ] {
        let map = metadata([("b3", b3.as_bytes())]);
        assert_eq!(TraceContext::of(&map), TraceContext::default(), "{}", b3.get(..80).unwrap_or(b3));
    }
    for fields in [
        format!("x-b3-traceid: {TRACE}"),
        format!("x-b3-spanid: {SPAN}"),
        format!("x-b3-traceid: {upper}, x-b3-spanid: {SPAN}"),
        format!("x-b3-traceid: {TRACE}, x-b3-spanid: {SPAN}, x-b3-spanid: {SPAN}"),
        "x-b3-sampled: yes".to_owned(),
    ] {
        assert_eq!(read(&fields), TraceContext::default(), "{fields}");
    }
}

#[test]
fn a_trace_state_is_kept_if_it_is_short_and_valid() {
    let state = |value: &str| trace_state(&metadata([("tracestate", value.as_bytes())])).header();
    assert_eq!(state("congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"), "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7");
    assert_eq!(state("no pair"), "");
    assert_eq!(state(&format!("a={}", "x".repeat(511))), "");
    assert_eq!(trace_state(&metadata([("tracestate", &b"a=b"[..]), ("tracestate", b"c=d")])).header(), "");
}

proptest! {
    /// Whatever comes, an accepted context is in the field as it would be written.
    #[test]
    fn an_accepted_context_stands_in_its_field(
        traceparent in prop_oneof!["[0-9a-f]{2}-[0-9a-f]{31,33}-[0-9a-f]{15,17}-[0-9a-f]{2}(-.{0,9})?", "[ -~]{0,80}"],
        b3 in prop_oneof!["([0-9a-f]{15,17}|[0-9a-f]{32})-[0-9a-f]{16}(-[01d2])?(-[0-9a-f]{16})?", "[ -~]{0,80}"],
    ) {
        let fields = [("traceparent", &traceparent), ("b3", &b3)];
        let valid = fields.into_iter().filter(|(_, value)| HeaderValue::from_str(value).is_ok());
        let map = metadata(valid.map(|(name, value)| (name, value.as_bytes())));
        let TraceContext { parent, sampled, is_w3c } = TraceContext::of(&map);
        if let Some(SpanIds { trace, span }) = parent {
            let (trace, span) = (trace.to_string(), span.to_string());
            if is_w3c {
                let rest = traceparent.get(2..).unwrap_or_default();
                let expected = format!("-{trace}-{span}-");
                prop_assert!(rest.starts_with(&expected) && sampled.is_some());
            } else {
                let (long, short) = (format!("{trace}-{span}"), format!("{}-{span}", &trace[16..]));
                prop_assert!(b3.starts_with(&long) || (b3.starts_with(&short) && trace.starts_with(&"0".repeat(16))));
            }
        } else if let Some(sampled) = sampled {
            prop_assert_eq!(b3.as_str() == "0", !sampled);
        }
    }
}
