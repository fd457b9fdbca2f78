#!/usr/bin/env python3
"""Tests the chart without a cluster: lint, renderings, refusals. The last line counts the tests.

    chart_test.py [WORD ...]     only tests whose name has one of the words in it

$HELM is a Helm of your own. With $CELLGATE_BIN, Cellgate itself checks every rendered configuration.
"""

import sys
import unittest

import chart_tools

TESTS = chart_tools.ROOT / "tests" / "chart"


class Result(unittest.TextTestResult):
    """Knows how many tests failed. One whose sub-tests fail has an entry for each of those."""

    def failed(self):
        failures = [test for test, _ in self.failures + self.errors]
        return len({getattr(test, "test_case", test).id() for test in failures}) + len(self.unexpectedSuccesses)


def loader():
    """Loads the tests that the command line asks for."""
    made = unittest.TestLoader()
    made.testNamePatterns = [f"*{word}*" for word in sys.argv[1:]] or None
    return made


def run(suite):
    """Runs tests, and counts them in the form that test.py reads. The exit code."""
    result = unittest.TextTestRunner(stream=sys.stdout, resultclass=Result, verbosity=1).run(suite)
    failed, skipped = result.failed(), len(result.skipped)
    passed = result.testsRun - failed - skipped
    verdict = "ok" if result.wasSuccessful() and result.testsRun else "FAILED"
    print(f"test result: {verdict}. {passed} passed; {failed} failed; {skipped} ignored;", flush=True)
    return 0 if verdict == "ok" else 1


if __name__ == "__main__":
    chart_tools.enter()
    sys.exit(run(loader().discover(str(TESTS))))
