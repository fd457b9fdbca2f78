#!/usr/bin/env python3
"""Checks the wording of the documentation, its links, and the names of the types.

    words.py [--all] [DIRECTORY]    the repository's directory, otherwise the one of this script

In documents (every Markdown file) and in the doc comments of the Rust sources, sentences that begin with What, Those,
Where or How much must be fewer than 1 %. In documents a sentence has at most 40 words and a line at most 100 columns,
and relative links, their anchors and the paths of files in code spans resolve. No type name is defined twice in one crate, except those in
words-exceptions.txt.

Each finding is one line, FILE:LINE: TEXT. The last lines are the figures. --all also prints the sentences that begin
with one of these words while they are few enough. Exit code 1 if there is a finding.
"""

import argparse
import collections
import dataclasses
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXCEPTIONS = "scripts/words-exceptions.txt"
# These words begin a noun clause more often than a plain statement: "What Envoy buffers the filter may keep."
OPENER = re.compile(r"(What|Those|Where|How much)\b")
OPENERS_PERCENT = 1.0
SENTENCE_WORDS = 40
LINE_COLUMNS = 100


@dataclasses.dataclass(frozen=True)
class Sentence:
    file: str
    line: int
    text: str

    def words(self):
        return sum(any(character.isalnum() for character in word) for word in self.text.split())

    def is_prose(self):
        """Not a figure or a name in a table: those would make the share of anything small."""
        return self.begins_badly() or sum(any(map(str.isalpha, word)) for word in self.text.split()) >= 4

    def begins_badly(self):
        """A question may begin with What or Where; a statement may not."""
        return bool(OPENER.match(self.text)) and not self.text.endswith("?")


# Markdown ------------------------------------------------------------------------------------------------------------

FENCE = re.compile(r" {0,3}(```+|~~~+)")
LINK_DEFINITION = re.compile(r" {0,3}\[[^\]]+\]:\s")
LIST_ITEM = re.compile(r"\s*(?:[-*+]|\d+[.)])\s+")
HEADING = re.compile(r" {0,3}#{1,6}\s+")
TABLE_RULE = re.compile(r"[\s|:-]+$")
CELL = re.compile(r"(?<!\\)\|")
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


def blanked(match):
    """The same number of lines, without the text."""
    return "\n" * match.group().count("\n")


def prose_lines(lines):
    """Lines outside code blocks, as (number, line). A code block ends the paragraph before it: it gives an empty line."""
    # `text`: the column at which the text of a list item begins.
    fence, before, text = None, "", 0
    for number, line in enumerate(lines, 1):
        found = FENCE.match(line.strip() if text else line)
        if fence:
            if found and found[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = None
            continue
        if found:
            fence = found[1]
            yield number, ""
            continue
        if item := LIST_ITEM.match(line):
            text = item.end()
        elif line.strip() and not line.startswith(" "):
            text = 0
        # Indented code follows an empty line.
        elif not before.strip() and line.startswith(" " * (text + 4)):
            yield number, ""
            continue
        yield number, line
        before = line


def paragraphs(markdown):
    """Paragraphs, headings, list items and cells of tables, each as a list of (line number, text)."""
    paragraph = []
    for number, line in prose_lines(COMMENT.sub(blanked, markdown).split("\n")):
        text = re.sub(r"^\s*(?:>\s?)+", "", line)
        apart = not text.strip() or text.lstrip().startswith("|") or HEADING.match(text)
        if apart or LINK_DEFINITION.match(text) or LIST_ITEM.match(text):
            if paragraph:
                yield paragraph
            paragraph = []
        if not text.strip() or LINK_DEFINITION.match(text):
            continue
        if text.lstrip().startswith("|"):
            if not TABLE_RULE.match(text):
                yield from ([(number, cell)] for cell in CELL.split(text) if cell.strip())
        elif heading := HEADING.match(text):
            yield [(number, text[heading.end() :])]
        else:
            item = LIST_ITEM.match(text)
            paragraph.append((number, text[item.end() :] if item else text))
    if paragraph:
        yield paragraph


def plain(text):
    """Text without markup. Line ends stay where they are. Code counts as one word."""
    text = re.sub(r"(?s)(`+)(.+?)\1", lambda code: "`code`" + "\n" * code.group().count("\n"), text)
    text = re.sub(r"!?\[((?:[^\[\]]|\[[^\]]*\])*)\]\([^)\s]*(?:\s+\"[^\"]*\")?\)", r"\1", text)
    text = re.sub(r"!?\[([^\[\]]*)\]\[[^\]]*\]", r"\1", text)
    text = re.sub(r"<[a-zA-Z/][^>\n]*>", "", text)
    return re.sub(r"\*+|(?<!\w)_+|_+(?!\w)", "", text)


# A sentence ends at a full stop, question or exclamation mark. The next one may begin with a lower-case name: istiod, h2.
SENTENCE_END = re.compile(r"[.!?][\"')\]”’]*(?=\s+[\"'(\[“‘`]*\w)")
ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|e\.\s?g|vs|cf|etc|approx|resp|incl|no)|\b[A-Z])\.$", re.IGNORECASE)


