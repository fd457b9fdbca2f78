#!/usr/bin/env python3
"""Tests the chart without a cluster: lint, renderings, refusals. The last line counts the tests.

    chart_test.py [WORD ...]     only tests with one of the words in their name

$HELM replaces the installed Helm. With $CELLGATE_BIN, Cellgate checks every rendered configuration.
"""

import sys
import unittest

import chart_tools

TESTS = chart_tools.ROOT / "tests" / "chart"


class Result(unittest.TextTestResult):
    """Counts failed tests. A test with failed sub-tests has an entry for each of these."""

    def failed(self):
        failures = [test for test, _ in self.failures + self.errors]
        return len({getattr(test, "test_case", test).id() for test in failures}) + len(self.unexpectedSuccesses)


def loader():
    """Loads the tests that the command line selects."""
    made = unittest.TestLoader()
    made.testNamePatterns = [f"*{word}*" for word in sys.argv[1:]] or None
    return made


def run(suite):
    """Runs tests, prints the counts in the form that test.py reads, and returns the exit code."""
    result = unittest.TextTestRunner(stream=sys.stdout, resultclass=Result, verbosity=1).run(suite)
    failed, skipped = result.failed(), len(result.skipped)
    passed = max(0, result.testsRun - failed - skipped)
    verdict = "ok" if result.wasSuccessful() and result.testsRun else "FAILED"
    print(f"test result: {verdict}. {passed} passed; {failed} failed; {skipped} ignored;", flush=True)
    return 0 if verdict == "ok" else 1


if __name__ == "__main__":
    chart_tools.enter()
    sys.exit(run(loader().discover(str(TESTS))))
