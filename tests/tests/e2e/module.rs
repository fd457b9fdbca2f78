//! The imports and exports of the filter's module. They affect the cost of each request and which Envoys load the
//! module.

use std::collections::BTreeSet;

use cellgate_tests::artifacts;

/// Section ids and an external kind of the WebAssembly Core Specification, 5.5.2, 5.5.5 and 5.5.10.
const IMPORT_SECTION: u8 = 2;
const EXPORT_SECTION: u8 = 7;
const FUNCTION: u8 = 0;

/// The list of exports, which the linker uses too.
const EXPORTS: &str = include_str!("../../../filter/exports.txt");

/// Reads an unsigned LEB128 number from the front.
fn number(bytes: &mut &[u8]) -> usize {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (byte, rest) = bytes.split_first().expect("a number");
        *bytes = rest;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

/// Reads `count` bytes from the front.
fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(count);
    *bytes = rest;
    taken
}

/// Reads a name from the front.
fn name(bytes: &mut &[u8]) -> String {
    let length = number(bytes);
    String::from_utf8(take(bytes, length).to_vec()).unwrap()
}

/// The contents of a section.
fn section(module: &[u8], wanted: u8) -> Vec<u8> {
    let mut rest = module.strip_prefix(b"\0asm\x01\0\0\0").expect("a module");
    while !rest.is_empty() {
        let kind = take(&mut rest, 1)[0];
        let size = number(&mut rest);
        let contents = take(&mut rest, size);
        if kind == wanted {
            return contents.to_vec();
        }
    }
    panic!("there is no section {wanted}");
}

fn exported_functions(module: &[u8]) -> BTreeSet<String> {
    let section = section(module, EXPORT_SECTION);
    let mut section = section.as_slice();
    let mut functions = BTreeSet::new();
    for _ in 0..number(&mut section) {
        let name = name(&mut section);
        let is_function = take(&mut section, 1)[0] == FUNCTION;
        number(&mut section);
        if is_function {
            functions.insert(name);
        }
    }
    functions
}

fn imports(module: &[u8]) -> BTreeSet<String> {
    let section = section(module, IMPORT_SECTION);
    let mut section = section.as_slice();
    let count = number(&mut section);
    let import = |_| {
        let (from, name) = (name(&mut section), name(&mut section));
        assert_eq!((from.as_str(), take(&mut section, 1)), ("env", &[FUNCTION][..]), "{name}");
        number(&mut section);
        name
    };
    (0..count).map(import).collect()
}

/// Envoy calls every exported callback on every request, even if the callback does nothing.
#[test]
fn exactly_the_listed_functions_are_exported() {
    let module = std::fs::read(artifacts::wasm().unwrap()).unwrap();
    assert_eq!(exported_functions(&module), EXPORTS.lines().map(str::to_owned).collect());
}

/// The filter has no work in the callbacks for responses, for the log and for finished requests.
#[test]
fn no_callback_without_work_is_listed() {
    let callbacks: Vec<_> = EXPORTS.lines().filter(|name| name.starts_with("proxy_on_")).collect();
    let expected = [
        "proxy_on_configure",
        "proxy_on_context_create",
        "proxy_on_delete",
        // The two ends of a call for leases. Envoy calls them once for each call.
        "proxy_on_grpc_close",
        "proxy_on_grpc_receive",
        "proxy_on_request_body",
        "proxy_on_request_headers",
        "proxy_on_request_trailers",
        "proxy_on_tick",
    ];
    assert_eq!(callbacks, expected);
}

/// Envoy loses body frames of a request that is resumed outside its own callbacks, as from the timer that makes the calls for
/// leases. A module without the call cannot do it.
#[test]
fn the_module_cannot_resume_a_request() {
    let module = std::fs::read(artifacts::wasm().unwrap()).unwrap();
    let imports = imports(&module);
    assert!(imports.contains("proxy_grpc_call") && !imports.contains("proxy_continue_stream"), "{imports:?}");
}

/// An Envoy without one of these does not load the module. The filter calls 13 of them; the SDK's
/// contexts can call the others.
#[test]
fn every_hostcall_is_one_of_abi_0_2_1() {
    let module = std::fs::read(artifacts::wasm().unwrap()).unwrap();
    let expected = [
        "proxy_add_header_map_value",
        "proxy_call_foreign_function",
        "proxy_close_stream",
        "proxy_define_metric",
        "proxy_dequeue_shared_queue",
        "proxy_done",
        "proxy_enqueue_shared_queue",
        "proxy_get_buffer_bytes",
        "proxy_get_current_time_nanoseconds",
        "proxy_get_header_map_pairs",
        "proxy_get_header_map_value",
        "proxy_get_property",
        "proxy_get_shared_data",
        "proxy_get_status",
        "proxy_grpc_call",
        "proxy_grpc_cancel",
        "proxy_grpc_close",
        "proxy_grpc_send",
        "proxy_grpc_stream",
        "proxy_http_call",
        "proxy_increment_metric",
        "proxy_log",
        "proxy_register_shared_queue",
        "proxy_remove_header_map_value",
        "proxy_replace_header_map_value",
        "proxy_resolve_shared_queue",
        "proxy_send_local_response",
        "proxy_set_buffer_bytes",
        "proxy_set_effective_context",
        "proxy_set_header_map_pairs",
        "proxy_set_property",
        "proxy_set_shared_data",
        "proxy_set_tick_period_milliseconds",
    ];
    assert_eq!(imports(&module), expected.map(str::to_owned).into());
}
