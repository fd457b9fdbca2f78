#!/usr/bin/env python3
"""Runs the collector's configuration of the chart with a real OpenTelemetry collector. The last line counts the tests.

    shipping_test.py [WORD ...]     only tests with one of the words in their name

scripts/otelcol.sh builds the collector; $OTELCOL replaces it. $CELLGATE_BIN is the service whose log is shipped.
"""

import http.server
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import chart_test

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILES = ROOT / "charts" / "cellgate" / "files"
CONFIG = FILES / "otel-collector.yaml"
CELLGATE = os.environ.get("CELLGATE_BIN") or ROOT / "target" / "debug" / "cellgate"
# On any machine.
PATIENCE = 120
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

# The wire is as in the configuration, but for its encoding, which this test reads.
READABLE = """
exporters: {{otlphttp: {{encoding: json, compression: none, retry_on_failure: {{initial_interval: 100ms, max_interval: 200ms}}}}}}
service: {{telemetry: {{metrics: {{level: none}}}}}}
"""


def collector():
    """The path of the collector. The test is skipped where none can be had."""
    found = subprocess.run([ROOT / "scripts" / "otelcol.sh"], stdout=subprocess.PIPE, text=True, check=False)
    if found.returncode == 2:
        raise unittest.SkipTest("scripts/otelcol.sh finds no collector")
    found.check_returncode()
    return found.stdout.strip()


class Receiver:
    """A receiver of OTLP over HTTP. While `is_down`, it refuses with 503."""

    def __init__(self):
        self.records, self.refused, self.is_down = [], 0, False
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """Keeps the records of each request."""

            def do_POST(self):  # noqa: N802
                body = self.rfile.read(int(self.headers["content-length"]))
                if receiver.is_down:
                    receiver.refused += 1
                    self.send_response(503)
                    self.end_headers()
                    return
                assert self.path == "/v1/logs", self.path
                for resource in json.loads(body)["resourceLogs"]:
                    service = attributes(resource["resource"])["service.name"]
                    for scope in resource["scopeLogs"]:
                        receiver.records += [(service, record) for record in scope["logRecords"]]
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def wait(self, what, condition):
        """Waits for a condition."""
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"never: {what}; received {self.records}")
            time.sleep(0.05)

    def find(self, service, name, value):
        """The records of a service with an attribute."""
        return [record for known, record in self.records if known == service and attributes(record).get(name) == value]

    def bodies(self):
        """The bodies of all records."""
        return [record["body"]["stringValue"] for _, record in self.records]


def parts(stream, line, size=16 * 1024):
    """The lines of a container's file, in which containerd splits a longer line."""
    pieces = [line[start : start + size] for start in range(0, len(line), size)]
    flags = ["P"] * (len(pieces) - 1) + ["F"]
    return [f"2026-11-30T14:30:48.867428123Z {stream} {flag} {piece}" for flag, piece in zip(flags, pieces)]


def attributes(of):
    """The attributes of a record or resource, without their types."""
    return {entry["key"]: next(iter(entry["value"].values()), None) for entry in of.get("attributes", [])}


