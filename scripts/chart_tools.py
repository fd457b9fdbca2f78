"""Runs a script with what scripts/chart-tools.sh installs: helm, and a Python that has PyYAML."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def enter():
    """Starts the running script again with that Python, unless it is that one already. $HELM is a Helm of your own."""
    tools = ROOT / ".tools" / "chart"
    if pathlib.Path(sys.prefix) == tools:
        return
    command = [ROOT / "scripts" / "chart-tools.sh"]
    installed = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if installed.returncode != 0:
        sys.exit("the chart's tools cannot be installed: the lines above say why")
    folder = pathlib.Path(installed.stdout.strip())
    environment = {"HELM": str(folder / "helm"), **os.environ}
    os.execve(folder / "python", [str(folder / "python"), *sys.argv], environment)
