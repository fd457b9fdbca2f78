//! The settings of a test's stack. The default is the chain that the documentation recommends.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

/// Envoy's own default for `per_connection_buffer_limit_bytes`.
pub const DEFAULT_BUFFER_LIMIT: u32 = 1024 * 1024;

/// The parts of Cellgate in the filter chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Chain {
    /// The filter, and the ext-proc service behind a matcher on the deferral header.
    #[default]
    TwoTier,
    /// The filter alone. Envoy answers a deferred request, which has no cell, with a 421.
    Filter,
    /// The ext-proc service alone, which processes every request.
    Service(BodyMode),
    /// Neither. The client's own routing header decides.
    Plain,
}

impl Chain {
    /// Whether the chain has a proxy-wasm filter.
    #[must_use]
    pub fn has_filter(self) -> bool {
        matches!(self, Self::TwoTier | Self::Filter)
    }

    pub(crate) fn has_service(self) -> bool {
        matches!(self, Self::TwoTier | Self::Service(_))
    }
}

/// How Envoy sends a request's body to the ext-proc service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyMode {
    /// `BUFFERED`: whole, in one message, up to the buffer limit.
    Buffered,
    /// `FULL_DUPLEX_STREAMED`: as it arrives, of any size. The service sends it back.
    Streamed,
}

/// Envoy's action for a header name with an underscore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Underscores {
    /// Allows it.
    Allow,
    /// Rejects the request with a 400.
    Reject,
    /// Drops the header.
    Drop,
}

type Adjustment = Box<dyn FnOnce(&mut Value) + Send>;

/// The settings, each with a default. A test sets only those that it needs:
/// `Options::default().buffer_limit(32 * 1024).chain(Chain::Filter)`.
pub struct Options {
    pub(crate) config: Value,
    pub(crate) chain: Chain,
    pub(crate) example: bool,
    pub(crate) origin: Option<String>,
    pub(crate) envoy: Option<PathBuf>,
    pub(crate) module: Option<PathBuf>,
    pub(crate) buffer_limit: Option<u32>,
    pub(crate) h2_window: Option<u32>,
    pub(crate) trailers: bool,
    pub(crate) upgrades: Vec<&'static str>,
    pub(crate) retries: u32,
    pub(crate) underscores: Underscores,
    pub(crate) stream_idle_timeout: Duration,
    pub(crate) message_timeout: Duration,
    pub(crate) concurrency: u32,
    pub(crate) wasm_log_level: &'static str,
    pub(crate) adjustments: Vec<Adjustment>,
    pub(crate) service_options: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            config: sample_config(),
            chain: Chain::default(),
            example: false,
            origin: None,
            envoy: None,
            module: None,
            buffer_limit: None,
            h2_window: None,
            trailers: true,
            upgrades: vec!["websocket", "CONNECT"],
            retries: 0,
            underscores: Underscores::Reject,
            stream_idle_timeout: Duration::from_secs(30),
            message_timeout: Duration::from_secs(10),
            concurrency: 1,
            wasm_log_level: "info",
            adjustments: Vec::new(),
            service_options: Vec::new(),
        }
    }
}

impl Options {
    /// Cellgate's configuration, for both tiers. Default: [`sample_config`].
    #[must_use]
    pub fn config(mut self, config: Value) -> Self {
        self.config = config;
        self
    }

