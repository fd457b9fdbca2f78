"""Prometheus' own promtool: it reads rules, and evaluates them on given series."""

import functools
import pathlib
import subprocess

import chart


@functools.lru_cache(maxsize=None)
def promtool():
    """The path of promtool. $PROMETHEUS, a folder with it, replaces the installed one. Fails if there is none: a machine
    that tests the chart must test its alerts."""
    command = [chart.ROOT / "scripts" / "prometheus.sh"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"promtool is missing: install it, or set PROMETHEUS to its folder\n{done.stderr}")
    return str(pathlib.Path(done.stdout.strip()) / "promtool")


def run(*arguments, cwd=None):
    """The exit code of promtool, and all that it prints."""
    done = subprocess.run([promtool(), *map(str, arguments)], cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr
