use super::super::{EscapedSlashes, Place, Source};
use super::*;
use crate::document::AcceptedFaults;
use crate::format::ScanLimits;
use crate::value::{Case, ValueRule};

fn find(source: &Source, fields: &[(&str, &str)], duplicates: Duplicates) -> Option<Result<String, Reason>> {
    source.find(fields, duplicates, &KeyRule::whole(32))
}

fn reject(source: &Source, fields: &[(&str, &str)]) -> Option<Result<String, Reason>> {
    find(source, fields, Duplicates::Reject)
}

fn ok(key: &str) -> Option<Result<String, Reason>> {
    Some(Ok(key.to_owned()))
}

#[test]
fn a_header_has_one_value_per_field_and_comma() {
    let source = Source::from(Place::Header("x-tenant".into()));
    assert_eq!(reject(&source, &[("x-tenant", "a")]), ok("a"));
    assert_eq!(reject(&source, &[("x-tenants", "a")]), None);
    assert_eq!(reject(&source, &[("x-tenant", "")]), Some(Err(Reason::KeyEmpty)));
    let twice = [("x-tenant", "a"), ("x-tenant", "b")];
    assert_eq!(reject(&source, &twice), Some(Err(Reason::KeyDuplicated)));
    assert_eq!(find(&source, &twice, Duplicates::First), ok("a"));
    assert_eq!(find(&source, &twice, Duplicates::Last), ok("b"));
    assert_eq!(reject(&source, &[("x-tenant", "a, b")]), Some(Err(Reason::KeyDuplicated)));
    assert_eq!(find(&source, &[("x-tenant", "a, b")], Duplicates::Last), ok("b"));
}

#[test]
fn a_query_parameter_is_decoded() {
    let source = Source::from(Place::Query("t id".into()));
    assert_eq!(reject(&source, &[(":path", "/?a=1&t+id=x%20y&b")]), ok("x y"));
    assert_eq!(reject(&source, &[(":path", "/?t%20id")]), Some(Err(Reason::KeyEmpty)));
    assert_eq!(reject(&source, &[(":path", "/?t%20id=%f")]), Some(Err(Reason::KeyMalformed)));
    assert_eq!(reject(&source, &[(":path", "/?t+id=a&t%20id=a")]), Some(Err(Reason::KeyDuplicated)));
    assert_eq!(reject(&source, &[(":path", "/t+id=a")]), None);
    assert_eq!(reject(&source, &[(":path", "/?t+id=%ff")]), Some(Err(Reason::KeyInvalidUtf8)));
}

/// Parsers of a query differ as those of a form do, and PHP and ASP.NET read both with one function.
#[test]
fn a_parameter_that_a_server_may_take_for_the_sources_is_ambiguous() {
    let source = Source::from(Place::Query("tenant_id".into()));
    for name in [
        "Tenant_ID",
        "tenant.id",
        "tenant+id",
        "tenant%20id",
        "tenant[id",
        "+tenant_id",
        "%20%20tenant_id",
        "tenant_id%00x",
        "tenant%2eid",
    ] {
        let alone = format!("/?{name}=a");
        let beside = [format!("/?tenant_id=a&{name}=b"), format!("/?{name}=b&tenant_id=a")];
        assert_eq!(reject(&source, &[(":path", &alone)]), Some(Err(Reason::KeyAmbiguous)), "{alone}");
        for path in &beside {
            assert_eq!(reject(&source, &[(":path", path)]), Some(Err(Reason::KeyAmbiguous)), "{path}");
            // With `first` and `last`, the operator says how the upstreams read names.
            assert_eq!(find(&source, &[(":path", path)], Duplicates::First), ok("a"), "{path}");
            assert_eq!(find(&source, &[(":path", path)], Duplicates::Last), ok("a"), "{path}");
        }
    }
    for name in
        ["tenant", "tenant_ids", "tenant[id]", "tenant_id[]", "tenant-id", "_tenant_id", "tenantid", "tenant_%69d%zz"]
    {
        let path = format!("/?{name}=b&tenant_%69d=a");
        assert_eq!(reject(&source, &[(":path", &path)]), ok("a"), "{path}");
    }
    // An invalid escape does not hide the rest of the name.
    let index = Source::from(Place::Query("user[id]".into()));
    assert_eq!(reject(&index, &[(":path", "/?user[id]%zz=a")]), Some(Err(Reason::KeyAmbiguous)));
}