    /// Changes the configuration set so far.
    #[must_use]
    pub fn configure(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.config);
        self
    }

    /// The parts of Cellgate. Default: both tiers.
    #[must_use]
    pub fn chain(mut self, chain: Chain) -> Self {
        self.chain = chain;
        self
    }

    /// Uses the Envoy configuration of `examples/envoy/two-tier.yaml`. Of the other Envoy settings, only the buffer
    /// limit, the workers and the adjustments apply. The cells must be the example's. Default: a bootstrap from these
    /// settings.
    #[must_use]
    pub fn example(mut self) -> Self {
        self.example = true;
        self
    }

    /// The origin whose pages [`Options::example`] allows, such as `http://127.0.0.1:8000`. Default: the example's.
    #[must_use]
    pub fn origin(mut self, origin: &str) -> Self {
        self.origin = Some(origin.to_owned());
        self
    }

    /// The Envoy binary. Default: [`crate::artifacts::envoy`].
    #[must_use]
    pub fn envoy(mut self, binary: impl Into<PathBuf>) -> Self {
        self.envoy = Some(binary.into());
        self
    }

    /// The proxy-wasm module. Default: [`crate::artifacts::wasm`].
    #[must_use]
    pub fn module(mut self, wasm: impl Into<PathBuf>) -> Self {
        self.module = Some(wasm.into());
        self
    }

    /// The listener's `per_connection_buffer_limit_bytes`. The filter cannot read it, so this sets
    /// `limits.inspect_bytes` too, unless the configuration names it. Default: 1 MiB, and the configuration's own.
    #[must_use]
    pub fn buffer_limit(mut self, bytes: u32) -> Self {
        self.buffer_limit = Some(bytes);
        self
    }

    /// The listener's HTTP/2 `initial_stream_window_size`, which is HTTP/2's buffer limit. Default: Envoy's 16 MiB.
    #[must_use]
    pub fn h2_window(mut self, bytes: u32) -> Self {
        self.h2_window = Some(bytes);
        self
    }

    /// Whether HTTP/1.1 trailers are forwarded (`enable_trailers`). Default: yes.
    #[must_use]
    pub fn trailers(mut self, passed: bool) -> Self {
        self.trailers = passed;
        self
    }

    /// The upgrades Envoy accepts. Default: `websocket` and `CONNECT`.
    #[must_use]
    pub fn upgrades(mut self, types: &[&'static str]) -> Self {
        self.upgrades = types.to_vec();
        self
    }

    /// The number of Envoy's retries after a 5xx response. Default: 0.
    #[must_use]
    pub fn retries(mut self, count: u32) -> Self {
        self.retries = count;
        self
    }

    /// Envoy's action for underscores in header names. Default: reject, as the documentation recommends.
    #[must_use]
    pub fn underscores(mut self, action: Underscores) -> Self {
        self.underscores = action;
        self
    }

    /// The stream idle timeout. Default: 30 s.
    #[must_use]
    pub fn stream_idle_timeout(mut self, timeout: Duration) -> Self {
        self.stream_idle_timeout = timeout;
        self
    }

    /// The timeout for each response message of the ext-proc service, where Envoy has one. Default: 10 s.
    #[must_use]
    pub fn message_timeout(mut self, timeout: Duration) -> Self {
        self.message_timeout = timeout;
        self
    }

    /// The number of Envoy's worker threads. Default: 1.
    #[must_use]
    pub fn concurrency(mut self, workers: u32) -> Self {
        self.concurrency = workers;
        self
    }

    /// The level of Envoy's component `wasm`, in which the filter logs. Default: `info`.
    #[must_use]
    pub fn wasm_log_level(mut self, level: &'static str) -> Self {
        self.wasm_log_level = level;
        self
    }

    /// An option of `cellgate serve`, such as `--decision-timeout` and `300ms`. Default: none.
    #[must_use]
    pub fn service_option(mut self, name: &str, value: &str) -> Self {
        self.service_options.extend([name.to_owned(), value.to_owned()]);
        self
    }

    /// An option of `cellgate serve` without a value.
    #[must_use]
    pub fn service_flag(mut self, name: &str) -> Self {
        self.service_options.push(name.to_owned());
        self
    }

    /// Changes Envoy's bootstrap as the last step, for tests that need more than the methods here.
    #[must_use]
    pub fn adjust(mut self, change: impl FnOnce(&mut Value) + Send + 'static) -> Self {
        self.adjustments.push(Box::new(change));
        self
    }

    /// The configuration that both tiers get.
    pub(crate) fn effective_config(&self) -> Value {
        self.complete(self.config.clone())
    }

    /// A configuration with the buffer limit of this stack filled in.
    pub(crate) fn complete(&self, mut config: Value) -> Value {
        if let (Some(limit), Some(fields)) = (self.buffer_limit, config.as_object_mut()) {
            let limits = fields.entry("limits").or_insert_with(|| json!({}));
            if let Some(limits) = limits.as_object_mut() {
                limits.entry("inspect_bytes").or_insert(json!(limit));
            }
        }
        config
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Options")
            .field("chain", &self.chain)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// The configuration of most tests: the cell of `acme` is `cell-b`, that of `globex` is `cell-c`, and that of every
/// other key is `cell-a`. A request without a key is rejected.
#[must_use]
pub fn sample_config() -> Value {
    json!({
        "version": "sample",
        "routing_header": "x-cell",
        "cells": ["cell-a", "cell-b", "cell-c"],
        "key": [{"json": "/tenant/id"}, {"form": "tenant_id"}, {"header": "x-tenant-id"}],
        "placement": {
            "exact": {"acme": "cell-b", "globex": "cell-c", "initech": "cell-a"},
            "default": "cell-a",
        },
    })
}
