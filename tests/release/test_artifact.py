"""What `make artifact` prints can be pasted into the chart's values, in both forms of an address."""

import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import checkout
import yaml

MODULE = b"\0asm\1\0\0\0"


class Printed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        module, cls.layout = cls.folder / "cellgate.wasm", cls.folder / "layout"
        module.write_bytes(MODULE)
        script = [sys.executable, checkout.ROOT / "scripts" / "oci_artifact.py", module, cls.layout, "--version", "1.2.3"]
        cls.said = subprocess.run(script, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
        blocks = re.findall(r"(?m)^filter:\n(?:  .*\n)+", cls.said)
        cls.modules = [yaml.safe_load(block)["filter"]["module"] for block in blocks]

    def test_a_registry_has_the_digest_of_the_manifest(self):
        (manifest,) = json.loads((self.layout / "index.json").read_text())["manifests"]
        digest = manifest["digest"].removeprefix("sha256:")
        self.assertEqual(self.modules[0], {"url": "oci://REGISTRY/cellgate-filter:1.2.3", "sha256": digest})

    def test_a_web_server_has_the_digest_of_the_module(self):
        digest = hashlib.sha256(MODULE).hexdigest()
        self.assertEqual(self.modules[1], {"url": "https://SERVER/cellgate.wasm", "sha256": digest})

    def test_the_chart_takes_both(self):
        self.assertEqual(len(self.modules), 2)
        for number, module in enumerate(self.modules):
            mine = self.folder / f"{number}.yaml"
            mine.write_text(yaml.safe_dump({"filter": {"module": module}}))
            values = ["--values", checkout.ROOT / "istio" / "values.yaml", "--values", mine]
            command = [os.environ["HELM"], "template", "cellgate", checkout.ROOT / "charts" / "cellgate", *values]
            done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(f"sha256: \"{module['sha256']}\"", done.stdout)

    def test_the_page_shows_what_it_prints(self):
        """docs/image.md has every line of it, with other numbers."""
        page = (checkout.ROOT / "docs" / "image.md").read_text()
        plain = lambda text: re.sub(r"[0-9a-f]{64}|\d+\.\d+\.\d+|\d+ bytes|\S*/(?=layout|cellgate\.wasm)", "…", text)
        shown = plain(page.replace("target/cellgate-filter.oci", "/layout"))
        for line in plain(self.said.replace(str(self.layout), "/layout")).splitlines():
            with self.subTest(line):
                self.assertIn(line, shown)


if __name__ == "__main__":
    unittest.main()
