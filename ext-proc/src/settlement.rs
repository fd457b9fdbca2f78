//! Settlement: the number in a response replaces the estimate that its request was charged.
//!
//! [`RequestSettlement`] decides what changes, once for each charge. [`Settler`] makes the changes in the store, in tasks of
//! their own, so that no response waits for them.

mod settler;

use cellgate_limit_store::{Charged, StoreDecision};
use cellgate_routing::{Config, Head, OnFailure, ResponseNeeds, ResponsePlace, Settlement};

use crate::fields::Fields;
pub(crate) use settler::Settler;

/// The charges of one request that its response settles.
///
/// Dropping it is the end of the request. If its response has not begun by then, the request has failed.
#[derive(Debug)]
pub(crate) struct RequestSettlement {
    settler: Settler,
    charges: Vec<UnsettledCharge>,
    /// Whether the response has begun.
    has_response: bool,
}

/// A charge that was made, and the rule of its limit.
#[derive(Debug)]
struct UnsettledCharge {
    charged: Charged,
    rule: Settlement,
    limit: Box<str>,
}

/// A charge whose units are known.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SettledCharge {
    charged: Charged,
    limit: Box<str>,
    units: SettledUnits,
}

/// The units of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SettledUnits {
    /// The response has no usable number: the estimate stays.
    Estimate,
    /// The response says so many.
    Number(u64),
    /// The request has failed and costs nothing.
    Released,
}

impl RequestSettlement {
    /// The settlement of an admitted request. `None`: no response settles any of its charges. A charge that nobody made, because
    /// the store failed, is not settled.
    pub(crate) fn of(decision: &StoreDecision, config: &Config, settler: &Settler) -> Option<Self> {
        if !config.rate_limits.iter().any(|limit| limit.settlement.is_some()) {
            return None;
        }
        let unsettled = |charged: Charged| {
            let limit = config.rate_limits.get(usize::from(charged.charge().id.0))?;
            Some(UnsettledCharge { charged, rule: limit.settlement.clone()?, limit: limit.name.clone() })
        };
        let charges: Vec<_> = decision.charged().flatten().filter_map(unsettled).collect();
        (!charges.is_empty()).then(|| Self { settler: settler.clone(), charges, has_response: false })
    }

    /// The parts of the response that it needs.
    pub(crate) fn needs(&self) -> ResponseNeeds {
        self.charges.iter().map(|charge| charge.rule.needs()).fold(ResponseNeeds::default(), ResponseNeeds::and)
    }

    /// Takes the headers of the response. `is_whole`: no trailers follow. Headers that come again change nothing.
    pub(crate) fn on_headers(&mut self, fields: &Fields, is_whole: bool) -> Vec<SettledCharge> {
        if std::mem::replace(&mut self.has_response, true) {
            return Vec::new();
        }
        let has_failed = matches!(only(fields, ":status"), Some([b'5', _, _])) || is_failed_call(fields);
        self.settle(|rule| match &rule.place {
            _ if has_failed => Some(on_failure(rule)),
            ResponsePlace::Header(name) => Some(number(rule, fields, name)),
            ResponsePlace::Trailer(_) => is_whole.then_some(SettledUnits::Estimate),
        })
    }

    /// Takes the trailers of the response.
    pub(crate) fn on_trailers(&mut self, fields: &Fields) -> Vec<SettledCharge> {
        if !self.has_response {
            return Vec::new();
        }
        self.settle(|rule| match &rule.place {
            ResponsePlace::Header(_) => Some(SettledUnits::Estimate),
            ResponsePlace::Trailer(_) if is_failed_call(fields) => Some(on_failure(rule)),
            ResponsePlace::Trailer(name) => Some(number(rule, fields, name)),
        })
    }

    /// Makes what [`RequestSettlement::on_headers`] or [`RequestSettlement::on_trailers`] has settled. It does not wait.
    pub(crate) fn make(&self, settled: Vec<SettledCharge>) {
        self.settler.settle(settled);
    }

    /// The stream ends before the request: the estimates stay.
    pub(crate) fn abandon(mut self) {
        self.has_response = true;
    }

    /// What the end of the request settles.
    fn on_end(&mut self) -> Vec<SettledCharge> {
        let keeps = self.has_response || self.settler.keeps_estimates();
        self.settle(|rule| Some(if keeps { SettledUnits::Estimate } else { on_failure(rule) }))
    }

    /// Removes the charges for which there are units, so that each is settled once.
    fn settle(&mut self, units: impl Fn(&Settlement) -> Option<SettledUnits>) -> Vec<SettledCharge> {
        let mut settled = Vec::new();
        for charge in std::mem::take(&mut self.charges) {
            match units(&charge.rule) {
                Some(units) => settled.push(SettledCharge { charged: charge.charged, limit: charge.limit, units }),
                None => self.charges.push(charge),
            }
        }
        settled
    }
}

impl Drop for RequestSettlement {
    fn drop(&mut self) {
        let settled = self.on_end();
        self.settler.settle(settled);
    }
}

fn on_failure(rule: &Settlement) -> SettledUnits {
    match rule.on_failure {
        OnFailure::Keep => SettledUnits::Estimate,
        OnFailure::Release => SettledUnits::Released,
    }
}

/// Whether a call of gRPC, whose HTTP status is 200, has failed with a status like HTTP's 5xx: unknown, deadline exceeded,
/// unimplemented, internal, unavailable or data loss. It is in the trailers, or in the headers of an answer without messages,
/// such as Envoy's own.
fn is_failed_call(fields: &Fields) -> bool {
    matches!(only(fields, "grpc-status"), Some(b"2" | b"4" | b"12" | b"13" | b"14" | b"15"))
}

fn number(rule: &Settlement, fields: &Fields, name: &str) -> SettledUnits {
    rule.units(fields.values(name)).map_or(SettledUnits::Estimate, SettledUnits::Number)
}

fn only<'a>(fields: &'a Fields, name: &str) -> Option<&'a [u8]> {
    let mut values = fields.values(name);
    values.next().filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests;
