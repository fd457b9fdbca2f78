//! The egress of a pod by NetworkPolicies. No program enforces them on this machine: the node resolves the host of a Service for
//! a pod only if the policies let the pod reach it.

use serde_json::Value;

/// A pod that another pod connects to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Destination<'a> {
    /// The labels of its namespace.
    pub(super) namespace_labels: &'a Value,
    /// Its own labels.
    pub(super) labels: &'a Value,
    /// Its TCP port.
    pub(super) port: u16,
}

/// Whether the policies of a namespace let its pod with these labels connect to the destination.
pub(super) fn allow_egress(policies: &[Value], pod_labels: &Value, destination: Destination<'_>) -> bool {
    let mut selecting = policies
        .iter()
        .map(|policy| &policy["spec"])
        .filter(|spec| texts(&spec["policyTypes"]).any(|kind| kind == "Egress"))
        .filter(|spec| selects(&spec["podSelector"], pod_labels))
        .peekable();
    // A pod that no policy selects is not isolated.
    selecting.peek().is_none()
        || selecting
            .flat_map(|spec| list(&spec["egress"]))
            .any(|rule| has_port(rule, destination) && has_peer(rule, destination))
}

fn has_port(rule: &Value, destination: Destination<'_>) -> bool {
    let is_meant = |port: &Value| {
        port["protocol"].as_str().is_none_or(|protocol| protocol == "TCP")
            && (port["port"].is_null() || port["port"] == destination.port)
    };
    rule["ports"].is_null() || list(&rule["ports"]).any(is_meant)
}

fn has_peer(rule: &Value, destination: Destination<'_>) -> bool {
    let is_meant = |peer: &Value| {
        // Without a selector of namespaces, a peer is a pod of the policy's own namespace, or a range of addresses.
        !peer["namespaceSelector"].is_null()
            && selects(&peer["namespaceSelector"], destination.namespace_labels)
            && (peer["podSelector"].is_null() || selects(&peer["podSelector"], destination.labels))
    };
    rule["to"].is_null() || list(&rule["to"]).any(is_meant)
}

/// Whether a selector meets labels. The chart's selectors have no expressions.
fn selects(selector: &Value, labels: &Value) -> bool {
    let wanted = selector["matchLabels"].as_object();
    selector["matchExpressions"].is_null()
        && wanted.is_none_or(|wanted| wanted.iter().all(|(key, value)| labels.get(key) == Some(value)))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    list(value).filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn is_allowed(policy: &Value) -> bool {
        let (namespace_labels, labels) =
            (json!({"kubernetes.io/metadata.name": "observability"}), json!({"app": "otel"}));
        let destination = Destination { namespace_labels: &namespace_labels, labels: &labels, port: 4317 };
        allow_egress(&[json!({"spec": policy})], &json!({"app": "cellgate"}), destination)
    }

    fn policy(egress: Value) -> Value {
        json!({"podSelector": {"matchLabels": {"app": "cellgate"}}, "policyTypes": ["Ingress", "Egress"], "egress": egress})
    }

    fn to(namespace: &str) -> Value {
        json!([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}])
    }

    #[test]
    fn a_rule_needs_both_the_port_and_the_peer() {
        let port = |number: u16| json!([{"protocol": "TCP", "port": number}]);
        for (egress, expected) in [
            (json!([{"ports": port(4317), "to": to("observability")}]), true),
            (json!([{"ports": port(53)}, {"ports": port(4317)}]), true),
            (json!([{"to": to("observability")}]), true),
            (json!([{}]), true),
            (json!([{"ports": port(4318), "to": to("observability")}]), false),
            (json!([{"ports": [{"protocol": "UDP", "port": 4317}]}]), false),
            (json!([{"ports": port(4317), "to": to("other")}]), false),
            (json!([{"ports": port(4317), "to": [{"podSelector": {}}]}]), false),
            (json!([{"ports": port(4317), "to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]), false),
            (json!([]), false),
        ] {
            assert_eq!(is_allowed(&policy(egress.clone())), expected, "{egress}");
        }
    }

    #[test]
    fn a_pod_that_no_policy_isolates_reaches_everything() {
        assert!(is_allowed(&json!({"podSelector": {"matchLabels": {"app": "other"}}, "policyTypes": ["Egress"]})));
        assert!(is_allowed(&json!({"podSelector": {}, "policyTypes": ["Ingress"]})));
        assert!(!is_allowed(&json!({"podSelector": {}, "policyTypes": ["Egress"]})));
    }
}
