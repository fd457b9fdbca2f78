//! What the filter's module asks of an Envoy: that decides what each request costs, and which Envoys load it.

use std::collections::BTreeSet;

use cellgate_tests::artifacts;

/// Numbers of sections and of an external kind: WebAssembly Core Specification, 5.5.2 and 5.5.10.
const EXPORT_SECTION: u8 = 7;
const FUNCTION: u8 = 0;

/// Takes an unsigned LEB128 number off the front.
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

/// Takes so many bytes off the front.
fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(count);
    *bytes = rest;
    taken
}

fn exported_functions(module: &[u8]) -> BTreeSet<String> {
    let mut rest = module.strip_prefix(b"\0asm\x01\0\0\0").expect("a module");
    let mut functions = BTreeSet::new();
    while !rest.is_empty() {
        let kind = take(&mut rest, 1)[0];
        let size = number(&mut rest);
        let mut section = take(&mut rest, size);
        if kind != EXPORT_SECTION {
            continue;
        }
        for _ in 0..number(&mut section) {
            let length = number(&mut section);
            let name = String::from_utf8_lossy(take(&mut section, length)).into_owned();
            let is_function = take(&mut section, 1)[0] == FUNCTION;
            number(&mut section);
            if is_function {
                functions.insert(name);
            }
        }
    }
    functions
}

/// Envoy calls every callback that it finds, on every request, whether or not there is something to do.
#[test]
fn only_callbacks_with_work_are_exported() {
    let module = std::fs::read(artifacts::wasm().unwrap()).unwrap();
    let expected = [
        "_initialize",
        "proxy_abi_version_0_2_1",
        "proxy_on_configure",
        "proxy_on_context_create",
        "proxy_on_delete",
        "proxy_on_memory_allocate",
        "proxy_on_request_body",
        "proxy_on_request_headers",
        "proxy_on_request_trailers",
    ];
    assert_eq!(exported_functions(&module), expected.map(str::to_owned).into());
}
