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


def lines(*arguments):
    return run("git", *arguments).splitlines()


def dirty():
    """The files that are not as HEAD has them. What the sources' own .gitignore names does not count; a person's settings of git
    and of this checkout hide nothing."""
    changed = [line[3:] for line in lines("status", "--porcelain", "--untracked-files=no", "--ignore-submodules=none")]
    # Their changes are in no status.
    changed += [line[2:] for line in lines("ls-files", "-v") if line[0] == "S" or line[0].islower()]
    changed += lines("ls-files", "--others", "--exclude-per-directory=.gitignore")
    # One that git does not know may name itself.
    changed += lines("ls-files", "--others", "--exclude-from=.gitignore", "--", ":(glob)**/.gitignore")
    return list(dict.fromkeys(changed))


def version():
    """Cellgate's version, as its crates have it."""
    found = re.search(r'(?ms)^\[workspace\.package\].*?^version = "(.*?)"', (ROOT / "Cargo.toml").read_text())
    return found[1]


def revision():
    """The commit, as every program and artifact names it. What a caller sets for scripts/stamp.sh does not count."""
    return run(ROOT / "scripts" / "stamp.sh", CELLGATE_BUILD="").strip()


def given(name):
    """A variable of make."""
    return os.environ.get(name, "").strip()


def needed(name):
    if not given(name):
        raise Refused(f"{name} is not set: run it as docs/release.md shows.")
    return given(name)


def switched_on(name):
    return given(name).lower() not in ("", "0", "false", "no", "off")
