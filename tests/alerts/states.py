"""The states that the runbooks describe, each made with real programs.

A state is a function that yields the variables of the runbook's commands while the state lasts.
"""

import atexit
import contextlib
import http.client
import os
import pathlib
import signal
import socket
import subprocess
import threading

import parts

LIMIT = {"name": "per-tenant", "key": ["routing_key"], "limit": "1/h;burst=2"}
STATES = {}
SHARED = []

# Bodies that the filter defers: with the key behind the bytes that it may hold.
LARGE = parts.tenant("acme", early=False, filler=100_000)


def state(make):
    STATES[make.__name__] = contextlib.contextmanager(make)
    return make


def ignoring_aborts(send):
    """A request that is aborted on purpose."""
    try:
        send()
    except (OSError, http.client.HTTPException):
        pass


def metric_rises(installation, name, least=1):
    parts.wait(name, lambda: installation.service.metric(name) >= least)


def stat_rises(installation, name, least=1):
    parts.wait(name, lambda: installation.gateway.stat(name) >= least)


def logged(installation, text):
    """Waits until the access log has a line with this text."""
    log = installation.gateway.access_log
    parts.wait(text, lambda: log.exists() and text in log.read_text())


def decisions(reason, outcome="reject"):
    return f'cellgate_decisions_total{{outcome="{outcome}",reason="{reason}",tier="service"}}'


def stalled(gateway, sent=100_000):
    """A connection that has sent the head and a part of a body without its key."""
    client = socket.create_connection(("127.0.0.1", gateway.port), timeout=parts.PATIENCE)
    head = "POST / HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9000000\r\n\r\n"
    client.sendall(f'{head}{{"filler":"'.encode() + b"x" * sent)
    return client


@contextlib.contextmanager
def shared():
    """The installation of all states that leave it as it was. It ends with the tests."""
    if not SHARED:
        SHARED.append(parts.Installation())
        atexit.register(SHARED[0].close)
    yield SHARED[0]


@state
def healthy():
    with shared() as found:
        assert found.gateway.send(LARGE) == 200
        yield found.variables()


@state
def service_down():
    with parts.Installation() as found:
        found.service.stop()
        assert found.gateway.send(LARGE) == 503
        stat_rises(found, "http.outbound_0.0.0.0_8080;.ext_proc.cellgate.streams_failed")
        yield found.variables()


@state
def overloaded():
    with parts.Installation(options=["--max-held-bytes", "64KiB", "--budget-timeout", "100ms"]) as found:
        assert found.gateway.send(LARGE) == 503
        metric_rises(found, decisions("overloaded"))
        yield found.variables()


@state
def deadline():
    with parts.Installation(options=["--decision-timeout", "300ms"]) as found:
        with stalled(found.gateway):
            metric_rises(found, decisions("deadline_exceeded"))
        yield found.variables()


@state
def rejecting():
    with shared() as found:
        assert found.gateway.send(LARGE + "}") == 400
        metric_rises(found, decisions("body_malformed"))
        logged(found, '"cellgate_service_reason":"body_malformed"')
        yield found.variables()


@state
def conflicts():
    with shared() as found:
        early = parts.tenant("acme", filler=100_000)[:-1] + ',"tenant":{"id":"umbrella"}}'
        late = parts.tenant("acme", early=False, filler=40_000)[:-1] + f',"more":"{"x" * 400_000}","tenant":{{"id":"other"}}}}'
        for body in (early, late):
            ignoring_aborts(lambda body=body: found.gateway.send(body))
        metric_rises(found, 'cellgate_conflicts_total{reason="key_duplicated"}')
        stat_rises(found, "wasmcustom.cellgate.guard_conflicts")
        logged(found, "after=")
        logged(found, '"cellgate_service_reason":"key_duplicated"')
        yield found.variables()


