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
        .map(|candidate| (distance(word.as_bytes(), candidate.as_bytes()), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// ` (did you mean …?)`, or nothing.
pub(super) fn hint<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default()
}

/// Levenshtein's distance of bytes, case and `-`/`_` folded.
fn distance(left: &[u8], right: &[u8]) -> usize {
    let fold = |byte: u8| if byte == b'-' { b'_' } else { byte.to_ascii_lowercase() };
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, a) in left.iter().enumerate() {
        let mut diagonal = index;
        let mut before = index + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(right) {
            let replaced = diagonal + usize::from(fold(*a) != fold(*b));
            diagonal = *cell;
            before = replaced.min(diagonal + 1).min(before + 1);
            *cell = before;
        }
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (left, right, expected) in
            [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("json", "jsn", 1), ("KEY-null", "key_null", 0)]
        {
            assert_eq!(distance(left.as_bytes(), right.as_bytes()), expected, "{left} {right}");
            assert_eq!(distance(right.as_bytes(), left.as_bytes()), expected, "{right} {left}");
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
