//! Telemetry resources of others.

use serde_json::{Value, json};

use super::{findings_of, object, of_release};

fn telemetry(place: &str, second: u8, selector: Value, parts: Value) -> Value {
    let mut spec = parts;
    if !selector.is_null() {
        spec["selector"] = json!({"matchLabels": selector});
    }
    object("telemetry.istio.io/v1", "Telemetry", place, second, spec)
}

#[test]
fn a_telemetry_for_the_same_proxies_is_reported() {
    let change = json!({"telemetry": ["tracing", "accessLogging"]});
    let tags = json!({"tracing": [{"customTags": {"zone": {"literal": {"value": "eu"}}}}]});
    let logs = json!({"accessLogging": [{"providers": [{"name": "envoy"}]}]});
    let gateway = json!({"istio": "ingress"});
    let decision = json!({"tracing": [{"customTags": {"cellgate.cell": {"header": {"name": "x-cell"}}}}]});
    let own = of_release(telemetry("ingress/cellgate-ingress", 5, gateway.clone(), decision));
    let older = "is for the same proxies: the release's Telemetry replaces its";
    for (place, second, selector, parts, expected) in [
        ("ingress/theirs", 1, gateway.clone(), tags.clone(), format!("!   Telemetry/ingress/theirs {older} tracing.customTags there")),
        (
            "ingress/theirs",
            9,
            gateway.clone(),
            logs.clone(),
            "!   Telemetry/ingress/theirs is newer and for the same proxies: its accessLogging replace those of the release, so \
             decisions or traces are missing"
                .to_owned(),
        ),
        // Of the namespace and of the mesh: whatever their age, one that selects the proxies replaces them.
        ("ingress/theirs", 9, json!(null), tags.clone(), format!("!   Telemetry/ingress/theirs {older} tracing.customTags there")),
        (
            "istio-system/mesh-default",
            9,
            json!(null),
            logs.clone(),
            format!("!   Telemetry/istio-system/mesh-default {older} accessLogging there"),
        ),
        (
            "ingress/theirs",
            9,
            json!({"team": "edge"}),
            tags.clone(),
            "??  Telemetry/ingress/theirs sets tracing.customTags, and selects its proxies by other labels".to_owned(),
        ),
    ] {
        let found = findings_of(change.clone(), &[own.clone(), telemetry(place, second, selector, parts)]);
        assert_eq!(found, [expected]);
    }
}

#[test]
fn a_telemetry_that_sends_the_traces_elsewhere_is_reported() {
    let change = json!({"telemetry": ["tracing", "tracing.providers", "tracing.randomSamplingPercentage"]});
    let gateway = json!({"istio": "ingress"});
    let own =
        of_release(telemetry("ingress/cellgate-ingress", 5, gateway.clone(), json!({"tracing": [{"customTags": {}}]})));
    for (parts, fields) in [
        (json!({"providers": [{"name": "theirs"}]}), "tracing.providers"),
        (json!({"randomSamplingPercentage": 0}), "tracing.randomSamplingPercentage"),
        (
            json!({"providers": [{"name": "theirs"}], "randomSamplingPercentage": 0}),
            "tracing.providers, tracing.randomSamplingPercentage",
        ),
    ] {
        let theirs = telemetry("ingress/theirs", 9, gateway.clone(), json!({"tracing": [parts]}));
        // The same values replace nothing.
        let mut same = own.clone();
        same["spec"]["tracing"] = theirs["spec"]["tracing"].clone();
        assert_eq!(findings_of(change.clone(), &[same, theirs.clone()]), [""; 0]);
        let expected = format!(
            "!   Telemetry/ingress/theirs is newer and for the same proxies: its {fields} replace those of the release, so \
             decisions or traces are missing"
        );
        assert_eq!(findings_of(change.clone(), &[own.clone(), theirs]), [expected]);
    }
}

