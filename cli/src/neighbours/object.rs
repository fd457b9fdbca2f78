//! The objects of the cluster, and the lists that could not be read.

use serde_json::Value;

use super::{NeighbourFinding, ReleasePlan};
use crate::doctor::{Level, enumerate};

/// The kinds that can affect the cells' requests.
pub(super) const KINDS: [&str; 7] =
    ["VirtualService", "HTTPRoute", "GRPCRoute", "Gateway", "DestinationRule", "EnvoyFilter", TELEMETRY];

/// The kind that matters only to a release with such resources of its own.
pub(super) const TELEMETRY: &str = "Telemetry";

/// The objects of the cluster, and the lists that could not be read.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    objects: Vec<Value>,
    unread: Vec<UnreadLists>,
}

/// Lists of one scope that could not be read for the same cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnreadLists {
    /// The plurals of the kinds.
    plurals: Vec<&'static str>,
    /// The scope, such as `in the namespace team-a`.
    scope: String,
    cause: UnreadCause,
}

/// The reason why a list could not be read, and the fix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnreadCause {
    pub(super) why: String,
    pub(super) fix: String,
}

/// An object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Object<'a>(&'a Value);

/// The text is not a list of Kubernetes objects.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadObjects {
    /// It is not JSON.
    #[error("not valid JSON: {0}; use the output of `kubectl get … --output=json`")]
    NotJson(#[from] serde_json::Error),
    /// It is JSON without a list.
    #[error("not a list of objects: it has no `items`; use the output of `kubectl get … --output=json`")]
    NotList,
}

/// Parses the output of `kubectl get virtualservices,destinationrules,… --all-namespaces --output=json`.
///
/// # Errors
/// The text is not a list of objects.
pub(crate) fn read_file(text: &[u8]) -> Result<Objects, BadObjects> {
    let list: Value = serde_json::from_slice(text)?;
    let items = list.get("items").and_then(Value::as_array).ok_or(BadObjects::NotList)?;
    let mut objects = Objects::default();
    for item in items {
        objects.push(item.clone());
    }
    Ok(objects)
}

impl Objects {
    pub(super) fn push(&mut self, object: Value) {
        self.objects.push(object);
    }

    /// Notes a list that could not be read. Lists with the same scope and cause have one finding.
    pub(super) fn add_unread(&mut self, plural: &'static str, scope: &str, cause: UnreadCause) {
        match self.unread.iter_mut().find(|lists| lists.scope == scope && lists.cause == cause) {
            Some(lists) => lists.plurals.push(plural),
            None => self.unread.push(UnreadLists { plurals: vec![plural], scope: scope.to_owned(), cause }),
        }
    }

    /// The lists that could not be read.
    #[must_use]
    pub(crate) fn unread(&self) -> &[UnreadLists] {
        &self.unread
    }

    /// The number of objects.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.objects.len()
    }

    /// All objects of a kind and of an API group's name, such as `networking.istio.io`, whatever their version.
    pub(super) fn of<'a>(&'a self, group: &'a str, kind: &'a str) -> impl Iterator<Item = Object<'a>> {
        let is_wanted = move |object: &Object<'_>| object.kind() == kind && object.group() == group;
        self.objects.iter().map(Object).filter(is_wanted)
    }
}

impl UnreadLists {
    pub(super) fn finding(&self) -> NeighbourFinding {
        let Self { plurals, scope, cause: UnreadCause { why, fix } } = self;
        NeighbourFinding {
            level: Level::Unknown,
            object: String::new(),
            what: format!("{} {scope} could not be read: {why}", enumerate(plurals)),
            fix: Some(fix.clone()),
        }
    }
}

impl<'a> Object<'a> {
    pub(super) fn kind(&self) -> &'a str {
        self.text("kind")
    }

    fn group(&self) -> &'a str {
        self.text("apiVersion").split_once('/').map_or("", |(group, _)| group)
    }

    pub(super) fn namespace(&self) -> &'a str {
        self.metadata("namespace")
    }

    pub(super) fn name(&self) -> &'a str {
        self.metadata("name")
    }

    /// `KIND/NAMESPACE/NAME`.
    pub(super) fn id(&self) -> String {
        format!("{}/{}/{}", self.kind(), self.namespace(), self.name())
    }

    pub(super) fn spec(&self) -> &'a Value {
        self.0.get("spec").unwrap_or(&Value::Null)
    }

    /// The key of Istio's order: the creation time, then the name.
    pub(super) fn age(&self) -> (&'a str, &'a str, &'a str) {
        (self.metadata("creationTimestamp"), self.name(), self.namespace())
    }

    /// Whether it belongs to the release.
    pub(super) fn is_of(&self, plan: &ReleasePlan) -> bool {
        let metadata = |section: &str, key: &str| {
            self.0.get("metadata").and_then(|metadata| metadata.get(section)?.get(key)?.as_str())
        };
        metadata("labels", "app.kubernetes.io/instance") == Some(&plan.release)
            && metadata("annotations", "meta.helm.sh/release-namespace").is_none_or(|home| home == plan.namespace)
            && self.name().starts_with(&plan.name)
    }

    /// The strings of a list in its specification; `None` if the field is not a list of strings.
    pub(super) fn texts(&self, field: &str) -> Option<Vec<&'a str>> {
        texts(self.spec(), field)
    }

    /// Whether `exportTo` exports it to proxies of a namespace.
    pub(super) fn is_seen_from(&self, namespace: &str) -> bool {
        let exported = self.texts("exportTo").unwrap_or_default();
        let is_meant = |to: &&str| match *to {
            "*" => true,
            "." => self.namespace() == namespace,
            other => other == namespace,
        };
        exported.is_empty() || exported.iter().any(is_meant)
    }

    fn text(&self, field: &str) -> &'a str {
        self.0.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    fn metadata(&self, field: &str) -> &'a str {
        self.0.get("metadata").and_then(|metadata| metadata.get(field)?.as_str()).unwrap_or_default()
    }
}

/// The strings of a list; empty if the field is absent, `None` if it is not a list of strings.
pub(super) fn texts<'a>(message: &'a Value, field: &str) -> Option<Vec<&'a str>> {
    match message.get(field) {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Array(list)) => list.iter().map(Value::as_str).collect(),
        Some(_) => None,
    }
}

/// The elements of a list; empty if the field is not a list.
pub(super) fn list<'a>(message: &'a Value, field: &str) -> &'a [Value] {
    message.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}
