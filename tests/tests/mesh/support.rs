//! Requests and bodies that more than one module needs.

use cellgate_tests::client::Request;

/// `{"x":"ppp…","tenant":{"id":TENANT}}` of exactly `size` bytes: the key is the last thing in it.
pub(crate) fn key_last(tenant: &str, size: usize) -> String {
    let (start, end) = (r#"{"x":""#, format!(r#"","tenant":{{"id":"{tenant}"}}}}"#));
    let padding = size.checked_sub(start.len() + end.len()).expect("the size has room for the key");
    format!("{start}{}{end}", "p".repeat(padding))
}

/// A body in pieces of 16 KiB, for requests of unknown length.
pub(crate) fn pieces(body: &str) -> Vec<Vec<u8>> {
    body.as_bytes().chunks(16 * 1024).map(<[u8]>::to_vec).collect()
}

/// A tenant's small request.
pub(crate) fn of(tenant: &str) -> Request {
    Request::post("/").json(format!(r#"{{"tenant":{{"id":"{tenant}"}}}}"#))
}
