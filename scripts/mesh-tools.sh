#!/bin/sh
# mesh-tools.sh [TOOL...]   prints the folder with the programs that `make test-mesh` runs: Istio's and Kubernetes'
# control plane, helm, kubectl and istioctl; also actionlint and gitleaks, for `make check-repository`. Builds those that are
# missing, or only the ones named, which takes 10 to 30 minutes once; `mesh-tools.sh crds` writes only the CRDs beside them,
# in .tools/mesh/crds.
#
# All of it comes from the Go module proxy, built from source. Versions are in mesh-tools/*/go.mod, checksums beside
# them in go.sum: to raise one, run `go get -tool PACKAGE@VERSION && go mod tidy` there. Nothing of these on PATH is
# used: a test says something about the versions pinned here, and about no others. Go's own caches are left as they are.
set -eu

# The programs in the order in which they are built: name, folder of mesh-tools, package, minutes of CPU time when
# nothing of it is in Go's build cache.
programs='
etcd             etcd        go.etcd.io/etcd/server/v3                    1
kube-apiserver   kubernetes  k8s.io/kubernetes/cmd/kube-apiserver        12
kubectl          kubernetes  k8s.io/kubernetes/cmd/kubectl                1
pilot-discovery  istio       istio.io/istio/pilot/cmd/pilot-discovery     8
helm             helm        helm.sh/helm/v4/cmd/helm                     2
actionlint       actionlint  github.com/rhysd/actionlint/cmd/actionlint   1
gitleaks         gitleaks    github.com/zricethezav/gitleaks/v8           1
istioctl         istio       istio.io/istio/istioctl/cmd/istioctl         3
pilot-agent      istio       istio.io/istio/pilot/cmd/pilot-agent         1
'
root=$(cd "$(dirname "$0")/.." && pwd)
modules=$root/scripts/mesh-tools
mesh=$root/.tools/mesh
bin=$mesh/bin
crds=$mesh/crds

say() { echo "mesh tools: $*" >&2; }

# The version that folder "$1" pins of the module that package "$2" is in.
version_of() {
    awk -v package="$2/" '{
        for (i = 1; i < NF; i++)
            if (index(package, $i "/") == 1 && $(i + 1) ~ /^v[0-9]/) { print $(i + 1); exit }
    }' "$modules/$1/go.mod"
}

# What the linker is told about the program "$1" of version "$2", which it would otherwise not know of itself.
link_flags() {
    minor=${2#v*.}
    minor=${minor%%.*}
    kubernetes=k8s.io/component-base/version
    case $1 in
    kube-apiserver | kubectl)
        echo "-s -w -X $kubernetes.gitVersion=$2 -X $kubernetes.gitMajor=1 -X $kubernetes.gitMinor=$minor"
        ;;
    helm) echo "-s -w -X helm.sh/helm/v4/internal/version.version=$2" ;;
    *) echo "-s -w" ;;
    esac
}

# What tells whether something that folder "$1" pins was made from just these versions: theirs, and "$2".
stamp_of() { echo "$2 $(cat "$modules/$1/go.mod" "$modules/$1/go.sum" | cksum)"; }

# The stamp of the program "$1" of folder "$2" in version "$3".
program_stamp() { stamp_of "$2" "$3 $(link_flags "$1" "$3")"; }

# Whether "$1" is there, and its stamp says "$2".
is_current() { [ -e "$1" ] && [ "$(cat "$1.stamp" 2>/dev/null)" = "$2" ]; }

# Puts the draft "$1" in the place "$2" with the stamp "$3". Broken off between any two steps, it is only made again.
place() {
    rm -f "$2.stamp"
    [ ! -d "$2" ] || rm -rf "$2"
    mv -f "$1" "$2"
    echo "$3" >"$2.stamp"
}

# Builds the program "$1" of folder "$2" and package "$3" in version "$4".
build() {
    # Without git's state, which is not the program's. `9>&-`: what Go leaves running must not hold the lock.
    if ! (cd "$modules/$2" && CGO_ENABLED=0 nice -n 5 go build -mod=readonly -buildvcs=false -trimpath \
        -ldflags "$(link_flags "$1" "$4")" -o "$draft/$1" "$3" </dev/null >"$draft/log" 2>&1 9>&-); then
        grep -v '^go: downloading' "$draft/log" >&2 || true
        say "$1 could not be built; what Go said is above"
        exit 1
    fi
}

# Fetches the module "$1" of the folder crds and prints where it is unpacked.
module() {
    if ! download=$(cd "$modules/crds" && go mod download -json "$1@$(version_of crds "$1")" 9>&-); then
        echo "$download" >&2
        say "the module $1 could not be downloaded; what Go said is above"
        exit 1
    fi
    echo "$download" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p'
}