def sentences(file, markdown, first_line=1):
    """All sentences of a Markdown text, with the line on which each begins."""
    for paragraph in paragraphs(markdown):
        start = paragraph[0][0]
        text = plain("\n".join(line.strip() for _, line in paragraph))
        begin = 0
        ends = [found.end() for found in SENTENCE_END.finditer(text) if not ABBREVIATION.search(text[: found.end()])]
        for end in [*ends, len(text)]:
            raw = text[begin:end]
            line = start + text[: begin + len(raw) - len(raw.lstrip())].count("\n")
            begin = end
            sentence = Sentence(file, first_line - 1 + line, " ".join(raw.split()))
            if sentence.words():
                yield sentence


def long_lines(file, markdown):
    """Findings: lines that could be shorter. Tables, code, link definitions and single long words may be long."""
    for number, line in prose_lines(markdown.split("\n")):
        if len(line) <= LINE_COLUMNS or line.lstrip().startswith("|") or LINK_DEFINITION.match(line):
            continue
        text = line.strip()
        marker = LIST_ITEM.match(text)
        if " " in (text[marker.end() :] if marker else text):
            yield f"{file}:{number}: {len(line)} columns, over {LINE_COLUMNS}"


# Links ---------------------------------------------------------------------------------------------------------------

INLINE_LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
DEFINED_LINK = re.compile(r"^ {0,3}\[[^\]]+\]:\s+<?(\S+?)>?\s*$")
HTML_ANCHOR = re.compile(r"<a\s+(?:name|id)=\"([^\"]+)\"")


def anchors(markdown):
    """The anchors that GitHub gives the headings of a page."""
    found, seen = set(HTML_ANCHOR.findall(markdown)), collections.Counter()
    for _, line in prose_lines(COMMENT.sub(blanked, markdown).split("\n")):
        if not (heading := HEADING.match(line)):
            continue
        title = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", line[heading.end() :].strip().rstrip("#").strip())
        title = re.sub(r"\*+|`", "", title).lower()
        slug = re.sub(r"[^\w\- ]", "", title).replace(" ", "-")
        found.add(slug if not seen[slug] else f"{slug}-{seen[slug]}")
        seen[slug] += 1
    return found


def dead_links(root, file, markdown):
    """Findings: relative links to files or anchors that do not exist."""
    for number, line in prose_lines(COMMENT.sub(blanked, markdown).split("\n")):
        line = re.sub(r"`[^`]*`", "`code`", line)
        for target in INLINE_LINK.findall(line) + DEFINED_LINK.findall(line):
            if re.match(r"[a-z][a-z0-9+.-]*:|/|\{", target):
                continue
            path, _, anchor = target.partition("#")
            page = (root / file).parent / path if path else root / file
            if not page.exists():
                yield f"{file}:{number}: the link to {target} leads to no file"
            elif anchor and page.suffix == ".md" and anchor not in anchors(page.read_text()):
                yield f"{file}:{number}: the link to {target} leads to no heading"


CODE_PATH = re.compile(r"`([\w-]+/[\w./-]+)`")


def dead_paths(root, file, markdown):
    """Findings: paths in code spans that begin with a folder of the repository and do not exist."""
    for number, line in prose_lines(COMMENT.sub(blanked, markdown).split("\n")):
        for path in CODE_PATH.findall(line):
            folder = path.split("/")[0]
            if folder != "target" and (root / folder).is_dir() and not (root / path).exists():
                yield f"{file}:{number}: {path} does not exist"


# Rust ----------------------------------------------------------------------------------------------------------------

