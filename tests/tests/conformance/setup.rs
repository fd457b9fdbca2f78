//! The setups: Envoys with their neighbours. Cases share them, one after the other.

mod chain;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use cellgate_tests::ext_proc::ExtProc;
use cellgate_tests::options::{BodyMode, Chain, Options, sample_config};
use cellgate_tests::stack::Stack;
use serde_json::json;
use tempfile::TempDir;

use crate::authorization::Authorization;
use crate::pass_through::PassThrough;

/// Envoy's buffer limit for chains of both tiers, and the filter's `inspect_bytes`.
const LIMIT: u32 = 32 * 1024;

/// Envoy's buffer limit where a neighbour holds whole bodies.
const NEIGHBOURS_LIMIT: u32 = 1024 * 1024;

/// A chain of filters, and what stands beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Setup {
    /// The filter, and the service behind the matcher.
    TwoTier,
    /// The service alone, FULL_DUPLEX_STREAMED.
    Streamed,
    /// The service alone, BUFFERED.
    Buffered,
    /// The service without Envoy.
    Service,
    /// Both tiers, and cells that go away.
    MortalCells,
    /// The service alone, FULL_DUPLEX_STREAMED, and a cell that does not read.
    SilentCell,
    /// Both tiers, with one retry.
    Retries,
    /// The service alone, FULL_DUPLEX_STREAMED, with one retry.
    RetriesStreamed,
    /// Both tiers, with `failure_mode_allow`.
    FailOpen,
    /// The service alone, FULL_DUPLEX_STREAMED, with `failure_mode_allow`.
    FailOpenStreamed,
    /// The service alone, BUFFERED, with `failure_mode_allow`.
    FailOpenBuffered,
    /// The service alone, FULL_DUPLEX_STREAMED, with a short keep-alive.
    FrozenStreamed,
    /// The service alone, BUFFERED, with a short message timeout.
    FrozenBuffered,
    /// Envoy's decompressor in front of both tiers.
    Decompressor,
    /// Envoy's buffer filter in front of both tiers.
    BufferInFront,
    /// Envoy's ext_authz filter with the body behind both tiers.
    Authorized,
    /// Another FULL_DUPLEX_STREAMED processor behind both tiers, which defer as `buffer`.
    OtherBehindBuffer,
    /// Another FULL_DUPLEX_STREAMED processor behind both tiers.
    OtherBehind,
    /// Another FULL_DUPLEX_STREAMED processor in front of both tiers.
    OtherInFront,
    /// A filter that removes the routing header behind both tiers.
    HeaderRemoved,
    /// A filter that sets the routing header in front of both tiers.
    HeaderSet,
    /// Both tiers, which decode bodies.
    Encodings,
    /// The service alone, FULL_DUPLEX_STREAMED, which decodes bodies.
    EncodingsStreamed,
}

/// A running setup. Dropping it stops every part.
pub(crate) struct Running {
    stack: Option<Stack>,
    service: Option<(ExtProc, TempDir)>,
    pub(crate) authorization: Option<Authorization>,
    pub(crate) other: Option<PassThrough>,
}

impl Setup {
    /// Starts every part.
    ///
    /// # Errors
    /// When a part does not start.
    pub(crate) async fn start(self) -> Result<Running> {
        let mut running = Running { stack: None, service: None, authorization: None, other: None };
        if self == Setup::Service {
            let directory = tempfile::Builder::new().prefix("cellgate-").tempdir()?;
            let options = ["--decision-timeout", "2s"].map(str::to_owned);
            running.service = Some((ExtProc::start(&sample_config(), directory.path(), &options).await?, directory));
            return Ok(running);
        }
        if self == Setup::Authorized {
            running.authorization = Some(Authorization::start().await?);
        }
        if matches!(self, Setup::OtherBehindBuffer | Setup::OtherBehind | Setup::OtherInFront) {
            running.other = Some(PassThrough::start().await);
        }
        let authorization = running.authorization.as_ref().map(Authorization::address);
        let other = running.other.as_ref().map(PassThrough::address);
        let neighbour = authorization.or(other);
        running.stack = Some(Stack::try_start(self.options(neighbour)).await.with_context(|| format!("{self}"))?);
        Ok(running)
    }

    fn options(self, neighbour: Option<SocketAddr>) -> Options {
        let two_tiers = || Options::default().buffer_limit(LIMIT);
        let beside = || {
            let limits = json!({"inspect_bytes": LIMIT});
            Options::default().buffer_limit(NEIGHBOURS_LIMIT).configure(|config| config["limits"] = limits)
        };
        let service = |mode| Options::default().chain(Chain::Service(mode));
        let encodings = |options: Options| {
            options.configure(|config| config["content_encodings"] = json!(["gzip", "deflate", "br", "zstd"]))
        };
        let port = neighbour.map_or(0, |address| address.port());
        match self {
            Setup::TwoTier | Setup::MortalCells | Setup::Service => two_tiers(),
            Setup::Streamed | Setup::SilentCell => service(BodyMode::Streamed),
            Setup::Buffered => service(BodyMode::Buffered),
            Setup::Retries => beside().retries(1),
            Setup::RetriesStreamed => service(BodyMode::Streamed).retries(1),
            Setup::FailOpen => two_tiers().adjust(chain::fail_open),
            Setup::FailOpenStreamed => service(BodyMode::Streamed).adjust(chain::fail_open),
            Setup::FailOpenBuffered => service(BodyMode::Buffered).adjust(chain::fail_open),
            Setup::FrozenStreamed => service(BodyMode::Streamed).adjust(chain::short_keep_alive),
            Setup::FrozenBuffered => service(BodyMode::Buffered).message_timeout(Duration::from_secs(2)),
            Setup::Decompressor => two_tiers().adjust(chain::in_front(chain::decompressor())),
            Setup::BufferInFront => two_tiers().adjust(chain::in_front(chain::buffer())),
            Setup::Authorized => beside().adjust(chain::authorized(port)),
            Setup::OtherBehindBuffer => beside().concurrency(2).adjust(move |bootstrap| {
                chain::other_behind(port)(bootstrap);
                chain::defer_as_buffer(bootstrap);
            }),
            Setup::OtherBehind => beside().concurrency(2).adjust(chain::other_behind(port)),
            Setup::OtherInFront => beside().adjust(chain::other_in_front(port)),
            Setup::HeaderRemoved => two_tiers().adjust(chain::behind(chain::header_removed())),
            Setup::HeaderSet => two_tiers().adjust(chain::in_front(chain::header_set())),
            Setup::Encodings => encodings(two_tiers()),
            Setup::EncodingsStreamed => encodings(service(BodyMode::Streamed)),
        }
    }
}

impl Running {
    /// # Panics
    /// When the setup has no Envoy: the case is in the wrong mode.
    pub(crate) fn stack(&self) -> &Stack {
        self.try_stack().expect("a setup with Envoy")
    }

    pub(crate) fn try_stack(&self) -> Option<&Stack> {
        self.stack.as_ref()
    }

    /// The service of a setup without Envoy.
    ///
    /// # Panics
    /// When the setup has an Envoy: the case is in the wrong mode.
    pub(crate) fn service(&self) -> &ExtProc {
        &self.service.as_ref().expect("a setup without Envoy").0
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "setup {self:?}")
    }
}
