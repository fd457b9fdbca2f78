//! Finds the entries of one request in access logs of any size.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use serde::Deserialize;
use serde_json::Map;

use super::access_entry::{AccessEntry, LOG_FORMAT};
use super::near_ids::NearIds;
use crate::shown_text::shown;

/// Longer lines are passed over. Envoy's longest lines have the longest path: 60 KiB of headers by default.
const LONGEST_LINE: u64 = 256 * 1024;

/// The most entries of one request. A retry by the client may have the same id, and so may every request of a hostile one.
const MOST_ENTRIES: usize = 100;

/// The entries of one request, and what else the logs have.
#[derive(Debug, Default)]
pub(crate) struct LogScan {
    id: String,
    entries: Vec<AccessEntry>,
    further: u64,
    passed_over: PassedOver,
    near: NearIds,
}

/// The lines that are no entry of the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PassedOver {
    /// Entries of other requests.
    pub(super) requests: u64,
    /// Lines that are not in the format, such as those of the proxy's own log.
    pub(super) other: u64,
    /// Lines that name the format, and are not JSON: cut off, or joined with another line.
    pub(super) broken: u64,
    /// Lines over the limit.
    pub(super) too_long: u64,
}

/// The path of Envoy's calls of the service.
const CALL_OF_SERVICE: &str = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";

/// The fields by which an entry is found.
#[derive(Deserialize)]
struct EntryHead<'a> {
    #[serde(borrow, default)]
    log_format: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    request_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    path: Option<Cow<'a, str>>,
    /// The decision of the filter.
    #[serde(borrow, default)]
    cellgate_filter: Option<Cow<'a, str>>,
}

impl EntryHead<'_> {
    /// Whether a proxy in front of the service logs Envoy's call of it, which has the id of its request.
    fn is_call_of_service(&self) -> bool {
        self.path.as_deref() == Some(CALL_OF_SERVICE) && self.cellgate_filter.as_deref().is_none_or(|text| text == "-")
    }
}

impl LogScan {
    /// A scan for one request.
    pub(crate) fn new(id: &str) -> Self {
        Self { id: id.to_owned(), ..Self::default() }
    }

    /// Reads one log to its end.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn read(&mut self, mut log: impl BufRead) -> io::Result<()> {
        let mut line = Vec::new();
        loop {
            line.clear();
            if log.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            if line.len() as u64 == LONGEST_LINE && !line.ends_with(b"\n") && skip_line(&mut log, &mut line)? {
                self.passed_over.too_long += 1;
            } else {
                self.take(line.trim_ascii());
            }
        }
    }

    /// The entries in the order in which the requests began.
    pub(crate) fn entries(&self) -> Vec<&AccessEntry> {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by_key(|entry| entry.time());
        entries
    }

    /// Whether there is an entry of the request.
    pub(crate) fn is_found(&self) -> bool {
        !self.entries.is_empty()
    }

    /// Whether no line is in the format.
    pub(crate) fn has_no_entries_at_all(&self) -> bool {
        !self.is_found() && self.passed_over.requests == 0 && self.passed_over.broken == 0
    }

    /// Whether the logs have no line at all.
    pub(crate) fn is_empty(&self) -> bool {
        !self.is_found() && self.passed_over == PassedOver::default()
    }

    /// The message about a request without an entry.
    pub(crate) fn not_found(&self) -> String {
        let PassedOver { requests, broken, too_long, .. } = self.passed_over;
        let near = match self.near() {
            [] => "Look at the time of the request, and at the logs of all replicas of the gateway".to_owned(),
            near => {
                format!("Did you mean {}?", near.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(" or "))
            }
        };
        let lost = match broken + too_long {
            0 => String::new(),
            lines => format!("; lines that are cut off or over 256 KiB: {lines}"),
        };
        let noun = if requests == 1 { "entry" } else { "entries" };
        format!("no entry of request `{}` among {requests} {noun} of other requests{lost}. {near}", shown(&self.id))
    }

    /// The id.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The number of entries beyond the first hundred.
    pub(super) fn further(&self) -> u64 {
        self.further
    }

    /// The other lines.
    pub(super) fn passed_over(&self) -> PassedOver {
        self.passed_over
    }

    /// Ids that resemble the one that was asked for.
    pub(super) fn near(&self) -> &[String] {
        self.near.ids()
    }

    fn take(&mut self, line: &[u8]) {
        let (before, object) = line.split_at(line.iter().position(|byte| *byte == b'{').unwrap_or(line.len()));
        match serde_json::from_slice::<EntryHead<'_>>(object) {
            Ok(head) if head.is_call_of_service() => self.passed_over.other += 1,
            Ok(EntryHead { log_format: Some(format), request_id, .. }) if format == LOG_FORMAT => {
                let id = request_id.unwrap_or_default();
                if *id != *self.id {
                    self.near.offer(&self.id, &id);
                    self.passed_over.requests += 1;
                } else if self.entries.len() == MOST_ENTRIES {
                    self.further += 1;
                } else if let Ok(fields) = serde_json::from_slice::<Map<_, _>>(object) {
                    self.entries.push(AccessEntry::new(container(before), fields));
                }
            }
            Err(_) if object.windows(LOG_FORMAT.len()).any(|part| part == LOG_FORMAT.as_bytes()) => {
                self.passed_over.broken += 1;
            }
            _ => self.passed_over.other += 1,
        }
    }
}

