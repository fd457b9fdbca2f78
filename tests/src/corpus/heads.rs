//! Requests decided by their heads: header, query, path and cookie sources, methods, paths, spoofed headers.

use super::Case;

const GOOD: &str = r#"{"tenant":{"id":"acme"}}"#;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("head: header", "cell-a exact").method("GET").header("x-tenant-id", "acme"),
        Case::new("head: header, empty", "400 key_empty").method("GET").header("x-tenant-id", ""),
        Case::new("head: header beyond ASCII", "cell-c exact").method("GET").header("x-tenant-id", "å"),
        Case::new("head: header not UTF-8", "400 key_invalid_utf8").method("GET").header("x-tenant-id", b"\xa1\xb1"),
        Case::new("head: header too long", "400 key_too_long").method("GET").header("x-tenant-id", "x".repeat(65)),
        Case::new("head: header twice", "400 key_duplicated")
            .method("GET")
            .header("x-tenant-id", "acme")
            .header("x-tenant-id", "globex"),
        Case::new("head: header with a comma is two values", "400 key_duplicated")
            .method("GET")
            .header("x-tenant-id", "acme, globex"),
        Case::new("head: header outranks query", "cell-a exact")
            .method("GET")
            .path("/api?tenant=globex")
            .header("x-tenant-id", "acme"),
        Case::new("head: unusable header is not skipped", "400 key_empty")
            .method("GET")
            .path("/api?tenant=globex")
            .header("x-tenant-id", ""),
        Case::new("head: other header not UTF-8", "cell-a exact").header("x-other", b"\xa1\xb1\xff").json(GOOD),
        Case::new("head: body outranks header", "cell-a exact").header("x-tenant-id", "globex").json(GOOD),
        Case::new("head: header behind a body without key", "cell-b exact").header("x-tenant-id", "globex").json("{}"),
        Case::new("head: header behind a tenant of another type", "cell-b exact")
            .header("x-tenant-id", "globex")
            .json(r#"{"tenant":"acme","items":"acme"}"#),
        Case::new("head: header behind a JSON Patch", "cell-b exact")
            .header("x-tenant-id", "globex")
            .header("content-type", "application/json-patch+json")
            .body(r#"[{"op":"replace","path":"/name","value":"x"}]"#),
        Case::new("head: header behind a malformed body", "400 body_malformed")
            .header("x-tenant-id", "globex")
            .json("{]"),
        Case::new("head: header behind a null key", "400 key_null")
            .header("x-tenant-id", "globex")
            .json(r#"{"tenant":{"id":null}}"#),
        Case::new("head: header behind a foreign body", "415 content_type_unsupported")
            .header("x-tenant-id", "globex")
            .header("content-type", "text/plain")
            .body(GOOD),
        Case::new("head: header behind gRPC messages", "cell-b exact")
            .header("x-tenant-id", "globex")
            .header("content-type", "application/grpc+proto")
            .body(b"\0\0\0\0\x02\x10\x01"),
        Case::new("head: header behind gRPC messages, empty", "400 key_empty")
            .header("x-tenant-id", "")
            .header("content-type", "application/grpc-web")
            .body(b"\0\0\0\0\x02\x10\x01"),
        Case::new("head: header behind JSON that calls itself gRPC", "415 content_type_unsupported")
            .header("x-tenant-id", "globex")
            .header("content-type", "application/grpc+json")
            .body(GOOD),
        Case::new("head: header behind a form without key", "cell-b exact").header("x-tenant-id", "globex").form("a=b"),
        Case::new("head: path", "cell-a exact").method("GET").path("/orgs/acme"),
        Case::new("head: path goes on", "cell-a exact").method("GET").path("/orgs/acme/users?x=y"),
        Case::new("head: path encoded", "cell-a exact").method("GET").path("/orgs/%61cm%65"),
        Case::new("head: path, encoded slash", "400 key_malformed").method("GET").path("/orgs/a%2Fb"),
        Case::new("head: path, encoded slash behind the key", "cell-a exact").method("GET").path("/orgs/acme/a%2Fb"),
        Case::new("head: path, dot segment", "400 key_malformed").method("GET").path("/orgs/acme/../globex"),
        Case::new("head: path, encoded dot segment", "400 key_malformed")
            .method("GET")
            .path("/orgs/acme/%2e%2E/globex"),
        Case::new("head: path, dot segment behind a slash that is encoded", "400 key_malformed")
            .method("GET")
            .path("/orgs/acme/..%2Fglobex"),
        Case::new("head: path, dot segment before the template", "400 key_malformed")
            .method("GET")
            .path("/api/../orgs/globex"),
        Case::new("head: path, a cookie behind a dot segment", "400 key_malformed")
            .method("GET")
            .path("/api/../orgs/globex")
            .header("cookie", "tenant=acme"),
        Case::new("head: path, encoded literal", "400 key_malformed").method("GET").path("/orgs/../%6frgs/acme"),
        Case::new("head: path, two slashes", "400 key_malformed").method("GET").path("/orgs//acme"),
        Case::new("head: path, plus is a plus", "slot slot").method("GET").path("/orgs/a+b"),
        Case::new("head: path, no segment", "400 body_absent").method("GET").path("/orgs/"),
        Case::new("head: path, broken escape", "400 key_malformed").method("GET").path("/orgs/a%zz"),
        Case::new("head: path, control character", "400 key_control_character").method("GET").path("/orgs/a%0a"),
        Case::new("head: query outranks path", "cell-b exact").method("GET").path("/orgs/acme?tenant=globex"),
        Case::new("head: cookie", "cell-a exact").method("GET").header("cookie", "a=b; tenant=acme; c=d"),
        Case::new("head: cookie alone", "cell-a exact").method("GET").header("cookie", "tenant=acme"),
        Case::new("head: cookie, encoded", "400 key_malformed").method("GET").header("cookie", "tenant=a%20b"),
        Case::new("head: cookie, quoted", "400 key_malformed").method("GET").header("cookie", "tenant=\"acme\""),
        Case::new("head: path parameters", "400 key_malformed").method("GET").path("/orgs/acme;v=1"),
        Case::new("head: cookie empty", "400 key_empty").method("GET").header("cookie", "tenant="),
        Case::new("head: cookie name in another case", "400 key_ambiguous")
            .method("GET")
            .header("cookie", "Tenant=acme"),
        Case::new("head: cookie beside one that PHP decodes", "400 key_ambiguous")
            .method("GET")
            .header("cookie", "%74enant=globex; tenant=acme"),
        Case::new("head: cookie beside a longer name", "cell-a exact")
            .method("GET")
            .header("cookie", "tenants=globex; tenant[]=globex; tenant=acme"),
        Case::new("head: cookie twice in one header", "400 key_duplicated")
            .method("GET")
            .header("cookie", "tenant=acme; tenant=globex"),
        Case::new("head: path outranks cookie", "cell-a exact")
            .method("GET")
            .path("/orgs/acme")
            .header("cookie", "tenant=globex"),
        Case::new("head: nothing", "400 body_absent").method("GET"),
        Case::new("head: HEAD", "cell-a exact").method("HEAD").header("x-tenant-id", "acme"),
        Case::new("head: POST without body", "400 body_absent"),
        Case::new("head: POST without body, with type", "400 body_absent").header("content-type", "application/json"),
        Case::new("head: POST with an empty body", "400 body_absent").json(""),
        Case::new("head: POST with an empty body and header", "cell-b exact").header("x-tenant-id", "globex").json(""),
        Case::new("head: GET with a body", "cell-a exact").method("GET").json(GOOD),
        Case::new("head: DELETE with a body", "cell-a exact").method("DELETE").json(GOOD),
        Case::new("head: PUT", "cell-a exact").method("PUT").json(GOOD),
        Case::new("head: PATCH", "cell-a exact").method("PATCH").json(GOOD),
        Case::new("head: method outside", "421 method_excluded").method("OPTIONS").header("x-tenant-id", "acme"),
        Case::new("head: unknown method", "421 method_excluded").method("BREW").json(GOOD),
        Case::new("head: path outside", "421 path_excluded").path("/other").json(GOOD),
        Case::new("head: path outside, prefix in the query", "421 path_excluded").path("/?x=/api").json(GOOD),
        Case::new("head: path is a prefix, not a segment", "cell-a exact").path("/api2").json(GOOD),
        Case::new("head: path is case-sensitive", "421 path_excluded").path("/API").json(GOOD),
    ];
    cases.extend(exceptions());
    cases.extend(hosts());
    cases.extend(queries());
    cases.extend(spoofs());
    cases
}

/// What names no tenant: the listed, and browsers' preflights.
fn exceptions() -> impl Iterator<Item = Case> {
    let preflight = |name: &str, expect: &str| {
        Case::new(name, expect)
            .method("OPTIONS")
            .header("origin", "https://app.example")
            .header("access-control-request-method", "POST")
    };
    let paths = [
        ("/api/healthz", "cell-b excepted"),
        ("/api/healthz?tenant=acme", "cell-b excepted"),
        ("/api/healthz/", "cell-a exact"),
        ("/api/static/a.css", "cell-b excepted"),
        ("/api/static/%2e%2e/orders", "cell-a exact"),
        ("/api/static/..%2forders", "cell-a exact"),
        ("/api/static/..;a/orders", "cell-a exact"),
    ];
    let paths =
        paths.into_iter().map(|(path, expect)| Case::new(format!("excepted: {path}"), expect).path(path).json(GOOD));
    paths.chain([
        Case::new("excepted: a path, of another host", "421 host_excluded")
            .path("/api/healthz")
            .header("host", "example"),
        preflight("preflight: of a method that is in scope", "cell-c preflight"),
        preflight("preflight: with a client's own cell", "cell-c preflight").header("x-cell", "cell-a"),
        preflight("preflight: of another host", "421 host_excluded").header("host", "example"),
        Case::new("preflight: without an origin", "421 method_excluded")
            .method("OPTIONS")
            .header("access-control-request-method", "POST"),
        Case::new("preflight: with an empty origin", "421 method_excluded")
            .method("OPTIONS")
            .header("origin", "")
            .header("access-control-request-method", "POST"),
        Case::new("preflight: by another method", "400 body_absent")
            .header("origin", "https://app.example")
            .header("access-control-request-method", "POST"),
    ])
}

/// Whose requests these are, by the host's name.
fn hosts() -> impl Iterator<Item = Case> {
    [
        ("cellgate.test", "cell-a exact"),
        ("CellGate.TEST", "cell-a exact"),
        ("cellgate.test:80", "cell-a exact"),
        ("cellgate.test.", "cell-a exact"),
        ("cellgate.test.:8080", "cell-a exact"),
        ("a.cellgate.test", "cell-a exact"),
        ("a.B.cellgate.test:443", "cell-a exact"),
        ("", "cell-a exact"),
        ("test", "421 host_excluded"),
        ("acellgate.test", "421 host_excluded"),
        ("cellgate.test.example", "421 host_excluded"),
        ("example:80", "421 host_excluded"),
        ("[::1]:80", "421 host_excluded"),
    ]
    .into_iter()
    .map(|(host, expect)| Case::new(format!("host: {host:?}"), expect).header("host", host).json(GOOD))
    // Neither the method nor the path of another host's requests is looked at.
    .chain([Case::new("host: another, method and path outside", "421 host_excluded")
        .method("OPTIONS")
        .path("/other")
        .header("host", "example")])
}

fn queries() -> impl Iterator<Item = Case> {
    [
        ("tenant=acme", "cell-a exact"),
        ("a=b&tenant=globex&c", "cell-b exact"),
        ("%74enant=%61cme", "cell-a exact"),
        ("tenant=a+b", "cell-a exact"),
        ("tenant=a%20b", "cell-a exact"),
        ("tenant=eu-9", "cell-c prefix"),
        ("tenant=42", "cell-b exact"),
        ("tenant=", "400 key_empty"),
        ("tenant", "400 key_empty"),
        ("tenant=%", "400 key_malformed"),
        ("tenant=%FF", "400 key_invalid_utf8"),
        ("tenant=%0A", "400 key_control_character"),
        ("tenant=acme&tenant=acme", "400 key_duplicated"),
        ("Tenant=acme", "400 key_ambiguous"),
        ("tenant=acme&TENANT=globex", "400 key_ambiguous"),
        ("+tenant=globex&tenant=acme", "400 key_ambiguous"),
        ("tenant=acme&tenant%00x=globex", "400 key_ambiguous"),
        ("tenant=acme&%54enant=globex", "400 key_ambiguous"),
        ("tenant=acme&tenant[]=globex&tenant.id=globex", "cell-a exact"),
        ("a=tenant=acme", "400 body_absent"),
        ("a=1;tenant=acme", "400 body_absent"),
        ("&&tenant=acme", "cell-a exact"),
        ("?tenant=acme", "400 body_absent"),
    ]
    .into_iter()
    .map(|(query, expect)| Case::new(format!("query: {query}"), expect).method("GET").path(format!("/api?{query}")))
}

/// Headers a client must not be able to use, with a good body, a bad one, and none.
fn spoofs() -> impl Iterator<Item = Case> {
    let names = ["x-cell", "X-Cell", "x-cellgate-defer", "X-CELLGATE-DEFER", "x-cellgate-anything"];
    names.into_iter().flat_map(|name| {
        let spoof = |what: &str, expect: &str| {
            Case::new(format!("spoof: {name}, {what}"), expect)
                .header(name, "cell-b")
                .header(name, "stream;body_too_large")
        };
        [
            spoof("good body", "cell-a exact").json(GOOD),
            spoof("no key", "400 key_missing").json("{}"),
            spoof("malformed body", "400 body_malformed").json("}"),
            spoof("no body", "400 body_absent").method("GET"),
            spoof("header key", "cell-c exact").method("GET").header("x-tenant-id", "initech"),
        ]
    })
}
