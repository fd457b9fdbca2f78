"""Every place that carries Cellgate's version, in one list.

What is generated from them is not here: scripts/chart-docs.py and scripts/manifests.py write that. The versions of
istio/gitops/environments are not either: each says what an environment runs, and a promotion writes it. Nor are fixtures and
examples of output, such as the one of `cellgate inspect`, which show some version."""

import re

from base import ROOT

LOCKED = r'name = "cellgate[\w-]*"\nversion = "(?!0\.0\.0")([^"]+)"'
FORM = r"\d+\.\d+\.\d+(?:-[a-z]+\.\d+)?(?!\d)"
# In commands and values: the image, the artifact, the chart.
NAMED = rf"(?:/cellgate:|/cellgate-filter:|cellgate-filter\.oci:|cellgate-filter |cellgate-filter-|VERSION=|--version )({FORM})"

# A file, and a pattern whose group is the version wherever it matches.
CARRIERS = [
    ("Cargo.toml", r'^\[workspace\.package\]\nversion = "(.*)"$'),
    ("Cargo.lock", LOCKED),
    ("fuzz/Cargo.lock", LOCKED),
    ("charts/cellgate/Chart.yaml", r"^(?:version|appVersion): (\S+)$"),
    ("charts/cellgate/values.yaml", NAMED),
    ("istio/values.yaml", NAMED),
    ("docs/install.md", NAMED),
    ("docs/image.md", NAMED),
    ("docs/image.md", rf'^ *tag: "({FORM})"'),
    ("docs/cli.md", rf"/cellgate:({FORM})"),
    ("docs/release.md", rf"/cellgate:({FORM})"),
    ("docs/release.md", rf"verify-release .*VERSION=({FORM})"),
]


def found():
    """Each carried version: its file, its line, and the version."""
    for name, pattern in CARRIERS:
        text = (ROOT / name).read_text()
        for match in re.finditer(pattern, text, re.MULTILINE):
            yield name, text.count("\n", 0, match.start(1)) + 1, match[1]


def silent():
    """The files of the list in which no pattern matches: there the list is wrong."""
    names = {name for name, _, _ in found()}
    return sorted({name for name, _ in CARRIERS} - names)


def write(version):
    """Writes the version to each place."""
    for name, pattern in CARRIERS:
        path = ROOT / name
        text = path.read_text()

        def replaced(match):
            start, end = (match.start(1) - match.start(), match.end(1) - match.start())
            return match[0][:start] + str(version) + match[0][end:]

        path.write_text(re.sub(pattern, replaced, text, flags=re.MULTILINE))
