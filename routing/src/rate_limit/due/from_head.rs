//! What the head of a request says of its limits: the parts of their keys, the cost, the plan and the limit that it carries.

use cellgate_limiting::Limit;

use super::{DueCost, DueLimit, DueLimits, KeyValue, number_or};
use crate::decider::Decider;
use crate::head::Head;
use crate::media::content_length;
use crate::rate_limit::{CostRule, LimitKeyPart, RateLimit};
use crate::scope::{is_normalised, path_of};
use crate::source::Source;

impl Decider {
    /// The limits that a request may fall under. The caller must have removed inbound routing and internal headers.
    /// `end_of_stream` means that no body follows.
    #[must_use]
    pub fn due_limits<H: Head + ?Sized>(&self, head: &H, end_of_stream: bool) -> DueLimits {
        let config = self.config();
        let rates = config.rate_limits.iter().enumerate();
        let rates = rates.filter_map(|(index, limit)| self.due_limit(index, limit, head, end_of_stream));
        let concurrency = (config.rate_limits.len()..).zip(&config.concurrency_limits);
        let concurrency = concurrency.filter_map(|(index, limit)| {
            limit.scope.check_every_spelling(head).ok()?;
            let values = self.key_values(&limit.key, head, end_of_stream)?;
            Some(DueLimit { index, values, plan: None, carried: None, cost: DueCost::Known(1) })
        });
        DueLimits(rates.chain(concurrency).collect())
    }

    fn due_limit<H: Head + ?Sized>(
        &self,
        index: usize,
        limit: &RateLimit,
        head: &H,
        end_of_stream: bool,
    ) -> Option<DueLimit> {
        limit.scope.check_every_spelling(head).ok()?;
        let values = self.key_values(&limit.key, head, end_of_stream)?;
        let claim = |source: &Source| self.limit_value(source, head)?.ok();
        let carried = limit.limit_from.as_ref().and_then(|carried| {
            let limit: Limit = claim(&carried.source)?.parse().ok()?;
            Some(limit.at_most(carried.at_most))
        });
        let plan = limit.plan_from.as_ref().and_then(claim);
        Some(DueLimit { index, values, plan, carried, cost: self.cost(&limit.cost, head, end_of_stream) })
    }

    /// The values of a key, and `None` if the request has not all of them.
    fn key_values<H: Head + ?Sized>(
        &self,
        key: &[LimitKeyPart],
        head: &H,
        end_of_stream: bool,
    ) -> Option<Vec<KeyValue>> {
        key.iter().map(|part| self.key_value(part, head, end_of_stream)).collect()
    }

    /// The value of a part, and `None` if the request has none.
    pub(super) fn key_value<H: Head + ?Sized>(
        &self,
        part: &LimitKeyPart,
        head: &H,
        end_of_stream: bool,
    ) -> Option<KeyValue> {
        let text = |bytes: &[u8]| match std::str::from_utf8(bytes) {
            Ok(text) => KeyValue::Text(text.to_owned()),
            Err(_) => KeyValue::Unusable,
        };
        match part {
            LimitKeyPart::RoutingKey => Some(KeyValue::RoutingKey),
            LimitKeyPart::Cell => Some(KeyValue::Cell),
            LimitKeyPart::Method => head.first(":method").map(text),
            LimitKeyPart::Peer => head.peer().as_deref().map(text),
            LimitKeyPart::ClientAddress => head.client_address().as_deref().map(|address| text(without_port(address))),
            LimitKeyPart::Path { templates, otherwise } => {
                let path = path_of(head);
                let found = templates.iter().find_map(|template| Some((template, template.matches(path)?)));
                match (found, otherwise) {
                    // Dot segments and slashes can make a path of one template look like one of another.
                    (Some((_, Err(_))), _) if !is_normalised(path) => Some(KeyValue::Unusable),
                    // Another case or encoding, which only some servers take for such a path, has its allowance.
                    (Some((template, _)), _) => Some(KeyValue::Text(template.to_string())),
                    (None, Some(otherwise)) => Some(KeyValue::Text(otherwise.to_string())),
                    (None, None) => None,
                }
            }
            LimitKeyPart::Value { source, otherwise } if source.format().is_some() && !end_of_stream => {
                let (format, index) = self.limit_place(source)?;
                Some(KeyValue::InBody { format, index, otherwise: otherwise.clone() })
            }
            LimitKeyPart::Value { source, otherwise } => match (self.limit_value(source, head), otherwise) {
                (Some(Ok(value)), _) => Some(KeyValue::Text(value)),
                (Some(Err(_)), _) => Some(KeyValue::Unusable),
                (None, Some(otherwise)) => Some(KeyValue::Text(otherwise.to_string())),
                (None, None) => None,
            },
        }
    }

    fn cost<H: Head + ?Sized>(&self, rule: &CostRule, head: &H, end_of_stream: bool) -> DueCost {
        DueCost::Known(match rule {
            CostRule::Fixed(cost) => *cost,
            CostRule::ContentLength { unit_bytes, otherwise } => match content_length(head) {
                Some(length) => length.div_ceil((*unit_bytes).max(1)).max(1),
                None if end_of_stream => 1,
                None => *otherwise,
            },
            CostRule::Number { source, at_most, otherwise } => {
                let place = if end_of_stream { None } else { self.limit_place(source) };
                if let Some((format, index)) = place {
                    return DueCost::InBody { format, index, at_most: *at_most, otherwise: *otherwise };
                }
                let value = self.limit_value(source, head).and_then(Result::ok);
                number_or(value.as_deref(), *at_most, *otherwise)
            }
        })
    }
}

/// `192.0.2.1` of `192.0.2.1:443`, and `2001:db8::1` of `[2001:db8::1]:443`. Every port of a client is the same client.
fn without_port(address: &[u8]) -> &[u8] {
    let Some(colon) = address.iter().rposition(|byte| *byte == b':') else { return address };
    let (host, port) = address.split_at(colon);
    match host {
        [b'[', inner @ .., b']'] => inner,
        _ if host.contains(&b':') || !port.iter().skip(1).all(u8::is_ascii_digit) => address,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_loses_its_port() {
        for (address, host) in [
            ("192.0.2.1:443", "192.0.2.1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("192.0.2.1", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("/run/client.sock", "/run/client.sock"),
            ("", ""),
        ] {
            assert_eq!(without_port(address.as_bytes()), host.as_bytes(), "{address}");
        }
    }
}
