//! The clusters to which routes forward requests.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::message::{list, number, text};

/// The clusters of each cell's routes, by the cell's name.
pub(super) type Destinations<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// The names of the clusters to which a route action forwards. Clusters with weight 0 receive no requests.
pub(super) fn clusters_of(action: &Value) -> BTreeSet<&str> {
    let weighted = list(action, "weighted_clusters.clusters").iter();
    let weighted = weighted.filter(|entry| number(entry, "weight") != Some(0)).map(|entry| text(entry, "name"));
    weighted.chain([text(action, "cluster")]).filter(|name| !name.is_empty()).collect()
}
