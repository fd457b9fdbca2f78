#!/bin/sh
# check.sh   asks the gateway and the waypoint for both cells, and Cellgate's own tools for their opinion.
set -eu

cd "$(dirname "$0")/../.."
. scripts/kind/names.sh
gateway=http://istio-ingressgateway.istio-ingress.svc.cluster.local/hostname
waypoint=http://api.front.svc.cluster.local:8080/hostname

# ask URL BODY [OPTION...]: what curl prints, in a pod of the cluster.
ask() {
    url=$1 body=$2
    shift 2
    printf %s "$body" | kubectl exec --stdin --namespace front client -- curl --silent --show-error --max-time 30 \
        --header 'content-type: application/json' --data-binary @- "$@" "$url"
}

# expect WANTED TEXT URL BODY [OPTION...]
expect() {
    wanted=$1 text=$2
    shift 2
    found=$(ask "$@") || found="no answer: $found"
    if [ "$found" != "$wanted" ]; then
        echo "FAIL  $text: $wanted was expected, and this came: $found"
        exit 1
    fi
    echo "ok    $text: $found"
}

of() { printf '{"tenant":{"id":"%s"}}' "$1"; }
# The key behind 100 KB: more than the filter holds, so the service decides.
large() { printf '{"padding":"%s","tenant":{"id":"%s"}}' "$(head -c 100000 /dev/zero | tr '\0' x)" "$1"; }

# Routes, modules and endpoints arrive some time after they were applied: the first answer of each proxy is waited for.
for place in "gateway $gateway" "waypoint $waypoint"; do
    name=${place%% *} url=${place#* }
    set -- --header 'host: api.example.com'
    [ "$name" = gateway ] || set --
    expect cell-a "$name, a tenant of cell-a" "$url" "$(of globex)" "$@" --fail --retry 60 --retry-delay 2 --retry-all-errors
    expect cell-b "$name, a tenant of cell-b" "$url" "$(of acme)" "$@"
    expect cell-b "$name, a client that names a cell" "$url" "$(of acme)" "$@" --header 'x-cell: cell-a'
    expect cell-b "$name, a large body, through the service" "$url" "$(large acme)" "$@" --header 'expect:'
    expect 400 "$name, no key" "$url" '{}' "$@" --output /dev/null --write-out '%{http_code}'
done

helm test cellgate --namespace cellgate
kubectl exec --namespace istio-ingress deploy/istio-ingressgateway -- \
    pilot-agent request GET 'config_dump?include_eds' >target/kind/config-dump.json
docker run --rm --volume "$PWD/target/kind:/dump:ro" "cellgate:$version" doctor --config-dump /dump/config-dump.json
