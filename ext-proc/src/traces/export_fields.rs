//! The header fields of exports: those of a variable, and those of a file, which is read again for each export.
//!
//! An export is a rare event, so reading costs less than watching. A file that cannot be used leaves the last fields in force.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use hyper::HeaderMap;

use super::headers::{self, BadOtlpHeaders};

/// The variables of OpenTelemetry with fields. The first one that is not empty counts.
const VARIABLES: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];

/// The fields of one receiver.
#[derive(Debug)]
pub(super) struct ExportFields {
    of_variable: HeaderMap,
    file: Option<FieldsFile>,
}

#[derive(Debug)]
struct FieldsFile {
    path: PathBuf,
    last: Mutex<LastFields>,
}

#[derive(Debug)]
struct LastFields {
    good: HeaderMap,
    /// Why the file cannot be used since then, so that each change is logged once.
    refused: Option<String>,
}

impl ExportFields {
    /// Reads the variable, and the file for the first time.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, BadOtlpHeaders> {
        let mut variables = VARIABLES.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
        let of_variable = match variables.find(|(_, text)| !text.is_empty()) {
            Some((name, text)) => headers::of_variable(name, text.as_encoded_bytes())?,
            None => HeaderMap::new(),
        };
        let open = |path: &Path| -> Result<FieldsFile, BadOtlpHeaders> {
            let last = LastFields { good: headers::read(path)?, refused: None };
            Ok(FieldsFile { path: path.to_owned(), last: Mutex::new(last) })
        };
        Ok(Self { of_variable, file: path.map(open).transpose()? })
    }

    /// The fields now. It reads the file, so it may block. A receiver refuses two tokens, so a field of the file replaces the one
    /// of the variable.
    pub(super) fn current(&self) -> HeaderMap {
        let mut fields = self.of_variable.clone();
        if let Some(file) = &self.file {
            headers::replace(&mut fields, &file.current());
        }
        fields
    }
}

impl FieldsFile {
    fn current(&self) -> HeaderMap {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match headers::read(&self.path) {
            Ok(fields) => {
                if last.refused.take().is_some() || last.good != fields {
                    tracing::info!(
                        event = "otlp_headers_reloaded",
                        "header fields for the receiver of traces reloaded"
                    );
                }
                last.good = fields;
            }
            Err(error) => {
                let error = error.to_string();
                if last.refused.as_ref() != Some(&error) {
                    tracing::error!(
                        event = "otlp_headers_refused",
                        error,
                        "file with header fields for the receiver of traces refused; the last ones stay in force"
                    );
                    last.refused = Some(error);
                }
            }
        }
        last.good.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_counts_and_a_bad_one_leaves_the_last_fields() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("headers");
        std::fs::write(&path, "authorization: Bearer one\nx-scope: a\n").unwrap();
        let fields = ExportFields::open(Some(&path)).unwrap();
        let token = || fields.current().get("authorization").cloned().unwrap();
        assert_eq!(token(), "Bearer one");
        std::fs::write(&path, "not a field\n").unwrap();
        assert_eq!(token(), "Bearer one");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(token(), "Bearer one");
        std::fs::write(&path, "authorization: Bearer two\n").unwrap();
        assert_eq!(token(), "Bearer two");
        assert!(!fields.current().contains_key("x-scope"), "the whole file is replaced");
    }
}
