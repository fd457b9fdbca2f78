//! The proxy-wasm ABI 0.2.1, as far as Cellgate uses it: the hostcalls, and the only pointers.
//!
//! Every status is checked, and none is a panic: what the host refuses is `None` or `false`. What the host hands over it
//! has put where [`allocate`] said, so it is a `Vec` of ours and freed like one.
#![expect(unsafe_code, reason = "hostcalls take and give pointers; each block says why they are good")]

use std::alloc::{Layout, alloc};
use std::ptr::{NonNull, null, null_mut};

/// `Ok` in the ABI; every other number is a refusal.
const OK: u32 = 0;

/// No gRPC status: the answer is an HTTP answer, which Envoy turns into gRPC's form for a gRPC request.
const NO_GRPC_STATUS: i32 = -1;

/// Buffers, by the ABI's numbers.
#[derive(Clone, Copy)]
pub(super) enum Buffer {
    RequestBody = 0,
    PluginConfiguration = 7,
}

/// Header maps, by the ABI's numbers.
#[derive(Clone, Copy)]
pub(super) enum Map {
    RequestHeaders = 0,
    RequestTrailers = 1,
}

/// Log levels, by the ABI's numbers.
#[derive(Clone, Copy)]
pub(super) enum LogLevel {
    Info = 2,
    Error = 4,
    Critical = 5,
}

/// The ABI's number for a counter.
const COUNTER: u32 = 0;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, text: *const u8, text_size: usize) -> u32;
    fn proxy_get_buffer_bytes(buffer: u32, start: usize, max: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_get_property(path: *const u8, path_size: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, value_size: usize) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, by: i64) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        version: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(key: *const u8, key_size: usize, data: *const u8, size: usize, version: u32) -> u32;
}

/// Room for `size` bytes that the host hands over next. Null where there is none: the host then refuses the call it wanted
/// the room for, and one request is refused instead of the VM lost.
// Only `entry` calls it, and tests.
#[cfg_attr(not(all(feature = "entry", target_arch = "wasm32")), allow(dead_code))]
pub(crate) fn allocate(size: usize) -> *mut u8 {
    match Layout::array::<u8>(size) {
        Ok(layout) if layout.size() == 0 => NonNull::dangling().as_ptr(),
        // SAFETY: the layout has a size.
        Ok(layout) => unsafe { alloc(layout) },
        Err(_) => null_mut(),
    }
}

pub(super) fn log(level: LogLevel, line: &str) -> bool {
    // SAFETY: the host reads the slice during the call.
    unsafe { proxy_log(level as u32, line.as_ptr(), line.len()) == OK }
}

/// At most `max` bytes from `start` on.
pub(super) fn buffer(buffer: Buffer, start: usize, max: usize) -> Option<Vec<u8>> {
    // SAFETY: the host writes both results before it returns.
    owned(|data, size| unsafe { proxy_get_buffer_bytes(buffer as u32, start, max, data, size) })
}

/// All fields, as a block that [`super::Fields`] can read.
pub(super) fn fields(map: Map) -> Option<Vec<u8>> {
    // SAFETY: the host writes both results before it returns.
    owned(|data, size| unsafe { proxy_get_header_map_pairs(map as u32, data, size) })
}

/// Removes every value.
pub(super) fn remove(map: Map, name: &[u8]) -> bool {
    // SAFETY: the host reads the slice during the call.
    unsafe { proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) == OK }
}

/// Sets a value in place of every other.
pub(super) fn replace(map: Map, name: &[u8], value: &[u8]) -> bool {
    // SAFETY: the host reads both slices during the call.
    unsafe { proxy_replace_header_map_value(map as u32, name.as_ptr(), name.len(), value.as_ptr(), value.len()) == OK }
}

/// Answers the client. `headers` is a block of fields.
pub(super) fn respond(status: u32, headers: &[u8], body: &[u8]) -> bool {
    let (headers_size, body_size) = (headers.len(), body.len());
    let (headers, body) = (headers.as_ptr(), body.as_ptr());
    // SAFETY: the host reads both slices during the call; details of no bytes are none.
    unsafe {
        proxy_send_local_response(status, null(), 0, body, body_size, headers, headers_size, NO_GRPC_STATUS) == OK
    }
}

/// A property. The parts of its path have a zero byte between them.
pub(super) fn property(path: &[u8]) -> Option<Vec<u8>> {
    // SAFETY: the host reads the slice during the call and writes both results before it returns.
    owned(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) })
}

/// Sets a property whose path has one part.
pub(super) fn set_property(name: &[u8], value: &[u8]) -> bool {
    // SAFETY: the host reads both slices during the call.
    unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) == OK }
}

/// The counter's number, old or new.
pub(super) fn define_counter(name: &str) -> Option<u32> {
    let mut id = 0;
    // SAFETY: the host reads the slice during the call and writes the result before it returns.
    let status = unsafe { proxy_define_metric(COUNTER, name.as_ptr(), name.len(), &raw mut id) };
    (status == OK).then_some(id)
}

pub(super) fn increment(counter: u32, by: i64) -> bool {
    // SAFETY: no pointers.
    unsafe { proxy_increment_metric(counter, by) == OK }
}

pub(super) fn shared(key: &[u8]) -> Option<Vec<u8>> {
    let mut version = 0;
    // SAFETY: the host reads the slice during the call and writes the results before it returns.
    owned(|data, size| unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut version) })
}

/// Whatever version is there (zero).
pub(super) fn set_shared(key: &[u8], value: &[u8]) -> bool {
    // SAFETY: the host reads both slices during the call.
    unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), 0) == OK }
}

/// What a call hands over. Nothing, if it was refused.
fn owned(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Option<Vec<u8>> {
    let (mut data, mut size) = (null_mut::<u8>(), 0);
    if call(&raw mut data, &raw mut size) != OK {
        return None;
    }
    if data.is_null() {
        // An empty map has no block.
        return Some(Vec::new());
    }
    // SAFETY: the host asked `allocate` for `size` bytes, filled all of them, and leaves them to us. `allocate` takes
    // exactly as many from the allocator of `Vec`, as bytes; for no bytes it gives the pointer of an empty `Vec`.
    Some(unsafe { Vec::from_raw_parts(data, size, size) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the host does: asks for room, fills it, and tells where it is.
    fn hand_over(bytes: &[u8], status: u32) -> Option<Vec<u8>> {
        owned(|data, size| {
            let room = allocate(bytes.len());
            assert!(!room.is_null());
            // SAFETY: `room` has as many bytes as are copied, and both results may be written.
            unsafe {
                room.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
                (*data, *size) = (room, bytes.len());
            }
            status
        })
    }

    #[test]
    fn what_is_handed_over_arrives_whatever_its_size() {
        for size in [0, 1, 7, 8, 65_536, 1_000_003] {
            let bytes: Vec<u8> = (0..size).map(|at| at as u8).collect();
            assert_eq!(hand_over(&bytes, OK).unwrap(), bytes);
        }
    }

    #[test]
    fn nothing_handed_over_is_nothing() {
        assert_eq!(owned(|_, _| OK), Some(Vec::new()));
    }

    #[test]
    fn a_refusal_hands_nothing_over() {
        for status in [1, 2, 10, u32::MAX] {
            assert_eq!(owned(|_, _| status), None);
        }
    }

    #[test]
    fn room_that_is_not_there_is_null() {
        for size in [usize::MAX, isize::MAX as usize + 1, isize::MAX as usize] {
            // Hidden from the optimiser, which may leave out an allocation that nobody uses.
            assert!(std::hint::black_box(allocate(size)).is_null(), "{size}");
        }
    }
}
