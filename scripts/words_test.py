#!/usr/bin/env python3
"""Tests words.py. The last line counts the tests.

    words_test.py [WORD ...]     only tests whose name has one of the words in it
"""

import pathlib
import sys
import tempfile
import textwrap
import unittest

import chart_test
import words


def text(markdown):
    return textwrap.dedent(markdown).lstrip("\n")


def found(markdown):
    """(line, sentence) of a Markdown text."""
    return [(one.line, one.text) for one in words.sentences("page.md", text(markdown))]


class Sentences(unittest.TestCase):
    def test_a_paragraph_is_split_at_the_ends_of_sentences(self):
        self.assertEqual(
            found("""
            The filter holds the body. It waits
            for the end. Does it? `cellgate` does. istiod does not.
            """),
            [
                (1, "The filter holds the body."),
                (1, "It waits for the end."),
                (2, "Does it?"),
                (2, "`code` does."),
                (2, "istiod does not."),
            ],
        )

    def test_abbreviations_versions_and_file_names_do_not_end_a_sentence(self):
        for sentence in ("Use a header, e.g. `x-cell`, here.", "Envoy 1.40 reads envoy.yaml first.", "As J. Smith says."):
            self.assertEqual(found(sentence), [(1, sentence.replace("`x-cell`", "`code`"))])

    def test_list_items_headings_and_cells_are_apart(self):
        self.assertEqual(
            found("""
            # What it does

            Text before
            - one item
              goes on
            1. another

            | a | b |
            |---|--:|
            | first cell | second \\| cell |
            > a quotation
            """),
            [
                (1, "What it does"),
                (3, "Text before"),
                (4, "one item goes on"),
                (6, "another"),
                (8, "a"),
                (8, "b"),
                (10, "first cell"),
                (10, "second \\| cell"),
                (11, "a quotation"),
            ],
        )

    def test_code_and_comments_are_no_prose(self):
        self.assertEqual(
            found("""
            Before.
            ```text
            What is this?
            ```
            <!-- Where is
            that? -->

                Those are indented.

            - item

              ~~~
              What now?
              ~~~

              More of it.

                  Those are indented.
            After.
            """),
            [(1, "Before."), (10, "item"), (16, "More of it."), (19, "After.")],
        )

    def test_links_emphasis_and_code_leave_their_text(self):
        self.assertEqual(
            found("**What** [Envoy `1.40`](envoy.md#a) *does* with `a snake_case` name_of_it."),
            [(1, "What Envoy `code` does with `code` name_of_it.")],
        )

    def test_a_code_span_of_two_lines_is_one_word(self):
        self.assertEqual(found("Run `make\nwords` now. Then stop."), [(1, "Run `code` now."), (2, "Then stop.")])


class Openers(unittest.TestCase):
    def begins_badly(self, sentence):
        return words.Sentence("page.md", 1, sentence).begins_badly()

    def test_noun_clauses_are_found(self):
        for sentence in ("What is held counts.", "Those are sent.", "Where it waits.", "How much it holds is bounded."):
            self.assertTrue(self.begins_badly(sentence), sentence)

    def test_questions_and_other_words_are_not(self):
        for sentence in ("What is held?", "Whatever it is.", "How it works.", "Whereas this.", "The What."):
            self.assertFalse(self.begins_badly(sentence), sentence)

    def test_findings_are_reported_from_one_per_cent_on(self):
        good = [words.Sentence("page.md", 1, f"The filter holds body {number}.") for number in range(99)]
        more = words.Sentence("page.md", 2, "The filter holds another body.")
        bad = words.Sentence("page.md", 7, "What is held counts.")
        self.assertEqual(len(words.openers("documents", [*good, bad], False)[0]), 1)
        findings, shown, figure = words.openers("documents", [*good, *good, more, bad], True)
        self.assertEqual((findings, len(shown)), ([], 1))
        self.assertIn("101 sentences, 1 (0.99 %)", figure)

    def test_figures_in_tables_do_not_count_as_sentences(self):
        cells = [words.Sentence("page.md", 1, "57 (1.00)")] * 1000
        bad = words.Sentence("page.md", 7, "What is held counts.")
        self.assertEqual(len(words.openers("documents", [*cells, bad], False)[0]), 1)


class Lines(unittest.TestCase):
    def test_long_lines_are_found_and_tables_code_and_long_words_may_be_long(self):
        long = "word " * 21
        url = "https://example.com/" + "a" * 100
        page = f"{long}\n| {long} |\n```\n{long}\n```\n[name]: {url} \"{long}\"\n- {url}\n{'a' * 96} end\n{'a' * 97} end\n"
        self.assertEqual(
            list(words.long_lines("page.md", page)),
            ["page.md:1: 105 columns, over 100", "page.md:9: 101 columns, over 100"],
        )