@state
def mismatch():
    """The proxy of a cell gets a request of another one."""
    decided_by = {"peers": ["spiffe://cluster.local/ns/istio-ingress/sa/gateway"], "cell": "cell-a"}
    with parts.Installation(filter={**parts.CONFIG, "decided_by": decided_by}) as found:
        assert found.gateway.send(parts.tenant("acme")) == 421
        stat_rises(found, "wasmcustom.cellgate.decisions.reject.cell_mismatch")
        logged(found, "reason=cell_mismatch")
        yield found.variables()


@state
def protocol():
    def streamed(bootstrap):
        for mode in find(bootstrap, "request_body_mode"):
            mode["request_body_mode"] = "STREAMED"

    with parts.Installation(adjust=streamed) as found:
        ignoring_aborts(lambda: found.gateway.send(LARGE))
        metric_rises(found, "cellgate_protocol_errors_total")
        yield found.variables()


def find(node, name):
    """Every map inside with this field."""
    if isinstance(node, dict):
        if name in node:
            yield node
        for value in node.values():
            yield from find(value, name)
    elif isinstance(node, list):
        for value in node:
            yield from find(value, name)


def spend(found, requests=6):
    """The statuses of requests of one tenant under the limit."""
    return [found.gateway.send(path="/", x_tenant_id="acme") for _ in range(requests)]


@state
def limited():
    with parts.Installation({"rate_limits": [LIMIT]}) as found:
        assert 429 in spend(found)
        logged(found, '"cellgate_service_reason":"rate_limited"')
        yield found.variables()


@state
def limit_shadow():
    with parts.Installation({"rate_limits": [{**LIMIT, "shadow": True}]}) as found:
        assert set(spend(found)) == {200}
        metric_rises(found, 'cellgate_rate_limit_checks_total{limit="per-tenant",outcome="over"}')
        yield found.variables()


def to_the_end(bootstrap):
    """The service must see when the response has ended."""
    for mode in find(bootstrap, "response_trailer_mode"):
        mode["response_trailer_mode"] = "SEND"
    for processor in find(bootstrap, "processing_mode"):
        processor["allow_mode_override"] = True


@state
def concurrency():
    limits = [{"name": "at-once", "key": ["routing_key"], "at_most": 1}]

    with parts.Installation({"concurrency_limits": limits}, adjust=to_the_end) as found:
        found.cells["cell-b"].delay.clear()
        first = threading.Thread(target=lambda: found.gateway.send(path="/slow", x_tenant_id="acme"), daemon=True)
        first.start()
        metric_rises(found, 'cellgate_concurrency_in_flight{limit="at-once"}')
        assert found.gateway.send(path="/", x_tenant_id="acme") == 429
        logged(found, '"cellgate_service_reason":"concurrency_limited"')
        found.cells["cell-b"].delay.set()
        first.join(parts.PATIENCE)
        yield found.variables()


def leased(limit):
    return {"rate_limits": [{**LIMIT, "limit": limit, "lease": True}], "sync": {"cluster": "cellgate"}}


@state
def withdrawn():
    other = {**parts.CONFIG, **leased("200/h;burst=200")}
    with parts.Installation(leased("100/h;burst=100"), filter=other) as found:
        metric_rises(found, 'cellgate_syncs_total{result="withdrawn"}')
        stat_rises(found, "wasmcustom.cellgate.syncs_withdrawn")
        yield found.variables()


@state
def leases_failing():
    config = {**leased("100/h;burst=100"), "sync": {"cluster": "missing"}}
    with parts.Installation(config) as found:
        stat_rises(found, "wasmcustom.cellgate.sync_failures")
        yield found.variables()


@contextlib.contextmanager
def stored(fails="local", timeout="1s", adjust=None, **more):
    """An installation with a shared store, and with more fields of the limit."""
    with parts.tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as kept:
        store = parts.Valkey(folder)
        kept.callback(store.stop)
        secret = pathlib.Path(folder) / "secret"
        secret.write_text("0123456789abcdef" * 2)
        secret.chmod(0o600)
        options = ["--limit-store", f"redis://127.0.0.1:{store.port}", "--limit-secret-file", secret, "--limit-store-timeout", timeout]
        limit = {**LIMIT, "limit": "1000/h;burst=1000", "when_store_fails": fails, **more}
        found = kept.enter_context(parts.Installation({"rate_limits": [limit]}, options=options, adjust=adjust))
        metric_rises(found, "cellgate_rate_limit_store_available")
        yield found, store


