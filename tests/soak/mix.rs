//! The traffic: requests of every kind in fixed proportions, each with its expected result.

use bytes::Bytes;
use cellgate_bench_documents::KeyAt;
use cellgate_tests::client::Request;
use cellgate_tests::sha256;

use crate::bodies::{Flaw, Shape, body, flawed};
use crate::tenants::{TENANTS, Tenant};

/// The largest body that the filter holds. It peeks at larger bodies and those without a length, and then guards or
/// defers them, so the traffic takes every path through both tiers.
pub(crate) const INSPECT_BYTES: u32 = 64 * 1024;

/// One request and its expected result.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    /// The kind of request, for the tally.
    pub(crate) kind: &'static str,
    pub(crate) protocol: Protocol,
    pub(crate) request: Request,
    /// The size of its body.
    pub(crate) bytes: usize,
    pub(crate) wanted: Wanted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// The expected result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The tenant's cell gets the body with this hash.
    Cell(Tenant, String),
    /// No cell gets it. The status and the code of the refusal.
    Refusal(u16, &'static str),
    /// The client aborts after these bytes of the body. No cell may receive a complete request.
    Abandoned(Bytes),
}

/// All visits with their weights. Every sequence of them has about the same mixture.
#[derive(Debug)]
pub(crate) struct Mix {
    visits: Vec<Visit>,
    /// Running totals of the weights.
    totals: Vec<u64>,
}

/// Body sizes in bytes, each with its share in 1000 bodies.
const SIZES: [(usize, u64); 6] =
    [(256, 450), (4096, 330), (65_536, 160), (300_000, 42), (1_000_000, 14), (5_000_000, 4)];

/// Larger bodies exist for a few tenants only, to limit the memory.
const FOR_ALL_TENANTS: usize = 65_536;

/// The size of chunks and frames of a body without a length.
const PIECE: usize = 16 * 1024;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

impl Mix {
    /// Creates all bodies, about 100 MB.
    pub(crate) fn new() -> Self {
        let mut mix = Self { visits: Vec::new(), totals: Vec::new() };
        for (size, share) in SIZES {
            for (shape, parts) in [(Shape::Dense, 44), (Shape::LongString, 8), (Shape::Escapes, 6), (Shape::Form, 12)] {
                mix.add(share * parts, placed(shape, size));
            }
            for (flaw, parts) in [(Flaw::Missing, 4), (Flaw::Duplicated, 4), (Flaw::Malformed, 4), (Flaw::Encoded, 2)] {
                mix.add(share * parts, refused(flaw, size));
            }
            mix.add(share * 3, abandoned(size));
        }
        mix.add(1000 * 10, headers_only());
        mix.add(1000 * 3, spoofed());
        mix
    }

    /// The visit with a number. Successive numbers spread evenly over all visits (Weyl sequence with the golden ratio).
    pub(crate) fn visit(&self, number: u64) -> Option<&Visit> {
        let total = self.totals.last().copied()?;
        let place = (u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)) * u128::from(total)) >> 64;
        self.visits.get(self.totals.partition_point(|end| u128::from(*end) <= place))
    }

    /// Distributes a weight among visits.
    fn add(&mut self, weight: u64, visits: Vec<Visit>) {
        /// A factor so that no visit's share is rounded to zero.
        const GRAIN: u64 = 1_000_000;
        let each = weight * GRAIN / (visits.len() as u64).max(1);
        for visit in visits {
            self.totals.push(self.totals.last().copied().unwrap_or(0) + each);
            self.visits.push(visit);
        }
    }
}

