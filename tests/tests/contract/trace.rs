//! Envoy's trace of the calls between it and the filter (`wasm:trace`) as text.
//!
//! Envoy writes a line before and a line after each callback into the module (`[host->vm]`, `[host<-vm]`) and each hostcall of
//! the module (`[vm->host]`, `[vm<-host]`), with its numbers. Those that are addresses or lengths of the module's memory say
//! nothing. The others get their names from the ABI of proxy-wasm.

use std::collections::BTreeMap;

/// The callbacks and the hostcalls with numbers that mean something, and the name of each by its place. `-`: it is not shown.
const ARGUMENTS: [(&str, &[&str]); 12] = [
    ("proxy_on_request_headers", &["-", "-", "end_of_stream"]),
    ("proxy_on_request_body", &["-", "size", "end_of_stream"]),
    ("proxy_on_grpc_close", &["-", "-", "status"]),
    ("proxy_get_buffer_bytes", &["buffer", "start"]),
    ("proxy_get_header_map_pairs", &["map"]),
    ("proxy_replace_header_map_value", &["map"]),
    ("proxy_remove_header_map_value", &["map"]),
    ("proxy_add_header_map_value", &["map"]),
    ("proxy_send_local_response", &["status"]),
    ("proxy_set_tick_period_milliseconds", &["milliseconds"]),
    ("proxy_define_metric", &["kind"]),
    ("proxy_log", &["level"]),
];

/// Names of numbers: <https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1>.
const BUFFERS: [&str; 8] = [
    "request body",
    "response body",
    "downstream data",
    "upstream data",
    "call response",
    "gRPC message",
    "vm configuration",
    "plugin configuration",
];
const MAPS: [&str; 4] = ["request headers", "request trailers", "response headers", "response trailers"];
const STATUSES: [&str; 3] = ["ok", "not found", "bad argument"];

/// A callback, and the hostcalls that the module makes in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Callback {
    pub(crate) name: String,
    pub(crate) thread: String,
    pub(crate) numbers: Vec<u64>,
    pub(crate) calls: Vec<HostCall>,
    returned: String,
}

/// A hostcall.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostCall {
    pub(crate) name: String,
    numbers: Vec<u64>,
    returned: String,
}

/// The callbacks in a log that have returned, in this order.
pub(crate) fn callbacks(log: &str) -> Vec<Callback> {
    let (mut open, mut done) = (BTreeMap::<&str, Vec<Callback>>::new(), Vec::new());
    for line in log.lines() {
        // [time][thread][level][component]
        let Some(thread) = line.split('[').nth(2).and_then(|part| part.strip_suffix(']')) else { continue };
        let stack = open.entry(thread).or_default();
        if let Some((name, numbers)) = line.split_once("[host->vm] ").and_then(|(_, call)| parsed(call)) {
            stack.push(Callback { name, thread: thread.to_owned(), numbers, ..Callback::default() });
        } else if let Some((_, returned)) = line.split_once("[host<-vm] ") {
            let Some(mut callback) = stack.pop() else { continue };
            callback.returned = value(returned);
            done.push(callback);
        } else if let Some((name, numbers)) = line.split_once("[vm->host] ").and_then(|(_, call)| parsed(call)) {
            let call = HostCall { name, numbers, ..HostCall::default() };
            stack.iter_mut().next_back().into_iter().for_each(|callback| callback.calls.push(call.clone()));
        } else if let Some((_, returned)) = line.split_once("[vm<-host] ") {
            let call = stack.last_mut().and_then(|callback| callback.calls.last_mut());
            call.into_iter().for_each(|call| call.returned = value(returned));
        }
    }
    // The host gets the memory for its answers by a call too.
    done.retain(|callback| callback.name != "malloc");
    done
}

/// `NAME(1, 2)`, or `env.NAME(1, 2)` for a hostcall.
fn parsed(call: &str) -> Option<(String, Vec<u64>)> {
    let (name, numbers) = call.trim_end().strip_suffix(')')?.split_once('(')?;
    let numbers = numbers.split(", ").filter_map(|number| number.parse().ok()).collect();
    Some((name.trim_start_matches("env.").to_owned(), numbers))
}

