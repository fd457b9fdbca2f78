#!/usr/bin/env python3
"""Writes the seeds of each fuzz target into DIRECTORY/TARGET_seed_corpus.zip.

    seeds.py DIRECTORY

They are the committed corpus in fuzz/corpus/, and the requests of the end-to-end tests, which the program in fuzz/seeds/
writes. The files are sorted and without times, so the same sources give the same archives.
"""

import pathlib
import subprocess
import sys
import tempfile
import zipfile

FUZZ = pathlib.Path(__file__).resolve().parent.parent


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as drafts:
        program = FUZZ / "seeds" / "Cargo.toml"
        command = ["cargo", "run", "--locked", "--quiet", "--manifest-path", program, "--target-dir", FUZZ / "target" / "seeds"]
        subprocess.run([*command, "--", drafts], check=True, stdout=subprocess.DEVNULL)
        for committed in sorted(folder for folder in (FUZZ / "corpus").iterdir() if folder.is_dir()):
            requests = pathlib.Path(drafts) / committed.name
            files = sorted(committed.iterdir()) + (sorted(requests.iterdir()) if requests.is_dir() else [])
            archive = out / f"{committed.name}_seed_corpus.zip"
            with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as seeds:
                for file in files:
                    # ZipInfo's own time is the beginning of 1980.
                    seeds.writestr(zipfile.ZipInfo(file.name), file.read_bytes(), zipfile.ZIP_DEFLATED)
            print(f"{archive}: {len(files)} seeds")


if __name__ == "__main__":
    main()
