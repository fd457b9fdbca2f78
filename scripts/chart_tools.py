"""Runs a script with the tools of scripts/chart-tools.sh: helm, and a Python with PyYAML."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def enter():
    """Restarts the script with that Python, unless it already runs with it. $HELM replaces the installed Helm."""
    tools = ROOT / ".tools" / "chart"
    if pathlib.Path(sys.prefix) == tools:
        return
    command = [ROOT / "scripts" / "chart-tools.sh"]
    installed = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if installed.returncode != 0:
        sys.exit("the chart's tools cannot be installed: see the lines above")
    folder = pathlib.Path(installed.stdout.strip())
    environment = {"HELM": str(folder / "helm"), **os.environ}
    os.execve(folder / "python", [str(folder / "python"), *sys.argv], environment)
