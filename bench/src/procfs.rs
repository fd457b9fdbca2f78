//! The CPU time of a process, by Linux's own count.

use std::io;
use std::time::Duration;

use rustix::param::clock_ticks_per_second;

/// The CPU time that all threads of a process have used so far, user and system, the ended ones included.
///
/// Linux keeps nanoseconds and shows ticks: each of the two numbers is rounded down to 10 ms.
///
/// # Errors
/// When there is no such process, or its `stat` is not what proc(5) says.
pub(crate) fn cpu_time(pid: u32) -> io::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let ticks = ticks(&stat).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("stat: {stat}")))?;
    Ok(Duration::from_nanos(ticks * (1_000_000_000 / clock_ticks_per_second())))
}

/// `utime + stime`, the fields 14 and 15. The second field, the name in parentheses, may contain anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(") ")?;
    let mut fields = after_name.split(' ').skip(14 - 3);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn user_and_system_time_are_added() {
        let stat = "42 (envoy) S 1 42 42 0 -1 4194560 9000 0 12 0 250 31 7 8 20 0 9 0 100 200 300";
        assert_eq!(ticks(stat), Some(281));
    }

    #[test]
    fn a_name_may_look_like_the_end_of_a_name() {
        let stat = "42 (a) b) S (c) S 1 42 42 0 -1 4194560 9000 0 12 0 250 31 7 8 20 0 9 0 100 200 300";
        assert_eq!(ticks(&stat.replace("S (c) S", "(c) S")), Some(281));
    }

    #[test]
    fn what_is_not_a_stat_is_refused() {
        assert_eq!(ticks(""), None);
        assert_eq!(ticks("42 (envoy) S 1 2"), None);
        assert_eq!(ticks("42 (envoy) S 1 42 42 0 -1 4194560 9000 0 12 0 x 31"), None);
    }

    #[test]
    fn work_is_counted() {
        let own = std::process::id();
        let before = cpu_time(own).unwrap();
        let start = Instant::now();
        while cpu_time(own).unwrap() < before + Duration::from_millis(50) {
            assert!(start.elapsed() < Duration::from_secs(30), "no CPU time counted");
            std::hint::black_box((0..1000).sum::<u64>());
        }
    }

    #[test]
    fn a_process_that_is_gone_is_an_error() {
        assert_eq!(cpu_time(u32::MAX).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
