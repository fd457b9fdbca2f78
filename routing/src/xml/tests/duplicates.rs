//! A source that holds more than one value.

use super::*;

#[test]
fn an_element_that_stands_twice_is_a_duplicate() {
    for (path, document) in [
        ("/a/b", "<a><b>x</b><b>x</b></a>"),
        ("/a/b", "<a><b>x</b><c/><b/></a>"),
        ("/a/b/c", "<a><b><c>x</c></b><b/></a>"),
        ("/a/b/c", "<a><b/><b><c>x</c></b></a>"),
        ("/a/b/@c", "<a><b c='x'/><b/></a>"),
        ("/a/{*}b", "<a><b>x</b><b xmlns='urn:b'>x</b></a>"),
        ("/a/@{*}b", "<a b='x' p:b='x' xmlns:p='urn:p'/>"),
        ("/a/*/c", "<a><b><c>x</c><c>x</c></b><b><c>x</c></b></a>"),
        ("/a/b/*/c", "<a><b><i><c>x</c></i></b><b/></a>"),
    ] {
        assert_eq!(find(path, document), Some(Err(Reason::KeyDuplicated)), "{document}");
    }
    // Another element of the same name elsewhere is none.
    assert_eq!(find("/a/b", "<a><b>x</b><c><b>y</b></c></a>"), found("x"));
    assert_eq!(find("/a/b", "<a><b>x</b><b xmlns='urn:b'>y</b></a>"), found("x"));
}

#[test]
fn the_first_or_the_last_element_counts_with_all_that_it_holds() {
    let first = |path, document| find_by(path, document, Duplicates::First);
    let last = |path, document| find_by(path, document, Duplicates::Last);
    let elements = "<a><b><c>x</c></b><b><c>y</c><c>z</c></b></a>";
    assert_eq!((first("/a/b/c", elements), last("/a/b/c", elements)), (found("x"), found("z")));
    let without = "<a><b/><b><c>y</c></b><b/></a>";
    assert_eq!((first("/a/b/c", without), last("/a/b/c", without)), (None, None));
    let attributes = "<a p:b='x' b='y' xmlns:p='urn:p'/>";
    assert_eq!((first("/a/@{*}b", attributes), last("/a/@{*}b", attributes)), (found("x"), found("y")));
    let lists = "<a><b><i><c>x</c></i></b><b><i><c>y</c></i><i><c>y</c></i></b></a>";
    assert_eq!((first("/a/b/*/c", lists), last("/a/b/*/c", lists)), (found("x"), found("y")));
}

#[test]
fn the_elements_of_a_step_for_any_must_agree() {
    for duplicates in [Duplicates::Reject, Duplicates::First, Duplicates::Last] {
        let find = |path, document| find_by(path, document, duplicates);
        assert_eq!(find("/a/*/c", "<a><b><c>x</c></b><b/><d><c>x</c></d></a>"), found("x"));
        assert_eq!(find("/a/*", "<a><b>x</b><d>x</d></a>"), found("x"));
        assert_eq!(find("/*/*/@c", "<a><b c='x'/><b/><b c='x'/></a>"), found("x"));
        for document in ["<a><b><c>x</c></b><b><c>y</c></b></a>", "<a><b><c>x</c></b><b><c/></b></a>"] {
            assert_eq!(find("/a/*/c", document), Some(Err(Reason::KeyConflict)), "{document}");
        }
        let nested = "<a><b><l><i><c>x</c></i></l></b><b><l><i><c>x</c></i><i><c>y</c></i></l></b></a>";
        assert_eq!(find("/a/*/l/*/c", nested), Some(Err(Reason::KeyConflict)));
    }
}

/// A value is settled as soon as its element ends, also in an element of a list that is still open.
#[test]
fn a_settled_value_changes_only_to_a_conflict() {
    let candidate_at = |path, duplicates, start: &str| {
        let mut scanner = XmlScanner::new(query(&[path], duplicates));
        scanner.push(start.as_bytes()).unwrap();
        let value = scanner.candidate(0).found().map(|found| found.map(str::to_owned));
        (value, scanner.is_settled(0))
    };
    for path in ["/a/b/c", "/a/*/c", "/*/*/c", "/a/*/*"] {
        assert_eq!(candidate_at(path, Duplicates::Reject, "<a><b><c>x</c"), (None, false), "{path}");
        assert_eq!(candidate_at(path, Duplicates::Reject, "<a><b><c>x</c>"), (found("x"), true), "{path}");
        assert_eq!(candidate_at(path, Duplicates::First, "<a><b><c>x</c>"), (found("x"), true), "{path}");
        assert_eq!(candidate_at(path, Duplicates::Last, "<a><b><c>x</c>"), (found("x"), false), "{path}");
    }
    assert_eq!(candidate_at("/a/@b", Duplicates::Reject, "<a b='x'"), (None, false));
    assert_eq!(candidate_at("/a/@b", Duplicates::Reject, "<a b='x'>"), (found("x"), true));
}
