"""What every step of a release uses: where the sources are, how programs run, and how a step refuses."""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DIST = ROOT / "target" / "dist"
# The scripts beside this folder are modules too.
sys.path.insert(0, str(ROOT / "scripts"))


class Refused(Exception):
    """A step that does not happen. Each argument is a sentence that says why, and what to do."""

    def __str__(self):
        return "\n".join(self.args)


def finished(*command, cwd=ROOT, **variables):
    """Runs a command to its end, whatever that is. Never asks anything."""
    environment = {**os.environ, **{name: str(value) for name, value in variables.items()}}
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )


def run(*command, cwd=ROOT, **variables):
    """What a command prints. Its own words are the reason if it fails."""
    done = finished(*command, cwd=cwd, **variables)
    if done.returncode != 0:
        raise Refused(f"{words(command)} has failed:", (done.stdout + done.stderr).strip())
    return done.stdout


def show(*command, **variables):
    """Runs a command that takes long and tells what it does."""
    print(f"==> {words(command)}", flush=True)
    environment = {**os.environ, **{name: str(value) for name, value in variables.items()}}
    done = subprocess.run([str(part) for part in command], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Refused(f"{words(command)} has failed: see the lines above.")


def words(command):
    return " ".join(str(part).replace(f"{ROOT}/", "") for part in command)


def git(*arguments):
    return run("git", *arguments).strip()


def tool(script, *arguments):
    """The path of a program that a script of scripts/ installs if need be. What the script says is shown."""
    command = [str(ROOT / "scripts" / script), *arguments]
    found = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    return found.stdout.strip() if found.returncode == 0 else None


def dirty():
    """The files that git would commit or that it does not know, as `git status` names them."""
    return run("git", "status", "--porcelain").splitlines()


def version():
    """Cellgate's version, as its crates have it."""
    found = re.search(r'(?ms)^\[workspace\.package\].*?^version = "(.*?)"', (ROOT / "Cargo.toml").read_text())
    return found[1]


def revision():
    """The commit, as every program and artifact names it."""
    return run(ROOT / "scripts" / "stamp.sh").strip()
