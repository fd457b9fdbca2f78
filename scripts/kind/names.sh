# shellcheck shell=sh disable=SC2034 # for the scripts beside it, which read this file
cluster=cellgate
export KUBECONFIG="$PWD/target/kind/kubeconfig"
# A registry without a certificate, in the cluster's network. From here it is on this port.
registry=cellgate-registry
registry_image=docker.io/library/registry:2.8.3
registry_port=5001
# The release whose CRDs the chart is tested with.
istio=$(sed -n 's/^\tistio\.io\/api v//p' scripts/mesh-tools/crds/go.mod)
version=$(scripts/version.sh)
