//! The place of verified claims: a key that jwt_authn can have.

use super::super::bounds::MAX_SOURCE_NAME;
use super::super::path::Step;
use super::super::raw::RawClaims;
use super::super::report::Report;
use super::super::text::quote;
use cellgate_routing::ClaimsPlace;
use cellgate_routing::claims::DEFAULT_METADATA_KEY;

pub(super) fn claims(raw: Option<&RawClaims<'_>>, report: &mut Report<'_>) -> ClaimsPlace {
    // A refused key has its own problem.
    let key = raw.and_then(|raw| raw.metadata_key.given()).map_or(DEFAULT_METADATA_KEY, |key| &**key);
    let path = [Step::Field("claims"), Step::Field("metadata_key")];
    if key.is_empty() || key.chars().any(char::is_control) {
        report.problem(&path, &|| {
            format!(
                "expected the `payload_in_metadata` of jwt_authn's providers, such as `payload`, found {}",
                quote(key)
            )
        });
    } else if key.len() > MAX_SOURCE_NAME {
        report.problem(&path, &|| format!("expected at most {MAX_SOURCE_NAME} bytes, found {}", key.len()));
    }
    ClaimsPlace { metadata_key: key.into() }
}