#[test]
fn a_telemetry_is_compared_with_the_release_at_every_proxy() {
    let (both, first, second) = (json!({"team": "edge"}), json!({"app": "one"}), json!({"zone": "b"}));
    let change = json!({
        "telemetry": ["tracing", "tracing.providers", "tracing.randomSamplingPercentage"],
        "proxies": [
            {"namespace": "ingress", "labels": {"team": "edge", "app": "one"}, "context": "GATEWAY"},
            {"namespace": "ingress", "labels": {"team": "edge", "zone": "b"}, "context": "GATEWAY"},
        ],
    });
    let sampling = json!({"randomSamplingPercentage": 5});
    let (ours, theirs) = (json!({"providers": [{"name": "ours"}]}), json!({"providers": [{"name": "theirs"}]}));
    let all = json!({"providers": [{"name": "theirs"}], "randomSamplingPercentage": 5});
    let replaces = |fields: &str| {
        format!(
            "!   Telemetry/ingress/theirs is newer and for the same proxies: its {fields} replace those of the release, so \
             decisions or traces are missing"
        )
    };
    let replaced = |fields: &str| {
        format!(
            "!   Telemetry/ingress/theirs is for the same proxies: the release's Telemetry replaces its {fields} there"
        )
    };
    let unknown = "??  Telemetry/ingress/theirs sets tracing.providers, and selects its proxies by other labels";
    let everything = "tracing.providers, tracing.randomSamplingPercentage";
    for ((at_first, age), at_second, (selector, parts), expected) in [
        // It differs from the release's only at one of the proxies.
        ((&theirs, 5), &ours, (&both, &theirs), Some(replaces("tracing.providers"))),
        ((&ours, 5), &theirs, (&both, &theirs), Some(replaces("tracing.providers"))),
        ((&theirs, 5), &theirs, (&both, &theirs), None),
        // In another field at each.
        ((&theirs, 5), &sampling, (&both, &all), Some(replaces(everything))),
        // It is for one of them, and only the labels of the pods show whether it is for the other too.
        ((&ours, 5), &theirs, (&first, &theirs), Some(replaces("tracing.providers"))),
        ((&theirs, 5), &ours, (&second, &theirs), Some(replaces("tracing.providers"))),
        ((&ours, 5), &ours, (&second, &theirs), Some(replaces("tracing.providers"))),
        ((&ours, 5), &theirs, (&second, &theirs), Some(unknown.to_owned())),
        // The release's resource for the first is newer than it, and the other is not: the worse one counts.
        ((&ours, 12), &ours, (&both, &theirs), Some(replaces("tracing.providers"))),
        ((&ours, 12), &theirs, (&both, &theirs), Some(replaced("tracing.providers"))),
        ((&theirs, 12), &sampling, (&both, &all), Some(replaces("tracing.providers"))),
        // One of the namespace is replaced at each, whatever its age.
        ((&theirs, 5), &ours, (&json!(null), &theirs), Some(replaced("tracing.providers"))),
    ] {
        let own = |name: &str, age, selector, parts: &Value| {
            of_release(telemetry(name, age, selector, json!({"tracing": [parts]})))
        };
        let objects = [
            own("ingress/cellgate-two", 5, json!({"team": "edge", "zone": "b"}), at_second),
            own("ingress/cellgate-one", age, json!({"team": "edge", "app": "one"}), at_first),
            telemetry("ingress/theirs", 9, selector.clone(), json!({"tracing": [parts]})),
        ];
        let expected: Vec<String> = expected.into_iter().collect();
        assert_eq!(findings_of(change.clone(), &objects), expected, "{at_first} {age} {at_second} {selector} {parts}");
    }
}

#[test]
fn a_telemetry_that_sets_nothing_of_the_release_is_no_finding() {
    let tags = json!({"tracing": [{"customTags": {"zone": {"literal": {"value": "eu"}}}}]});
    let gateway = json!({"istio": "ingress"});
    let both = json!({"telemetry": ["tracing", "accessLogging"]});
    for (change, place, selector, parts) in [
        (json!({}), "ingress/theirs", gateway.clone(), tags.clone()),
        (json!({"telemetry": ["accessLogging"]}), "ingress/theirs", gateway.clone(), tags.clone()),
        (both.clone(), "ingress/theirs", json!({"istio": "egress"}), tags.clone()),
        (both.clone(), "apps/theirs", json!(null), tags.clone()),
        (both.clone(), "istio-system/theirs", gateway.clone(), tags),
        // A provider and a percentage are fields of their own: the release's resource does not set them here.
        (
            both,
            "ingress/theirs",
            json!(null),
            json!({"tracing": [{"providers": [{"name": "otel"}], "randomSamplingPercentage": 5}]}),
        ),
    ] {
        let found = findings_of(change.clone(), &[telemetry(place, 1, selector, parts)]);
        assert!(found.is_empty(), "{change}: {found:?}");
    }
}
