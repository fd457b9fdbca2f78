//! Counts the allocations of a test. One allocator serves the whole program, so each program has it once.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ALLOCATIONS: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
    static FREED: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator. Counts the allocations and bytes of each thread.
struct Counting;

#[allow(unsafe_code, reason = "an allocator needs it; every call goes to the system's allocator unchanged")]
// SAFETY: the system's allocator keeps the contract, and counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|all| all.set((all.get().0 + 1, all.get().1 + layout.size())));
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let _ = FREED.try_with(|all| all.set(all.get() + layout.size()));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The number of allocations that `work` makes, and their bytes.
pub(crate) fn allocated<T>(work: impl FnOnce() -> T) -> (usize, usize, T) {
    let before = ALLOCATIONS.get();
    let value = work();
    let after = ALLOCATIONS.get();
    (after.0 - before.0, after.1 - before.1, value)
}

/// The bytes that this thread has allocated and not freed.
#[allow(dead_code, reason = "not every program that counts needs it")]
pub(crate) fn live_bytes() -> i64 {
    ALLOCATIONS.get().1 as i64 - FREED.get() as i64
}
