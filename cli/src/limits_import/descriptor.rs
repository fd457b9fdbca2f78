//! The descriptors of envoyproxy/ratelimit: a walk over the tree, with a warning for each thing that has no equal.

use cellgate_limiting::MAX_UNITS;
use cellgate_routing::MAX_KEY_PARTS;
use serde_json::{Map, Value};

use super::name::LimitNames;
use super::{BadImport, part};

/// The longest domain, key and value, in bytes.
const MAX_TEXT: usize = 1024;

/// A limit with its whole path.
#[derive(Debug)]
pub(super) struct ImportedLimit {
    pub(super) name: String,
    pub(super) entries: Vec<ImportedEntry>,
    pub(super) rule: ImportedRule,
    pub(super) shadow: bool,
}

/// An entry of a descriptor.
#[derive(Clone, Debug)]
pub(super) struct ImportedEntry {
    pub(super) key: String,
    /// As written: a final `*` stands for a prefix.
    pub(super) value: Option<String>,
    pub(super) shared: bool,
}

/// The answer of a limit.
#[derive(Debug)]
pub(super) enum ImportedRule {
    /// A limit such as `5/day`.
    Limit(String),
    Allow,
    Deny,
}

/// An import that goes on.
#[derive(Debug)]
pub(super) struct Import<'d> {
    names: LimitNames,
    domain: &'d str,
    pub(super) limits: Vec<ImportedLimit>,
    pub(super) warnings: Vec<String>,
}

/// A list of descriptors that is still to be read.
struct DescriptorList<'v> {
    list: &'v [Value],
    place: String,
    above: Vec<ImportedEntry>,
}

impl<'d> Import<'d> {
    pub(super) fn new(names: LimitNames, domain: &'d str) -> Self {
        Self { names, domain, limits: Vec::new(), warnings: Vec::new() }
    }

    pub(super) fn warn(&mut self, place: &str, message: &str) {
        self.warnings.push(format!("{place}: {message}"));
    }

    /// Reads the whole tree, a list before the lists below it.
    pub(super) fn descriptors(&mut self, list: Option<&Value>) -> Result<(), BadImport> {
        let mut levels = Vec::new();
        levels.extend(level(list, "descriptors".to_owned(), Vec::new())?);
        while let Some(level) = levels.pop() {
            let mut below = Vec::new();
            let mut siblings: Vec<ImportedEntry> = Vec::new();
            for (index, descriptor) in level.list.iter().enumerate() {
                let place = format!("{}[{index}]", level.place);
                let Value::Object(descriptor) = descriptor else {
                    return Err(part(&place, "expected a map with `key`"));
                };
                let entry = self.entry(descriptor, &place)?;
                if siblings.iter().any(|sibling| sibling.key == entry.key && sibling.value == entry.value) {
                    return Err(part(
                        &place,
                        "duplicate descriptor: another one of this list has the same key and value",
                    ));
                }
                let hides = |sibling: &&ImportedEntry| sibling.key == entry.key && hides(sibling, &entry);
                if let Some(value) = siblings.iter().find(hides).and_then(|sibling| sibling.value.clone()) {
                    let message = format!("never matches, because the value {value:?} comes first; left out");
                    self.warn(&place, &message);
                    continue;
                }
                siblings.push(entry.clone());
                let mut entries = level.above.clone();
                entries.push(entry);
                if entries.len() > MAX_KEY_PARTS {
                    self.warn(&place, &format!("a descriptor has at most {MAX_KEY_PARTS} entries here; left out"));
                    continue;
                }
                let next = self::level(descriptor.get("descriptors"), format!("{place}.descriptors"), entries.clone())?;
                self.limit(descriptor, entries, next.is_none(), &place)?;
                below.extend(next);
            }
            levels.extend(below.into_iter().rev());
        }
        Ok(())
    }

