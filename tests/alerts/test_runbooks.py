"""The commands of the runbooks, in the state that each describes, and their output."""

import collections
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import parts
import states

RUNBOOKS = parts.ROOT / "docs" / "runbooks"
BLOCK = re.compile(r"<!-- run: (\w+) -->\n```console\n(.*?)\n```", re.DOTALL)
# A page without a block says why.
UNTESTED = {"CellgateFilterCrashed", "CellgateFilterDown"}


def blocks():
    """The marked commands of all runbooks by state: pairs of a page and a list of commands with their output."""
    found = collections.defaultdict(list)
    for path in sorted(RUNBOOKS.glob("Cellgate*.md")):
        for state, text in BLOCK.findall(path.read_text()):
            found[state].append((path.stem, commands(text)))
    return found


def commands(text):
    """Pairs of a command and the lines that it prints. A command may have several lines, each but the last with `\\`."""
    found, goes_on = [], False
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif goes_on:
            found[-1] = (f"{found[-1][0]}\n{line}", [])
        else:
            found[-1][1].append(line)
        goes_on = line.endswith("\\")
    return found


def matches(pattern, line):
    """Whether a line is the expected one. `…` stands for any text, and spaces for any spaces."""
    parts_ = [r"\s+".join(map(re.escape, part.split())) for part in pattern.split("…")]
    return re.search(r"^\s*" + ".*".join(parts_), line) is not None


def missing(expected, output):
    """The first expected line that is not in the output, after the ones before it."""
    lines = iter(output.splitlines())
    for pattern in expected:
        if not any(matches(pattern, line) for line in lines):
            return pattern
    return None


class Runbooks(unittest.TestCase):
    def run_commands(self, page, wanted, variables):
        binary = pathlib.Path(parts.cellgate())
        with tempfile.TemporaryDirectory() as folder:
            # The program may have another name than `cellgate`.
            pathlib.Path(folder, "cellgate").symlink_to(binary)
            environment = {**os.environ, **variables, "PATH": f"{folder}:{os.environ['PATH']}"}
            for command, expected in wanted:
                with self.subTest(page, command=command):
                    done = subprocess.run(
                        ["bash", "-c", command], cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
                    )
                    output = done.stdout + done.stderr
                    self.assertTrue(expected, "a command without an expected output proves nothing")
                    self.assertIsNone(missing(expected, output), f"\n{output[-2000:]}")

    def test_every_runbook_has_commands(self):
        tested = {page for pages in blocks().values() for page, _ in pages}
        self.assertEqual({path.stem for path in RUNBOOKS.glob("Cellgate*.md")} - tested, UNTESTED)

    def test_every_state_is_used(self):
        self.assertEqual(set(blocks()), set(states.STATES))

    def test_a_wrong_output_is_noticed(self):
        self.assertIsNone(missing(["a …", "c"], "a 1\nb 2\nc"))
        self.assertEqual(missing(["c", "a …"], "a 1\nb 2\nc"), "a …")
        self.assertEqual(missing(["held_bytes …5"], "held_bytes 44"), "held_bytes …5")


def add(state, pages):
    def test(self):
        with states.STATES[state]() as variables:
            for page, wanted in pages:
                self.run_commands(page, wanted, variables)

    test.__name__ = test.__qualname__ = f"test_state_{state}"
    setattr(Runbooks, test.__name__, test)


for name, found in blocks().items():
    if name in states.STATES:
        add(name, found)


if __name__ == "__main__":
    unittest.main()
