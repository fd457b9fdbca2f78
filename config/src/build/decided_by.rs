//! The peers whose decisions are accepted: SPIFFE IDs that a certificate can have.

use super::super::bounds::{MAX_ITEMS, MAX_SPIFFE_ID, MAX_TRUST_DOMAIN};
use super::super::path::Step;
use super::super::raw::RawDecidedBy;
use super::super::report::Report;
use super::super::text::quote;
use super::{Cells, items, parse_list};
use cellgate_routing::DecidedBy;

const SECTION: &str = "decided_by";

pub(super) fn decided_by(raw: &RawDecidedBy<'_>, cells: &Cells<'_>, report: &mut Report<'_>) -> DecidedBy {
    let path = [Step::Field(SECTION), Step::Field("peers")];
    let given = report.required(&raw.peers, &path);
    let mut peers = Vec::new();
    if given.is_some_and(Vec::is_empty) {
        report.problem(&path, &|| "the list is empty: add a peer, or remove `decided_by`".into());
    } else {
        peers = parse_list(&raw.peers, &path, report, &|peer| spiffe_id(peer).map(|()| Box::from(peer)));
    }
    for (index, peer) in items(&raw.peers).take(MAX_ITEMS) {
        if items(&raw.peers).any(|(other_index, other)| other_index < index && other == peer) {
            let path = [Step::Field(SECTION), Step::Field("peers"), Step::Item(index)];
            report.problem(&path, &|| format!("duplicate peer {}", quote(peer)));
        }
    }
    let cell = raw.cell.given();
    let cell = cell.and_then(|name| cells.find(name, &[Step::Field(SECTION), Step::Field("cell")], report));
    DecidedBy { peers, cell }
}

/// Checks that a text is the SPIFFE ID of a workload. Any other text would never match, without a sign of it.
fn spiffe_id(text: &str) -> Result<(), String> {
    if text.len() > MAX_SPIFFE_ID {
        return Err(format!("expected at most {MAX_SPIFFE_ID} bytes, found {}", text.len()));
    }
    if text.contains('*') {
        return Err(format!("wildcards are not supported: list each peer instead of {}", quote(text)));
    }
    let parts = text.strip_prefix("spiffe://").and_then(|rest| rest.split_once('/'));
    let is_id = parts.is_some_and(|(domain, path)| is_trust_domain(domain) && path.split('/').all(is_segment));
    if is_id {
        Ok(())
    } else {
        Err(format!(
            "expected a SPIFFE ID such as `spiffe://cluster.local/ns/NAMESPACE/sa/ACCOUNT`, found {}",
            quote(text)
        ))
    }
}

/// SPIFFE-ID, 2.1.
fn is_trust_domain(text: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
    (1..=MAX_TRUST_DOMAIN).contains(&text.len()) && text.bytes().all(is_legal)
}

/// SPIFFE-ID, 2.2.
fn is_segment(text: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    !matches!(text, "" | "." | "..") && text.bytes().all(is_legal)
}
