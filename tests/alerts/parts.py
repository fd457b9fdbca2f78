"""The parts of a running installation: the service, Envoy with the filter, cells, a store of rate limits, Prometheus.

Every part is the real program on free loopback ports. The cells alone are of this file: they answer 200, or as told.
"""

import http.client
import http.server
import json
import os
import pathlib
import resource
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
# A path to which every cell answers 500.
FAILING = "/failing"
CELLS = ["cell-a", "cell-b", "cell-c"]
# Debug builds on a busy machine.
PATIENCE = 300


def program(variable, script, *arguments):
    """The path of a program: of its variable, or from the script that installs it. A missing one fails the test."""
    if named := os.environ.get(variable):
        return str((ROOT / named).resolve())
    done = subprocess.run([ROOT / "scripts" / script, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"{variable} is not set, and scripts/{script} failed\n{done.stderr}")
    return done.stdout.strip()


def prometheus():
    """The folder with Prometheus and promtool."""
    return os.environ.get("PROMETHEUS") or program("PROMETHEUS", "prometheus.sh")


def cellgate():
    return str((ROOT / os.environ.get("CELLGATE_BIN", "target/debug/cellgate")).resolve())


def free_port():
    """A port that nothing uses now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def wait(what, condition):
    """Waits until `condition` returns something true, and returns it."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if found := condition():
                return found
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.1)
    raise AssertionError(f"waited {PATIENCE} s for {what}")


def get(address, path):
    """The text of an answer, whatever its status."""
    with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
        return answer.read().decode()


class Process:
    """A program with a log file, ended with its owner."""

    def __init__(self, command, log, limit_files=None, extra=None):
        self.log = pathlib.Path(log)

        def limit():
            if limit_files:
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit_files, limit_files))

        with self.log.open("ab") as file:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env={**os.environ, **(extra or {})},
                cwd=ROOT,
                preexec_fn=limit,
            )

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def text(self):
        return self.log.read_text(errors="replace")


class Cell:
    """An HTTP server that answers each request after it has read the body. `status` may be changed."""

    def __init__(self):
        cell = self
        cell.status, cell.delay = 200, threading.Event()
        cell.delay.set()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                if length := self.headers.get("content-length"):
                    self.rfile.read(int(length))
                elif self.headers.get("transfer-encoding") == "chunked":
                    while size := int(self.rfile.readline() or b"0", 16):
                        self.rfile.read(size + 2)
                    self.rfile.readline()
                cell.delay.wait(PATIENCE)
                self.send_response(500 if self.path == FAILING else cell.status)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            do_GET = do_POST = answer

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                # A client that aborts is part of a test.
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.delay.set()
        self.server.shutdown()
        self.server.server_close()


CONFIG = {
    "version": "sample",
    "routing_header": "x-cell",
    "cells": CELLS,
    "key": [{"json": "/tenant/id"}, {"header": "x-tenant-id"}],
    "placement": {"overrides": {"acme": "cell-b"}, "slots": {}},
    "limits": {"inspect_bytes": "32KiB"},
}


class Service:
    """`cellgate serve`. `address` is its admin port."""

    def __init__(self, folder, config, options=(), plain_text=True, **process):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.file = self.folder / "cellgate.json"
        self.write(config)
        self.port, admin = free_port(), free_port()
        self.address = f"127.0.0.1:{admin}"
        self.options = ["--plain-text"] if plain_text else []
        self.options += [str(option) for option in options]
        self.settings = process
        self.start()

    def start(self):
        listening = ["--listen", f"127.0.0.1:{self.port}", "--admin", self.address]
        command = [cellgate(), "serve", "--config", self.file, *listening, *self.options]
        self.process = Process(command, self.folder / "service.log", **self.settings)
        wait("the service", self.is_alive)

    def is_alive(self):
        if self.process.process.poll() is not None:
            raise AssertionError(f"the service ended\n{self.process.text()}")
        return get(self.address, "/livez")

    def write(self, config):
        """Replaces the configuration by rename, as Kubernetes does. Text is written as it is."""
        draft = self.folder / "draft"
        draft.write_text(config if isinstance(config, str) else json.dumps(config))
        draft.rename(self.file)

    def metric(self, name):
        """The value of a series, 0 if there is none."""
        lines = get(self.address, "/metrics").splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} ")), 0.0)

    def stop(self):
        self.process.stop()


