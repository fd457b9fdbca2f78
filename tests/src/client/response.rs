//! A response, with accessors for tests.

use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;

use crate::cell::SERVED_BY;

/// A complete response.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// Headers in the order of arrival, names in lower case, values as ISO 8859-1.
    pub headers: Vec<(String, String)>,
    /// The body, without chunk framing.
    pub body: Bytes,
    /// Trailers.
    pub trailers: Vec<(String, String)>,
}

impl Response {
    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// Every value of a header, one for each header line.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(field, _)| field == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The first value of a trailer.
    #[must_use]
    pub fn trailer(&self, name: &str) -> Option<&str> {
        self.trailers.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// The cell that responded, or `None` if Envoy itself did.
    #[must_use]
    pub fn served_by(&self) -> Option<&str> {
        self.header(SERVED_BY)
    }

    /// The cell that responded.
    ///
    /// # Panics
    /// When Envoy itself responded. The message shows the response.
    #[must_use]
    #[track_caller]
    pub fn cell(&self) -> &str {
        self.served_by()
            .unwrap_or_else(|| panic!("the response did not come from a cell: {} {:?}", self.status, self.text()))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("{error} in {} {:?}", self.status, self.text()),
        }
    }

    /// SHA-256 of the request body that the cell received; compare with [`crate::sha256`].
    ///
    /// # Panics
    /// When the response did not come from a cell.
    #[must_use]
    #[track_caller]
    pub fn sha256(&self) -> String {
        self.json()["sha256"].as_str().unwrap_or_default().to_owned()
    }

    /// Every value of a request header that the cell received.
    ///
    /// # Panics
    /// When the response did not come from a cell.
    #[must_use]
    #[track_caller]
    pub fn received(&self, header: &str) -> Vec<String> {
        pairs(&self.json()["headers"], header)
    }

    /// Every value of a request trailer that the cell received.
    ///
    /// # Panics
    /// When the response did not come from a cell.
    #[must_use]
    #[track_caller]
    pub fn received_trailer(&self, trailer: &str) -> Vec<String> {
        pairs(&self.json()["trailers"], trailer)
    }
}

fn pairs(list: &Value, name: &str) -> Vec<String> {
    let pairs = list.as_array().into_iter().flatten();
    pairs.filter(|pair| pair[0] == name).filter_map(|pair| pair[1].as_str()).map(str::to_owned).collect()
}
