//! The differences between services that should be alike.

use cellgate_ext_proc::inspection::Inspection;

use super::Inspected;

/// A property that is the same in all replicas of a release.
type Property = (&'static str, fn(&Inspection) -> String);

const PROPERTIES: [Property; 6] = [
    ("version", |service| service.version.clone()),
    ("build", |service| service.build.clone()),
    ("config version", |service| service.config.version.clone()),
    ("config digest", |service| service.config.digest.clone()),
    ("byte budget", |service| format!("{} bytes", service.budget.limit_bytes)),
    ("limits", |service| {
        let limits = &service.limits;
        format!(
            "message_bytes {}, streams_per_connection {}, decision_timeout_ms {}",
            limits.message_bytes, limits.streams_per_connection, limits.decision_timeout_ms
        )
    }),
];

/// A line for each property in which the services differ: its values, each with the services that have it.
pub(crate) fn differences(services: &[Inspected]) -> Vec<String> {
    PROPERTIES.iter().filter_map(|(name, value)| difference(name, *value, services)).collect()
}

fn difference(name: &str, value: fn(&Inspection) -> String, services: &[Inspected]) -> Option<String> {
    let mut values: Vec<(String, Vec<&str>)> = Vec::new();
    for service in services {
        let value = value(&service.inspection);
        match values.iter_mut().find(|(known, _)| *known == value) {
            Some((_, urls)) => urls.push(&service.url),
            None => values.push((value, vec![&service.url])),
        }
    }
    let texts = values.iter().map(|(value, urls)| {
        let value = if value.is_empty() { "(none)" } else { value };
        format!("{value} ({})", urls.join(", "))
    });
    (values.len() > 1).then(|| format!("{name}: {}", texts.collect::<Vec<_>>().join("; ")))
}
