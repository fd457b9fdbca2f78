//! A case: how a request is sent, and the rule that its result must keep.

use std::future::Future;
use std::pin::Pin;

use anyhow::Result;

use crate::observed::Observed;
use crate::rule::Rule;
use crate::scene::Scene;
use crate::setup::Setup;
use crate::upload::Framing;

/// The work of a case. It returns its result.
pub(crate) type Run = for<'a> fn(Scene<'a>) -> Pin<Box<dyn Future<Output = Result<Observed>> + 'a>>;

/// A [`Run`] of an async function, whose first argument is the [`Scene`].
macro_rules! run {
    ($function:path $(, $argument:expr)*) => {
        |scene| Box::pin($function(scene $(, $argument)*))
    };
}
pub(crate) use run;

/// Who decides, and how it gets the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The filter holds the whole body and decides.
    Hold,
    /// The filter decides from the first chunk and lets the body stream.
    Peek,
    /// The filter defers, and the service gets the body in FULL_DUPLEX_STREAMED mode.
    Deferred,
    /// The service alone, in FULL_DUPLEX_STREAMED mode.
    Streamed,
    /// The service alone, in BUFFERED mode.
    Buffered,
    /// The service alone, without Envoy: the case sends the messages of the protocol itself.
    ByHand,
}

/// One row of the document.
#[derive(Clone)]
pub(crate) struct Case {
    /// Unique. It is also the path of the request.
    pub(crate) name: String,
    pub(crate) mode: Mode,
    /// The state of the request when it happens.
    pub(crate) phase: &'static str,
    /// The event in this phase.
    pub(crate) event: &'static str,
    pub(crate) rule: Rule,
    pub(crate) setup: Setup,
    pub(crate) run: Run,
    /// Why Envoy's versions differ. Without it they must not.
    pub(crate) differs: Option<&'static str>,
}

impl Case {
    /// A case on the setup of its mode. Its name is that of the mode and `name`.
    pub(crate) fn new(mode: Mode, name: &str, phase: &'static str, event: &'static str, rule: Rule, run: Run) -> Self {
        let name = format!("{}-{name}", mode.prefix());
        Self { name, mode, phase, event, rule, setup: mode.setup(), run, differs: None }
    }

    /// On another setup.
    pub(crate) fn on(mut self, setup: Setup) -> Self {
        self.setup = setup;
        self
    }

    /// Envoy's versions differ, for this reason.
    pub(crate) fn differs(mut self, why: &'static str) -> Self {
        self.differs = Some(why);
        self
    }
}

impl Mode {
    /// The mode in the document.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Mode::Hold => "filter, hold",
            Mode::Peek => "filter, peek",
            Mode::Deferred => "both tiers",
            Mode::Streamed => "service, streamed",
            Mode::Buffered => "service, buffered",
            Mode::ByHand => "service, by hand",
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Mode::Hold => "hold",
            Mode::Peek => "peek",
            Mode::Deferred => "deferred",
            Mode::Streamed => "streamed",
            Mode::Buffered => "buffered",
            Mode::ByHand => "by-hand",
        }
    }

    fn setup(self) -> Setup {
        match self {
            Mode::Hold | Mode::Peek | Mode::Deferred => Setup::TwoTier,
            Mode::Streamed => Setup::Streamed,
            Mode::Buffered => Setup::Buffered,
            Mode::ByHand => Setup::Service,
        }
    }

    /// Whether only the filter may see the request.
    pub(crate) fn is_filter_only(self) -> bool {
        matches!(self, Mode::Hold | Mode::Peek)
    }

    /// The framing over HTTP/1.1 that leads to this mode.
    pub(crate) fn http1(self) -> Framing {
        match self {
            Mode::Hold | Mode::Buffered => Framing::Http1,
            Mode::Peek | Mode::Deferred | Mode::Streamed | Mode::ByHand => Framing::Http1Chunked,
        }
    }

    /// The framing over HTTP/2 that leads to this mode.
    pub(crate) fn http2(self) -> Framing {
        match self {
            Mode::Hold | Mode::Buffered => Framing::Http2,
            Mode::Peek | Mode::Deferred | Mode::Streamed | Mode::ByHand => Framing::Http2Unsized,
        }
    }
}
