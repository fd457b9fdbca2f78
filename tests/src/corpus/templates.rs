//! Requests whose key is a part of a value in the head: a label of the host, a part by a template, a member of a document.

use super::Case;

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = hosts().collect();
    cases.extend(credentials());
    cases.extend(documents());
    cases.extend([
        Case::new("e-mail: the domain", "cell-b exact").path("/api?user=jo@globex"),
        Case::new("e-mail: the domain in lower case", "cell-b exact").path("/api?user=Jo%40GLOBEX"),
        Case::new("e-mail: two signs", "400 key_malformed").path("/api?user=globex@acme@initech"),
        Case::new("e-mail: no domain", "400 key_empty").path("/api?user=jo@"),
        Case::new("e-mail: another value", "400 body_absent").path("/api?user=globex"),
        // As in a form, each parameter of the name counts.
        Case::new("e-mail: beside another value", "400 key_duplicated").path("/api?user=globex&user=jo@globex"),
        Case::new("path: a trailing slash is no segment", "400 body_absent").path("/orgs/"),
        Case::new("path: behind a trailing slash, the next source", "cell-a exact")
            .path("/orgs/")
            .header("cookie", "tenant=acme"),
        Case::new("path: a slash that servers merge", "400 key_malformed").path("/orgs//acme"),
    ]);
    cases
}

fn hosts() -> impl Iterator<Item = Case> {
    [
        ("acme.tenants.cellgate.test", "cell-a exact"),
        ("GLOBEX.Tenants.CellGate.test:8080", "cell-b exact"),
        ("initech.tenants.cellgate.test.", "cell-c exact"),
        ("pinned.tenants.cellgate.test.:80", "cell-b override"),
        ("www.acme.tenants.cellgate.test", "400 body_absent"),
        ("tenants.cellgate.test", "400 body_absent"),
    ]
    .into_iter()
    .map(|(host, expect)| Case::new(format!("subdomain: {host}"), expect).method("GET").header("host", host))
    .chain([Case::new("subdomain: a source before it", "cell-b exact")
        .method("GET")
        .header("host", "acme.tenants.cellgate.test")
        .header("x-tenant-id", "globex")])
}

fn credentials() -> impl Iterator<Item = Case> {
    [
        ("Bearer sk_acme_1f2e", "cell-a exact"),
        ("bearer  sk_globex_1f_2e", "cell-b exact"),
        ("Bearer sk__1f2e", "400 key_empty"),
        ("Bearer SK_acme_1f2e", "400 body_absent"),
        ("Bearer sk_acme", "400 body_absent"),
        ("Basic am86eA==", "400 body_absent"),
        ("Basic am86eA==, Bearer sk_acme_1f2e", "cell-a exact"),
        ("Bearer sk_acme_1f2e, Bearer sk_acme_1f2e", "400 key_duplicated"),
    ]
    .into_iter()
    .map(|(value, expect)| {
        Case::new(format!("credentials: {value}"), expect).method("GET").header("authorization", value)
    })
    .chain([Case::new("credentials: twice", "400 key_duplicated")
        .method("GET")
        .header("authorization", "Bearer sk_acme_1")
        .header("authorization", "Bearer sk_globex_1")])
}

fn documents() -> impl Iterator<Item = Case> {
    let encoded = "%7B%22team%22%3A%7B%22id%22%3A%22acme%22%7D%7D";
    [
        Case::new("document: in a parameter", "cell-a exact").path(format!("/api?payload={encoded}")),
        Case::new("document: in a parameter, cut", "400 body_truncated").path("/api?payload=%7B"),
        Case::new("document: in a parameter, malformed", "400 body_malformed").path("/api?payload=acme"),
        Case::new("document: in a parameter, empty", "400 key_empty").path("/api?payload="),
        Case::new("document: in a parameter, without key", "400 body_absent").path("/api?payload=%7B%7D"),
        Case::new("document: in a parameter, key twice", "400 key_duplicated")
            .path("/api?payload=%7B%22team%22:%7B%22id%22:1,%22id%22:1%7D%7D"),
        Case::new("document: in two parameters", "400 key_duplicated")
            .path(format!("/api?payload={encoded}&payload={encoded}")),
        Case::new("document: in a header", "cell-b exact")
            .header("x-context", r#"{"roles":["a","b"],"team":{"id":"globex"}}"#),
        Case::new("document: in two headers", "400 key_duplicated")
            .header("x-context", r#"{"team":{"id":"globex"}}"#)
            .header("x-context", r#"{"team":{"id":"globex"}}"#),
        Case::new("document: two in a header", "400 body_malformed")
            .header("x-context", r#"{"team":{"id":"globex"}},{"team":{"id":"acme"}}"#),
        Case::new("document: in a cookie", "cell-a exact").header("cookie", format!("a=b; session={encoded}")),
        Case::new("document: in a cookie, plain", "400 key_malformed")
            .header("cookie", r#"session={"team":{"id":"acme"}}"#),
    ]
    .into_iter()
}
