#!/bin/sh
# state.sh   prints what explains a failure: pods, events, and the last lines of every log that counts. Never fails.
set -u

cd "$(dirname "$0")/../.." || exit
. scripts/kind/names.sh
kubectl get pods,gateways.gateway.networking.k8s.io,envoyfilters --all-namespaces --output wide
kubectl get events --all-namespaces --sort-by .lastTimestamp | tail -n 40
for namespace in cellgate istio-ingress front istio-system; do
    for pod in $(kubectl get pods --namespace "$namespace" --output name); do
        echo "--- $namespace $pod"
        kubectl logs --namespace "$namespace" "$pod" --all-containers --tail 40
    done
done
exit 0
