//! What is compared: ways to bring a request to its cell, one Envoy each.

use cellgate_tests::options::{BodyMode, Chain};

use crate::cases::NamedBy;

/// One chain of HTTP filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// Envoy alone: the baseline.
    Plain,
    /// A proxy-wasm filter that does nothing.
    NoopFilter,
    /// A proxy-wasm filter that holds and copies the body, and looks at nothing.
    CopyFilter,
    /// Cellgate's filter, with the service behind it for deferred requests, of which there are none here.
    Filter,
    /// An ext-proc service that does nothing.
    NoopService(BodyMode),
    /// Cellgate's service without the filter.
    Service(BodyMode),
}

/// The service that a variant's Envoy may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// There is none.
    Nobody,
    /// [`crate::noop_service`].
    Noop,
    /// `cellgate serve`.
    Cellgate,
}

impl Variant {
    /// All of them, the baseline first.
    pub(crate) const ALL: [Self; 8] = [
        Self::Plain,
        Self::NoopFilter,
        Self::CopyFilter,
        Self::Filter,
        Self::NoopService(BodyMode::Buffered),
        Self::Service(BodyMode::Buffered),
        Self::NoopService(BodyMode::Streamed),
        Self::Service(BodyMode::Streamed),
    ];

    /// For people and for the report; no two are the same.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Plain => "Envoy alone",
            Self::NoopFilter => "no-op wasm filter",
            Self::CopyFilter => "copying wasm filter",
            Self::Filter => "**Cellgate's filter**",
            Self::NoopService(BodyMode::Buffered) => "no-op ext-proc, BUFFERED",
            Self::NoopService(BodyMode::Streamed) => "no-op ext-proc, FULL_DUPLEX_STREAMED",
            Self::Service(BodyMode::Buffered) => "**Cellgate's service**, BUFFERED",
            Self::Service(BodyMode::Streamed) => "**Cellgate's service**, FULL_DUPLEX_STREAMED",
        }
    }

    /// The harness's chain.
    pub(crate) fn chain(self) -> Chain {
        match self {
            Self::Plain => Chain::Plain,
            Self::NoopFilter | Self::CopyFilter => Chain::Filter,
            Self::Filter => Chain::TwoTier,
            Self::NoopService(mode) | Self::Service(mode) => Chain::Service(mode),
        }
    }

    /// The file of the variant's own proxy-wasm module, if it is not Cellgate's.
    pub(crate) fn module(self) -> Option<&'static str> {
        match self {
            Self::NoopFilter => Some("cellgate_bench_noop.wasm"),
            Self::CopyFilter => Some("cellgate_bench_copy.wasm"),
            Self::Plain | Self::Filter | Self::NoopService(_) | Self::Service(_) => None,
        }
    }

    /// Where its service runs.
    pub(crate) fn asked(self) -> Asked {
        match self {
            Self::Plain | Self::NoopFilter | Self::CopyFilter => Asked::Nobody,
            Self::NoopService(_) => Asked::Noop,
            Self::Filter | Self::Service(_) => Asked::Cellgate,
        }
    }

    /// Who decides: without a decision of ours, the client must name the cell. Where Cellgate decides, the route has
    /// nothing to go by but Cellgate's answer, so that a 200 from the right cell proves the decision.
    pub(crate) fn named_by(self) -> NamedBy {
        match self {
            Self::Filter | Self::Service(_) => NamedBy::Body,
            Self::Plain | Self::NoopFilter | Self::CopyFilter | Self::NoopService(_) => NamedBy::Client,
        }
    }

    /// Envoy's counter that proves that the variant did what its name says, and how far `requests` requests with
    /// `bytes` bytes each in their bodies move it.
    pub(crate) fn proof(self, requests: u64, bytes: u64) -> (&'static str, u64) {
        const STREAMS: &str = "cluster.ext-proc.upstream_rq_total";
        match self {
            Self::CopyFilter => ("wasmcustom.bench.copied_bytes", requests * bytes),
            Self::NoopService(_) | Self::Service(_) => (STREAMS, requests),
            Self::Plain | Self::NoopFilter | Self::Filter => (STREAMS, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_baseline_is_first_and_nothing_is_there_twice() {
        assert_eq!(Variant::ALL.first(), Some(&Variant::Plain));
        let titles: BTreeSet<_> = Variant::ALL.iter().map(|variant| variant.title()).collect();
        assert_eq!(titles.len(), Variant::ALL.len());
    }

    #[test]
    fn where_the_body_decides_cellgate_is_asked() {
        for variant in Variant::ALL {
            let decides = variant.asked() == Asked::Cellgate;
            assert_eq!(variant.named_by() == NamedBy::Body, decides, "{variant:?}");
        }
    }
}
