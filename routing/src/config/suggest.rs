//! "Did you mean": the nearest of a few words.

/// The nearest candidate, if it is near enough to be a misspelling. Case and `-` for `_` are the nearest of all.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LONGEST: usize = 64;
    if word.len() > LONGEST {
        return None;
    }
    let allowed = 1 + usize::from(word.len() > 4);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .filter_map(|candidate| Some((distance(word.as_bytes(), candidate.as_bytes(), allowed)?, candidate)))
        .filter(|(distance, candidate)| *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// ` (did you mean …?)`, or nothing.
pub(super) fn hint<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default()
}

/// Levenshtein's distance of bytes, case and `-`/`_` folded, if it is at most `allowed`.
///
/// Equal beginnings cost nothing, so only where the two differ is there a choice: to replace, to insert, to leave out.
/// With at most two such choices that is quick, which matters where there are a thousand cells to compare.
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
    fn distances() {
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
    fn only_near_words_are_suggested() {
        let cells = ["cell-a", "cell-b", "eu"];
        assert_eq!(nearest("cel-b", cells), Some("cell-b"));
        assert_eq!(nearest("Cell_A", cells), Some("cell-a"));
        assert_eq!(nearest("mars", cells), None);
        assert_eq!(nearest("x", ["y"]), None);
    }
}
