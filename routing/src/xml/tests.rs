//! Documents, each at every cut.

mod duplicates;
mod limits;
mod oracle;
mod refused;

use std::sync::Arc;

use super::{ElementQuery, XmlScanner};
use crate::body::{BodyError, BodyScanner, Candidate};
use crate::format::ScanLimits;
use crate::key::Duplicates;
use crate::reason::Reason;
use crate::value::KeyRule;

/// The value of each path.
type Values = Vec<Option<Result<String, Reason>>>;

fn limits(duplicates: Duplicates) -> ScanLimits {
    ScanLimits { duplicates, depth: 8, key_bytes: 16, accepted: crate::document::AcceptedFaults::NONE }
}

fn query(paths: &[&str], duplicates: Duplicates) -> Arc<ElementQuery> {
    let limits = limits(duplicates);
    let sources = paths.iter().map(|path| (path.parse().unwrap(), KeyRule::whole(limits.key_bytes))).collect();
    Arc::new(ElementQuery::with_rules(sources, limits))
}

fn scan<'a>(query: &Arc<ElementQuery>, chunks: impl IntoIterator<Item = &'a [u8]>) -> (Values, Option<BodyError>) {
    let mut scanner = XmlScanner::new(Arc::clone(query));
    let pushed = chunks.into_iter().try_for_each(|chunk| scanner.push(chunk));
    let error = pushed.and_then(|()| scanner.finish()).err();
    let value = |index| match scanner.candidate(index) {
        Candidate::Missing => None,
        Candidate::Found(key) => Some(Ok(key.to_owned())),
        Candidate::Unusable(reason) => Some(Err(reason)),
    };
    ((0..query.sources.len()).map(value).collect(), error)
}

/// Scans the document whole and at every cut, and asserts that the results are the same.
fn scan_everywhere(query: &Arc<ElementQuery>, document: &[u8]) -> (Values, Option<BodyError>) {
    let whole = scan(query, [document]);
    assert_eq!(scan(query, document.chunks(1)), whole, "{}", String::from_utf8_lossy(document));
    for cut in 1..document.len() {
        let (one, two) = document.split_at(cut);
        assert_eq!(scan(query, [one, two]), whole, "{} cut at {cut}", String::from_utf8_lossy(document));
    }
    whole
}

/// The value at a path of a well-formed document.
fn find_by(path: &str, document: &str, duplicates: Duplicates) -> Option<Result<String, Reason>> {
    let (mut values, error) = scan_everywhere(&query(&[path], duplicates), document.as_bytes());
    assert_eq!(error, None, "{document}");
    values.remove(0)
}

fn find(path: &str, document: &str) -> Option<Result<String, Reason>> {
    find_by(path, document, Duplicates::Reject)
}

fn found(key: &str) -> Option<Result<String, Reason>> {
    Some(Ok(key.to_owned()))
}

const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";

#[test]
fn an_element_or_an_attribute_is_found() {
    for (path, document) in [
        ("/order/tenant", "<order><tenant>acme</tenant></order>"),
        (
            "/order/tenant",
            "\u{feff}<?xml version=\"1.0\" encoding='utf-8' standalone='no'?>\r\n<order><tenant>acme</tenant></order>\n",
        ),
        (
            "/order/tenant",
            "<!-- a - b --><?style x='>'?> <order ><a/><tenant\n>\n\t acme\r\n</tenant ></order\n><!----><?x?>",
        ),
        ("/order/tenant", "<order><tenant> <!-- - --> ac&#109;&#x65;<?x y??><![CDATA[ ]]><!----></tenant></order>"),
        ("/order/tenant", "<order><tenant>\n<![CDATA[acme]]>\n</tenant></order>"),
        ("/order/tenant", "<order><tenant><![CDATA[acme]]></tenant></order>"),
        ("/tenant", "<tenant>acme</tenant>"),
        ("/order/@tenant", "<order a='>' tenant = \"acme\" b='/'/>"),
        ("/order/@tenant", "<order tenant='ac&#109;e'></order>"),
        ("/a/b/c", "<a><c>x</c><b/><d><c>y</c></d></a>"),
    ] {
        let expected = if path == "/a/b/c" { None } else { found("acme") };
        assert_eq!(find(path, document), expected, "{document}");
    }
    assert_eq!(find("/a", "<a>&lt;&amp;]]&gt;]</a>"), found("<&]]>]"));
    assert_eq!(find("/a", "<a><![CDATA[]]&x;]]]></a>"), found("]]&x;]"));
    assert_eq!(find("/a", "<a>å名😀\u{f8ff}\u{fffd}</a>"), found("å名😀\u{f8ff}\u{fffd}"));
    assert_eq!(find("/a/@b", "<a b=' å\t&quot;\n'/>"), found(" å \" "));
}

#[test]
fn a_value_that_cannot_be_a_key_has_a_reason() {
    for (document, reason) in [
        ("<a/>", Reason::KeyEmpty),
        ("<a> \n<!-- --></a>", Reason::KeyEmpty),
        ("<a>b<c/></a>", Reason::KeyObject),
        ("<a><c>b</c></a>", Reason::KeyObject),
        ("<a>12345678901234567</a>", Reason::KeyTooLong),
        ("<a>b\r\nc</a>", Reason::KeyControlCharacter),
        ("<a>b&#13;c</a>", Reason::KeyControlCharacter),
        ("<a>\u{85}b</a>", Reason::KeyControlCharacter),
    ] {
        assert_eq!(find("/a", document), Some(Err(reason)), "{document}");
    }
    assert_eq!(find("/a/@b", "<a b=''/>"), Some(Err(Reason::KeyEmpty)));
    assert_eq!(find("/a/@b", "<a b='1234567890&#x20;1234567890'/>"), Some(Err(Reason::KeyTooLong)));
}

