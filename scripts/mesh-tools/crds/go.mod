module cellgate.test/crds

go 1.26.0

require (
	github.com/argoproj/argo-cd/v3 v3.4.0
	github.com/external-secrets/external-secrets v1.3.2
	github.com/kedacore/keda/v2 v2.21.0
	github.com/kyverno/kyverno v1.19.1
	github.com/prometheus-operator/prometheus-operator v0.85.0
	github.com/sigstore/policy-controller v0.13.1
	istio.io/api v1.31.1
	sigs.k8s.io/gateway-api v1.5.1
)