/// The value in `NAME return: VALUE`.
fn value(returned: &str) -> String {
    returned.rsplit_once("return: ").map_or("", |(_, value)| value.trim_end()).to_owned()
}

impl Callback {
    /// The context: that of a request, or of the filter itself.
    pub(crate) fn context(&self) -> u64 {
        self.numbers.first().copied().unwrap_or_default()
    }

    /// A line for the callback and one for each hostcall. Unless sizes are `exact`, they are only zero or not.
    pub(crate) fn text(&self, exact: bool) -> String {
        let returned = match (self.name.as_str(), self.returned.as_str()) {
            ("proxy_on_request_headers" | "proxy_on_request_body" | "proxy_on_request_trailers", action) => {
                format!(" -> {}", ["continue", "pause"].get(action.parse::<usize>().unwrap_or(2)).unwrap_or(&action))
            }
            (_, "void" | "") => String::new(),
            (_, value) => format!(" -> {value}"),
        };
        let mut text = format!("{}({}){returned}", self.name, numbers(&self.name, &self.numbers, exact));
        for call in &self.calls {
            text += &format!("\n  {}", call.text(exact));
        }
        text
    }
}

impl HostCall {
    fn text(&self, exact: bool) -> String {
        let status = self.returned.parse().ok().and_then(|status: usize| STATUSES.get(status));
        let status = status.map_or(self.returned.as_str(), |status| status);
        format!("{}({}) -> {status}", self.name, numbers(&self.name, &self.numbers, exact))
    }
}

fn numbers(name: &str, numbers: &[u64], exact: bool) -> String {
    let names = ARGUMENTS.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, names)| names);
    let named = |names: &[&str], number: u64| {
        let name = usize::try_from(number).ok().and_then(|number| names.get(number).copied());
        name.map_or_else(|| number.to_string(), str::to_owned)
    };
    let shown = names.iter().zip(numbers).filter_map(|(name, number)| {
        Some(match *name {
            "-" => return None,
            "buffer" => named(&BUFFERS, *number),
            "map" => named(&MAPS, *number),
            "end_of_stream" => format!("end_of_stream={}", *number != 0),
            "size" | "start" if !exact && *number > 0 => format!("{name}=n"),
            name => format!("{name}={number}"),
        })
    });
    shown.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
[2026-01-01 00:00:00.000][7][trace][wasm] [source/wasm.cc:1] [host->vm] proxy_on_request_body(3, 5, 1)
[2026-01-01 00:00:00.000][7][trace][wasm] [source/wasm.cc:1] [vm->host] env.proxy_get_buffer_bytes(0, 2, 5, 1024, 1028)
[2026-01-01 00:00:00.000][7][trace][wasm] [source/wasm.cc:1] [host->vm] malloc(3)
[2026-01-01 00:00:00.000][8][trace][wasm] [source/wasm.cc:1] [host->vm] proxy_on_tick(1)
[2026-01-01 00:00:00.000][7][trace][wasm] [source/wasm.cc:1] [host<-vm] malloc return: 4096
[2026-01-01 00:00:00.000][7][trace][wasm] [source/wasm.cc:1] [vm<-host] env.proxy_get_buffer_bytes return: 0
[2026-01-01 00:00:00.000][7][trace][wasm] [source/wasm.cc:1] [host<-vm] proxy_on_request_body return: 1
";

    #[test]
    fn a_callback_has_its_hostcalls_whatever_other_threads_do() {
        let found = callbacks(LOG);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].context(), &*found[0].thread), (3, "7"));
        let text = "proxy_on_request_body(size=5, end_of_stream=true) -> pause\n  proxy_get_buffer_bytes(request body, start=2) -> ok";
        assert_eq!(found[0].text(true), text);
        assert_eq!(found[0].text(false), text.replace("size=5", "size=n").replace("start=2", "start=n"));
    }
}