# collect NAME MODULE FOLDER FILE...   writes the files of the module's folder to NAME.yaml, one stream of documents.
collect() {
    name=$1
    from=$(module "$2")/$3
    shift 3
    for file; do
        [ -f "$from/$file.yaml" ] || { say "$from has no $file.yaml any more, a part of $name's CRDs"; exit 1; }
        echo ---
        cat "$from/$file.yaml"
    done >"$draft/crds/$name.yaml"
}

# Only the kinds that the chart can render and those that go with them: every CRD costs the API server time and memory.
write_crds() {
    mkdir "$draft/crds"
    collect istio istio.io/api kubernetes customresourcedefinitions.gen
    group=gateway.networking.k8s.io
    collect gateway-api sigs.k8s.io/gateway-api config/crd/standard "${group}_gatewayclasses" "${group}_gateways" \
        "${group}_httproutes" "${group}_grpcroutes" "${group}_tlsroutes" "${group}_listenersets" \
        "${group}_backendtlspolicies" "${group}_referencegrants"
    group=monitoring.coreos.com
    collect prometheus-operator github.com/prometheus-operator/prometheus-operator example/prometheus-operator-crd \
        "${group}_prometheusrules" "${group}_servicemonitors" "${group}_podmonitors"
    collect keda github.com/kedacore/keda/v2 config/crd/bases keda.sh_scaledobjects keda.sh_triggerauthentications
    collect external-secrets github.com/external-secrets/external-secrets config/crds/bases \
        external-secrets.io_externalsecrets
    # For the recipes: schemas are checked with them, and the API server has no use for them.
    mkdir "$draft/crds/policies"
    collect policies/policy-controller github.com/sigstore/policy-controller config 300-clusterimagepolicy
    collect policies/kyverno github.com/kyverno/kyverno config/crds/policies.kyverno.io \
        policies.kyverno.io_imagevalidatingpolicies
    collect argo-cd github.com/argoproj/argo-cd/v3 manifests/crds application-crd applicationset-crd appproject-crd
}

# Prints the lines of $programs that are asked for and not current.
missing() {
    echo "$programs" | while read -r name folder package minutes; do
        case " $asked " in *" $name "* | "  ") ;; *) continue ;; esac
        [ -n "$name" ] || continue
        version=$(version_of "$folder" "$package")
        is_current "$bin/$name" "$(program_stamp "$name" "$folder" "$version")" && continue
        echo "$name $folder $package $version $minutes"
    done
}

# Whether the CRDs are asked for and not current. The script is in the stamp because it chooses the files.
crds_missing() {
    case " $asked " in *" crds "* | "  ") ;; *) return 1 ;; esac
    crds_stamp=$(stamp_of crds "$(cksum <"$modules.sh")")
    ! is_current "$crds" "$crds_stamp"
}

asked=$*
for name; do
    case $programs in
    *"
$name "*) ;;
    *) [ "$name" = crds ] || { say "there is no $name among them: see the list in scripts/mesh-tools.sh"; exit 1; } ;;
    esac
done
if [ -z "$(missing)" ] && ! crds_missing; then
    echo "$bin"
    exit
fi

"$root/scripts/need.sh" go
# Go itself compares its version with the one that a module asks for, and fetches a newer one where it may.
if ! refusal=$(cd "$modules/kubernetes" && go list -m 2>&1); then
    say "$refusal"
    say "install a newer Go from https://go.dev/dl, or set GOTOOLCHAIN=auto so that yours fetches it"
    exit 1
fi
mkdir -p "$bin"
# Without flock two runs at once are as right, and twice the work.
if command -v flock >/dev/null 2>&1; then
    exec 9>"$mesh/lock"
    flock -n 9 || { say "waiting for another run of this script"; flock 9; }
    rm -rf "$mesh"/draft.* # of runs that were killed
fi
draft=$(mktemp -d "$mesh/draft.XXXXXX")
trap 'rm -rf "$draft"' EXIT
trap 'exit 1' HUP INT TERM

if crds_missing; then
    say "CRDs of Istio, the Gateway API, Prometheus' operator, KEDA, External Secrets, Argo CD and policy controllers (seconds)"
    write_crds
    place "$draft/crds" "$crds" "$crds_stamp"
fi
missing >"$draft/missing"
count=$(wc -l <"$draft/missing" | tr -d ' ')
number=0
while read -r name folder package version minutes; do
    number=$((number + 1))
    say "$number of $count: $name $version (up to $minutes min of CPU time)"
    start=$(date +%s)
    build "$name" "$folder" "$package" "$version"
    place "$draft/$name" "$bin/$name" "$(program_stamp "$name" "$folder" "$version")"
    say "$number of $count: $name took $(($(date +%s) - start)) s"
done <"$draft/missing"
echo "$bin"
