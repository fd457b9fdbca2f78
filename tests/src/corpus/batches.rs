//! The second corpus: keys in elements, records and messages, in binary formats, and in documents within values.
//!
//! Its policy reads what the first one refuses (a byte order mark, half of a surrogate pair), skips a null, and has no
//! cell for a key that the tables do not name.

mod calls;
mod cbor;
mod encodings;
mod heads;
mod json;
mod lies;
mod msgpack;
mod ndjson;
mod nested;
mod paths;
mod rpc;

use serde_json::{Value, json};

use super::Case;

/// The configuration of this corpus.
pub(super) fn config() -> Value {
    json!({
        "version": "batches",
        "routing_header": "x-cell",
        "cells": ["cell-a", "cell-b", "cell-c"],
        "policy": { "body_byte_order_mark": "accept", "body_lone_surrogate": "accept", "key_null": "next", "body_several_members": "accept" },
        "content_encodings": ["gzip", "deflate", "br", "zstd"],
        "key": [
            { "json": "/params/tenant" },
            { "json": "/*/params/tenant" },
            { "json": "/variables/tenantId" },
            { "json": "/*/variables/tenantId" },
            { "json": "/events/*/tenant" },
            { "json": "/resourceSpans/*/resource/attributes/[key=tenant.id]/value/stringValue" },
            { "json": "/payload", "then": { "json": "/team/id" } },
            { "json": "/resource/arn", "value": "arn:aws:*:*:{key}:*" },
            { "json": "/user", "value": "*@{key}", "case": "lower" },
            { "json": "/*/id" },
            { "ndjson": "/tenant/id" },
            { "ndjson": "/events/*/tenant" },
            { "msgpack": "/tenant/id" },
            { "msgpack": "/events/*/tenant" },
            { "msgpack": "/payload", "then": { "json": "/team/id" } },
            { "cbor": "/tenant/id" },
            { "cbor": "/*/tenant" },
            { "cbor": "/payload", "then": { "cbor": "/tenant" } },
            { "form": "payload", "then": { "json": "/team/id" } },
            { "multipart": "operations", "then": { "json": "/variables/tenantId" } },
            { "xml": "/message/payload", "then": { "json": "/team/id" } },
            { "protobuf": "1*.1" },
            { "protobuf": "2:int64" },
            { "protobuf": "3", "then": { "json": "/team/id" } },
            { "query": "variables", "then": { "json": "/tenantId" } },
            { "header": "x-resource", "value": "urn:tenant:{key}:*" },
            { "host": "tenant-{key}.*.cellgate.test" },
            { "path": "/projects/{key}", "escaped_slashes": "keep" },
        ],
        "placement": {
            "exact": {
                "acme": "cell-a", "globex": "cell-b", "initech": "cell-c", "123456789012": "cell-a",
                "42": "cell-b", "-7": "cell-c", "18446744073709551615": "cell-a", "-9223372036854775808": "cell-b",
                "å": "cell-c", "😀": "cell-b", "group/name": "cell-b", "group\\name": "cell-c"
            }
        },
        "limits": { "inspect_bytes": "32KiB", "stream_bytes": "4MiB", "key_bytes": 64, "depth": 16 }
    })
}

/// The cases of this corpus.
pub(super) fn cases() -> Vec<Case> {
    [
        calls::cases(),
        cbor::cases(),
        encodings::cases(),
        heads::cases(),
        json::cases(),
        lies::cases(),
        msgpack::cases(),
        ndjson::cases(),
        nested::cases(),
        paths::cases(),
        rpc::cases(),
    ]
    .concat()
}

impl Case {
    fn of_type(self, content_type: &str, body: impl AsRef<[u8]>) -> Self {
        self.header("content-type", content_type).body(body)
    }
}
