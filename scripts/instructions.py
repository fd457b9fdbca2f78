#!/usr/bin/env python3
"""Counts the instructions of the hot paths and compares them with bench/instructions/budget.json.

    instructions.py             fails when a path takes over 3 % more than its budget
    UPDATE=1 instructions.py    writes the budget anew

Callgrind runs each path once and counts inside one function of bench/instructions. The same program gives the same
count on every machine of the same kind, so a change of a few per cent is a change of the code and not noise. Another
compiler or kind of processor makes another program: with such a one the counts are printed and not compared.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUDGET = ROOT / "bench" / "instructions" / "budget.json"
PROFILE = "instructions"
TOLERANCE = 0.03
# The function that is counted, however its name is written in the program.
COUNTED = "*cellgate_instructions*measured*"
# glibc chooses its memcpy by the processor; these choices would make counts differ between processors.
SAME_MEMCPY = "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX2,-AVX,-ERMS,-FSRM,-AVX2_Usable,-AVX_Fast_Unaligned_Load,-EVEX"
NOT_COMPARED = "not compared: the budget was made with another compiler or for another kind of processor"


def output(*command, **options):
    """What a command prints; the command's own complaint ends this program."""
    result = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False, **options)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: exit status {result.returncode}")
    return result.stdout


def made_with():
    """What decides about the instructions, beside the sources."""
    facts = dict(line.split(": ", 1) for line in output("rustc", "-vV").splitlines() if ": " in line)
    return {"rustc": f"{facts['release']} ({facts['commit-hash']})", "target": facts["host"]}


def build():
    """The program, with the flags of its profile and no others."""
    environment = {name: value for name, value in os.environ.items() if "RUSTFLAGS" not in name}
    command = ["cargo", "build", "--locked", "--quiet", "--profile", PROFILE, "-p", "cellgate-instructions"]
    output(*command, env=environment)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / PROFILE / "cellgate-instructions"


def count(valgrind, program, path):
    """The instructions of one path."""
    with tempfile.TemporaryDirectory() as directory:
        profile = pathlib.Path(directory) / "callgrind"
        command = [valgrind, "--quiet", "--tool=callgrind", f"--toggle-collect={COUNTED}"]
        command += [f"--callgrind-out-file={profile}", program, path]
        # Nothing of the environment: its size moves the stack, and alignment costs instructions.
        output(*command, env={"PATH": os.environ["PATH"], "GLIBC_TUNABLES": SAME_MEMCPY})
        found = re.search(r"^(?:totals|summary): (\d+)", profile.read_text(), re.MULTILINE)
    if not found or found[1] == "0":
        sys.exit(f"{path}: callgrind has counted nothing; is {COUNTED} still the function's name?")
    return int(found[1])


def compare(counts, budget):
    """Prints each path's count beside its budget. The sentences that go below: what is wrong, what is good to know."""
    wrong, good = [], []
    for path, now in counts.items():
        before = budget.get(path)
        if before is None:
            wrong.append(f"{path}: has no budget")
            print(f"{path:44} {'-':>12} {now:>12,}")
            continue
        change = now / before - 1
        print(f"{path:44} {before:>12,} {now:>12,} {change:>+9.2%}")
        if change > TOLERANCE:
            wrong.append(f"{path}: {now:,} instructions, {change:+.2%} of {before:,}")
        elif change < -TOLERANCE:
            good.append(f"{path}: {now:,} instructions, {change:+.2%} of {before:,}: lower the budget")
    wrong += [f"{path}: is in the budget and does not exist" for path in budget if path not in counts]
    return wrong, good


def main():
    valgrind = output(str(ROOT / "scripts" / "valgrind.sh")).strip()
    program = build()
    counts = {path: count(valgrind, program, path) for path in output(program).splitlines()}
    here = made_with()
    if os.environ.get("UPDATE"):
        BUDGET.write_text(json.dumps({"made_with": here, "instructions": counts}, indent=2) + "\n")
        print(f"instructions: budget of {len(counts)} paths written")
        return
    budget = json.loads(BUDGET.read_text())
    print(f"{'instructions':44} {'budget':>12} {'now':>12}    change")
    if budget["made_with"] != here:
        for path, now in counts.items():
            print(f"{path:44} {budget['instructions'].get(path, 0):>12,} {now:>12,}         ?")
        print(f"instructions: {NOT_COMPARED}:\n  budget {budget['made_with']}\n  here   {here}")
        return
    wrong, good = compare(counts, budget["instructions"])
    for line in good:
        print(line)
    if wrong:
        print("\n".join(wrong))
        sys.exit("instructions: over budget. Where that is meant, UPDATE=1 make instructions writes the budget anew.")
    print(f"instructions: {len(counts)} paths within their budgets")


if __name__ == "__main__":
    main()