DOC_COMMENT = re.compile(r"\s*//([/!])(?!/)(?: (.*)|$)")


def doc_comments(source):
    """Blocks of doc comments as (first line, Markdown)."""
    block, kind, first = [], None, 0
    for number, line in enumerate([*source.split("\n"), ""], 1):
        found = DOC_COMMENT.match(line)
        if block and (not found or found[1] != kind):
            yield first, "\n".join(block)
            block = []
        if found:
            if not block:
                kind, first = found[1], number
            block.append(found[2] or "")


NOT_CODE = re.compile(
    r"//[^\n]*|/\*.*?\*/|\bb?r(?P<hashes>#*)\".*?\"(?P=hashes)|b?\"(?:\\.|[^\"\\])*\"|b?'(?:\\(?:u\{[^}]*\}|x..|.)|[^\\'\n])'",
    re.DOTALL,
)
TOKEN = re.compile(r"[{};]|#!?\[")
DEFINITION = re.compile(r"(?:pub(?:\([^)]*\))?\s+)?(?:unsafe\s+)?(?:struct|enum|trait|union|type)\s+([A-Za-z_]\w*)")
MODULE = re.compile(r"(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*$")
TEST_ONLY = re.compile(r"cfg\((?:all\()?\s*test\b")


def type_definitions(source):
    """Types defined at the level of a module, as (line, name), and the names of modules that are built for tests only.

    Types inside of functions, macros and impl blocks do not count, and neither does what is under `#[cfg(test)]`.
    """
    code = NOT_CODE.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), source)
    types, test_modules = [], []
    # For each open brace whether items in it count.
    stack, counts, test, begin, position = [], True, False, 0, 0

    def item(end):
        """The definition that ends here, if it counts."""
        text = code[begin:end]
        start = begin + len(text) - len(text.lstrip())
        if counts and not test and (found := DEFINITION.match(code, start, end)):
            types.append((code.count("\n", 0, start) + 1, found[1]))

    while token := TOKEN.search(code, position):
        position = token.end()
        if token.group() in ("#[", "#!["):
            depth = 1
            while depth and (bracket := re.compile(r"[\[\]]").search(code, position)):
                depth += 1 if bracket.group() == "[" else -1
                position = bracket.end()
            if counts and token.group() == "#[" and not code[begin : token.start()].strip():
                test = test or bool(TEST_ONLY.search(code, token.start(), position))
                begin = position
            continue
        if token.group() == "{":
            item(token.start())
            stack.append(counts)
            counts = counts and not test and bool(MODULE.match(code[begin : token.start()].strip()))
        elif token.group() == "}":
            counts = stack.pop() if stack else True
        else:
            item(token.start())
            if counts and test and (module := MODULE.match(code[begin : token.start()].strip())):
                test_modules.append(module[1])
        begin, test = position, False
    return types, test_modules


def crate_of(root, file):
    """The crate of a source file: its package, or its own program in src/bin. None for tests, benchmarks and examples."""
    path = pathlib.PurePosixPath(file)
    package = next((folder for folder in path.parents if (root / folder / "Cargo.toml").exists()), None)
    if package is None:
        return None
    inside = path.relative_to(package).parts
    if inside[0] != "src":
        return None
    return f"{package}/src/bin/{pathlib.PurePosixPath(inside[2]).stem}" if inside[1] == "bin" else str(package)


def module_folder(file):
    """Where the modules live that a source file declares."""
    path = pathlib.PurePosixPath(file)
    return path.parent if path.stem in ("lib", "main", "mod") else path.with_suffix("")


def read_exceptions(root):
    """(crate, type) -> line. A line is `CRATE TYPE: reason`; # begins a comment."""
    file, found, findings = root / EXCEPTIONS, {}, []
    for number, line in enumerate(file.read_text().split("\n") if file.exists() else [], 1):
        if not line.strip() or line.startswith("#"):
            continue
        if entry := re.fullmatch(r"(\S+) (\w+): \S.*", line):
            found[entry[1], entry[2]] = number
        else:
            findings.append(f"{EXCEPTIONS}:{number}: write `CRATE TYPE: reason`")
    return found, findings


