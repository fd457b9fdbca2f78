"""Prepares, builds, publishes and verifies a release. `make` calls it: docs/release.md describes the commands."""

import argparse
import pathlib
import sys

import base
import dist
import prepare
import publish
import verify


def parser():
    made = argparse.ArgumentParser(prog="scripts/release", description=__doc__)
    commands = made.add_subparsers(required=True)

    command = commands.add_parser("prepare", help="write the version, commit and tag")
    command.set_defaults(main=prepare.main)
    command.add_argument("--version", default="")
    command.add_argument("--branch", default="main")
    command.add_argument("--registry", default="")
    command.add_argument("--dry-run", action="store_true")

    command = commands.add_parser("dist", help="build everything into target/dist")
    command.set_defaults(main=dist.main)
    command.add_argument("--registry", default="", help="where the chart finds image and filter without further values")
    command.add_argument("--program", action="append", metavar="ARCHITECTURE=FILE", help="a binary that was built elsewhere")
    command.add_argument("--module", metavar="FILE", help="a filter that was built elsewhere")

    command = commands.add_parser("publish", help="push, sign, attach the SBOMs, tag")
    command.set_defaults(main=publish.main)
    command.add_argument("--registry", required=True)
    command.add_argument("--key", default="", help="sign with this key of cosign, and without a transparency log")
    command.add_argument("--unsigned", action="store_true")
    command.add_argument("--insecure", action="store_true", help="the registry speaks HTTP")

    command = commands.add_parser("verify", help="check what a registry has")
    command.set_defaults(main=verify.main)
    command.add_argument("--registry", required=True)
    command.add_argument("--version", required=True)
    command.add_argument("--public-key", default="")
    command.add_argument("--identity", default="")
    command.add_argument("--issuer", default="")
    command.add_argument("--digests", type=pathlib.Path)
    command.add_argument("--insecure", action="store_true")
    return made


def main():
    options = parser().parse_args()
    for name in ["registry", "version"]:
        if name in options and not getattr(options, name) and options.main in (publish.main, verify.main):
            sys.exit(f"{name.upper()} is not set: run it as docs/release.md shows")
    try:
        options.main(options)
    except base.Refused as refused:
        print(refused, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
