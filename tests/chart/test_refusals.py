"""The chart refuses values that are not valid before anything is installed, with a message that names the value."""

import json
import os
import subprocess
import tempfile
import unittest

import chart
import refused_values

CELLGATE = os.environ.get("CELLGATE_BIN")
# The smallest configuration that Cellgate accepts.
BARE = {"cells": ["cell-a"], "key": [{"json": "/tenant"}], "placement": {"slots": {}}}


class Refusals(unittest.TestCase):
    def test_the_unchanged_values_are_accepted(self):
        self.assertTrue(chart.render())

    def test_similar_sources_are_accepted(self):
        key = [{"json": "/tenant"}, {"json": "/Tenant"}, {"form": "tenant"}, {"header": "x-cell-hint"}, {"query": "x-cell"}]
        methods = ["POST", "purge", "Put-It"]
        self.assertTrue(chart.render({"config": {"key": key, "applies_to": {"methods": methods}}}))

    def test_header_names_with_underscores_are_accepted_by_default(self):
        self.assertTrue(chart.render({"config": {"routing_header": "x_cell", "key": [{"header": "x_tenant"}]}}))

    def test_headers_with_similar_names_to_connection_headers_are_accepted(self):
        for name in ["x-te", "upgrade-insecure-requests", "x-host", "content-type"]:
            self.assertTrue(chart.render({"config": {"key": [{"header": name}]}}), name)

    @unittest.skipUnless(CELLGATE, "CELLGATE_BIN is not set")
    def test_the_chart_and_cellgate_accept_the_same_routing_headers(self):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            for name in ["x-cell", "te", "range", "if-match", "accept", "accept-x", "cookie", "sec-x", "x_forwarded_cell", "tracestate", "x-cellgate-y"]:
                try:
                    file.seek(0)
                    file.truncate()
                    file.write(chart.service_config(chart.render({"config": {"routing_header": name}})))
                    file.flush()
                    rendered = True
                except chart.Refused:
                    rendered = False
                    file.write(json.dumps({**BARE, "routing_header": name}))
                    file.flush()
                checked = subprocess.run([CELLGATE, "check", file.name], capture_output=True).returncode == 0
                with self.subTest(name):
                    self.assertEqual(rendered, checked)

    def test_an_old_kubernetes_is_refused(self):
        with self.assertRaisesRegex(chart.Refused, "kubeVersion"):
            chart.helm("template", chart.RELEASE, chart.CHART, "--kube-version", "1.27.0")

    def test_all_mistakes_are_reported_at_once(self):
        message = chart.refusal({"image": {"tag": "latest"}, "filter": {"bufferBytes": "1KiB", "module": {"sha256": None}}})
        for path in ["image.tag", "filter.bufferBytes", "filter.module.sha256"]:
            self.assertIn(path, message)


def refused(change, path):
    def test(self):
        # Helm's schema errors separate the path by slashes or by dots, depending on the version.
        message = chart.refusal(change).replace("/", ".")
        for word in path.split():
            self.assertIn(word, message)
        self.assertNotIn("nil pointer", message)
        self.assertNotIn("wrong type for value", message)

    return test


for title, change, path in refused_values.WRONG:
    name = "test_" + "".join(letter if letter.isalnum() else "_" for letter in title)
    assert not hasattr(Refusals, name), title
    setattr(Refusals, name, refused(change, path))


if __name__ == "__main__":
    unittest.main()
