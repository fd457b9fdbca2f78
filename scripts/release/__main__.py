"""release STEP   prepares, builds, publishes or verifies a release.

`make` calls it: docs/release.md describes the steps and their variables. They come through the environment, so that nothing that
a person or a workflow sets goes through a shell."""

import sys

import base
import dist
import prepare
import publish
import verify

STEPS = {"prepare": prepare.main, "dist": dist.main, "publish": publish.main, "verify": verify.main}


def main():
    if sys.argv[1:] not in [[name] for name in STEPS]:
        print(f"{__doc__}\n\nSTEP is one of {', '.join(STEPS)}.", file=sys.stderr)
        return 64
    try:
        STEPS[sys.argv[1]]()
    except base.Refused as refused:
        print(refused, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