/// Skips the rest of a line. `false`: the line had just ended with the log.
fn skip_line(log: &mut impl BufRead, buffer: &mut Vec<u8>) -> io::Result<bool> {
    let mut is_skipped = false;
    loop {
        // The buffer keeps a line that has just ended.
        let kept = buffer.len();
        let read = log.by_ref().take(LONGEST_LINE).read_until(b'\n', buffer)?;
        let is_end = read == 0 || buffer.ends_with(b"\n");
        buffer.truncate(kept);
        is_skipped |= read > 0;
        if is_end {
            return Ok(is_skipped);
        }
    }
}

/// `[pod/NAME/CONTAINER]`, as `kubectl logs --prefix` writes it.
fn container(before: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(before).ok()?;
    text.split_once('[')?.1.split_once(']').map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn line(id: &str, more: &str) -> String {
        format!(r#"{{"time":"2026-11-30T10:00:00.000Z","request_id":"{id}","log_format":"cellgate/1"{more}}}"#)
    }

    fn scan(id: &str, log: impl AsRef<[u8]>) -> LogScan {
        let mut scan = LogScan::new(id);
        scan.read(log.as_ref()).unwrap();
        scan
    }

    #[test]
    fn the_call_of_the_service_is_no_entry_of_its_request() {
        let call = r#","path":"/envoy.service.ext_proc.v3.ExternalProcessor/Process","cellgate_filter":null"#;
        let scan = scan("a-request", [line("a-request", r#","path":"/orders""#), line("a-request", call)].join("\n"));
        assert_eq!((scan.entries().len(), scan.passed_over().other), (1, 1));
    }

    #[test]
    fn other_lines_are_counted_by_kind() {
        let log = [
            line("a-request", ""),
            line("another", r#","status":200"#),
            "2026-11-30T10:00:00Z info Envoy proxy is ready".to_owned(),
            r#"{"level":"INFO","event":"listening"}"#.to_owned(),
            r#"{"time":"x","log_format":"cellgate/2","request_id":"a-request"}"#.to_owned(),
            line("a-request", "").replace("}", ""),
            String::new(),
        ];
        let scan = scan("a-request", log.join("\n"));
        assert_eq!(scan.entries().len(), 1);
        assert_eq!(scan.passed_over(), PassedOver { requests: 1, other: 3, broken: 1, too_long: 0 });
    }

    #[test]
    fn a_prefix_of_kubectl_names_the_container() {
        let log = format!("[pod/gateway-1/istio-proxy] 2026-11-30T10:00:00Z {}\n{}", line("id", ""), line("id", ""));
        let scan = scan("id", log);
        let proxies: Vec<_> = scan.entries().into_iter().map(AccessEntry::proxy).collect();
        assert_eq!(proxies, [Some("pod/gateway-1/istio-proxy"), None]);
    }

    #[test]
    fn a_line_of_ten_megabytes_is_passed_over_and_the_next_one_read() {
        let long = line("id", &format!(r#","path":"{}""#, "a".repeat(10 << 20)));
        let log = format!("{long}\n{}\n{long}", line("id", ""));
        // Also with a buffer that is smaller than a line.
        for capacity in [1, 7, 8192] {
            let mut scan = LogScan::new("id");
            scan.read(BufReader::with_capacity(capacity.max(64), log.as_bytes())).unwrap();
            assert_eq!((scan.entries().len(), scan.passed_over().too_long), (1, 2), "{capacity}");
        }
    }

    #[test]
    fn lines_about_as_long_as_the_limit_are_read_or_passed_over() {
        let limit = usize::try_from(LONGEST_LINE).unwrap();
        let empty = line("id", r#","path":"""#).len();
        for (length, is_read) in [(limit - 1, true), (limit, true), (limit + 1, false)] {
            let text = line("id", &format!(r#","path":"{}""#, "a".repeat(length - empty)));
            assert_eq!(text.len(), length);
            for (ending, is_read) in [("", is_read), ("\nx", is_read && length < limit)] {
                let scan = scan("id", text.clone() + ending);
                assert_eq!(!scan.entries().is_empty(), is_read, "{length} bytes, then {ending:?}");
            }
        }
    }

    #[test]
    fn a_flood_of_entries_with_one_id_is_bounded() {
        let log = format!("{}\n", line("id", "")).repeat(1000);
        let scan = scan("id", log);
        assert_eq!((scan.entries().len(), scan.further()), (100, 900));
    }

    #[test]
    fn entries_are_in_the_order_of_their_times() {
        let early = line("id", r#","pod":"gateway""#);
        let late = line("id", r#","pod":"sidecar""#).replace("00.000Z", "00.001Z");
        let scan = scan("id", format!("{late}\n{early}"));
        let proxies: Vec<_> = scan.entries().into_iter().map(|entry| entry.proxy().unwrap()).collect();
        assert_eq!(proxies, ["gateway", "sidecar"]);
    }

    #[test]
    fn the_message_about_near_ids_has_no_invisible_characters() {
        let log = [line("abcd1234\u{9b}31mX\u{202e}gnp", ""), line("abcd12345", "")].join("\n");
        let message = scan("abcd1234\u{202e}", log.as_str()).not_found();
        assert!(!message.chars().any(crate::shown_text::is_hidden), "{message:?}");
        let message = scan("abcd1234", log).not_found();
        assert!(message.ends_with("Did you mean `abcd12345`?"), "{message:?}");
    }
}