/// A client could name one tenant to a service that reads only the first node, and another one to Cellgate.
#[test]
fn a_text_of_several_nodes_is_malformed() {
    for split in ["ac<!-- -->me", "ac<?x?>me", "ac<![CDATA[me]]>", "<![CDATA[ac]]>me", "<![CDATA[ac]]><![CDATA[me]]>"] {
        assert_eq!(find("/a", &format!("<a>{split}</a>")), Some(Err(Reason::KeyMalformed)), "{split}");
        assert_eq!(find("/b/a", &format!("<b>x<!-- -->y<a>acme</a>{split}</b>")), found("acme"), "{split}");
    }
}

#[test]
fn a_path_has_namespaces_and_a_document_prefixes() {
    let document = format!(
        "<s:Envelope xmlns:s='{SOAP}' xmlns='urn:other'><s:Body><Get xmlns='urn:get' xmlns:g='urn:get'>\
         <g:tenant s:id='7' id='8'>acme</g:tenant><tenant xmlns=''>other</tenant></Get></s:Body></s:Envelope>"
    );
    for (path, expected) in [
        (format!("/{{{SOAP}}}Envelope/{{{SOAP}}}Body/{{urn:get}}Get/{{urn:get}}tenant"), found("acme")),
        ("/{*}Envelope/{*}Body/*/{urn:get}tenant".to_owned(), found("acme")),
        ("/{*}Envelope/{*}Body/*/tenant".to_owned(), found("other")),
        ("/{*}Envelope/{*}Body/*/{urn:get}tenant/@id".to_owned(), found("8")),
        (format!("/{{*}}Envelope/{{*}}Body/*/{{urn:get}}tenant/@{{{SOAP}}}id"), found("7")),
        ("/Envelope/Body/Get/tenant".to_owned(), None),
        ("/{urn:other}Envelope/{*}Body/*/{*}tenant".to_owned(), None),
        ("/{*}Envelope/{*}Body/{urn:other}Get/{*}tenant".to_owned(), None),
    ] {
        assert_eq!(find(&path, &document), expected, "{path}");
    }
    // A declaration counts for its own tag, also for what stands before it.
    assert_eq!(find("/{urn:p}a/@{urn:p}b", "<p:a p:b='acme' xmlns:p='urn:p'/>"), found("acme"));
    assert_eq!(find("/a/@{http://www.w3.org/XML/1998/namespace}lang", "<a xml:lang='en'/>"), found("en"));
    // The default namespace does not apply to attributes.
    assert_eq!(find("/{urn:p}a/@b", "<a b='acme' xmlns='urn:p'/>"), found("acme"));
}

#[test]
fn names_that_differ_in_case_are_different() {
    assert_eq!(find("/a/tenant", "<a><Tenant>b</Tenant><tenant>acme</tenant><TENANT/></a>"), found("acme"));
    assert_eq!(find("/a/@tenant", "<a Tenant='b' tenant='acme'/>"), found("acme"));
}

#[test]
fn sources_do_not_disturb_each_other() {
    let paths = ["/a/b", "/a/b/@c", "/a/*", "/a", "/a/b/c", "/a/b"];
    let (values, error) = scan_everywhere(&query(&paths, Duplicates::Reject), b"<a x='1'><b c='C'>B</b></a>");
    assert_eq!(error, None);
    assert_eq!(values, [found("B"), found("C"), found("B"), Some(Err(Reason::KeyObject)), None, found("B")]);
}

#[test]
fn a_document_inside_an_element_is_scanned_as_it_arrives() {
    let limits = ScanLimits {
        duplicates: Duplicates::Reject,
        depth: 8,
        key_bytes: 16,
        accepted: crate::document::AcceptedFaults::NONE,
    };
    let rule = crate::ValueRule {
        then: Some(Box::new(crate::source::Place::Json("/t".parse().unwrap()))),
        ..Default::default()
    };
    let sources = ["/a", "/a/@b"].map(|path| (path.parse().unwrap(), KeyRule::new(&rule, limits))).into();
    let query = Arc::new(ElementQuery::with_rules(sources, limits));
    let (values, _) = scan_everywhere(&query, br#"<a b=' {"t" : "x"} '> <![CDATA[{"t": "ac me" } ]]> </a>"#);
    assert_eq!(values, [found("ac me"), found("x")]);
    let (values, _) = scan_everywhere(&query, br#"<a b='{}'>{"t": &quot;ac&#32;me&quot; }</a>"#);
    assert_eq!(values, [found("ac me"), None]);
    let (values, _) = scan_everywhere(&query, br#"<a><![CDATA[{"t":]]>"acme"}</a>"#);
    assert_eq!(values, [Some(Err(Reason::KeyMalformed)), None]);
    let (values, _) = scan_everywhere(&query, br#"<a b=''> </a>"#);
    assert_eq!(values, [Some(Err(Reason::KeyEmpty)), Some(Err(Reason::KeyEmpty))]);
}
