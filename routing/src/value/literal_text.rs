//! LiteralText text of a template, and the search for it in linear time (Knuth, Morris and Pratt, 1977).

/// Text that matches itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LiteralText {
    text: Box<str>,
    /// For each beginning of the text: how many of its last bytes are a shorter beginning.
    borders: Box<[usize]>,
}

impl LiteralText {
    pub(super) fn new(text: &str) -> Self {
        let mut borders: Vec<usize> = Vec::with_capacity(text.len());
        let mut border = 0;
        for (at, byte) in text.bytes().enumerate() {
            if at > 0 {
                border = extend(text.as_bytes(), &borders, border, byte);
            }
            borders.push(border);
        }
        Self { text: text.into(), borders: borders.into() }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The rest of a value behind the first occurrence.
    pub(super) fn after_first<'a>(&self, value: &'a [u8]) -> Option<&'a [u8]> {
        let mut matched = 0;
        for (at, byte) in value.iter().enumerate() {
            if matched == self.text.len() {
                return value.get(at..);
            }
            matched = extend(self.text.as_bytes(), &self.borders, matched, *byte);
        }
        (matched == self.text.len()).then_some(&[])
    }
}

/// How much of the text is matched after one more byte.
fn extend(text: &[u8], borders: &[usize], mut matched: usize, byte: u8) -> usize {
    loop {
        if text.get(matched) == Some(&byte) {
            return matched + 1;
        }
        match matched.checked_sub(1).and_then(|last| borders.get(last)) {
            Some(border) => matched = *border,
            None => return 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_occurrence_is_found(text in "[ab]{0,6}", value in "[abc]{0,24}") {
            let naive = value.find(&text).map(|at| &value.as_bytes()[at + text.len()..]);
            prop_assert_eq!(LiteralText::new(&text).after_first(value.as_bytes()), naive);
        }
    }
}