class Links(unittest.TestCase):
    def test_anchors_are_those_of_github(self):
        page = '# A `code`, and *more*\n\n## Twice\n\n## Twice\n\n<a id="own"></a>\n\n```\n# no\n```\n\n### It\'s [linked](x.md)_y\n'
        self.assertEqual(words.anchors(page), {"a-code-and-more", "twice", "twice-1", "own", "its-linked_y"})

    def test_links_to_missing_files_and_headings_are_found(self):
        page = text("""
            [good](#here) [other](b.md#there) [folder](sub) [web](https://example.com/#x) `[code](no.md)`
            [no file](c.md) [no heading](#gone)
            [no heading](b.md#gone)

            # Here
            [defined]: d.md
            """)
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "docs" / "sub").mkdir(parents=True)
            (root / "docs" / "b.md").write_text("# There\n")
            (root / "docs" / "a.md").write_text(page)
            self.assertEqual(
                list(words.dead_links(root, "docs/a.md", page)),
                [
                    "docs/a.md:2: the link to c.md leads to no file",
                    "docs/a.md:2: the link to #gone leads to no heading",
                    "docs/a.md:3: the link to b.md#gone leads to no heading",
                    "docs/a.md:6: the link to d.md leads to no file",
                ],
            )


    def test_paths_of_missing_files_are_found(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "src").mkdir()
            (root / "src" / "a.rs").touch()
            (root / "target").mkdir()
            page = "`src/a.rs` `src/` `src/b.rs` `other/c.rs` `target/d` `application/json`\n"
            self.assertEqual(list(words.dead_paths(root, "a.md", page)), ["a.md:1: src/b.rs does not exist"])


class DocComments(unittest.TestCase):
    def test_blocks_are_apart_and_keep_their_lines(self):
        source = "//! Module.\n//! More.\n\n/// Item.\n///\n/// ```\n/// code\n/// ```\n//// no\n// no\nfn a() {}\n    /// Inner.\n"
        self.assertEqual(
            list(words.doc_comments(source)),
            [(1, "Module.\nMore."), (4, "Item.\n\n```\ncode\n```"), (12, "Inner.")],
        )

    def test_findings_name_the_line_in_the_source(self):
        source = "fn a() {}\n\n/// Good.\n/// What is held counts.\nfn b() {}\n"
        findings, _, figures = words.check(pathlib.Path("/nowhere"), {}, {"a.rs": source})
        self.assertEqual(findings, ["a.rs:4: begins with What: What is held counts."])
        self.assertIn("doc comments: 1 sentences, 1 (100.00 %)", figures[1])


class Types(unittest.TestCase):
    def names(self, source):
        return [name for _, name in words.type_definitions(source)[0]]

    def test_types_of_modules_count_and_their_lines_are_right(self):
        source = "#[derive(Debug)]\npub(crate) struct A<T>(T);\n\nenum B {\n    X { y: u8 },\n}\npub type C = u8;\nmod inner {\n    pub trait D: Sized {}\n}\n"
        self.assertEqual(words.type_definitions(source)[0], [(2, "A"), (4, "B"), (7, "C"), (9, "D")])

    def test_associated_and_local_types_strings_and_comments_do_not_count(self):
        source = """
            impl Iterator for X { type Item = u8; fn next(&mut self) { struct Local; } }
            trait T { type Error; }
            const A: &str = "struct S {"; const B: &str = r#"enum "E" {"#; // struct Comment;
            const C: char = '{'; const D: u8 = b'\\''; fn f<'a>(x: &'a str) {}
            macro_rules! m { () => { struct InMacro; } }
            struct Real;
        """
        self.assertEqual(self.names(source), ["T", "Real"])

    def test_tests_do_not_count(self):
        source = """
            #[cfg(test)]
            mod tests { struct A; }
            #[cfg(all(test, unix))]
            struct B;
            #[cfg(test)]
            mod cases;
            #[cfg(unix)]
            struct C;
            struct D;
        """
        types, modules = words.type_definitions(source)
        self.assertEqual(([name for _, name in types], modules), (["C", "D"], ["cases"]))

    def repeated(self, sources, exceptions=""):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for crate in ("a", "b"):
                (root / crate).mkdir()
                (root / crate / "Cargo.toml").touch()
            (root / "scripts").mkdir()
            (root / words.EXCEPTIONS).write_text(exceptions)
            return words.repeated_types(root, sources)

    def test_a_name_is_repeated_within_one_crate_only(self):
        sources = {
            "a/src/lib.rs": "mod x; struct One; struct Two;",
            "a/src/x.rs": "\nstruct One; #[cfg(test)] mod tests;",
            "a/src/x/tests.rs": "struct Two;",
            "a/src/x/tests/more.rs": "struct Two;",
            "a/src/bin/two.rs": "struct Two;",
            "a/tests/it.rs": "struct Two;",
            "b/src/lib.rs": "struct Two;",
        }
        findings, figure = self.repeated(sources)
        self.assertEqual(
            findings, ["a/src/lib.rs:1: One is defined 2 times in a", "a/src/x.rs:2: One is defined 2 times in a"]
        )
        self.assertEqual(figure, "types: 4 names, 1 defined more than once, 0 of them allowed")

    def test_exceptions_have_a_reason_and_a_use(self):
        sources = {"a/src/lib.rs": "struct One;", "a/src/x.rs": "struct One;"}
        exceptions = "# comment\n\na One: two hosts\na Gone: no reason any more\na One\n"
        self.assertEqual(
            self.repeated(sources, exceptions)[0],
            [
                f"{words.EXCEPTIONS}:5: write `CRATE TYPE: reason`",
                f"{words.EXCEPTIONS}:4: Gone is not defined twice in a: remove this line",
            ],
        )


class Documents(unittest.TestCase):
    def test_long_sentences_are_found(self):
        page = "Short. Word " + "word " * 39 + "end.\n\n" + "word " * 39 + "end.\n"
        findings, _, figures = words.check(pathlib.Path("/nowhere"), {"page.md": page.replace("word word", "word\nword")}, {})
        self.assertEqual([line[:45] for line in findings], ["page.md:1: a sentence of 41 words, over 40: W"])
        self.assertIn("documents: 1 sentences of over 40 words", figures)


if __name__ == "__main__":
    sys.exit(chart_test.run(chart_test.loader().loadTestsFromModule(sys.modules[__name__])))
