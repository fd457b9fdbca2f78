//! Sizes and times for people.

/// `512 MiB`, `1.5 KiB`, `17 bytes`: at most one digit after the point, rounded down.
pub fn size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(scale, _)| bytes >= *scale) {
        None => format!("{bytes} bytes"),
        Some((scale, unit)) => match (bytes / scale, bytes % scale * 10 / scale) {
            (whole, 0) => format!("{whole} {unit}"),
            (whole, tenths) => format!("{whole}.{tenths} {unit}"),
        },
    }
}

/// `3 d 4 h`, `4 h 5 min`, `5 min 6 s`, `6 s`.
pub fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// `10 s`, `500 ms`.
pub fn milliseconds(milliseconds: u64) -> String {
    if milliseconds.is_multiple_of(1000) { duration(milliseconds / 1000) } else { format!("{milliseconds} ms") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_down() {
        let sizes = [0, 1023, 1024, 1536, (1 << 20) - 1, 512 << 20, u64::MAX].map(size);
        assert_eq!(sizes, ["0 bytes", "1023 bytes", "1 KiB", "1.5 KiB", "1023.9 KiB", "512 MiB", "17179869183.9 GiB"]);
    }

    #[test]
    fn times_have_their_two_largest_units() {
        let times = [0, 59, 60, 3661, 90_000].map(duration);
        assert_eq!(times, ["0 s", "59 s", "1 min 0 s", "1 h 1 min", "1 d 1 h"]);
        assert_eq!([0, 50, 10_000].map(milliseconds), ["0 s", "50 ms", "10 s"]);
    }
}
