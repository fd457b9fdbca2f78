#!/bin/sh
# chart-tools.sh   prints the folder with what checks the chart and the image: helm, hadolint and a python that has
# PyYAML, jsonschema and Kubernetes' own schemas. Installs them into .tools/chart first if need be, which takes seconds.
#
# All of it is published as Python wheels: chart-tools.txt beside this file names each with its checksum. Where there is
# no wheel of helm, one on PATH is taken when it is a Helm 3 or 4, then the one that mesh-tools.sh built.
set -eu

# Of the Kubernetes versions that kubernetes-validate has schemas for: the one whose API server the tests run.
kubernetes=1.36.0
root=$(cd "$(dirname "$0")/.." && pwd)
wanted=$root/scripts/chart-tools.txt
tools=$root/.tools/chart

say() { echo "chart tools: $*" >&2; }

# The list is put there last, so it tells that everything in it is.
is_current() {
    cmp -s "$wanted" "$tools/chart-tools.txt" &&
        "$tools/bin/helm" version >/dev/null 2>&1 && "$tools/bin/python" -c "import yaml" 2>/dev/null
}

# Prints a helm for a machine that has no wheel of it.
other_helm() {
    for helm in "$(command -v helm || true)" "$root/.tools/mesh/bin/helm"; do
        case $("$helm" version --template '{{.Version}}' 2>/dev/null || true) in
        v3.* | v4.*)
            echo "$helm"
            return
            ;;
        esac
    done
    say "there is no helm for $(uname -sm) on PyPI: put a Helm 3 or 4 on PATH, or run scripts/mesh-tools.sh helm"
    return 1
}

if is_current; then
    echo "$tools/bin"
    exit
fi

mkdir -p "$root/.tools"
if command -v flock >/dev/null 2>&1; then
    exec 9>"$root/.tools/chart.lock"
    flock 9
    if is_current; then # by the run that held the lock
        echo "$tools/bin"
        exit
    fi
fi
say "installing helm, hadolint and Python packages into .tools/chart (140 MB)"
draft=$(mktemp -d "$root/.tools/draft.XXXXXX")
trap 'rm -rf "$draft"' EXIT
trap 'exit 1' HUP INT TERM
if ! "$root/scripts/wheels.sh" "$draft/chart" --require-hashes -r "$wanted"; then
    say "cannot be installed from PyPI, or are not what scripts/chart-tools.txt says they are"
    exit 1
fi
# One file of the package's thousands: the definitions of every kind of one version.
set -- "$draft"/chart/lib/python*/site-packages/kubernetes_validate
mv "$1/kubernetes-json-schema/v$kubernetes-local-strict/_definitions.json" "$draft/chart/kubernetes.json"
rm -rf "$1" "$1"-*.dist-info
if [ ! -e "$draft/chart/bin/helm" ]; then
    ln -s "$(other_helm)" "$draft/chart/bin/helm"
fi
cp "$wanted" "$draft/chart/"
# The rename is the last step: an installation that was broken off is never taken for a complete one.
rm -rf "$tools"
mv "$draft/chart" "$tools"
say "Helm $("$tools/bin/helm" version --short), $("$tools/bin/hadolint" --version)"
echo "$tools/bin"
