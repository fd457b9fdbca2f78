"""Every panel of the dashboards, evaluated by a real Prometheus that scrapes Envoy and the service under load.

Grafana itself is not part of it.
"""

import json
import math
import pathlib
import re
import sys
import tempfile
import threading
import unittest

import parts

sys.path.insert(0, str(parts.ROOT / "tests" / "chart"))

import chart  # noqa: E402
import matrix  # noqa: E402

SERVICE = f"{chart.RELEASE}-ext-proc"
VARIABLES = {"$namespace": chart.NAMESPACE, "$service": SERVICE, "$release": chart.RELEASE, "$__rate_interval": "30s"}

# Panels whose expressions are all zero while nothing is wrong, or without a part that this test does not start.
ZERO = {
    "Alerts",
    # No request is bad by an objective, but where the machine is slow.
    "Burn rate (1 hour)",
    "Ejected endpoints",
    "Charges of keys without a place",
    # With a shared store, a replica counts keys only while the store is gone.
    "Keys in use",
    # Each request is in flight for a moment.
    "In flight by limit",
    "Calls of RateLimitService",
    "Settlements",
    "Failures by cause",
    "Units carried over and refunds lost",
    "Streams ended with an error",
    "TLS handshakes by result",
    "Streams that wait",
    "Time of a wait",
    "Changes of the TLS files, and the certificate's end",
    "Tasks",
}

CONFIG = {
    "rate_limits": [
        {"name": "per-tenant", "key": ["routing_key"], "limit": "6/min;burst=2", "applies_to": {"paths": ["/limited/"]}},
        {"name": "leased", "key": ["routing_key"], "limit": "1000/s", "lease": True, "applies_to": {"paths": ["/leased/"]}},
    ],
    "concurrency_limits": [
        {"name": "at-once", "key": ["routing_key"], "at_most": 2, "applies_to": {"paths": ["/concurrent/"]}},
    ],
    "sync": {"cluster": "cellgate"},
}


