//! `cellgate limits import`: limits of descriptors from a configuration of envoyproxy/ratelimit.
//!
//! Its descriptors are a tree, of which each node may have a limit. Ours are a list with the whole path of each limit, and
//! are matched by the same rule. A node without a limit and without descriptors below it admits all, and hides less specific
//! nodes; it becomes a limit with `always: allow`.

mod descriptor;
mod name;
mod output;

use serde_json::Value;

use descriptor::Import;
use name::LimitNames;

/// The result of an import.
#[derive(Debug)]
pub(crate) struct Imported {
    /// `descriptor_limits` as YAML.
    pub(crate) text: String,
    /// Things that have no equal, with their places.
    pub(crate) warnings: Vec<String>,
}

/// Why a text is no configuration of envoyproxy/ratelimit.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadImport {
    /// It is not YAML.
    #[error("not YAML: {0}")]
    Yaml(String),
    /// A part is wrong.
    #[error("{place}: {message}")]
    Part {
        /// The path of the part.
        place: String,
        /// The fault, and the remedy.
        message: String,
    },
}

/// Translates a configuration.
///
/// # Errors
/// envoyproxy/ratelimit would refuse it too, or a text is longer than Cellgate allows.
pub(crate) fn import(text: &str) -> Result<Imported, BadImport> {
    let root: Value = serde_saphyr::from_str(text).map_err(|error| BadImport::Yaml(error.to_string()))?;
    let Value::Object(root) = root else {
        return Err(part("", "expected a map with `domain` and `descriptors`"));
    };
    let domain = match root.get("domain").and_then(descriptor::scalar) {
        Some(domain) if !domain.is_empty() => domain,
        _ => return Err(part("domain", "expected the name of the domain")),
    };
    descriptor::check_length(&domain, "domain")?;
    let mut import = Import::new(LimitNames::default(), &domain);
    import.warn_of_unknown(&root, &["domain", "descriptors"], "");
    import.descriptors(root.get("descriptors"))?;
    if import.limits.is_empty() {
        import.warn("descriptors", "there are none, so no limit was written");
    } else if import.limits.len() > cellgate_routing::MAX_DESCRIPTOR_LIMITS {
        let (found, most) = (import.limits.len(), cellgate_routing::MAX_DESCRIPTOR_LIMITS);
        import.warn("descriptors", &format!("these are {found} limits, and a configuration has at most {most}"));
    }
    Ok(Imported { text: output::yaml(&domain, &import.limits), warnings: import.warnings })
}

fn part(place: &str, message: impl Into<String>) -> BadImport {
    let place = if place.is_empty() { "the file" } else { place };
    BadImport::Part { place: place.to_owned(), message: message.into() }
}

#[cfg(test)]
mod tests;
