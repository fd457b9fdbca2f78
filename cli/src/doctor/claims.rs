//! Claims as sources: jwt_authn must verify tokens in front of the filter, and leave the payload where the configuration
//! expects it.

use cellgate_routing::claims::JWT_AUTHN;
use cellgate_routing::source::{Place, Source};
use cellgate_routing::{ConcurrencyLimit, Config, CostRule, LimitKeyPart, RateLimit};
use serde_json::Value;

use super::dump::HttpFilter;
use super::finding::{Notes, enumerate};
use super::message::{at, is_a, text, texts};

/// Whether a source of the routing key is a claim, or a limit reads one.
pub(super) fn are_read(config: &Config) -> bool {
    let in_key = |limit: &ConcurrencyLimit| limit.key.iter().any(is_claim_part);
    config.sources.iter().any(is_claim)
        || config.rate_limits.iter().any(reads_claims)
        || config.concurrency_limits.iter().any(in_key)
}

/// Examines the place of Cellgate's filter `name` in a chain, by a configuration that reads claims.
pub(super) fn examine(filters: &[HttpFilter<'_>], name: &str, config: &Config, notes: &mut Notes) {
    let (before, behind) = filters.split_at(filters.iter().position(|filter| filter.name == name).unwrap_or_default());
    let Some(authentication) = before.iter().find(|filter| is_authentication(filter)) else {
        if let Some(late) = behind.iter().find(|filter| is_authentication(filter)) {
            notes.error(
                format!("`{name}` is in front of `{}`: it finds no verified claims", late.name),
                "put it behind (chart: `position: after_authentication` in filter.attach)",
            );
        } else {
            notes.error(
                format!("`{name}` reads claims, and the chain has no jwt_authn filter: no request has verified claims"),
                "let a RequestAuthentication select this proxy, or remove the claims from `key` and `rate_limits`",
            );
        }
        return;
    };
    let others: Vec<&str> =
        before.iter().filter(|filter| filter.name != authentication.name).map(|filter| filter.name).collect();
    let seen = match others.as_slice() {
        [] => String::new(),
        _ => format!("; the client's own routing header reaches {} first", enumerate(&others)),
    };
    notes.ok(format!("`{name}` is behind `{}`, which verifies the claims{seen}", authentication.name));
    payload(authentication, &config.claims.metadata_key, notes);
}

/// Examines where the providers leave the payload.
fn payload(authentication: &HttpFilter<'_>, wanted: &str, notes: &mut Notes) {
    for (provider, settings) in at(authentication.config, "providers").as_object().into_iter().flatten() {
        let key = text(settings, "payload_in_metadata");
        if key != wanted {
            let found = if key.is_empty() { "nowhere".to_owned() } else { format!("at `{key}`") };
            notes.error(
                format!(
                    "the provider `{provider}` of `{}` leaves its payload {found}, and the filter looks at `{wanted}`",
                    authentication.name
                ),
                format!(
                    "set `payload_in_metadata: {wanted}` in jwt_authn, or `claims.metadata_key` in the configuration"
                ),
            );
        }
    }
}

/// Whether Envoy sends the verified payload to a processor.
pub(super) fn are_forwarded(processor: &Value) -> bool {
    texts(processor, "metadata_options.forwarding_namespaces.untyped").any(|name| name == JWT_AUTHN)
}

fn reads_claims(limit: &RateLimit) -> bool {
    let in_cost = matches!(&limit.cost, CostRule::Number { source, .. } if is_claim(source));
    // A plan or a limit that travels with the request is always in a claim.
    limit.plan_from.is_some() || limit.limit_from.is_some() || in_cost || limit.key.iter().any(is_claim_part)
}

fn is_claim_part(part: &LimitKeyPart) -> bool {
    matches!(part, LimitKeyPart::Value { source, .. } if is_claim(source))
}

fn is_claim(source: &Source) -> bool {
    matches!(source.place, Place::Claim(_))
}

fn is_authentication(filter: &HttpFilter<'_>) -> bool {
    filter.name == JWT_AUTHN || is_a(filter.config, "JwtAuthentication")
}
