"""Whether a program or a module is what a release needs, by its own bytes. It may have been built on another machine."""

import os
import pathlib
import re
import struct
import subprocess
import tempfile

from base import ROOT

HERE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine)
# e_machine, p_type and d_tag of ELF.
MACHINES = {"amd64": 62, "arm64": 183}
INTERPRETER, DYNAMIC, NEEDED = 3, 2, 1
EXECUTABLES = (2, 3)
MODULE = b"\0asm\1\0\0\0"
COMPILER = re.compile(rb"rustc version (\d[\w.-]*)")
LIBC = re.compile(rb"GNU C Library [^\n\0]{0,80}release version (\d+(?:\.\d+)+)")


def program_wrong(program, architecture, number, stamp):
    """Why this is not the program of the release for an architecture, a reason each."""
    try:
        reasons = list(elf_wrong(program, architecture))
    except struct.error:
        reasons = ["is cut off: its ELF header points behind its end"]
    reasons = reasons or list(origin_wrong(program, number, stamp))
    # Only what is built from HEAD is run.
    if not reasons and architecture == HERE and (said := what_it_says(program)) != f"cellgate {number}":
        reasons = [f"says that it is {said!r}, and HEAD is cellgate {number}"]
    return reasons


def elf_wrong(program, architecture):
    if program[:6] != b"\x7fELF\2\1":
        yield "is no 64-bit ELF program"
        return
    kind, machine = struct.unpack_from("<HH", program, 16)
    if machine != MACHINES[architecture]:
        found = {number: name for name, number in MACHINES.items()}.get(machine, f"the ELF machine {machine}")
        yield f"is for {found}, not for {architecture}"
    if kind not in EXECUTABLES:
        yield f"is no executable: its ELF type is {kind}"
    (offset,) = struct.unpack_from("<Q", program, 32)
    size, count = struct.unpack_from("<HH", program, 54)
    for number in range(count):
        segment, _, start, _, _, length = struct.unpack_from("<IIQQQQ", program, offset + size * number)
        entries = range(start, start + length, 16) if segment == DYNAMIC else []
        if segment == INTERPRETER or any(struct.unpack_from("<Q", program, entry)[0] == NEEDED for entry in entries):
            yield "is not linked statically: the image has no libraries (scripts/build-static.sh links it right)"
            return


def module_wrong(module, number, stamp):
    """Why this is not the module of the release, a reason each."""
    if not module.startswith(MODULE):
        return ["is no WebAssembly module: its first bytes are not \\0asm and version 1"]
    return list(origin_wrong(module, number, stamp))


def origin_wrong(content, number, stamp):
    """What is compiled in: the version, and the commit as CELLGATE_BUILD gave it."""
    if f"{stamp}-dirty".encode() in content:
        yield f"is built from changed sources of {stamp}: build it from a clean checkout"
    elif stamp.encode() not in content:
        yield f"is not built from HEAD: it does not have the commit {stamp} in it"
    if number.encode() not in content:
        yield f"does not have the version {number} in it"


def what_it_says(program):
    """The first line of `--version`."""
    (ROOT / "target").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "target") as folder:
        file = pathlib.Path(folder) / "cellgate"
        file.write_bytes(program)
        file.chmod(0o755)
        try:
            done = subprocess.run([file, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"nothing: {error}"
    return (done.stdout.decode(errors="replace").splitlines() or [f"nothing, and ends with {done.returncode}"])[0]


def versions(pattern, contents):
    """What the compiler or the C library left of itself in programs."""
    return sorted({found[1].decode() for content in contents for found in pattern.finditer(content)})
