"""What `helm install` says at its end."""

import json
import pathlib
import shutil
import tempfile
import unittest

import chart
import matrix


class Told(unittest.TestCase):
    """What an installation says of settings that are not for Cellgate's hosts alone."""

    def notes(self, change=None):
        """`helm template` leaves NOTES.txt out, and Helm 3 wants a cluster to print it. A template of a copy of the chart has it."""
        with tempfile.TemporaryDirectory() as folder:
            copied = pathlib.Path(folder) / "cellgate"
            shutil.copytree(chart.CHART, copied)
            (copied / "templates" / "told.yaml").write_text('told: {{ include "cellgate/templates/NOTES.txt" . | toJson }}\n')
            values = copied / "told-values.yaml"
            values.write_text(json.dumps(chart.merge(chart.VALUES, change or {})))
            told = chart.helm("template", chart.RELEASE, copied, "--values", values, "--show-only", "templates/told.yaml")
        return chart.load(told)[0]["told"]

    def test_the_buffers_alone_by_default(self):
        found = self.notes()
        self.assertIn("other hosts included", found)
        self.assertIn("ingress: buffers of 65536 bytes", found)
        for setting in ["refuseUnderscores", "streamIdleTimeout", "requestTimeout"]:
            self.assertNotIn(setting, found)

    def test_what_is_switched_on(self):
        found = self.notes({"filter": {"refuseUnderscores": True, "streamIdleTimeout": "30s", "requestTimeout": "60s"}})
        for setting in ["refuseUnderscores", "30s are ended (filter.streamIdleTimeout)", "60s to arrive are ended (filter.requestTimeout)"]:
            self.assertIn(setting, found)

    def test_nothing_in_shadow(self):
        self.assertNotIn("other hosts included", self.notes(matrix.CHANGES["shadow"]))


if __name__ == "__main__":
    unittest.main()