    /// Warns of fields that envoyproxy/ratelimit does not have either.
    pub(super) fn warn_of_unknown(&mut self, map: &Map<String, Value>, known: &[&str], place: &str) {
        for name in map.keys().filter(|name| !known.contains(&name.as_str())) {
            let place = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
            self.warn(&place, "unknown field; left out");
        }
    }

    fn entry(&mut self, descriptor: &Map<String, Value>, place: &str) -> Result<ImportedEntry, BadImport> {
        const KNOWN: [&str; 10] = [
            "key",
            "value",
            "rate_limit",
            "descriptors",
            "shadow_mode",
            "detailed_metric",
            "value_to_metric",
            "share_threshold",
            "quota_mode",
            "metadata",
        ];
        self.warn_of_unknown(descriptor, &KNOWN, place);
        for (name, message) in [
            ("detailed_metric", "has no equal: metrics have the name of the limit and no values"),
            ("value_to_metric", "has no equal: metrics have the name of the limit and no values"),
            ("quota_mode", "has no equal: the limit is enforced by itself"),
            ("metadata", "has no equal: left out"),
        ] {
            if descriptor.get(name).is_some_and(is_set) {
                self.warn(&format!("{place}.{name}"), message);
            }
        }
        let key = text(descriptor.get("key"), &format!("{place}.key"))?;
        let Some(key) = key.filter(|key| !key.is_empty()) else {
            return Err(part(&format!("{place}.key"), "expected a key"));
        };
        let value = text(descriptor.get("value"), &format!("{place}.value"))?.filter(|value| !value.is_empty());
        if value.is_none() && key.ends_with('*') {
            self.warn(
                &format!("{place}.key"),
                "a `*` at the end of a key is a character of the key here, not a wildcard",
            );
        }
        let is_prefix = value.as_ref().is_some_and(|value| value.ends_with('*'));
        let shared = descriptor.get("share_threshold").is_some_and(is_set);
        if shared && !is_prefix {
            self.warn(&format!("{place}.share_threshold"), "has no effect on a value without a final `*`; left out");
        }
        Ok(ImportedEntry { key, value, shared: shared && is_prefix })
    }

    /// Adds the limit of a descriptor. `is_leaf`: there are no descriptors below it.
    fn limit(
        &mut self,
        descriptor: &Map<String, Value>,
        entries: Vec<ImportedEntry>,
        is_leaf: bool,
        place: &str,
    ) -> Result<(), BadImport> {
        let shadow = descriptor.get("shadow_mode").is_some_and(is_set);
        let place_of = |name: &str| format!("{place}.{name}");
        let (rule, name) = match descriptor.get("rate_limit") {
            None | Some(Value::Null) if is_leaf => (ImportedRule::Allow, None),
            None | Some(Value::Null) => {
                if shadow {
                    self.warn(&place_of("shadow_mode"), "has no effect without `rate_limit`; left out");
                }
                return Ok(());
            }
            Some(Value::Object(limit)) => self.rule(limit, &place_of("rate_limit"))?,
            Some(_) => return Err(part(&place_of("rate_limit"), "expected a map")),
        };
        let is_allowed = matches!(rule, ImportedRule::Allow);
        if shadow && is_allowed {
            self.warn(&place_of("shadow_mode"), "has no effect on a descriptor without a limit; left out");
        }
        let path = entries.iter().map(|entry| match &entry.value {
            Some(value) => format!("{}-{value}", entry.key),
            None => entry.key.clone(),
        });
        let name = name.unwrap_or_else(|| format!("{}-{}", self.domain, path.collect::<Vec<_>>().join("-")));
        let name = self.names.unique(&name);
        self.limits.push(ImportedLimit { name, entries, rule, shadow: shadow && !is_allowed });
        Ok(())
    }

