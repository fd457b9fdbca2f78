//! One request as Envoy would take it through the filter: what is held, what is passed on, what the callbacks say.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Fake, Phase};
use crate::metrics::Metrics;
use crate::request::{Action, Request};

/// The configuration of the tests. `cell-a` has the key `acme`, `cell-b` has `globex`.
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

/// A request on its way, and both its ends.
pub(crate) struct Exchange {
    pub(crate) host: Fake,
    metrics: Rc<Metrics<Fake>>,
    request: Request<Fake>,
    held: Vec<u8>,
    /// The body that the upstream has.
    pub(crate) upstream: Vec<u8>,
    /// Whether the upstream has a complete body: all of its Content-Length, or else its end.
    pub(crate) complete: bool,
    length: Option<usize>,
}

impl Exchange {
    /// A request to `/api/` with these headers, its headers not delivered yet.
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
        Self { host, metrics, request, held: Vec::new(), upstream: Vec::new(), complete: false, length }
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
        self.host.world().phase = Phase::Headers;
        let action = self.request.on_headers(end_of_stream);
        self.after(action, end_of_stream)
    }

    /// More of the body, added to what is held.
    pub(crate) fn body(&mut self, bytes: &[u8], end_of_stream: bool) -> Action {
        self.held.extend_from_slice(bytes);
        let size = self.held.len();
        {
            let mut world = self.host.world();
            world.phase = Phase::Body;
            world.body = self.held.clone();
        }
        let action = self.request.on_body(size, end_of_stream);
        self.after(action, end_of_stream)
    }

    pub(crate) fn trailers(&mut self, trailers: &[(&str, &str)]) -> Action {
        {
            let mut world = self.host.world();
            world.phase = Phase::Trailers;
            world.trailers = trailers.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        }
        let action = self.request.on_trailers();
        self.after(action, true)
    }

    /// The stream is gone: complete, answered or aborted.
    pub(crate) fn end(&mut self) {
        self.host.world().phase = Phase::End;
        self.request.on_end();
    }

    /// HTTP/1: each read is a callback, and the end comes alone. Stops where Envoy would.
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

    /// HTTP/2: the last frame carries the end.
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

    /// The status the client got from the filter.
    pub(crate) fn answered(&self) -> Option<u16> {
        self.host.world().answer.as_ref().map(|(status, _)| *status)
    }

    /// A counter's value as Envoy shows it after the next flush, 0 if it was never defined.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        self.metrics.flush();
        self.host.counter(name)
    }

    /// Every counter that is not zero.
    pub(crate) fn counters(&self) -> BTreeMap<String, u64> {
        self.metrics.flush();
        self.host.counters()
    }

    /// What access logs say.
    pub(crate) fn note(&self) -> String {
        self.host.world().properties.get("cellgate").cloned().unwrap_or_default()
    }

    /// Every value of a request header as the upstream would see it.
    pub(crate) fn header(&self, name: &str) -> Vec<String> {
        let world = self.host.world();
        let values = world.headers.iter().filter(|(known, _)| known == name);
        values.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
    }

    fn after(&mut self, action: Action, end_of_stream: bool) -> Action {
        let mut world = self.host.world();
        world.phase = Phase::None;
        match action {
            Action::Continue => {
                assert!(world.answer.is_none(), "answered and passed on");
                assert!(world.released != world.shadow, "passed on undecided, or changed in the shadow");
                self.upstream.append(&mut self.held);
                self.complete |= end_of_stream || self.length == Some(self.upstream.len());
            }
            Action::Pause => {
                let ends_here = end_of_stream && world.answer.is_none();
                assert!(!ends_here, "paused at the end: nothing would ever resume it");
                assert!(!world.released || world.answer.is_some(), "paused after the release");
            }
        }
        action
    }
}
