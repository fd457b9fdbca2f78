#!/bin/sh
# wheels.sh FOLDER REQUIREMENT...   installs wheels from PyPI into a new virtual environment in FOLDER, without what they depend
# on. Programs in wheels need nothing else. A REQUIREMENT is NAME==VERSION, or `-r FILE` with a digest for each.
#
# Exit code 1: this Python makes no virtual environment, or PyPI does not have the wheels for this system.
set -eu

folder=$1
shift
"$(dirname "$0")/need.sh" python3
if ! python3 -m venv "$folder" >&2; then
    echo "python3 has no venv module (Debian, Ubuntu: apt-get install python3-venv)" >&2
    exit 1
fi
exec "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --only-binary :all: "$@" >&2
