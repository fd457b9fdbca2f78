//! One request as Envoy passes it through the filter: it buffers, forwards and makes the callbacks.

use std::collections::BTreeMap;
use std::rc::Rc;

use proxy_wasm::types::Action;

use super::{Callback, Fake};
use crate::metrics::Metrics;
use crate::request::Request;

/// The tests' configuration: the key `acme` is placed in `cell-a`, and `globex` in `cell-b`.
pub(crate) const CONFIG: &str = r#"{
    "version": "test-1",
    "routing_header": "x-cell",
    "cells": ["cell-a", "cell-b"],
    "applies_to": { "paths": ["/api/"] },
    "key": [{ "json": "/tenant" }, { "form": "tenant" }, { "header": "x-tenant" }],
    "placement": { "exact": { "acme": "cell-a", "globex": "cell-b" } },
    "policy": { "path_excluded": "pass" },
    "limits": { "inspect_bytes": 1024 }
}"#;

/// A request, its client and its upstream.
pub(crate) struct Exchange {
    pub(crate) host: Fake,
    metrics: Rc<Metrics<Fake>>,
    request: Request<Fake>,
    /// Envoy's body buffer.
    buffer: Vec<u8>,
    /// The body bytes that the upstream has received.
    pub(crate) upstream: Vec<u8>,
    /// Whether the upstream has a complete body: all of its Content-Length, or the end of the stream.
    pub(crate) complete: bool,
    length: Option<usize>,
}

impl Exchange {
    /// A request to `/api/` with these headers, before any callback.
    pub(crate) fn new(headers: &[(&str, &str)]) -> Self {
        Self::with(CONFIG, headers)
    }

    pub(crate) fn with(config: &str, headers: &[(&str, &str)]) -> Self {
        let host = Fake::default();
        let plugin = host.plugin(config).unwrap();
        let metrics = Rc::clone(&plugin.metrics);
        let mut fields: Vec<_> =
            [(":method", "POST"), (":path", "/api/x")].map(|(name, value)| (name.to_owned(), value.into())).into();
        for (name, value) in headers {
            fields.retain(|(known, _): &(String, Vec<u8>)| !name.starts_with(':') || known != name);
            fields.push(((*name).to_owned(), (*value).into()));
        }
        let length = headers.iter().find(|(name, _)| *name == "content-length");
        let length = length.and_then(|(_, length)| length.parse().ok());
        host.world().headers = fields;
        let request = Request::new(Rc::new(plugin));
        Self { host, metrics, request, buffer: Vec::new(), upstream: Vec::new(), complete: false, length }
    }

    /// A JSON request with a Content-Length.
    pub(crate) fn json(length: usize) -> Self {
        let length = length.to_string();
        Self::new(&[("content-type", "application/json"), ("content-length", &length)])
    }

    /// A JSON request of unknown length.
    pub(crate) fn chunked() -> Self {
        Self::new(&[("content-type", "application/json")])
    }

    pub(crate) fn headers(&mut self, end_of_stream: bool) -> Action {
        self.host.world().callback = Callback::Headers;
        let action = self.request.on_headers(end_of_stream);
        self.apply(action, end_of_stream)
    }

    /// Delivers more of the body.
    pub(crate) fn body(&mut self, bytes: &[u8], end_of_stream: bool) -> Action {
        self.buffer.extend_from_slice(bytes);
        let size = self.buffer.len();
        {
            let mut world = self.host.world();
            world.callback = Callback::Body;
            world.body = self.buffer.clone();
        }
        let action = self.request.on_body(size, end_of_stream);
        self.apply(action, end_of_stream)
    }

    pub(crate) fn trailers(&mut self, trailers: &[(&str, &str)]) -> Action {
        {
            let mut world = self.host.world();
            world.callback = Callback::Trailers;
            world.trailers = trailers.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        }
        let action = self.request.on_trailers();
        self.apply(action, true)
    }

    /// Ends the stream: complete, refused or aborted.
    pub(crate) fn end(&mut self) {
        self.host.world().callback = Callback::End;
        self.request.on_end();
    }

    /// Runs a request as Envoy's HTTP/1 codec does: one callback per read, and an empty one at the end. A local reply ends
    /// it.
    pub(crate) fn http1(mut self, chunks: &[&[u8]]) -> Self {
        self.headers(false);
        for chunk in chunks {
            if self.answered().is_none() {
                self.body(chunk, false);
            }
        }
        if self.answered().is_none() {
            self.body(b"", true);
        }
        self.end();
        self
    }

    /// Runs a request as Envoy's HTTP/2 codec does: the last frame carries the end.
    pub(crate) fn http2(mut self, frames: &[&[u8]]) -> Self {
        self.headers(frames.is_empty());
        for (index, frame) in frames.iter().enumerate() {
            if self.answered().is_none() {
                self.body(frame, index + 1 == frames.len());
            }
        }
        self.end();
        self
    }

    /// The status of the filter's local reply.
    pub(crate) fn answered(&self) -> Option<u16> {
        self.host.world().answer.as_ref().map(|(status, _)| *status)
    }

    /// A counter's value after a flush, 0 if it is not defined.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        self.metrics.flush();
        self.host.counter(name)
    }

    /// Every counter that is not zero.
    pub(crate) fn counters(&self) -> BTreeMap<String, u64> {
        self.metrics.flush();
        self.host.counters()
    }

    /// The note for access logs.
    pub(crate) fn note(&self) -> String {
        self.host.world().properties.get("cellgate").cloned().unwrap_or_default()
    }

    /// Every value of a request header that the upstream receives.
    pub(crate) fn header(&self, name: &str) -> Vec<String> {
        let world = self.host.world();
        let values = world.headers.iter().filter(|(known, _)| known == name);
        values.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
    }

    fn apply(&mut self, action: Action, end_of_stream: bool) -> Action {
        let mut world = self.host.world();
        world.callback = Callback::None;
        if action == Action::Continue {
            assert!(world.answer.is_none(), "forwarded after a local reply");
            assert!(world.released != world.is_shadow, "forwarded without a release, or released in the shadow");
            self.upstream.append(&mut self.buffer);
            self.complete |= end_of_stream || self.length == Some(self.upstream.len());
        } else {
            let is_stalled = end_of_stream && world.answer.is_none();
            assert!(!is_stalled, "paused at the end, where no callback follows");
            assert!(!world.released || world.answer.is_some(), "paused after the release");
        }
        action
    }
}
