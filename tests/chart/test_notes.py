"""The notes that `helm install` prints."""

import json
import pathlib
import shutil
import tempfile
import unittest

import chart
import matrix


class Notes(unittest.TestCase):
    """They name the settings that apply to other hosts too."""

    def notes(self, change=None):
        """`helm template` leaves NOTES.txt out, and Helm 3 needs a cluster to print it. So a template in a copy of the chart includes it."""
        with tempfile.TemporaryDirectory() as folder:
            copied = pathlib.Path(folder) / "cellgate"
            shutil.copytree(chart.CHART, copied)
            (copied / "templates" / "notes.yaml").write_text('notes: {{ include "cellgate/templates/NOTES.txt" . | toJson }}\n')
            values = copied / "notes-values.yaml"
            values.write_text(json.dumps(chart.merge(chart.VALUES, change or {})))
            rendered = chart.helm("template", chart.RELEASE, copied, "--values", values, "--show-only", "templates/notes.yaml")
        return chart.load(rendered)[0]["notes"]

    def test_by_default_only_the_buffer_limits_are_named(self):
        found = self.notes()
        self.assertIn("other hosts included", found)
        self.assertIn("ingress: a buffer limit of 65536 bytes", found)
        for setting in ["refuseUnderscores", "streamIdleTimeout", "requestTimeout"]:
            self.assertNotIn(setting, found)

    def test_settings_that_are_switched_on_are_named(self):
        found = self.notes({"filter": {"refuseUnderscores": True, "streamIdleTimeout": "30s", "requestTimeout": "60s"}})
        for setting in ["refuseUnderscores", "30s are closed (filter.streamIdleTimeout)", "60s to arrive are rejected with 408 (filter.requestTimeout)"]:
            self.assertIn(setting, found)

    def test_limits_of_several_replicas_are_named(self):
        limits = {"config": {"rate_limits": [matrix.PER_TENANT]}}
        for change in [{}, {"replicas": 1, "autoscaling": {"type": "hpa"}}]:
            self.assertIn("Each replica of the service counts rate limits on its own", self.notes({**limits, "extProc": change}))
        self.assertNotIn("Each replica", self.notes({**limits, "extProc": {"replicas": 1}}))
        self.assertNotIn("Each replica", self.notes())
        self.assertNotIn("Each replica", self.notes(matrix.CHANGES["rate limits in a store"]))
        self.assertIn("No limit of config.rate_limits counts", self.notes(matrix.CHANGES["rate limits in shadow mode"]))

    def test_concurrency_limits_of_several_replicas_are_named(self):
        limits = {"config": {"concurrency_limits": [matrix.IN_FLIGHT]}}
        self.assertIn("Each replica of the service counts concurrency limits on its own", self.notes(limits))
        self.assertNotIn("Each replica", self.notes({**limits, "extProc": {"replicas": 1}}))

    def test_leases_without_identities_are_named(self):
        leased = matrix.CHANGES["leased rate limits"]
        words = "lease units of rate limits"
        self.assertIn(words, self.notes({**leased, "mtls": {"enabled": False}}))
        self.assertNotIn(words, self.notes(leased))
        self.assertNotIn(words, self.notes({"mtls": {"enabled": False}}))

    def test_alerts_without_their_metrics_are_named(self):
        rules = {"monitoring": {"prometheusRule": {"enabled": True}}}
        words = 'add\nthese labels: namespace="default",service="edge-ext-proc".'
        self.assertIn(words, self.notes(rules))
        self.assertNotIn("these labels", self.notes())
        self.assertNotIn("these labels", self.notes({**rules, "extProc": {"enabled": False}}))
        self.assertNotIn("these labels", self.notes(chart.merge(rules, {"monitoring": {"serviceMonitor": {"enabled": True}}})))
        self.assertIn("proxyStatsMatcher", self.notes(rules))
        self.assertNotIn("proxyStatsMatcher", self.notes())
        self.assertIn("no runbook_url", self.notes(rules))
        based = chart.merge(rules, {"monitoring": {"runbookBase": "https://wiki.example/runbooks"}})
        self.assertNotIn("runbook_url", self.notes(based))

    def test_nothing_is_named_in_shadow_mode(self):
        self.assertNotIn("other hosts included", self.notes(matrix.CHANGES["shadow"]))


if __name__ == "__main__":
    unittest.main()