def repeated_types(root, sources):
    """Findings: types that have a namesake in their crate, and exceptions for types that have none."""
    places, test_folders, defined = collections.defaultdict(list), set(), {}
    for file, source in sources.items():
        if crate := crate_of(root, file):
            defined[file], modules = (crate, *type_definitions(source)[:1]), type_definitions(source)[1]
            test_folders.update(module_folder(file) / module for module in modules)
    for file, (crate, types) in defined.items():
        path = pathlib.PurePosixPath(file)
        if not test_folders.intersection([path.with_suffix(""), *path.parents]):
            for line, name in types:
                places[crate, name].append(f"{file}:{line}")
    exceptions, findings = read_exceptions(root)
    for (crate, name), found in sorted(places.items()):
        if len(found) > 1 and (crate, name) not in exceptions:
            findings += [f"{place}: {name} is defined {len(found)} times in {crate}" for place in found]
    for (crate, name), line in exceptions.items():
        if len(places[crate, name]) < 2:
            findings.append(f"{EXCEPTIONS}:{line}: {name} is not defined twice in {crate}: remove this line")
    repeated = sum(len(found) > 1 for found in places.values())
    figure = f"types: {len(places)} names, {repeated} defined more than once, {len(exceptions)} of them allowed"
    return findings, figure


# All of it -----------------------------------------------------------------------------------------------------------


def openers(title, found, verbose):
    """Findings and the figure for the beginnings of sentences."""
    # A sentence counts once, so that tables whose rows repeat do not make the share small.
    found = list({sentence.text: sentence for sentence in found if sentence.is_prose()}.values())
    bad = [sentence for sentence in found if sentence.begins_badly()]
    percent = 100 * len(bad) / len(found) if found else 0
    figure = (
        f"{title}: {len(found)} sentences, {len(bad)} ({percent:.2f} %) begin with What, Those, Where or How much; "
        f"fewer than {OPENERS_PERCENT:g} % may"
    )
    too_many = percent >= OPENERS_PERCENT
    shown = [f"{s.file}:{s.line}: begins with {OPENER.match(s.text)[1]}: {s.text[:80]}" for s in bad]
    return (shown if too_many else []), (shown if verbose and not too_many else []), figure


def tracked(root, pattern):
    """Files that git knows or would add, so that nothing built or downloaded is checked."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", pattern]
    names = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout.split("\0")
    return {name: (root / name).read_text() for name in sorted(set(names)) if name and (root / name).is_file()}


def check(root, documents, sources, verbose=False):
    """(findings, remarks, figures) of a repository whose files are given as name -> text."""
    findings, remarks, figures = [], [], []
    in_documents = [one for file, text in documents.items() for one in sentences(file, text)]
    in_comments = [
        one
        for file, source in sources.items()
        for line, markdown in doc_comments(source)
        for one in sentences(file, markdown, line)
    ]
    for title, found in (("documents", in_documents), ("doc comments", in_comments)):
        bad, shown, figure = openers(title, found, verbose)
        findings += bad
        remarks += shown
        figures.append(figure)
    long = [s for s in in_documents if s.words() > SENTENCE_WORDS]
    findings += [f"{s.file}:{s.line}: a sentence of {s.words()} words, over {SENTENCE_WORDS}: {s.text[:80]}" for s in long]
    figures.append(f"documents: {len(long)} sentences of over {SENTENCE_WORDS} words")
    lines = [finding for file, text in documents.items() for finding in long_lines(file, text)]
    figures.append(f"documents: {len(lines)} lines of over {LINE_COLUMNS} columns")
    links = [finding for file, text in documents.items() for finding in dead_links(root, file, text)]
    links += [finding for file, text in documents.items() for finding in dead_paths(root, file, text)]
    figures.append(f"documents: {len(links)} links or paths that lead nowhere")
    types, figure = repeated_types(root, sources)
    figures.append(figure)
    return findings + lines + links + types, remarks, figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("directory", nargs="?", type=pathlib.Path, default=ROOT)
    options = parser.parse_args()
    root = options.directory.resolve()
    documents, sources = tracked(root, "*.md"), tracked(root, "*.rs")
    if not documents or not sources:
        parser.error(f"{root} has no Markdown or no Rust files that git knows")
    findings, remarks, figures = check(root, documents, sources, options.all)
    for line in [*remarks, *findings]:
        print(line)
    print("\n".join(figures))
    print(f"words: {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    # A reader such as `head` may close the pipe.
    try:
        sys.exit(main())
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
