//! The invariants, on both sides: the answer that a client got, and the request that a cell got. Their breach is never
//! allowed, whatever the fault.

use std::fmt;

use anyhow::Result;
use cellgate_tests::cell::{Ending, Seen};
use cellgate_tests::client::Response;
use serde_json::Value;

use crate::traffic::{Expected, Kind, of_path};

/// The end of a request, as its client saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// The right answer.
    Good,
    /// Another status, without the answer of a cell or from a cell that fails.
    Status(u16),
    /// Another status of a gRPC call.
    Grpc(u16),
    /// The connection ended, or there was none.
    Cut,
    /// The client gave up.
    Late,
}

/// A broken invariant, in words.
pub(crate) type Breach = String;

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good => formatter.write_str("good"),
            Self::Status(status) => write!(formatter, "{status}"),
            Self::Grpc(status) => write!(formatter, "gRPC {status}"),
            Self::Cut => formatter.write_str("cut"),
            Self::Late => formatter.write_str("no answer"),
        }
    }
}

/// Judges the answer to the request of a kind with this number. An error is a connection that ended.
///
/// # Errors
/// The answer breaks an invariant.
pub(crate) fn answer(kind: &Kind, number: u64, answer: &Result<Response>) -> Result<Outcome, Breach> {
    let Ok(answer) = answer else { return Ok(Outcome::Cut) };
    let status = answer.status.as_u16();
    let grpc_status = answer.trailer("grpc-status").or(answer.header("grpc-status")).and_then(|text| text.parse().ok());
    let outcome = match grpc_status {
        Some(0) | None => Outcome::Status(status),
        Some(other) => Outcome::Grpc(other),
    };
    match (answer.served_by(), kind.expected) {
        (Some(cell), Expected::Refusal(..)) => Err(format!("{cell} answered a request that must be refused")),
        (Some(cell), Expected::Cell(home)) if cell != home => {
            Err(format!("{cell} answered, and the tenant is in {home}"))
        }
        (Some(cell), Expected::Cell(_)) => {
            if outcome != Outcome::Status(200) {
                return Ok(outcome);
            }
            let echoed = if kind.is_grpc() { messages(kind, answer) } else { description(kind, number, answer, cell) };
            echoed.map(|()| Outcome::Good)
        }
        (None, Expected::Refusal(wanted, code)) if status == wanted && has_code(answer, code) => Ok(Outcome::Good),
        // A gRPC error is a 200 too.
        (None, _) if outcome == Outcome::Status(200) => Err("a 200 that is no cell's".to_owned()),
        (None, _) => Ok(outcome),
    }
}

/// Judges a request that reached `cell`.
///
/// # Errors
/// It breaks an invariant.
pub(crate) fn arrival(kinds: &[Kind], cell: &str, seen: &Seen) -> Result<(), Breach> {
    let Some(kind) = of_path(kinds, &seen.path) else {
        return Err(format!("{cell} got {}, which no client has sent whole", seen.path));
    };
    headers(cell, &seen.headers)?;
    match kind.expected {
        Expected::Cell(home) if home != cell => Err(format!("{cell} got a request of a tenant in {home}")),
        Expected::Cell(_) if seen.ending == Ending::Complete && seen.sha256 != kind.sum => {
            Err(format!("{cell} got a changed body of {} bytes", seen.body_bytes))
        }
        Expected::Refusal(..) if seen.ending == Ending::Complete => {
            Err(format!("{cell} got a whole request that must be refused"))
        }
        _ => Ok(()),
    }
}

