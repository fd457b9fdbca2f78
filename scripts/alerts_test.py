#!/usr/bin/env python3
"""Tests dashboards and runbooks against running programs: Envoy with the filter, the service, and Prometheus. The last line
counts the tests.

    alerts_test.py [WORD ...]     only tests with one of the words in their name

$ENVOY, $CELLGATE_BIN, $CELLGATE_WASM, $VALKEY, $PROMETHEUS and $HELM replace the installed programs.
"""

import sys

import chart_test
import chart_tools

if __name__ == "__main__":
    chart_tools.enter()
    sys.exit(chart_test.run(chart_test.loader().discover(str(chart_tools.ROOT / "tests" / "alerts"))))
