//! The settlement of a cost by the response.

use super::super::super::path::Step;
use super::super::super::raw::{RawField, RawOnFailure, RawRateLimit, RawSettle};
use super::super::super::report::Report;
use super::super::headers::header_name;
use super::LimitPlace;
use cellgate_routing::{OnFailure, ResponsePlace, Settlement};

const SETTLE: &str = "settle";

/// Builds the settlement of a limit that has one.
pub(super) fn settlement(
    limit: &RawRateLimit<'_>,
    place: LimitPlace<'_>,
    report: &mut Report<'_>,
) -> Option<Settlement> {
    let raw = limit.settle.given()?;
    let path = place.field(SETTLE);
    if limit.lease.given() == Some(&true) {
        report.problem(&path, &|| {
            "a filter spends leased units without the service, which alone settles: remove `lease` or `settle`".into()
        });
    }
    let [section, item, settle] = path;
    let field = |name| [section, item, settle, Step::Field(name)];
    let at_most = report.required(&raw.at_most, &field("at_most")).map(|units| units.0);
    let on_failure = match raw.on_failure.given() {
        Some(RawOnFailure::Release) => OnFailure::Release,
        Some(RawOnFailure::Keep) | None => OnFailure::Keep,
    };
    Some(Settlement { place: response_place(raw, path, report)?, at_most: at_most?, on_failure })
}

/// The one field of the response.
fn response_place(raw: &RawSettle<'_>, path: [Step<'_>; 3], report: &mut Report<'_>) -> Option<ResponsePlace> {
    let [section, item, settle] = path;
    let mut name = |field, raw: &RawField<&str>| {
        let name = *raw.given()?;
        match header_name(name) {
            Ok(()) => Some(Box::<str>::from(name.to_ascii_lowercase())),
            Err(message) => {
                report.problem(&[section, item, settle, Step::Field(field)], &|| message.clone());
                None
            }
        }
    };
    let header = name("response_header", &raw.response_header);
    let trailer = name("response_trailer", &raw.response_trailer);
    match (raw.response_header.is_absent(), raw.response_trailer.is_absent()) {
        (false, true) => header.map(ResponsePlace::Header),
        (true, false) => trailer.map(ResponsePlace::Trailer),
        (false, false) => {
            report.problem(&[section, item, settle, Step::Field("response_trailer")], &|| {
                "`response_header` names the place of the number already: remove one of the two".into()
            });
            None
        }
        (true, true) => {
            // Perhaps one of them is misspelt.
            if !report.is_incomplete(&path) {
                report.problem(&path, &|| {
                    "expected the place of the number, such as `response_header: x-tokens-used` or `response_trailer: \
                     x-tokens-used`"
                        .into()
                });
            }
            None
        }
    }
}
