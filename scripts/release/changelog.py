"""The sections of CHANGELOG.md."""

import re

UNRELEASED = "## Unreleased\n"


def unreleased(text):
    """The section of what is not released, without its heading; None if there is no such section."""
    if UNRELEASED not in text:
        return None
    body = text.split(UNRELEASED, 1)[1]
    return re.split(r"(?m)^## ", body, maxsplit=1)[0].strip("\n")


def is_empty(section):
    """Whether a section has nothing but headings."""
    return not any(line.strip() and not line.startswith("#") for line in section.splitlines())


def released(text, version, date):
    """The changelog with that section under the version's heading, and an empty one before it."""
    section = unreleased(text)
    before, after = text.split(UNRELEASED, 1)
    rest = after.split(section, 1)[1]
    return f"{before}{UNRELEASED}\n## {version} - {date}\n\n{section}{rest}"


def section_of(text, version):
    """What a release says, for the page of the release; None without such a heading with a date."""
    found = re.search(rf"(?ms)^## {re.escape(str(version))} - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |\Z)", text)
    return found[1].strip("\n") if found else None
