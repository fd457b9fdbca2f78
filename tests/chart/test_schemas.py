"""Every rendered object of a Kubernetes kind matches its schema; `make test-mesh` checks kinds of CRDs."""

import json
import sys
import unittest

import chart
import matrix

sys.path.append(str(chart.ROOT / "scripts"))

import schemas  # noqa: E402


class Schemas(unittest.TestCase):
    def test_kubernetes_own_kinds(self):
        known = schemas.Schemas()
        # Most renderings have most objects in common.
        distinct = {json.dumps(item, sort_keys=True): (name, item) for name, objects in matrix.renderings() for item in objects}
        for name, item in distinct.values():
            with self.subTest(name, item=chart.label(item)):
                self.assertEqual(known.errors(item), [])


if __name__ == "__main__":
    unittest.main()