/// The cell's description of what it got.
fn description(kind: &Kind, number: u64, answer: &Response, cell: &str) -> Result<(), Breach> {
    let seen: Value =
        serde_json::from_slice(&answer.body).map_err(|error| format!("the answer is damaged: {error}"))?;
    // Clients of the same cell send the same body, so only the path tells their answers apart.
    if seen["path"] != *kind.path(number) {
        return Err(format!("the answer to {} came for {}", seen["path"], kind.path(number)));
    }
    if seen["sha256"] != *kind.sum || seen["body_bytes"] != kind.body.len() {
        return Err(format!("{cell} got a changed body of {} bytes", seen["body_bytes"]));
    }
    let pairs = seen["headers"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    headers(cell, &pairs.map(|pair| (text(&pair[0]), text(&pair[1]))).collect::<Vec<_>>())
}

/// The messages that come back are those that were sent.
fn messages(kind: &Kind, answer: &Response) -> Result<(), Breach> {
    if answer.body == kind.body { Ok(()) } else { Err(format!("{} other bytes came back", answer.body.len())) }
}

/// A cell sees one routing header, with its own name, and no internal header.
fn headers(cell: &str, headers: &[(String, String)]) -> Result<(), Breach> {
    let cells: Vec<_> = headers.iter().filter(|(name, _)| name == "x-cell").map(|(_, value)| value.as_str()).collect();
    if cells != [cell] {
        return Err(format!("{cell} got x-cell {cells:?}"));
    }
    match headers.iter().find(|(name, _)| name.starts_with("x-cellgate-")) {
        Some((name, value)) => Err(format!("{cell} got {name}: {value}")),
        None => Ok(()),
    }
}

fn has_code(answer: &Response, code: &str) -> bool {
    serde_json::from_slice::<Value>(&answer.body).is_ok_and(|problem| problem["code"] == code)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use super::*;
    use crate::traffic::kinds;

    fn kind(name: &str) -> Kind {
        kinds().unwrap().into_iter().find(|kind| kind.name == name).unwrap()
    }

    /// The answer of a cell that got `sum` and `headers`.
    fn answered(cell: &str, kind: &Kind, sum: &str, headers: &Value) -> Result<Response> {
        let body = json!({"path": kind.path(1), "sha256": sum, "body_bytes": kind.body.len(), "headers": headers});
        let headers = vec![("served-by".to_owned(), cell.to_owned())];
        Ok(Response { status: StatusCode::OK, headers, body: body.to_string().into(), trailers: Vec::new() })
    }

    fn refused(status: u16, body: &Value) -> Result<Response> {
        let status = StatusCode::from_u16(status).unwrap();
        Ok(Response { status, headers: Vec::new(), body: body.to_string().into(), trailers: Vec::new() })
    }

    fn seen(kind: &Kind, ending: Ending) -> Seen {
        Seen {
            method: "POST".to_owned(),
            path: kind.path(1),
            headers: vec![("x-cell".to_owned(), "cell-b".to_owned())],
            body_bytes: 0,
            sha256: kind.sum.clone(),
            trailers: Vec::new(),
            ending,
        }
    }

    #[test]
    fn right_answers_are_good() {
        let large = kind("large");
        let right = answered("cell-b", &large, &large.sum, &json!([["x-cell", "cell-b"]]));
        assert_eq!(answer(&large, 1, &right), Ok(Outcome::Good));
        let refusal = refused(400, &json!({"code": "key_duplicated"}));
        assert_eq!(answer(&kind("two-keys"), 1, &refusal), Ok(Outcome::Good));
    }

    #[test]
    fn errors_are_outcomes_for_the_table_of_faults_to_judge() {
        let large = kind("large");
        assert_eq!(answer(&large, 1, &refused(503, &json!({}))), Ok(Outcome::Status(503)));
        assert_eq!(answer(&large, 1, &Err(anyhow::anyhow!("reset"))), Ok(Outcome::Cut));
        // A refusal for another reason is no right answer.
        assert_eq!(
            answer(&kind("two-keys"), 1, &refused(400, &json!({"code": "key_missing"}))),
            Ok(Outcome::Status(400))
        );
    }

    #[test]
    fn a_planted_breach_of_each_invariant_is_found_in_an_answer() {
        let large = kind("large");
        let one = json!([["x-cell", "cell-b"]]);
        let planted = [
            ("the wrong cell", answered("cell-a", &large, &large.sum, &json!([["x-cell", "cell-a"]]))),
            ("a changed body", answered("cell-b", &large, "00", &one)),
            ("a header of the client", answered("cell-b", &large, &large.sum, &json!([["x-cell", "cell-a"]]))),
            (
                "two headers",
                answered("cell-b", &large, &large.sum, &json!([["x-cell", "cell-b"], ["x-cell", "cell-a"]])),
            ),
            (
                "an internal header",
                answered("cell-b", &large, &large.sum, &json!([["x-cell", "cell-b"], ["x-cellgate-key", "globex"]])),
            ),
            ("a 200 of nobody", refused(200, &json!({}))),
        ];
        for (breach, planted) in planted {
            assert!(answer(&large, 1, &planted).is_err(), "{breach} was not found");
        }
        let two_keys = kind("two-keys");
        let admitted = answered("cell-b", &two_keys, &two_keys.sum, &one);
        assert!(answer(&two_keys, 1, &admitted).unwrap_err().contains("must be refused"));
    }

    /// These clients share a body and a cell.
    #[test]
    fn an_answer_to_another_request_is_found() {
        let (json, forged) = (kind("json"), kind("forged"));
        assert_eq!(json.sum, forged.sum);
        let swapped = answered("cell-b", &forged, &forged.sum, &json!([["x-cell", "cell-b"]]));
        assert_eq!(answer(&forged, 1, &swapped), Ok(Outcome::Good));
        for (kind, number) in [(&json, 1), (&forged, 2)] {
            assert!(answer(kind, number, &swapped).unwrap_err().contains("/forged/1"));
        }
    }

    #[test]
    fn a_planted_breach_of_each_invariant_is_found_at_a_cell() {
        let kinds = kinds().unwrap();
        let (large, two_keys) = (kind("large"), kind("two-keys"));
        let right = seen(&large, Ending::Complete);
        assert_eq!(arrival(&kinds, "cell-b", &right), Ok(()));
        // A request that was cut off is an error for its client, and no breach.
        let cut = Seen { sha256: String::new(), ..seen(&large, Ending::Broken) };
        assert_eq!(arrival(&kinds, "cell-b", &cut), Ok(()));
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let other = vec![header("x-cell", "cell-a")];
        let internal = vec![header("x-cell", "cell-b"), header("x-cellgate-defer", "x")];
        let planted = [
            ("the wrong cell", "cell-a", Seen { headers: other.clone(), ..right.clone() }),
            ("a changed body", "cell-b", Seen { sha256: "00".to_owned(), ..right.clone() }),
            ("a header of the client", "cell-b", Seen { headers: other, ..right.clone() }),
            ("an internal header", "cell-b", Seen { headers: internal, ..right.clone() }),
            ("no header", "cell-b", Seen { headers: Vec::new(), ..right.clone() }),
            ("an unfinished upload", "cell-b", Seen { path: "/burst/1".to_owned(), ..right }),
            ("two keys", "cell-b", seen(&two_keys, Ending::Complete)),
        ];
        for (breach, cell, planted) in planted {
            assert!(arrival(&kinds, cell, &planted).is_err(), "{breach} was not found");
        }
    }
}
