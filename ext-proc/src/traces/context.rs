//! The trace context of a call: the span of Envoy that made it.
//!
//! Envoy writes the context of its own span into the gRPC metadata of a call: as W3C `traceparent` and `tracestate`, or as B3,
//! in one field or in several. The forwarded headers of a request have the client's context instead, so they are never read.
//!
//! A context is used whole or not at all. It is ignored if its field comes twice, has another length than its format, an upper
//! case digit or an id of zeros. W3C wins over B3, and `b3` over `x-b3-*`. The parser is not that of the OpenTelemetry crates:
//! they accept ids that are too short or begin with `+`, and allocate for each request.

use hyper::HeaderMap;
use opentelemetry::trace::{SpanId, TraceId, TraceState};

/// The length of a `traceparent` of version 00.
const TRACEPARENT: usize = 55;

/// The most bytes of a `traceparent` of a later version, of which the first ones are read.
const MAX_TRACEPARENT: usize = 512;

/// The most bytes of a `tracestate`. W3C asks for at least as many.
const MAX_TRACESTATE: usize = 512;

/// The most bytes of a `b3` field: two ids, a sampling state and the parent's id.
const MAX_B3: usize = 32 + 1 + 16 + 1 + 1 + 1 + 16;

/// The ids of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpanIds {
    /// The trace.
    pub trace: TraceId,
    /// The span in it.
    pub span: SpanId,
}

/// The context of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TraceContext {
    /// The span that made the call, if there is one.
    pub parent: Option<SpanIds>,
    /// Whether the caller samples the trace. `None`: it leaves that to others.
    pub sampled: Option<bool>,
    /// Whether the context is W3C's, so that a `tracestate` belongs to it.
    pub is_w3c: bool,
}

impl TraceContext {
    /// Reads the metadata of a call. Without a valid context, the result is empty.
    pub(crate) fn of(metadata: &HeaderMap) -> Self {
        w3c(metadata).or_else(|| b3(metadata)).or_else(|| b3_fields(metadata)).unwrap_or_default()
    }
}

/// The vendors' part of a W3C context. Empty if it is absent, malformed, too long, or not in one field.
pub(crate) fn trace_state(metadata: &HeaderMap) -> TraceState {
    let value = only(metadata, "tracestate").filter(|value| value.len() <= MAX_TRACESTATE);
    let text = value.and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default();
    text.parse().unwrap_or_default()
}

/// `00-TRACE-SPAN-FLAGS`. A later version may have more behind it.
fn w3c(metadata: &HeaderMap) -> Option<TraceContext> {
    let value = only(metadata, "traceparent")?;
    let (known, rest) = value.split_at_checked(TRACEPARENT)?;
    let [version, trace, span, flags] = parts(known)?;
    let version = hex::<1>(version)?;
    let is_known_version = match version {
        [0] => rest.is_empty(),
        [0xff] => false,
        _ => value.len() <= MAX_TRACEPARENT && (rest.is_empty() || rest.starts_with(b"-")),
    };
    let [flags] = hex::<1>(flags)?;
    let parent = ids(trace, span).filter(|_| is_known_version)?;
    Some(TraceContext { parent: Some(parent), sampled: Some(flags & 1 == 1), is_w3c: true })
}

/// `TRACE-SPAN`, `TRACE-SPAN-STATE`, `TRACE-SPAN-STATE-PARENT`, or only `STATE`.
fn b3(metadata: &HeaderMap) -> Option<TraceContext> {
    let value = only(metadata, "b3").filter(|value| value.len() <= MAX_B3)?;
    if let Some(sampled) = b3_state(value) {
        return Some(TraceContext { sampled: Some(sampled), ..TraceContext::default() });
    }
    let mut parts = value.split(|byte| *byte == b'-');
    let parent = ids(parts.next()?, parts.next()?)?;
    let sampled = parts.next().map(|state| b3_state(state).ok_or(())).transpose().ok()?;
    let is_complete = parts.next().is_none_or(|parent| hex::<8>(parent).is_some()) && parts.next().is_none();
    is_complete.then_some(TraceContext { parent: Some(parent), sampled, is_w3c: false })
}

/// `x-b3-traceid`, `x-b3-spanid`, and `x-b3-sampled` or `x-b3-flags`.
fn b3_fields(metadata: &HeaderMap) -> Option<TraceContext> {
    let sampled = match (only(metadata, "x-b3-flags"), only(metadata, "x-b3-sampled")) {
        (Some(b"1"), _) => Some(true),
        (_, Some(b"1" | b"true")) => Some(true),
        (_, Some(b"0" | b"false")) => Some(false),
        _ => None,
    };
    let parent = only(metadata, "x-b3-traceid").and_then(|trace| ids(trace, only(metadata, "x-b3-spanid")?));
    // Otherwise the flag alone would make traces without a parent.
    if parent.is_none() && ["x-b3-traceid", "x-b3-spanid"].iter().any(|name| metadata.contains_key(*name)) {
        return None;
    }
    (parent.is_some() || sampled.is_some()).then_some(TraceContext { parent, sampled, is_w3c: false })
}

/// `d` is the debug flag, which implies that the trace is sampled.
fn b3_state(state: &[u8]) -> Option<bool> {
    match state {
        b"1" | b"d" => Some(true),
        b"0" => Some(false),
        _ => None,
    }
}

/// The value of a field that comes once.
fn only<'a>(metadata: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let mut values = metadata.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then_some(value.as_bytes())
}

fn parts(known: &[u8]) -> Option<[&[u8]; 4]> {
    let mut parts = known.split(|byte| *byte == b'-');
    let four = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    parts.next().is_none().then_some(four)
}

/// B3 also has trace ids of 8 bytes.
fn ids(trace: &[u8], span: &[u8]) -> Option<SpanIds> {
    let trace = hex::<16>(trace).or_else(|| {
        let mut bytes = [0; 16];
        bytes.get_mut(8..)?.copy_from_slice(&hex::<8>(trace)?);
        Some(bytes)
    })?;
    let ids = SpanIds { trace: TraceId::from_bytes(trace), span: SpanId::from_bytes(hex(span)?) };
    (ids.trace != TraceId::INVALID && ids.span != SpanId::INVALID).then_some(ids)
}

/// `N` bytes in lower case digits.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        for digit in pair {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return None,
            };
            *byte = *byte << 4 | value;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
