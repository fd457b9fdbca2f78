//! The values of a key in a query: `value=acme&unusable=true`. Messages never repeat a value.

use crate::admin::query::decode;
use cellgate_routing::{Case, Config, LimitKeyPart, RateLimit, Reason, check_key};

/// The values of a limit's key, in the order of its parts. `None` is an unusable value.
///
/// # Errors
/// A sentence that says what is wrong with the query.
pub(super) fn parse(limit: &RateLimit, config: &Config, query: &str) -> Result<Vec<Option<String>>, String> {
    let parameters: Vec<_> = query.split('&').filter(|parameter| !parameter.is_empty()).collect();
    if parameters.len() != limit.key.len() {
        return Err(wrong_number(limit, parameters.len()));
    }
    let parts = parameters.into_iter().zip(&limit.key).enumerate();
    parts.map(|(index, (parameter, part))| value(parameter, part, index + 1, config)).collect()
}

fn wrong_number(limit: &RateLimit, given: usize) -> String {
    let parts: Vec<_> = limit.key.iter().map(ToString::to_string).collect();
    let name = &limit.name;
    let given = if given == 1 { "1 value".to_owned() } else { format!("{given} values") };
    match parts.as_slice() {
        [] => format!("the query has {given}, and the key of {name} has no part: ask without a value"),
        [only] => {
            format!("the query has {given}, and the key of {name} has one part: use one `value=` for {only}")
        }
        several => format!(
            "the query has {given}, and the key of {name} has {} parts: use a `value=` for each of {}, in this order",
            several.len(),
            several.join("; ")
        ),
    }
}

fn value(parameter: &str, part: &LimitKeyPart, number: usize, config: &Config) -> Result<Option<String>, String> {
    let bad = |why: &str| Err(format!("value {number} ({part}): {why}"));
    // A request without a usable routing key or cell is not counted at all.
    let is_always_usable = matches!(part, LimitKeyPart::RoutingKey | LimitKeyPart::Cell);
    let none_with = |fault: &str| {
        let others = if is_always_usable {
            "check the value"
        } else {
            "requests with such a value count together, so ask for them with `unusable=true` in its place"
        };
        bad(&format!("no request is counted by it, because {fault}: {others}"))
    };
    if parameter == "unusable=true" {
        return match is_always_usable {
            true => bad("it is never unusable, because a request without it is not counted: use `value=`"),
            false => Ok(None),
        };
    }
    let Some(text) = parameter.strip_prefix("value=") else {
        return bad("use `value=V`, with V percent-encoded, or `unusable=true`");
    };
    let Some(bytes) = decode(text) else {
        return bad("a `%` is not followed by two hexadecimal digits: percent-encode the value");
    };
    if let LimitKeyPart::Cell = part {
        return match config.cell_named(&bytes) {
            Some(cell) => Ok(Some(config.cell_name(cell).to_owned())),
            None => bad("the configuration in force has no such cell"),
        };
    }
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return none_with("it is not UTF-8");
    };
    if let LimitKeyPart::RoutingKey | LimitKeyPart::Value { .. } = part
        && let Err(reason) = check_key(&bytes, config.limits.key_bytes)
    {
        return none_with(match reason {
            Reason::KeyEmpty => "it is empty",
            Reason::KeyTooLong => "it is longer than `limits.key_bytes`",
            _ => "it has a control character",
        });
    }
    let is_lower = matches!(part, LimitKeyPart::Value { source, .. } if source.rule.case == Case::Lower);
    Ok(Some(if is_lower { text.to_ascii_lowercase() } else { text.to_owned() }))
}