/// PHP gives the first of such cookies the name, ASP.NET ignores case, and both have decoded names.
#[test]
fn a_cookie_that_a_server_may_take_for_the_sources_is_ambiguous() {
    let source = Source::from(Place::Cookie("tenant_id".into()));
    for name in ["Tenant_ID", "tenant.id", "tenant[id", "tenant%5Fid", "tenant_id%00"] {
        for value in [format!("{name}=b"), format!("{name}=b; tenant_id=a"), format!("tenant_id=a;{name}=b")] {
            assert_eq!(reject(&source, &[("cookie", &value)]), Some(Err(Reason::KeyAmbiguous)), "{value}");
        }
        let both = format!("{name}=b; tenant_id=a");
        assert_eq!(find(&source, &[("cookie", &both)], Duplicates::First), ok("a"), "{both}");
    }
    assert_eq!(
        reject(&source, &[("cookie", "_tenant_id=b; tenant-id=c; tenant_id[]=d;  tenant_id =a; e=%zz")]),
        ok("a")
    );
}

#[test]
fn a_cookie_is_not_decoded() {
    let source = Source::from(Place::Cookie("tenant".into()));
    assert_eq!(reject(&source, &[("cookie", "a=\"b\"; tenant=x=y; c")]), ok("x=y"));
    assert_eq!(reject(&source, &[("cookie", "tenant")]), None);
    assert_eq!(reject(&source, &[("cookie", "tenant=")]), Some(Err(Reason::KeyEmpty)));
    for spelled in ["tenant=\"a\"", "tenant= a", "tenant=%61", "tenant=a b", "tenant=a,b", "tenant=a\\b"] {
        assert_eq!(reject(&source, &[("cookie", spelled)]), Some(Err(Reason::KeyMalformed)), "{spelled}");
    }
    assert_eq!(reject(&source, &[("cookie", "tenant =b; tenant=a")]), Some(Err(Reason::KeyDuplicated)));
    let twice = [("cookie", "tenant=a"), ("cookie", "tenant=b")];
    assert_eq!(reject(&source, &twice), Some(Err(Reason::KeyDuplicated)));
}

#[test]
fn a_path_segment_is_decoded() {
    let source = Source::from(Place::Path("/orgs/{key}".parse().unwrap()));
    assert_eq!(reject(&source, &[(":path", "/orgs/a+b%20c/users?x=/orgs/z")]), ok("a+b c"));
    assert_eq!(reject(&source, &[(":path", "/orgs/a?x=/../b")]), ok("a"));
    assert_eq!(reject(&source, &[(":path", "/orgs/a%2Fb")]), Some(Err(Reason::KeyMalformed)));
    for missing in ["/orgs", "/orgs/", "/orgs/?x"] {
        assert_eq!(reject(&source, &[(":path", missing)]), None, "{missing}");
    }
    assert_eq!(reject(&source, &[(":path", "/users/a")]), None);
}

#[test]
fn an_escaped_slash_that_is_kept_is_decoded() {
    let template = "/projects/{key}".parse::<Template>().unwrap().with_escaped_slashes(EscapedSlashes::Keep);
    let source = Source::from(Place::Path(template.clone()));
    assert_eq!(reject(&source, &[(":path", "/projects/group%2Fname/issues?x=%2F..")]), ok("group/name"));
    assert_eq!(reject(&source, &[(":path", "/projects/group%5cname")]), ok("group\\name"));
    assert_eq!(reject(&source, &[(":path", "/projects/group%2F%zz")]), Some(Err(Reason::KeyMalformed)));
    assert_eq!(source.to_string(), "path /projects/{key}, escaped_slashes keep");
    // The group alone.
    let fields = [(":path", "/projects/group%2Fsub%2Fname")];
    assert_eq!(ruled(Place::Path(template), part("{key}/*"), &fields, Duplicates::Reject), ok("group"));
}

/// The value of a source with a rule.
fn ruled(
    place: Place,
    rule: ValueRule,
    fields: &[(&str, &str)],
    duplicates: Duplicates,
) -> Option<Result<String, Reason>> {
    let source = Source { place, rule };
    let limits = ScanLimits { duplicates, depth: 8, key_bytes: 32, accepted: AcceptedFaults::default() };
    source.find(fields, duplicates, &KeyRule::of(&source, limits))
}

