//! Bodies that are refused as a whole.

use super::*;

/// The reason and the offset of the error, at every cut.
fn error(document: &[u8]) -> (Reason, u64) {
    let (_, error) = scan_everywhere(&query(&["/a/b", "/a/@b"], Duplicates::Reject), document);
    let error = error.unwrap_or_else(|| panic!("{} is accepted", String::from_utf8_lossy(document)));
    assert!(!error.expected.is_empty());
    (error.reason, error.offset)
}

/// Asserts the reason. The document has `^` where the error is.
fn assert_refused(reason: Reason, documents: &[&str]) {
    for marked in documents {
        let offset = marked.find('^').unwrap();
        let document = marked.replacen('^', "", 1);
        assert_eq!(error(document.as_bytes()), (reason, offset as u64), "{marked}");
    }
}

#[test]
fn a_document_that_is_not_well_formed_is_refused() {
    assert_refused(
        Reason::BodyMalformed,
        &[
            "^x<a/>",
            "<a/>^x",
            "<a/>^&#32;",
            "<a/><^b/>",
            "<a/><!^[CDATA[]]>",
            "<a/><^/a>",
            "<^ a/>",
            "<^1/>",
            "<^-/>",
            "<a^!/>",
            "<a/^ >",
            "<a></^ a>",
            "<a></b^></a>",
            "<a><b></a^></b>",
            "<a></A^>",
            "<a></a ^b>",
            "<a^'x'>",
            "<a ^='x'>",
            "<a b^>",
            "<a b=^x>",
            "<a b='x'^c='y'/>",
            "<a b='x' b^='y'/>",
            "<a b='^<'/>",
            "<a b='&^;'/>",
            "<a b='&lt^ '/>",
            "<a>^\u{1}</a>",
            "<a>^\u{ffff}</a>",
            "<a b='^\u{b}'/>",
            "<a><!-- ^\u{fffe} --></a>",
            "<a>]]^></a>",
            "<a>]]]^></a>",
            "<a>&#x0^;</a>",
            "<a>&^ lt;</a>",
            "<a><!-- --^- --></a>",
            "<a><!-^ --></a>",
            "<a><!^x></a>",
            "<a><![C^data[]]></a>",
            "<a><?^ x?></a>",
            "<a><?x^!?></a>",
            "<a><?x?^y?></a>",
            "<a><?x:y^ ?></a>",
            "<a><?xml^ version='1.0'?></a>",
            "<?XML^ version='1.0'?><a/>",
            " <?xml^ version='1.0'?><a/>",
            "<!----><?xml^ version='1.0'?><a/>",
            "<?xml^?><a/>",
            "<?xml version='1.1'?^><a/>",
            "<?xml ?^><a/>",
            "<?xml version='1.0'?><?xml^ version='1.0'?><a/>",
        ],
    );
    assert_eq!(error("\u{feff}\u{feff}<a/>".as_bytes()), (Reason::BodyMalformed, 3));
}

#[test]
fn names_follow_the_rules_of_namespaces() {
    assert_refused(
        Reason::BodyMalformed,
        &[
            "<p:a/^>",
            "<a p:b='x'^>",
            "<p:a xmlns:q='urn:q'^>",
            "<xmlns:a^>",
            "<a:b:c^ xmlns:a='urn:a'/>",
            "<:a^/>",
            "<a:^/>",
            "<p:1^ xmlns:p='urn:p'/>",
            "<a :b^='x'/>",
            "<a xmlns='u' xmlns^='v'/>",
            "<a xmlns:p='u' xmlns:p^='u'/>",
            "<a xmlns:p='^'/>",
            "<a xmlns:xml='urn:x^'/>",
            "<a xmlns:xmlns='urn:x^'/>",
            "<a xmlns:p='http://www.w3.org/2000/xmlns/^'/>",
            "<a xmlns='http://www.w3.org/XML/1998/namespace^'/>",
            "<a xmlns:p='u' xmlns:q='u' p:b='x' q:b='x'^>",
            "<a><b xmlns:p='u'/><p:c^></p:c></a>",
        ],
    );
    for document in
        ["<a xmlns:p='u' xmlns:q='v' p:b='' q:b='' b=''/>", "<a xmlns=''><b xmlns='u' c='1' xmlns:p='u' p:c='2'/></a>"]
    {
        assert_eq!(find("/x", document), None);
    }
}

#[test]
fn document_types_and_their_entities_are_refused() {
    let laughs = "<!^DOCTYPE a [<!ENTITY lol 'lol'><!ENTITY lol2 '&lol;&lol;&lol;&lol;'>]><a><b>&lol2;</b></a>";
    let external = "<?xml version='1.0'?>\n<!^DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a><b>&x;</b></a>";
    assert_refused(
        Reason::BodyDoctype,
        &[
            laughs,
            external,
            "<!^DOCTYPE a><a/>",
            "<a><!^DOCTYPE a></a>",
            "<a>&x^;</a>",
            "<a b='&lol2^;'/>",
            "<a>&nbsp^;</a>",
        ],
    );
}

#[test]
fn other_encodings_are_refused() {
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let swapped = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
    for (document, offset) in [
        (utf16("\u{feff}<a/>"), 0),
        (swapped("\u{feff}<a/>"), 0),
        (utf16("<a/>"), 1),
        (swapped("<a/>"), 0),
        (b"<?xml version='1.0' encoding='ISO-8859-1'?><a/>".to_vec(), 42),
    ] {
        assert_eq!(error(&document), (Reason::CharsetUnsupported, offset), "{document:?}");
    }
    for (document, offset) in [
        (&b"<a>\xff</a>"[..], 3),
        (b"<a>\xe5</a>", 3),
        (b"<a b='\xc3'/>", 6),
        (b"<a\xc0\xaf/>", 2),
        (b"<!--\xed\xa0\x80--><a/>", 4),
        (b"<a>\xf0\x9f\x98</a>", 3),
        (b"<a>\xe2\x28\xe2</a>\xe2", 3),
    ] {
        assert_eq!(error(document), (Reason::BodyInvalidUtf8, offset), "{}", String::from_utf8_lossy(document));
    }
}

#[test]
fn each_beginning_of_a_document_is_truncated() {
    let document =
        "<?xml version='1.0'?><!-- c --><a b='x&amp;' xmlns:p='u'><p:b c=''/><![CDATA[å]]]]>&#38;<?x y?></a >";
    for end in 0..document.len() {
        let (_, error) = scan(&query(&["/a/b"], Duplicates::Reject), [&document.as_bytes()[..end]]);
        let expected =
            BodyError { reason: Reason::BodyTruncated, offset: 0, expected: "expected the end of the root element" };
        let error = error.map(|error| BodyError { offset: 0, ..error });
        assert_eq!(error, Some(expected), "{end}");
    }
    for document in ["<a/><", "<a/><!--", "<a/><?x", "<a/>\u{e5}"] {
        let document = &document.as_bytes()[..document.len() - usize::from(document.ends_with('\u{e5}'))];
        assert_eq!(error(document).0, Reason::BodyTruncated);
    }
}

#[test]
fn an_error_is_repeated() {
    let mut scanner = XmlScanner::new(query(&["/a"], Duplicates::Reject));
    let error = scanner.push(b"<a></b>").unwrap_err();
    assert_eq!((scanner.push(b"</a>"), scanner.finish()), (Err(error), Err(error)));
}
