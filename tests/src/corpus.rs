//! The request corpus: valid, odd and hostile requests, each with the one decision that every tier must come to.
//!
//! The expectations are written by hand, from the documentation and the RFCs; nothing here runs the core. The same
//! cases go through the core, through the filter in Envoy and through the service in Envoy (`tests/e2e/corpus.rs`).
//!
//! There are two corpora, each with its configuration: in [`documents`], a request has its key in one place; in
//! [`batches()`], elements, records and messages must agree, and documents are in values of other documents.

mod batches;
mod encodings;
mod forms;
mod heads;
mod json;
mod media;
mod multipart;
mod protobuf;
mod sizes;
mod templates;
mod xml;

use serde_json::{Value, json};

/// One request and the decision it must get.
#[derive(Clone, Debug)]
pub struct Case {
    /// What is special about it.
    pub name: String,
    /// The method.
    pub method: &'static str,
    /// The request target.
    pub path: String,
    /// Header fields, without Content-Length and Transfer-Encoding. Without Host it is for [`crate::client::HOST`].
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body. `None`: no body at all (no Content-Length, no Transfer-Encoding).
    pub body: Option<Vec<u8>>,
    /// What must come of it.
    pub expect: Expect,
}

/// The decision a case must get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    /// `cell-a`, a status such as `400`, or `slot` for the cell of the key's slot.
    pub outcome: String,
    /// The reason's label.
    pub reason: String,
}

/// Requests, and the configuration that they are written for.
#[derive(Clone, Debug)]
pub struct Corpus {
    /// The configuration. Its policy tells the reasons of refusals apart from each other.
    pub config: Value,
    /// The requests.
    pub cases: Vec<Case>,
}

/// Every corpus.
#[must_use]
pub fn all() -> [Corpus; 2] {
    [documents(), batches()]
}

/// Requests with the key in one place of the head or of one document.
#[must_use]
pub fn documents() -> Corpus {
    Corpus { config: config(), cases: cases() }
}

/// Requests with the key in many places, in a document within a value, or in a binary format.
#[must_use]
pub fn batches() -> Corpus {
    Corpus { config: batches::config(), cases: batches::cases() }
}

fn config() -> Value {
    json!({
        "version": "corpus",
        "routing_header": "x-cell",
        "cells": ["cell-a", "cell-b", "cell-c"],
        "applies_to": { "hosts": ["cellgate.test", "*.cellgate.test"], "methods": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"], "paths": ["/api", "/orgs/"], "except": { "paths": ["/api/healthz", "/api/static/"], "methods": ["TRACE"] } },
        // Where no cell is asked by default, to see the reason.
        "policy": {
            "excepted": { "use": "cell-b" },
            "preflight": { "use": "cell-c" },
            "body_lone_surrogate": { "reject": 400 }
        },
        "content_encodings": ["zstd"],
        "key": [
            { "json": "/tenant/id" },
            { "json": "/items/0/a~1b" },
            { "form": "tenant_id" },
            { "multipart": "tenant_id" },
            { "xml": "/order/tenant" },
            { "xml": "/invoice/@tenant" },
            { "xml": "/{http://schemas.xmlsoap.org/soap/envelope/}Envelope/{*}Header/{urn:t}Tenant" },
            { "xml": "/{*}Envelope/{*}Body/*/{*}tenant" },
            { "protobuf": "1.1" },
            { "header": "x-tenant-id" },
            { "query": "tenant" },
            { "path": "/orgs/{key}" },
            { "cookie": "tenant" },
            { "host": "{key}.tenants.cellgate.test" },
            { "header": "authorization", "value": "Bearer sk_{key}_*" },
            { "query": "user", "value": "*@{key}", "case": "lower" },
            { "query": "payload", "then": { "json": "/team/id" } },
            { "header": "x-context", "then": { "json": "/team/id" } },
            { "cookie": "session", "then": { "json": "/team/id" } },
        ],
        "placement": {
            "overrides": { "pinned": "cell-b", "eu-pinned": "cell-a" },
            "exact": {
                "acme": "cell-a", "globex": "cell-b", "initech": "cell-c", "pinned": "cell-c",
                "42": "cell-b", "-7": "cell-c", "18446744073709551615": "cell-a", "-9223372036854775808": "cell-b",
                "å": "cell-c", "😀": "cell-b", "a b": "cell-a", "a/b": "cell-b", "a\"b": "cell-c", "null": "cell-a"
            },
            "prefixes": { "eu-": "cell-c", "eu-west-": "cell-b" },
            "slots": { "count": 1024, "seed": 7, "weights": { "cell-a": 1, "cell-b": 1, "cell-c": 1 } }
        },
        "limits": { "inspect_bytes": "32KiB", "stream_bytes": "2MiB", "key_bytes": 64, "depth": 16 }
    })
}

fn cases() -> Vec<Case> {
    [
        encodings::cases(),
        json::cases(),
        forms::cases(),
        multipart::cases(),
        heads::cases(),
        media::cases(),
        protobuf::cases(),
        sizes::cases(),
        templates::cases(),
        xml::cases(),
    ]
    .concat()
}

impl Case {
    /// A POST to `/api` without body. `expect`: outcome and reason, as in `"cell-a exact"`.
    fn new(name: impl Into<String>, expect: &str) -> Self {
        let (outcome, reason) = expect.split_once(' ').expect("OUTCOME REASON");
        let expect = Expect { outcome: outcome.to_owned(), reason: reason.to_owned() };
        Self { name: name.into(), method: "POST", path: "/api".to_owned(), headers: Vec::new(), body: None, expect }
    }

    fn method(mut self, method: &'static str) -> Self {
        self.method = method;
        self
    }

    fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = Some(body.as_ref().to_vec());
        self
    }

    fn json(self, body: impl AsRef<[u8]>) -> Self {
        self.header("content-type", "application/json").body(body)
    }

    fn form(self, body: impl AsRef<[u8]>) -> Self {
        self.header("content-type", "application/x-www-form-urlencoded").body(body)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn the_corpus_is_large_and_its_names_are_unique() {
        let corpora = super::all().map(|corpus| corpus.cases);
        assert!(corpora.iter().all(|cases| cases.len() >= 500), "{:?} cases", corpora.map(|cases| cases.len()));
        let mut names = BTreeSet::new();
        let twice: Vec<_> = corpora.concat().into_iter().filter(|case| !names.insert(case.name.clone())).collect();
        assert!(twice.is_empty(), "{twice:#?}");
    }
}