class Shipping(unittest.TestCase):
    """A collector, the files that it reads, and the receiver to which it sends."""

    def setUp(self):
        self.directory = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.service, self.envoy = self.directory / "service.log", self.directory / "access.log"
        for file in (self.service, self.envoy):
            file.touch()
        (self.directory / "readable.yaml").write_text(READABLE.format(), encoding="utf-8")
        self.receiver = Receiver()
        self.addCleanup(self.receiver.server.server_close)
        self.addCleanup(self.receiver.server.shutdown)
        self.environment = {
            **os.environ,
            "OTLP_ENDPOINT": self.receiver.endpoint,
            "STATE_DIRECTORY": str(self.directory / "state"),
            "SERVICE_LOGS": str(self.directory / "service*.log"),
            "ACCESS_LOGS": str(self.directory / "access*.log"),
        }

    def start(self):
        """Starts a collector, which ends with the test at the latest."""
        arguments = [collector(), "--config", CONFIG, "--config", self.directory / "readable.yaml"]
        log = self.enterContext(open(self.directory / "collector.log", "ab"))
        process = subprocess.Popen(arguments, env=self.environment, stdout=log, stderr=log)
        self.addCleanup(self.stop, process)
        return process

    def stop(self, process):
        """Ends a collector."""
        process.terminate()
        process.wait(PATIENCE)

    def write(self, file, *lines):
        """Appends lines to a file."""
        with file.open("a", encoding="utf-8") as log:
            log.writelines(line + "\n" for line in lines)

    def test_the_configuration_is_valid(self):
        command = [collector(), "validate", "--config", CONFIG]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_log_of_a_real_service_arrives_with_its_fields(self):
        config = ROOT / "ext-proc" / "tests" / "fixtures" / "cellgate.yaml"
        with self.service.open("ab") as log:
            command = [CELLGATE, "serve", "--plain-text", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--config", config]
            process = subprocess.Popen(command, stderr=log)
        self.addCleanup(self.stop, process)
        self.start()
        self.receiver.wait("listening", lambda: self.receiver.find("cellgate", "event", "listening"))
        self.stop(process)
        self.receiver.wait("drained", lambda: self.receiver.find("cellgate", "event", "drained"))
        written = {line["event"]: line for line in map(json.loads, self.service.read_text(encoding="utf-8").splitlines())}
        record = self.receiver.find("cellgate", "event", "listening")[0]
        line = written["listening"]
        self.assertEqual((record["severityText"], record["severityNumber"]), ("INFO", 9))
        self.assertEqual(record["body"]["stringValue"], line["message"])
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(int(record["timeUnixNano"]) // 10**9))
        self.assertEqual(f"{seconds}.{int(record['timeUnixNano']) // 1000 % 10**6:06}Z", line["timestamp"])
        found = attributes(record)
        for field in set(line) - {"timestamp", "level", "message"}:
            self.assertEqual(found[field], line[field], field)
        self.assertFalse({"timestamp", "level", "message"} & set(found), found)

    def test_a_line_of_a_container_has_its_trace(self):
        line = {"timestamp": "2026-11-30T14:30:47.867428Z", "level": "WARN", "event": "stream_failed", "message": "a message",
                "request_id": "r1", "trace_id": TRACE, "span_id": SPAN, "code": "Internal", "suppressed": 3}
        self.write(self.service, f"2026-11-30T14:30:48.867428123Z stderr F {json.dumps(line)}")
        self.start()
        self.receiver.wait("the line", lambda: self.receiver.find("cellgate", "event", "stream_failed"))
        record = self.receiver.find("cellgate", "event", "stream_failed")[0]
        self.assertEqual((record["traceId"], record["spanId"], record["severityNumber"]), (TRACE, SPAN, 13))
        self.assertEqual(attributes(record)["request_id"], "r1")

    def test_a_line_that_the_runtime_has_split_arrives_whole(self):
        line = {"timestamp": "2026-11-30T14:30:47.867428Z", "level": "WARN", "event": "config_refused", "message": "m", "error": "é" + "x" * 18_000}
        other = json.dumps({**line, "event": "another", "error": "y" * 20_000})
        # Parts of both streams alternate, and a whole line comes between them.
        first, second = parts("stderr", json.dumps(line, ensure_ascii=False)), parts("stdout", other)
        self.assertEqual((len(first), len(second)), (2, 2), "the case needs several parts")
        self.write(self.service, first[0], second[0], first[1], second[1], *parts("stderr", '{"event":"short","message":"s"}'))
        access = {"log_format": "cellgate/1", "time": "2026-11-30T14:30:49.123Z", "status": 200, "request_id": "long", "path": "/" + "x" * 60_000}
        self.write(self.envoy, *parts("stdout", json.dumps(access)))
        self.start()
        self.receiver.wait("all lines", lambda: len(self.receiver.records) >= 4)
        found = attributes(self.receiver.find("cellgate", "event", "config_refused")[0])
        self.assertEqual((found["error"], found.keys() & {"container", "source"}), (line["error"], set()))
        self.assertEqual(attributes(self.receiver.find("cellgate", "event", "another")[0])["error"], "y" * 20_000)
        self.assertTrue(self.receiver.find("cellgate", "event", "short"))
        self.assertEqual(attributes(self.receiver.find("envoy", "request_id", "long")[0])["path"], access["path"])

    def test_the_access_log_arrives_with_the_decision(self):
        fields = json.loads((FILES / "access-log.json").read_text(encoding="utf-8"))
        self.assertEqual(fields["log_format"], "cellgate/1")
        for status, number in ((200, 9), (421, 13), (503, 17)):
            line = {name: f"a {name}" for name in fields}
            line |= {"log_format": "cellgate/1", "time": "2026-11-30T14:30:49.123Z", "status": status, "trace_id": TRACE,
                     "response_flags": None, "request_id": f"r{status}"}
            self.write(self.envoy, json.dumps(line))
        self.write(self.envoy, json.dumps({**line, "request_id": "untraced", "trace_id": None}))
        self.start()
        self.receiver.wait("all lines", lambda: len(self.receiver.records) >= 4)
        for status, number in ((200, 9), (421, 13), (503, 17)):
            record = self.receiver.find("envoy", "request_id", f"r{status}")[0]
            self.assertEqual((record["severityNumber"], record["traceId"]), (number, TRACE))
            self.assertEqual(record["timeUnixNano"], "1796049049123000000")
            found = attributes(record)
            for name in fields.keys() - {"log_format", "time", "status", "trace_id", "response_flags", "request_id"}:
                self.assertEqual(found[name], f"a {name}")
            self.assertEqual(int(found["status"]), status)
        self.assertEqual(self.receiver.find("envoy", "request_id", "untraced")[0].get("traceId", ""), "")

    def test_what_is_no_json_is_shipped_as_it_is(self):
        broken = ["cellgate.yaml:1:1: a failed start", '{"broken', "[] {}", '{"level":"LOUD","timestamp":"then"}', "x" * 300]
        self.write(self.service, *broken)
        self.write(self.envoy, "[2026-11-30 14:30:49.123][1][info] another line of the proxy", '{"status": "x"}')
        self.start()
        self.receiver.wait("all lines", lambda: len(self.receiver.records) >= len(broken) + 2)
        for line in broken:
            self.assertIn(line, self.receiver.bodies())

    def test_no_line_is_lost_while_the_receiver_refuses_or_the_collector_restarts(self):
        self.receiver.is_down = True
        line = lambda number: json.dumps({"timestamp": "2026-11-30T14:30:47.867428Z", "level": "INFO", "event": "n", "message": str(number)})
        self.write(self.service, *map(line, range(500)))
        first = self.start()
        self.receiver.wait("a refusal", lambda: self.receiver.refused > 2)
        self.stop(first)
        self.receiver.is_down = False
        self.write(self.service, *map(line, range(500, 1000)))
        self.start()
        self.receiver.wait("all lines", lambda: set(self.receiver.bodies()) >= set(map(str, range(1000))))


if __name__ == "__main__":
    sys.exit(chart_test.run(chart_test.loader().loadTestsFromTestCase(Shipping)))
