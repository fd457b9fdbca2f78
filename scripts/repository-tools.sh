#!/bin/sh
# repository-tools.sh   prints the folder with what `make check-repository` needs beside actionlint and gitleaks: the
# programs zizmor and shellcheck, and schemas of files that GitHub and Renovate read. Installs them into .tools/repository
# first if need be.
#
# All of it is published as Python wheels: repository-tools.txt beside this file names each with its checksum. Nothing of these
# on PATH is used: another version has other findings.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
wanted=$root/scripts/repository-tools.txt
tools=$root/.tools/repository

say() { echo "repository tools: $*" >&2; }

# The list is put there last, so it tells that everything in it is.
is_current() { cmp -s "$wanted" "$tools/repository-tools.txt" && "$tools/bin/zizmor" --version >/dev/null 2>&1; }

if is_current; then
    echo "$tools"
    exit
fi

mkdir -p "$root/.tools"
if command -v flock >/dev/null 2>&1; then
    exec 9>"$root/.tools/repository.lock"
    flock 9
    if is_current; then # by the run that held the lock
        echo "$tools"
        exit
    fi
fi
say "installing zizmor, shellcheck and schemas into .tools/repository (60 MB)"
draft=$(mktemp -d "$root/.tools/draft.XXXXXX")
trap 'rm -rf "$draft"' EXIT
trap 'exit 1' HUP INT TERM
if ! "$root/scripts/wheels.sh" "$draft/repository" --require-hashes -r "$wanted"; then
    say "cannot be installed from PyPI, or are not what scripts/repository-tools.txt says they are"
    exit 1
fi
# Of check-jsonschema only the schemas are used: the checker is the chart tests'.
set -- "$draft"/repository/lib/python*/site-packages/check_jsonschema
mv "$1/builtin_schemas/vendor" "$draft/repository/schemas"
rm -rf "$1" "$1"-*.dist-info "$draft/repository/bin/check-jsonschema"
cp "$wanted" "$draft/repository/"
# The rename is the last step: an installation that was broken off is never taken for a complete one.
rm -rf "$tools"
mv "$draft/repository" "$tools"
say "$("$tools/bin/zizmor" --version), shellcheck $("$tools/bin/shellcheck" --version | sed -n 's/^version: //p')"
echo "$tools"
