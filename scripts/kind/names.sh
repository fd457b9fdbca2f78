# shellcheck shell=sh disable=SC2034 # for the scripts beside it, which read this file
# Names of our own: another cluster called cellgate stays as it is.
cluster=cellgate-test
# There from the creation to the removal: without it, a cluster of that name is somebody else's.
made=$PWD/target/kind/made
export KUBECONFIG="$PWD/target/kind/kubeconfig"
# A registry without a certificate, in the cluster's network. From here it is on this port.
registry=cellgate-test-registry
registry_image=docker.io/library/registry:2.8.3
registry_port=5001
# The release whose CRDs the chart is tested with.
istio=$(sed -n 's/^\tistio\.io\/api v//p' scripts/mesh-tools/crds/go.mod)
version=$(scripts/version.sh)