fn part(template: &str) -> ValueRule {
    ValueRule { part: Some(template.parse().unwrap()), ..ValueRule::default() }
}

fn json(pointer: &str) -> ValueRule {
    ValueRule { then: Some(Box::new(Place::Json(pointer.parse().unwrap()))), ..ValueRule::default() }
}

const DUPLICATED: Option<Result<String, Reason>> = Some(Err(Reason::KeyDuplicated));

#[test]
fn only_the_values_of_a_header_that_match_count() {
    let find = |values: &[&'static str], duplicates| {
        let fields: Vec<_> = values.iter().map(|value| ("authorization", *value)).collect();
        ruled(Place::Header("authorization".into()), part("Bearer sk_{key}_*"), &fields, duplicates)
    };
    let reject = |values: &[&'static str]| find(values, Duplicates::Reject);
    assert_eq!(reject(&["Bearer sk_a_1"]), ok("a"));
    assert_eq!(reject(&["bearer sk_a_1"]), ok("a"));
    assert_eq!(reject(&["Basic YQ==, Bearer sk_a_1"]), ok("a"));
    assert_eq!(reject(&["Basic YQ==", "Bearer sk_a_1", ""]), ok("a"));
    assert_eq!(reject(&["Basic YQ=="]), None);
    assert_eq!(reject(&["Bearer sk__1"]), Some(Err(Reason::KeyEmpty)));
    assert_eq!(reject(&["Bearer sk_a_1", "bearer sk_a_1"]), DUPLICATED);
    assert_eq!(reject(&["Bearer sk_a_1,bearer sk_b_1"]), DUPLICATED);
    let all = ["Basic YQ==", "Bearer sk_a_1", "Bearer sk_b_1", "Basic YQ=="];
    assert_eq!(find(&all, Duplicates::First), ok("a"));
    assert_eq!(find(&all, Duplicates::Last), ok("b"));
    // The scheme of another header has its case.
    let other = ruled(
        Place::Header("x-authorization".into()),
        part("Bearer sk_{key}_*"),
        &[("x-authorization", "bearer sk_a_1")],
        Duplicates::Reject,
    );
    assert_eq!(other, None);
}

#[test]
fn a_header_value_that_is_too_long_for_its_part_is_refused_if_it_begins_like_the_template() {
    let find = |value: &str| {
        ruled(Place::Header("x-t".into()), part("Bearer sk_{key}_*"), &[("x-t", value)], Duplicates::Reject)
    };
    let rest = "x".repeat(9000);
    assert_eq!(find(&format!("Bearer sk_a_{rest}")), Some(Err(Reason::KeyTooLong)));
    assert_eq!(find(&format!("Bearer {rest}")), None);
}

/// As in a form, whatever the values are: a server may read either.
#[test]
fn every_parameter_and_cookie_of_the_name_counts() {
    let query = |path| ruled(Place::Query("u".into()), part("*@{key}"), &[(":path", path)], Duplicates::Reject);
    assert_eq!(query("/?u=jo%40a"), ok("a"));
    assert_eq!(query("/?u=jo"), None);
    assert_eq!(query("/?u=jo@a@b"), Some(Err(Reason::KeyMalformed)));
    assert_eq!(query("/?u=jo&u=jo@a"), DUPLICATED);
    let cookie = |value| ruled(Place::Cookie("s".into()), part("{key}:*"), &[("cookie", value)], Duplicates::Reject);
    assert_eq!(cookie("s=a:1"), ok("a"));
    assert_eq!(cookie("s=1"), None);
    assert_eq!(cookie("s=1; s=a:1"), DUPLICATED);
}

#[test]
fn the_case_of_a_key_is_lowered_for_ascii_letters_only() {
    let lower = ValueRule { case: Case::Lower, ..ValueRule::default() };
    let find = |place, fields: &[(&str, &str)]| ruled(place, lower.clone(), fields, Duplicates::Reject);
    assert_eq!(find(Place::Header("x-t".into()), &[("x-t", "AcmeÅ")]), ok("acmeÅ"));
    assert_eq!(find(Place::Query("t".into()), &[(":path", "/?t=%41CME")]), ok("acme"));
    assert_eq!(find(Place::Path("/o/{key}".parse().unwrap()), &[(":path", "/o/ACME")]), ok("acme"));
    assert_eq!(find(Place::Cookie("t".into()), &[("cookie", "t=ACME")]), ok("acme"));
    let both = ValueRule { case: Case::Lower, ..part("*@{key}") };
    assert_eq!(ruled(Place::Query("u".into()), both, &[(":path", "/?u=Jo@ACME")], Duplicates::Reject), ok("acme"));
}

#[test]
fn a_value_may_hold_a_document() {
    let encoded = "%7B%22t%22%3A%22a%2Bb%22%7D";
    let query = |path: &str| ruled(Place::Query("p".into()), json("/t"), &[(":path", path)], Duplicates::Reject);
    assert_eq!(query(&format!("/?p={encoded}")), ok("a+b"));
    assert_eq!(query("/?p={}"), None);
    assert_eq!(query("/?p="), Some(Err(Reason::KeyEmpty)));
    assert_eq!(query("/?p=%7B"), Some(Err(Reason::BodyTruncated)));
    assert_eq!(query("/?p=a"), Some(Err(Reason::BodyMalformed)));
    assert_eq!(query("/?p=%zz"), Some(Err(Reason::KeyMalformed)));
    assert_eq!(query(&format!("/?p={encoded}&p={encoded}")), DUPLICATED);
    let path = "/o/{key}".parse().unwrap();
    assert_eq!(
        ruled(Place::Path(path), json("/t"), &[(":path", &format!("/o/{encoded}"))], Duplicates::Reject),
        ok("a+b")
    );
}

/// A document has commas of its own, so a comma does not separate two values.
#[test]
fn a_header_with_a_document_is_one_value() {
    let find = |values: &[&str], duplicates| {
        let fields: Vec<_> = values.iter().map(|value| ("x-c", *value)).collect();
        ruled(Place::Header("x-c".into()), json("/t"), &fields, duplicates)
    };
    let (one, two) = (r#" {"r":[1,2],"t":"a"} "#, r#"{"t":"b"}"#);
    assert_eq!(find(&[one], Duplicates::Reject), ok("a"));
    assert_eq!(find(&[one, two], Duplicates::Reject), DUPLICATED);
    assert_eq!(find(&[one, two], Duplicates::Last), ok("b"));
    assert_eq!(find(&[r#"{"t":"a"},{"t":"b"}"#], Duplicates::Reject), Some(Err(Reason::BodyMalformed)));
    let form = ValueRule { then: Some(Box::new(Place::Form("t".into()))), ..ValueRule::default() };
    let find = |value| ruled(Place::Header("x-c".into()), form.clone(), &[("x-c", value)], Duplicates::Reject);
    assert_eq!(find("x=1&t=a%2Cb"), ok("a,b"));
    assert_eq!(find("t=a,t=b"), DUPLICATED);
}

/// Quotes are not allowed in a cookie (RFC 6265, 4.1.1), and servers read them in different ways.
#[test]
fn a_document_in_a_cookie_is_encoded() {
    let find = |value: &str| {
        ruled(Place::Cookie("s".into()), json("/t"), &[("cookie", &format!("a=b; s={value}"))], Duplicates::Reject)
    };
    assert_eq!(find("%7B%22t%22:%22a%20%2B%22%7D"), ok("a +"));
    assert_eq!(find("{%22t%22:7}"), ok("7"));
    // Decoded once.
    assert_eq!(find("{%22t%22:%22%2541%22}"), ok("%41"));
    for differs in [r#"{"t":7}"#, "{%22t%22:%22a+b%22}", "{%22t%22: 7}", "{%22t%22:7,%22u%22:8}", "{%22t%22:7%7"] {
        assert_eq!(find(differs), Some(Err(Reason::KeyMalformed)), "{differs}");
    }
    // A form has escapes of its own.
    let form = ValueRule { then: Some(Box::new(Place::Form("t".into()))), ..ValueRule::default() };
    let find = |value| ruled(Place::Cookie("s".into()), form.clone(), &[("cookie", value)], Duplicates::Reject);
    assert_eq!(find("s=x=1&t=a"), ok("a"));
    assert_eq!(find("s=x=1&t=%61"), Some(Err(Reason::KeyMalformed)));
}
