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

    def test_nothing_is_named_in_shadow_mode(self):
        self.assertNotIn("other hosts included", self.notes(matrix.CHANGES["shadow"]))


if __name__ == "__main__":
    unittest.main()
