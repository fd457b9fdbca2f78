//! Request ids of a log that resemble the one that was asked for: a part of it, or with a typing error.

use crate::shown_text::is_hidden;

/// The most ids that are kept.
const MOST: usize = 3;

/// Shorter texts are part of too many ids.
const SHORTEST: usize = 4;

/// Longer ids are not kept, as they come from clients.
const LONGEST: usize = 128;

/// The first ids of a log that resemble one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NearIds(Vec<String>);

impl NearIds {
    /// Keeps an id of the log if it resembles the one that was asked for.
    pub(super) fn offer(&mut self, asked: &str, id: &str) {
        let has_room = self.0.len() < MOST && id.len() <= LONGEST;
        // Nobody can type the others, and a terminal would obey them.
        let is_visible = !id.chars().any(is_hidden);
        if has_room && is_visible && is_near(asked, id) && !self.0.iter().any(|known| known == id) {
            self.0.push(id.to_owned());
        }
    }

    /// The ids, in the order of the log.
    pub(super) fn ids(&self) -> &[String] {
        &self.0
    }
}

/// Whether one text contains the other, or they differ in one place of at most two bytes.
fn is_near(asked: &str, id: &str) -> bool {
    let (short, long) = if asked.len() < id.len() { (asked, id) } else { (id, asked) };
    if short.len() < SHORTEST {
        return false;
    }
    let same = |left: &mut dyn Iterator<Item = u8>, right: &mut dyn Iterator<Item = u8>| {
        left.zip(right).take_while(|(left, right)| left.eq_ignore_ascii_case(right)).count()
    };
    let start = same(&mut short.bytes(), &mut long.bytes());
    let end = same(&mut short.bytes().rev(), &mut long.bytes().rev());
    long.contains(short) || start + end + 2 >= long.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_typing_errors_are_near() {
        let id = "5f1c2b34-0f1e-4a52-8d3f-a1b2c3d4e5f6";
        let upper = id.to_ascii_uppercase();
        let near = ["5f1c2b34", "a1b2c3d4e5f6", "5f1c2b34-0f1e-4a52-8d3f-a1b2c3d4e5f", &upper];
        for asked in near {
            assert!(is_near(asked, id) && is_near(id, asked), "{asked}");
        }
        assert!(is_near(&id.replace("4a52", "4a25"), id));
        for asked in ["", "5f1", "5f1c2b35", "6f1c2b34-0f1e-4a52-8d3f-a1b2c3d4e5f7"] {
            assert!(!is_near(asked, id) && !is_near(id, asked), "{asked}");
        }
    }

    #[test]
    fn only_the_first_few_are_kept() {
        let mut near = NearIds::default();
        let ids = ["aaaa-1", "aaaa-1", "aaaa-2", "bbbb", "aaaa-3", "aaaa-4"];
        ids.iter().for_each(|id| near.offer("aaaa", id));
        near.offer("aaaa", &"a".repeat(129));
        assert_eq!(near.ids(), ["aaaa-1", "aaaa-2", "aaaa-3"]);
    }

    #[test]
    fn ids_with_invisible_characters_are_not_offered() {
        // Envoy passes on and logs these bytes: CSI of C1, and a bidirectional override.
        let mut near = NearIds::default();
        for id in ["aaaa\u{9b}31m", "aaaa\u{202e}gnp", "aaaa\u{2028}x", "aaaa\u{2066}x", "aaaa\u{1b}[2J"] {
            near.offer("aaaa", id);
        }
        assert!(near.ids().is_empty(), "{near:?}");
    }
}
