//! The clock that limits how long bodies are decoded.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The CPU time of this thread. Unlike the time of day, it stands still while other threads and processes run, so that a busy
/// machine refuses no body.
#[must_use]
pub fn thread_cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or_default(), u32::try_from(now.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_while_the_thread_works() {
        let before = thread_cpu_time();
        let mut number = 1u64;
        while thread_cpu_time() == before {
            number = std::hint::black_box(number.wrapping_mul(3));
        }
        assert!(thread_cpu_time() > before);
    }
}
