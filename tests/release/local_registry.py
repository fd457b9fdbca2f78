"""A registry on loopback, and the programs that talk to it."""

import json
import os
import pathlib
import re
import subprocess
import tempfile

from checkout import ENVIRONMENT, ROOT


def installed(script):
    """The path that a script of scripts/ prints."""
    done = subprocess.run([ROOT / "scripts" / script], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, f"{script}: {done.stderr}"
    return done.stdout.strip()


class Server:
    """CNCF Distribution with an empty store. `address` is where it listens."""

    def __init__(self, clean):
        folder = tempfile.TemporaryDirectory()
        clean(folder.cleanup)
        settings = {
            "version": "0.1",
            "log": {"level": "info", "formatter": "json", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": folder.name}, "delete": {"enabled": True}},
            "http": {"addr": "127.0.0.1:0"},
        }
        # JSON is YAML.
        path = pathlib.Path(folder.name) / "settings.yml"
        path.write_text(json.dumps(settings))
        self.process = subprocess.Popen(
            [installed("registry.sh"), "serve", str(path)],
            env={"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        clean(self.stop)
        said = []
        for line in self.process.stderr:
            said.append(line)
            if found := re.search(r"listening on (127\.0\.0\.1:\d+)", line):
                self.address = found[1]
                break
        else:
            raise AssertionError(f"the registry ended before it listened: {''.join(said)}")
        # It goes on writing: nobody needs to know what.
        self.reader = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=subprocess.DEVNULL)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.reader.wait()
        self.process.stderr.close()


class Crane:
    """crane, as a test uses it beside the code under test."""

    def __init__(self):
        self.path = installed("crane.sh")

    def __call__(self, *arguments, text=True):
        command = [self.path, *map(str, arguments), "--insecure"]
        done = subprocess.run(command, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip() if text else done.stdout