@state
def store_down():
    with stored() as (found, store):
        store.stop()
        spend(found)
        parts.wait("the store to be missed", lambda: not found.service.metric("cellgate_rate_limit_store_available"))
        spend(found)
        metric_rises(found, 'cellgate_rate_limit_answers_total{by="local"}')
        yield found.variables()


@state
def store_slow():
    with stored(timeout="20ms") as (found, store):
        os.kill(store.process.process.pid, signal.SIGSTOP)
        spend(found)
        metric_rises(found, 'cellgate_rate_limit_store_failures_total{cause="deadline"}')
        yield found.variables()


@state
def store_allow():
    with stored("allow") as (found, store):
        store.stop()
        parts.wait("the store to be missed", lambda: spend(found, 1) and not found.service.metric("cellgate_rate_limit_store_available"))
        assert set(spend(found)) == {200}
        metric_rises(found, 'cellgate_rate_limit_checks_total{limit="per-tenant",outcome="unknown_admitted"}')
        yield found.variables()


SETTLE = {"response_header": "x-used", "at_most": 50}


@state
def settlements_kept():
    """The cells send no number."""
    limit = {**LIMIT, "limit": "1000/h;burst=1000", "cost": 10, "settle": SETTLE}
    with parts.Installation({"rate_limits": [limit]}, adjust=to_the_end) as found:
        spend(found)
        metric_rises(found, 'cellgate_settlements_total{limit="per-tenant",outcome="kept"}')
        yield found.variables()


@state
def settlements_lost():
    """The store ends between a request and its response."""
    with stored(adjust=to_the_end, cost=10, settle={**SETTLE, "on_failure": "release"}) as (found, store):
        cell = found.cells["cell-b"]
        cell.status = 503
        cell.delay.clear()
        charged = 'cellgate_rate_limit_checks_total{limit="per-tenant",outcome="within"}'
        before = found.service.metric(charged)
        first = threading.Thread(target=lambda: found.gateway.send(path="/slow", x_tenant_id="acme"), daemon=True)
        first.start()
        metric_rises(found, charged, before + 1)
        store.stop()
        cell.delay.set()
        first.join(parts.PATIENCE)
        metric_rises(found, 'cellgate_settlements_total{limit="per-tenant",outcome="lost"}')
        yield found.variables()


@state
def keys_full():
    with parts.Installation({"rate_limits": [LIMIT]}, options=["--max-limit-keys", "1"]) as found:
        for number in range(40):
            found.gateway.send(path="/", x_tenant_id=f"tenant-{number}")
        metric_rises(found, "cellgate_rate_limit_overflow_charges_total")
        yield found.variables()


@state
def config_refused():
    with parts.Installation(with_gateway=False) as found:
        found.service.write('{"cells": []}')
        metric_rises(found, 'cellgate_config_reloads_total{result="refused"}')
        yield found.variables()


@state
def config_differs():
    with parts.Installation(with_gateway=False) as found:
        other = found.keep(parts.Service(found.folder / "other", {**found.config, "version": "newer"}))
        yield {**found.variables(), "OTHER": other.address}