class Gateway:
    """Envoy with the filter and the way to the service, as in examples/envoy/two-tier.yaml. Its clusters have the names
    of Istio in its statistics, and the tags are those of Istio's bootstrap."""

    def __init__(self, folder, config, cells, service_port, adjust=None):
        self.folder = pathlib.Path(folder)
        self.discovery = self.folder / "discovery"
        self.discovery.mkdir(parents=True, exist_ok=True)
        self.version = 0
        self.publish(config)
        admin, self.port = free_port(), free_port()
        self.address = f"127.0.0.1:{admin}"
        self.access_log = self.folder / "access.log"
        bootstrap = self.bootstrap(cells, service_port, admin)
        if adjust:
            adjust(bootstrap)
        (self.folder / "envoy.json").write_text(json.dumps(bootstrap))
        command = [program("ENVOY", "envoy.sh"), "-c", self.folder / "envoy.json", "--concurrency", "1"]
        command += ["--disable-hot-restart", "--file-flush-interval-msec", "50", "--log-level", "warning"]
        command += ["--component-log-level", "wasm:info"]
        self.process = Process(command, self.folder / "envoy.log")
        wait("Envoy", self.is_ready)

    def is_ready(self):
        if self.process.process.poll() is not None:
            raise AssertionError(f"Envoy ended\n{self.process.text()}")
        return "LIVE" in get(self.address, "/ready")

    def bootstrap(self, cells, service_port, admin):
        found = yaml.safe_load((ROOT / "examples" / "envoy" / "two-tier.yaml").read_text())
        found["node"] = {"id": "test", "cluster": "test"}
        found["admin"]["address"] = address(admin)
        found["stats_config"] = {
            "use_all_default_tags": False,
            "stats_tags": [
                {"tag_name": "cluster_name", "regex": r"^cluster(\.(.+);)"},
                {"tag_name": "http_conn_manager_prefix", "regex": r"^http\.(((?:[_.[:digit:]\w]*|[_\[\]aAbBcCdDeEfF[:digit:]\w\:]*));\.)"},
                {"tag_name": "response_code_class", "regex": r"_rq(_(\dxx))$"},
            ],
        }
        (listener,) = found["static_resources"]["listeners"]
        listener["address"] = address(self.port)
        manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
        manager["stat_prefix"] = "outbound_0.0.0.0_8080;"
        log = manager["access_log"][0]["typed_config"]
        log["@type"] = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
        log["path"] = str(self.access_log)
        source = {"path": str(self.discovery / "filter.json"), "watched_directory": {"path": str(self.discovery)}}
        manager["http_filters"][0] = {
            "name": "cellgate",
            "config_discovery": {
                "config_source": {"path_config_source": source, "resource_api_version": "V3"},
                "type_urls": ["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"],
            },
        }
        ports = {"cellgate": service_port, **{name: cell.port for name, cell in cells.items()}}
        for cluster in found["static_resources"]["clusters"]:
            if port := ports.get(cluster["name"]):
                endpoint = {"endpoint": {"address": address(port)}}
                cluster["load_assignment"]["endpoints"] = [{"lb_endpoints": [endpoint]}]
            if cluster["name"] in cells:
                cluster["alt_stat_name"] = f"outbound|8080||api.{cluster['name']}.svc.cluster.local;"
                cluster["outlier_detection"] = {
                    "consecutive_5xx": 3,
                    "interval": "0.5s",
                    "base_ejection_time": "300s",
                    "max_ejection_percent": 100,
                }
        return found

    def publish(self, config):
        """Gives the filter a configuration, as istiod does. Text is passed on as it is."""
        self.version += 1
        wasm = {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "name": "cellgate",
                "allow_on_headers_stop_iteration": True,
                "failure_policy": "FAIL_RELOAD",
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": config if isinstance(config, str) else json.dumps(config),
                },
                "vm_config": {
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": str(ROOT / os.environ.get("CELLGATE_WASM", "target/cellgate.wasm"))}},
                },
            },
        }
        resource_ = {"@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig", "name": "cellgate", "typed_config": wasm}
        draft = self.discovery / "draft"
        draft.write_text(json.dumps({"version_info": str(self.version), "resources": [resource_]}))
        draft.rename(self.discovery / "filter.json")

    def stat(self, name):
        """A counter or gauge by its full name, 0 if there is none."""
        for line in get(self.address, "/stats").splitlines():
            found, _, value = line.rpartition(": ")
            if found == name:
                return int(value)
        return 0

    def send(self, body=None, path="/", **headers):
        """The status of a request: GET, or POST with a body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            names = {"content-type": "application/json", **names}
        try:
            connection.request("GET" if body is None else "POST", path, body, names)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def leave(self):
        """Sends the beginning of a body and closes the connection."""
        head = "POST / HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9000\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as client:
            client.sendall(f'{head}{{"filler":"'.encode())

    def stop(self):
        self.process.stop()


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def tenant(name, early=True, filler=0):
    """A JSON body with a key, at its beginning or behind so many bytes."""
    key, rest = f'"tenant":{{"id":"{name}"}}', f'"filler":"{"x" * filler}"'
    return "{" + (f"{key},{rest}" if early else f"{rest},{key}") + "}"


class Installation:
    """All parts together. `config` is that of both tiers, `filter` that of the filter where it differs. Without a gateway
    there is only the service."""

    def __init__(self, config=None, filter=None, options=(), adjust=None, plain_text=True, settings=None, with_gateway=True):
        self.directory = tempfile.TemporaryDirectory(prefix="cellgate-alerts-")
        self.folder = pathlib.Path(self.directory.name)
        self.parts, self.gateway = [], None
        try:
            self.config = {**CONFIG, **(config or {})}
            self.cells = {name: self.keep(Cell()) for name in CELLS}
            self.service = self.keep(Service(self.folder / "service", self.config, options, plain_text, **(settings or {})))
            if not with_gateway:
                return
            self.gateway = self.keep(Gateway(self.folder, filter or self.config, self.cells, self.service.port, adjust))
            # The filter's first configuration has arrived when a request gets its decision.
            wait("the filter", lambda: self.gateway.send(path="/probe", x_tenant_id="acme") != 503)
        except BaseException:
            self.close()
            raise

    def keep(self, part):
        self.parts.append(part)
        return part

    def variables(self):
        """The variables of the runbooks' commands."""
        found = {
            "SERVICE": self.service.address,
            "SERVICE_LOG": str(self.service.process.log),
            "CONFIG": str(self.service.file),
        }
        if self.gateway:
            found["GATEWAY"] = self.gateway.address
            found["GATEWAY_LOG"] = str(self.gateway.process.log)
            found["ACCESS_LOG"] = str(self.gateway.access_log)
        return found

    def logs(self):
        """The end of each log, for messages."""
        files = [self.service.process.log, self.gateway.process.log, self.gateway.access_log]
        return "\n".join(f"{file}:\n{file.read_text(errors='replace')[-1500:]}" for file in files if file.exists())

    def close(self):
        for part in reversed(self.parts):
            part.stop()
        self.directory.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Prometheus:
    """A Prometheus that scrapes the targets and evaluates the rules once a second."""

    def __init__(self, folder, targets, groups):
        self.folder = pathlib.Path(folder) / "prometheus"
        self.folder.mkdir()
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        (self.folder / "rules.yaml").write_text(json.dumps({"groups": groups}))
        jobs = [
            {
                "job_name": name,
                "metrics_path": path,
                "static_configs": [{"targets": [target], "labels": labels}],
            }
            for name, target, path, labels in targets
        ]
        configuration = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": jobs,
        }
        (self.folder / "prometheus.json").write_text(json.dumps(configuration))
        command = [f"{prometheus()}/prometheus", f"--config.file={self.folder / 'prometheus.json'}"]
        command += [f"--storage.tsdb.path={self.folder / 'data'}", f"--web.listen-address={self.address}"]
        self.process = Process(command, self.folder / "prometheus.log")
        wait("Prometheus", lambda: "Ready" in get(self.address, "/-/ready"))

    def query(self, expression):
        """The samples of an expression now. A bad expression is an error."""
        data = urllib.parse.urlencode({"query": expression}).encode()
        try:
            with urllib.request.urlopen(f"http://{self.address}/api/v1/query", data=data, timeout=30) as answer:
                return json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{expression}: {error.read().decode()}") from error

    def stop(self):
        self.process.stop()


class Valkey:
    """A store of rate limits."""

    def __init__(self, folder):
        self.folder, self.port = pathlib.Path(folder), free_port()
        self.start()

    def start(self):
        command = [program("VALKEY", "valkey.sh"), "--port", self.port, "--bind", "127.0.0.1", "--save", "", "--dir", self.folder]
        self.process = Process(command, self.folder / "valkey.log")
        wait("the store", lambda: "Ready to accept" in self.process.text())

    def stop(self):
        self.process.stop()
