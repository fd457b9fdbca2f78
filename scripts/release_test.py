#!/usr/bin/env python3
"""Tests releases: versions, refusals, and a round trip through a real registry. The last line counts the tests.

    release_test.py [WORD ...]     only tests with one of the words in their name

The round trip needs crane and a registry server: scripts/crane.sh and registry.sh install them into .tools/. Without cosign
the tests of signatures are skipped: `make test-release` builds it first.
"""

import sys

import chart_test
import chart_tools

TESTS = chart_tools.ROOT / "tests" / "release"

if __name__ == "__main__":
    chart_tools.enter()
    sys.path[:0] = [str(TESTS), str(chart_tools.ROOT / "scripts" / "release")]
    sys.exit(chart_test.run(chart_test.loader().discover(str(TESTS))))