def certificate(folder, *dates):
    """A self-signed certificate and its key."""
    folder = pathlib.Path(folder)
    files = ["-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=cellgate", "-addext", "subjectAltName=DNS:cellgate", *dates, *files]
    subprocess.run([str(part) for part in command], check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return ["--tls-cert", folder / "cert.pem", "--tls-key", folder / "key.pem"]


@contextlib.contextmanager
def with_tls(with_gateway=False):
    with parts.tempfile.TemporaryDirectory() as folder:
        options = certificate(folder, "-days", "1")
        with parts.Installation(options=options, plain_text=False, with_gateway=with_gateway) as found:
            yield found, pathlib.Path(folder) / "cert.pem"


@state
def tls_expiring():
    """A certificate of a day: the last fifth of its time would take 19 hours to come."""
    with with_tls() as (found, file):
        yield {**found.variables(), "CERTIFICATE": str(file)}


@state
def tls_refused():
    with with_tls() as (found, file):
        draft = file.with_name("draft")
        draft.write_text("no certificate")
        draft.rename(file)
        metric_rises(found, 'cellgate_tls_reloads_total{result="refused"}')
        yield found.variables()


@state
def tls_plain_text():
    """Envoy's cluster has no TLS."""
    with with_tls(with_gateway=True) as (found, _):
        assert found.gateway.send(LARGE) == 503
        metric_rises(found, 'cellgate_tls_handshakes_total{result="plain_text"}')
        yield found.variables()


@state
def few_files():
    with parts.Installation(settings={"limit_files": 64}, with_gateway=False) as found, contextlib.ExitStack() as kept:
        host, _, port = found.service.address.partition(":")
        before = found.service.metric("process_open_fds")
        for _ in range(25):
            kept.enter_context(socket.create_connection((host, int(port)), timeout=parts.PATIENCE))
        metric_rises(found, "process_open_fds", before + 20)
        yield found.variables()


@state
def restarted():
    with parts.Installation(with_gateway=False) as found:
        for _ in range(2):
            found.service.stop()
            found.service.start()
        yield found.variables()


@state
def filter_rejected():
    with shared() as found:
        found.gateway.publish('{"cells": []}')
        stat_rises(found, "wasmcustom.cellgate.config_rejected")
        yield found.variables()


@state
def filter_missing():
    """A new proxy, whose first configuration is refused."""
    with parts.Installation(filter={"cells": []}) as found:
        stat_rises(found, "extension_config_discovery.http_filter.cellgate.config_fail")
        yield found.variables()


@state
def spoofed():
    with shared() as found:
        assert found.gateway.send(parts.tenant("acme"), path="/spoofed", x_cell="cell-c") == 200
        stat_rises(found, "wasmcustom.cellgate.stripped_headers")
        logged(found, "/spoofed")
        yield found.variables()


@state
def filter_rejecting():
    with shared() as found:
        assert found.gateway.send('{"tenant":') == 400
        stat_rises(found, "wasmcustom.cellgate.decisions.reject.body_truncated")
        logged(found, "reason=body_truncated")
        yield found.variables()


@state
def deferring():
    with shared() as found:
        assert found.gateway.send(LARGE) == 200
        stat_rises(found, "wasmcustom.cellgate.decisions.defer.body_too_large")
        yield found.variables()


@state
def fail_open():
    with parts.Installation({"policy": {"key_missing": {"use": "cell-a"}}}) as found:
        assert found.gateway.send('{"other":1}') == 200
        stat_rises(found, "wasmcustom.cellgate.decisions.cell.key_missing")
        logged(found, "reason=key_missing")
        yield found.variables()


@state
def shadow():
    with parts.Installation(filter={**parts.CONFIG, "shadow": True}) as found:
        found.gateway.send(parts.tenant("acme"))
        logged(found, '"cellgate_filter":"shadow;cell=cell-b')
        yield found.variables()


@state
def cell_ejected():
    with parts.Installation() as found:
        for _ in range(3):
            assert found.gateway.send(path=parts.FAILING, x_tenant_id="acme") == 500
        stat_rises(found, "cluster.outbound|8080||api.cell-b.svc.cluster.local;.outlier_detection.ejections_active")
        parts.wait(
            "the cell to be down",
            lambda: not found.gateway.stat("cluster.outbound|8080||api.cell-b.svc.cluster.local;.membership_healthy"),
        )
        yield found.variables()