class Load:
    """Requests of every kind, until it is closed."""

    def __init__(self, gateway):
        self.gateway, self.stop, self.failure = gateway, threading.Event(), None
        self.threads = [threading.Thread(target=self.run, args=(work,), daemon=True) for work in (self.requests, self.uploads, self.limited)]
        for thread in self.threads:
            thread.start()

    def run(self, work):
        number = 0
        while not self.stop.is_set():
            try:
                work(number)
            except Exception as error:  # noqa: BLE001
                self.failure = error
                return
            number += 1

    def requests(self, number):
        self.gateway.send(parts.tenant(f"tenant-{number % 40}"))
        self.gateway.send(parts.tenant("acme"), x_cell="cell-c")
        self.gateway.send('{"tenant":')
        self.gateway.send(path="/leased/", x_tenant_id=f"tenant-{number % 3}")
        self.gateway.send(path=parts.FAILING, x_tenant_id="acme")
        self.gateway.leave()

    def uploads(self, number):
        self.gateway.send(parts.tenant(f"tenant-{number % 40}", early=False, filler=100_000))
        self.gateway.send(parts.tenant("acme", early=False, filler=50_000) + "}")
        # A second key in a body that was released: an abort is the right answer.
        twice = parts.tenant("acme", filler=100_000)[:-1] + ',"tenant":{"id":"umbrella"}}'
        late = parts.tenant("acme", early=False, filler=40_000)[:-1] + f',"more":"{"x" * 400_000}","tenant":{{"id":"other"}}}}'
        for body in (twice, late):
            try:
                self.gateway.send(body)
            except OSError:
                pass
            except parts.http.client.HTTPException:
                pass

    def limited(self, number):
        for _ in range(4):
            self.gateway.send(path="/limited/", x_tenant_id=f"tenant-{number % 3}")
            self.gateway.send(path="/concurrent/", x_tenant_id="acme")

    def close(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(parts.PATIENCE)
        if self.failure:
            raise self.failure


def filled(expression):
    """An expression with the values of the dashboard's variables."""
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    return expression


def targets():
    """The dashboard, the panel and the expression of every target."""
    for path in sorted((chart.CHART / "dashboards").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", []):
                yield path.stem, panel["title"], filled(target["expr"])


class Panels(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.groups = chart.render(matrix.CHANGES["monitoring"]).one("PrometheusRule")["spec"]["groups"]
        cls.directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.directory.cleanup)
        store = parts.Valkey(cls.directory.name)
        cls.addClassCleanup(store.stop)
        secret = pathlib.Path(cls.directory.name) / "secret"
        secret.write_text("0123456789abcdef" * 2)
        secret.chmod(0o600)
        options = ["--limit-store", f"redis://127.0.0.1:{store.port}", "--limit-secret-file", secret, "--limit-store-timeout", "1s"]
        cls.installation = parts.Installation(CONFIG, options=options)
        cls.addClassCleanup(cls.installation.close)
        load = Load(cls.installation.gateway)
        cls.addClassCleanup(load.close)
        service = {"namespace": chart.NAMESPACE, "service": SERVICE, "pod": "edge-0"}
        gateway = {"namespace": "istio-ingress", "pod": "gateway-0"}
        scraped = [
            ("service", cls.installation.service.address, "/metrics", service),
            ("gateway", cls.installation.gateway.address, "/stats/prometheus", gateway),
        ]
        cls.prometheus = parts.Prometheus(cls.directory.name, scraped, cls.groups)
        cls.addClassCleanup(cls.prometheus.stop)
        changed = {**cls.installation.config, "version": "changed"}
        cls.installation.service.write(changed)
        cls.installation.gateway.publish(changed)

    def remaining(self, seen):
        """The targets and panels that have not been seen with values. Adds those that have them now to `seen`: on a busy
        machine a scrape can fail, and its series are gone for a moment."""
        for board, title, expression in targets():
            samples = self.prometheus.query(expression)
            values = [float(sample["value"][1]) for sample in samples]
            if values and not any(map(math.isnan, values)):
                seen.add((board, title, expression))
            # The zero of a counter that has counted nothing must not stand beside series with labels.
            if len(values) > 1:
                self.assertTrue(all(sample["metric"] for sample in samples), (board, title, expression))
            if any(values):
                seen.add((board, title, "not zero"))
        wanted = set(targets()) | {(board, title, "not zero") for board, title, _ in targets() if title not in ZERO}
        return sorted(wanted - seen)

    def test_no_panel_is_empty(self):
        seen, last = set(), []

        def complete():
            last[:] = self.remaining(seen)
            return not last

        try:
            parts.wait("every panel", complete)
        except AssertionError:
            lines = "\n".join(map(str, last))
            raise AssertionError(f"panels without values:\n{lines}\n{self.installation.logs()}") from None

    def test_envoy_has_the_metrics_of_the_rules(self):
        found = {name for group in self.groups for rule in group["rules"] for name in re.findall(r"\benvoy_[a-z0-9_]+", rule["expr"])}
        # The beginning of a pattern is no name: the state `filter_missing` has metrics of that one.
        names = {name for name in found if not name.endswith("_")}
        self.assertGreater(len(names), 5)
        for name in names:
            parts.wait(name, lambda name=name: self.prometheus.query(name))

    def test_every_rule_is_evaluated_without_an_error(self):
        def evaluated():
            answer = json.loads(parts.get(self.prometheus.address, "/api/v1/rules"))
            rules = [rule for group in answer["data"]["groups"] for rule in group["rules"]]
            self.assertTrue(rules)
            bad = [(rule["name"], rule["lastError"]) for rule in rules if rule["health"] == "err"]
            self.assertEqual(bad, [])
            return all(rule["health"] == "ok" for rule in rules)

        parts.wait("every rule", evaluated)


if __name__ == "__main__":
    unittest.main()