    /// The rule of a `rate_limit`, and its name.
    fn rule(&mut self, limit: &Map<String, Value>, place: &str) -> Result<(ImportedRule, Option<String>), BadImport> {
        self.warn_of_unknown(limit, &["unit", "requests_per_unit", "unlimited", "name", "replaces"], place);
        if limit.get("replaces").is_some_and(is_set) {
            let message = "has no equal: a call with the descriptors of both limits is charged by both";
            self.warn(&format!("{place}.replaces"), message);
        }
        let name = text(limit.get("name"), &format!("{place}.name"))?.filter(|name| !name.is_empty());
        let unit_place = format!("{place}.unit");
        let unit = text(limit.get("unit"), &unit_place)?.filter(|unit| !unit.is_empty());
        let period = unit.as_deref().map(|unit| period(unit, &unit_place)).transpose()?;
        if limit.get("unlimited").is_some_and(is_set) {
            return match period {
                None => Ok((ImportedRule::Allow, name)),
                Some(_) => Err(part(&unit_place, "an unlimited descriptor has no unit: remove one of the two")),
            };
        }
        let Some(period) = period else {
            return Err(part(&unit_place, "expected a unit: second, minute, hour, day, week, month or year"));
        };
        let number_place = format!("{place}.requests_per_unit");
        let number = match limit.get("requests_per_unit") {
            None | Some(Value::Null) => 0,
            Some(number) => number
                .as_u64()
                .filter(|number| u32::try_from(*number).is_ok())
                .ok_or_else(|| part(&number_place, "expected a whole number from 0 to 4294967295"))?,
        };
        if number > MAX_UNITS {
            self.warn(&number_place, &format!("a limit has at most {MAX_UNITS} units here, so it was lowered to that"));
        }
        let rule = match number {
            0 => ImportedRule::Deny,
            _ => ImportedRule::Limit(format!("{}/{period}", number.min(MAX_UNITS))),
        };
        Ok((rule, name))
    }
}

/// A list of descriptors. `None` if there is none.
fn level(
    list: Option<&Value>,
    place: String,
    above: Vec<ImportedEntry>,
) -> Result<Option<DescriptorList<'_>>, BadImport> {
    match list {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(list)) if list.is_empty() => Ok(None),
        Some(Value::Array(list)) => Ok(Some(DescriptorList { list, place, above })),
        Some(_) => Err(part(&place, "expected a list")),
    }
}

/// Whether all values of `entry` match the prefix of `first`, which envoyproxy/ratelimit looks at first.
fn hides(first: &ImportedEntry, entry: &ImportedEntry) -> bool {
    let prefix = |entry: &ImportedEntry| Some(entry.value.as_ref()?.strip_suffix('*')?.to_owned());
    prefix(first).zip(prefix(entry)).is_some_and(|(first, entry)| entry.starts_with(&first))
}

/// A period of ours. A month has 30 days and a year 365, as in envoyproxy/ratelimit.
fn period(unit: &str, place: &str) -> Result<&'static str, BadImport> {
    Ok(match unit.to_ascii_lowercase().as_str() {
        "second" => "second",
        "minute" => "minute",
        "hour" => "hour",
        "day" => "day",
        "week" => "week",
        "month" => "30d",
        "year" => "365d",
        _ => {
            let message = format!("{unit:?} is no unit: use second, minute, hour, day, week, month or year");
            return Err(part(place, message));
        }
    })
}

/// A text. Numbers and booleans are texts too, as in envoyproxy/ratelimit.
fn text(value: Option<&Value>, place: &str) -> Result<Option<String>, BadImport> {
    let text = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => scalar(value).ok_or_else(|| part(place, "expected a text"))?,
    };
    check_length(&text, place)?;
    Ok(Some(text))
}

pub(super) fn check_length(text: &str, place: &str) -> Result<(), BadImport> {
    if text.len() > MAX_TEXT {
        return Err(part(place, format!("expected at most {MAX_TEXT} bytes, found {}", text.len())));
    }
    Ok(())
}

pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(boolean) => Some(boolean.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether a field says anything.
fn is_set(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::String(_) => true,
    }
}
