//! Suggestions for misspelt names.

/// The nearest candidate, if the name may be a misspelling of it. Case and `-` for `_` do not count as differences.
pub(super) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LONGEST: usize = 64;
    if name.len() > LONGEST {
        return None;
    }
    let allowed = 1 + usize::from(name.len() > 4);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .filter_map(|candidate| Some((distance(name.as_bytes(), candidate.as_bytes(), allowed)?, candidate)))
        .filter(|(distance, candidate)| *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// ` (did you mean …?)`, or nothing.
pub(super) fn hint<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, candidates).map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default()
}

/// The Levenshtein distance of two names in bytes, without case and with `-` equal to `_`, if it is at most `allowed`.
///
/// Equal prefixes are skipped. At each difference there are three choices: replace, insert or delete a byte. With at most
/// two differences that is fast enough for a thousand cells.
fn distance(left: &[u8], right: &[u8], allowed: usize) -> Option<usize> {
    let fold = |byte: &u8| if *byte == b'-' { b'_' } else { byte.to_ascii_lowercase() };
    if left.len().abs_diff(right.len()) > allowed {
        return None;
    }
    let same = left.iter().zip(right).take_while(|(a, b)| fold(a) == fold(b)).count();
    let (left, right) = (left.get(same..)?, right.get(same..)?);
    let (Some((_, left_rest)), Some((_, right_rest))) = (left.split_first(), right.split_first()) else {
        return Some(left.len().max(right.len()));
    };
    let fewer = allowed.checked_sub(1)?;
    [(left_rest, right_rest), (left_rest, right), (left, right_rest)]
        .into_iter()
        .filter_map(|(left, right)| distance(left, right, fewer))
        .min()
        .map(|rest| rest + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_edits_up_to_the_allowed_number() {
        for (left, right, expected) in
            [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("json", "jsn", 1), ("KEY-null", "key_null", 0)]
        {
            for allowed in 0..6 {
                let expected = Some(expected).filter(|expected| *expected <= allowed);
                assert_eq!(distance(left.as_bytes(), right.as_bytes(), allowed), expected, "{left} {right}");
                assert_eq!(distance(right.as_bytes(), left.as_bytes(), allowed), expected, "{right} {left}");
            }
        }
    }

    #[test]
    fn only_near_names_are_suggested() {
        let cells = ["cell-a", "cell-b", "eu"];
        assert_eq!(nearest("cel-b", cells), Some("cell-b"));
        assert_eq!(nearest("Cell_A", cells), Some("cell-a"));
        assert_eq!(nearest("mars", cells), None);
        assert_eq!(nearest("x", ["y"]), None);
    }
}
