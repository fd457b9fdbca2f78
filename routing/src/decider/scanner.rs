//! The scanner of a body, by its format.

use std::sync::Arc;

use crate::body::BodyScanner;
use crate::form::{FormQuery, FormScanner};
use crate::json::{JsonQuery, JsonScanner};
use crate::source::Format;

#[derive(Debug)]
pub(super) enum FormatScanner {
    Json(Box<JsonScanner>),
    Form(Box<FormScanner>),
}

impl FormatScanner {
    pub(super) fn new(format: Format, json: &Arc<JsonQuery>, form: &Arc<FormQuery>) -> Self {
        match format {
            Format::Json => FormatScanner::Json(Box::new(JsonScanner::new(Arc::clone(json)))),
            Format::Form => FormatScanner::Form(Box::new(FormScanner::new(Arc::clone(form)))),
        }
    }

    pub(super) fn format(&self) -> Format {
        match self {
            FormatScanner::Json(_) => Format::Json,
            FormatScanner::Form(_) => Format::Form,
        }
    }

    pub(super) fn get(&self) -> &dyn BodyScanner {
        match self {
            FormatScanner::Json(scanner) => scanner.as_ref(),
            FormatScanner::Form(scanner) => scanner.as_ref(),
        }
    }

    pub(super) fn get_mut(&mut self) -> &mut dyn BodyScanner {
        match self {
            FormatScanner::Json(scanner) => scanner.as_mut(),
            FormatScanner::Form(scanner) => scanner.as_mut(),
        }
    }
}
