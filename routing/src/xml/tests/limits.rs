//! The limits, and what large documents cost.

use super::super::attributes::Attributes;
use super::super::lexer::MAX_NAME;
use super::super::namespaces::Namespaces;
use super::*;

fn reason(document: &str) -> Option<Reason> {
    let query = query(&["/a/b", "/a/@b"], Duplicates::Reject);
    let whole = scan(&query, [document.as_bytes()]);
    for size in [1, 7, 1000] {
        assert_eq!(scan(&query, document.as_bytes().chunks(size)), whole);
    }
    whole.1.map(|error| error.reason)
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    assert_eq!((reason(&nested(8)), reason(&nested(9))), (None, Some(Reason::BodyTooDeep)));
    assert_eq!(reason(&format!("<a>{}</a>", "<b/><b></b>".repeat(100))), None);
}

#[test]
fn names_attributes_and_declarations_are_bounded() {
    let too_complex = Some(Reason::BodyTooComplex);
    let name = |length| "n".repeat(length);
    for (build, limit) in [
        ((|n| format!("<{n}/>")) as fn(String) -> String, MAX_NAME),
        (|n| format!("<a {n}=''/>"), MAX_NAME),
        (|n| format!("<a><?{n} ?></a>"), MAX_NAME),
        (|n| format!("<a xmlns='{n}'/>"), Namespaces::MAX_NAME),
        (|n| format!("<a xmlns:p='{n}'/>"), Namespaces::MAX_NAME),
    ] {
        assert_eq!((reason(&build(name(limit))), reason(&build(name(limit + 1)))), (None, too_complex));
    }
    let attributes = |count| {
        let attributes: String = (0..count).map(|index| format!(" a{index}=''")).collect();
        format!("<a{attributes}/>")
    };
    assert_eq!((reason(&attributes(Attributes::MAX)), reason(&attributes(Attributes::MAX + 1))), (None, too_complex));
    let long = |count| {
        let attributes: String = (0..count).map(|index| format!(" {}{index:02}=''", name(MAX_NAME - 2))).collect();
        format!("<a{attributes}/>")
    };
    let most = Attributes::MAX_BYTES / MAX_NAME;
    assert_eq!((reason(&long(most)), reason(&long(most + 1))), (None, too_complex));
    let declarations = |count| {
        let declarations: String = (0..count).map(|index| format!(" xmlns:p{index}='u'")).collect();
        format!("<a{declarations}/>")
    };
    assert_eq!(reason(&declarations(Attributes::MAX)), None);
    let nested = format!("<a xmlns:p='u'>{}</a>", declarations(Attributes::MAX));
    assert_eq!(reason(&nested), too_complex);
    // Declarations of elements that are closed do not count.
    assert_eq!(reason(&format!("<a>{}</a>", declarations(200).repeat(10))), None);
}

/// Base64 of megabytes beside the key, in an element, an attribute, a CDATA section, a comment and an instruction.
#[test]
fn long_text_is_not_kept() {
    let query = query(&["/a/t", "/a/@t"], Duplicates::Reject);
    let long = "QUJD".repeat(1 << 18);
    for (before, after) in [
        ("<a><f>", "</f>"),
        ("<a><f g='", "'/>"),
        ("<a><![CDATA[", "]]>"),
        ("<a><!--", "-->"),
        ("<a><?x ", "?>"),
        ("<a>", ""),
        ("<a t='", "'>"),
    ] {
        let mut scanner = XmlScanner::new(Arc::clone(&query));
        scanner.push(before.as_bytes()).unwrap();
        for chunk in long.as_bytes().chunks(1000) {
            scanner.push(chunk).unwrap();
        }
        // Whatever the scanner keeps would be in its debug text.
        assert!(format!("{scanner:?}").len() < 4000);
        scanner.push(format!("{after}<t>acme</t></a>").as_bytes()).unwrap();
        scanner.finish().unwrap();
        assert_eq!(scanner.candidate(0), Candidate::Found("acme"));
    }
}

/// Neither the number nor the length of a tag's attributes moves the memory that it takes.
#[test]
fn a_huge_tag_takes_no_more_memory_than_the_limits() {
    let query = query(&["/a/t", "/a/@t"], Duplicates::Reject);
    let many: String = (0..100_000).map(|index| format!(" a{index}='x'")).collect();
    let long = format!(" b='{}'", "v".repeat(1 << 20));
    let declared = format!(" xmlns:p='{}'", "u".repeat(1 << 20));
    let named = format!(" {}='x'", "n".repeat(1 << 20));
    let wanted = format!(" t='{}'", "v".repeat(1 << 20));
    for (attributes, refused) in [(&many, true), (&long, false), (&declared, true), (&named, true), (&wanted, false)] {
        let mut scanner = XmlScanner::new(Arc::clone(&query));
        let (mut most, mut error) = (0, None);
        for chunk in format!("<a{attributes}><t>acme</t></a>").as_bytes().chunks(1000) {
            error = scanner.push(chunk).err();
            // Whatever the scanner keeps would be in its debug text.
            most = most.max(format!("{scanner:?}").len());
            if error.is_some() {
                break;
            }
        }
        assert_eq!(error.map(|error| error.reason), refused.then_some(Reason::BodyTooComplex));
        assert!(most < 16 << 10, "{most}");
    }
}

/// Each prefixed attribute was compared with each earlier one, and both prefixes were looked up again for each pair: a body
/// of 1 MB took seconds. This one would take minutes.
#[test]
fn many_attributes_of_a_tag_are_no_work_for_each_pair() {
    let prefixes = 0..250;
    let declared: String = prefixes.clone().map(|prefix| format!(" xmlns:p{prefix}='urn:{prefix}'")).collect();
    let tag: String = prefixes.map(|prefix| format!(" p{prefix}:a=''")).collect();
    let document = format!("<r{declared}>{}</r>", format!("<b{tag}/>").repeat(400));
    let (_, error) = scan(&query(&["/r/t"], Duplicates::Reject), [document.as_bytes()]);
    assert_eq!(error, None);
}
