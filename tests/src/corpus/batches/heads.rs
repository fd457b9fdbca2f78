//! Hosts with a template of several labels, and headers with names of resources.

use super::Case;

pub(super) fn cases() -> Vec<Case> {
    let hosts = HOSTS
        .iter()
        .map(|(host, expect)| Case::new(format!("label: {host}"), expect).method("GET").path("/").header("host", host));
    let resources = RESOURCES.iter().map(|(value, expect)| {
        Case::new(format!("resource: {value}"), expect).method("GET").path("/").header("x-resource", value)
    });
    hosts
        .chain(resources)
        .chain([
            Case::new("resource: in two fields", "400 key_duplicated")
                .method("GET")
                .header("x-resource", "urn:tenant:acme:1")
                .header("x-resource", "urn:tenant:acme:2"),
            Case::new("resource: in the second of two fields", "cell-a exact")
                .method("GET")
                .header("x-resource", "urn:user:globex:1")
                .header("x-resource", "urn:tenant:acme:2"),
            Case::new("resource: over 8 KiB", "400 key_too_long")
                .method("GET")
                .header("x-resource", format!("urn:tenant:acme:{}", "x".repeat(9000))),
            Case::new("resource: over 8 KiB, of another kind", "400 body_absent")
                .method("GET")
                .header("x-resource", "x".repeat(9000)),
            Case::new("resource: outranks the host", "cell-b exact")
                .method("GET")
                .header("host", "tenant-acme.eu.cellgate.test")
                .header("x-resource", "urn:tenant:globex:1"),
            Case::new("resource: behind a body without key", "cell-a exact")
                .header("x-resource", "urn:tenant:acme:1")
                .json(r#"[{"n":1}]"#),
            Case::new("resource: behind a batch that differs", "400 key_conflict")
                .header("x-resource", "urn:tenant:acme:1")
                .json(r#"[{"id":"acme"},{"id":"globex"}]"#),
            Case::new("resource: behind a null", "cell-a exact")
                .header("x-resource", "urn:tenant:acme:1")
                .json(r#"[{"id":null}]"#),
            Case::new("label: behind records without key", "cell-c exact")
                .header("host", "tenant-initech.eu.cellgate.test")
                .of_type("application/x-ndjson", "{}\n{}\n"),
            Case::new("label: behind a foreign body", "415 content_type_unsupported")
                .header("host", "tenant-initech.eu.cellgate.test")
                .of_type("application/octet-stream", "acme"),
        ])
        .collect()
}

const HOSTS: &[(&str, &str)] = &[
    ("tenant-acme.eu.cellgate.test", "cell-a exact"),
    ("TENANT-Globex.EU.CellGate.Test", "cell-b exact"),
    ("tenant-initech.x-1.cellgate.test:8443", "cell-c exact"),
    ("tenant-acme.eu.cellgate.test.", "cell-a exact"),
    ("tenant-acme.eu.cellgate.test.:80", "cell-a exact"),
    ("tenant-hooli.eu.cellgate.test", "421 key_unplaced"),
    ("tenant-.eu.cellgate.test", "400 key_empty"),
    ("tenant.eu.cellgate.test", "400 body_absent"),
    ("acme.eu.cellgate.test", "400 body_absent"),
    ("tenant-acme.cellgate.test", "400 body_absent"),
    ("tenant-acme.a.eu.cellgate.test", "400 body_absent"),
    ("x.tenant-acme.eu.cellgate.test", "400 body_absent"),
    ("tenant-acme.eu.cellgate.example", "400 body_absent"),
];

const RESOURCES: &[(&str, &str)] = &[
    ("urn:tenant:acme:order:7", "cell-a exact"),
    ("urn:tenant:globex:x", "cell-b exact"),
    ("urn:tenant:hooli:x", "421 key_unplaced"),
    ("urn:tenant::x", "400 key_empty"),
    ("urn:tenant:acme", "400 body_absent"),
    ("URN:TENANT:acme:x", "400 body_absent"),
    ("urn:user:acme:x", "400 body_absent"),
    ("urn:user:1, urn:tenant:acme:x", "cell-a exact"),
    ("urn:tenant:acme:x,urn:tenant:acme:x", "400 key_duplicated"),
];