fn placed(shape: Shape, size: usize) -> Vec<Visit> {
    let tenants = if size > FOR_ALL_TENANTS { &TENANTS[2..5] } else { &TENANTS[..] };
    let mut visits = Vec::new();
    for tenant in tenants {
        for key in [KeyAt::First, KeyAt::Last] {
            let body = Bytes::from(body(shape, size, key, tenant.name));
            let wanted = Wanted::Cell(*tenant, sha256(&body));
            let content_type = if shape == Shape::Form { FORM } else { JSON };
            let request = post(content_type);
            // Two requests with a Content-Length for each without one.
            let framings = [sized(&request, &body), sized(&request, &body), pieces(&request, &body)];
            for (request, kind) in framings.into_iter().zip([shape.name(), shape.name(), "unknown length"]) {
                visits.extend(both(kind, &request, body.len(), &wanted));
            }
        }
    }
    visits
}

fn refused(flaw: Flaw, size: usize) -> Vec<Visit> {
    let body = Bytes::from(flawed(flaw, size));
    let mut request = post(JSON);
    if flaw == Flaw::Encoded {
        request = request.header("content-encoding", "br");
    }
    let (status, code) = flaw.answer();
    let wanted = Wanted::Refusal(status, code);
    let framings = [sized(&request, &body), pieces(&request, &body)];
    framings.iter().flat_map(|request| both(flaw.name(), request, body.len(), &wanted)).collect()
}

fn abandoned(size: usize) -> Vec<Visit> {
    let mut visits = Vec::new();
    for key in [KeyAt::First, KeyAt::Last] {
        let body = Bytes::from(body(Shape::Dense, size, key, "acme"));
        let wanted = Wanted::Abandoned(body.slice(..size / 2));
        visits.extend(both("abandoned", &sized(&post(JSON), &body), size, &wanted));
    }
    visits
}

fn headers_only() -> Vec<Visit> {
    let visits = TENANTS.iter().flat_map(|tenant| {
        let request = Request::get("/api/orders").header("x-tenant-id", tenant.name);
        both("no body", &request, 0, &Wanted::Cell(*tenant, sha256(b"")))
    });
    visits.collect()
}

/// Requests with a routing header of the client, which must have no effect.
fn spoofed() -> Vec<Visit> {
    let visits = TENANTS.iter().flat_map(|tenant| {
        let body = Bytes::from(body(Shape::Dense, 1000, KeyAt::Last, tenant.name));
        let request = post(JSON).header("x-cell", "cell-c").header("X-Cell", "cell-a").header("x-cellgate-defer", "x");
        both("spoofed cell", &sized(&request, &body), body.len(), &Wanted::Cell(*tenant, sha256(&body)))
    });
    visits.collect()
}

fn post(content_type: &str) -> Request {
    Request::post("/api/orders").header("content-type", content_type)
}

fn sized(request: &Request, body: &Bytes) -> Request {
    request.clone().body(body.clone())
}

fn pieces(request: &Request, body: &Bytes) -> Request {
    let starts = (0..body.len()).step_by(PIECE);
    request.clone().pieces(starts.map(|start| body.slice(start..body.len().min(start + PIECE))))
}

fn both(kind: &'static str, request: &Request, bytes: usize, wanted: &Wanted) -> [Visit; 2] {
    [Protocol::Http1, Protocol::Http2].map(|protocol| Visit {
        kind,
        protocol,
        request: request.clone(),
        bytes,
        wanted: wanted.clone(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_sequence_has_the_whole_mixture() {
        let mix = Mix::new();
        let (mut kinds, mut large, mut http2) = (BTreeMap::<_, u64>::new(), 0, 0);
        for number in 50_000..60_000 {
            let visit = mix.visit(number).unwrap();
            *kinds.entry(visit.kind).or_default() += 1;
            large += u64::from(visit.bytes == 5_000_000);
            http2 += u64::from(visit.protocol == Protocol::Http2);
        }
        assert_eq!(kinds.len(), 12, "{kinds:?}");
        assert!(kinds.values().all(|count| *count > 100), "{kinds:?}");
        assert!((20..60).contains(&large), "{large}");
        assert!((4_500..5_500).contains(&http2), "{http2}");
    }
}
