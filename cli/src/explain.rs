//! `cellgate explain`: tells what happened to one request, from the access logs of the proxies that it passed.
//!
//! The logs have the format of `charts/cellgate/files/access-log.json`. Other lines are counted and passed over, so a log
//! may come straight from `kubectl logs`. Memory is bounded by the limits below, and not by the log.

mod access_entry;
mod advice;
mod fault;
mod log_scan;
mod near_ids;
mod report;
mod tier_decision;

pub(crate) use log_scan::LogScan;
pub(crate) use report::{json, text};
