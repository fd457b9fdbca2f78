//! The path of a value in a configuration, such as `placement.overrides.acme` or `key[0].header`.

use super::text::{MAX_QUOTED, quote};

/// One step of a path.
///
/// A table's entry goes by its index: finding a name costs as much as the table is long.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'a> {
    /// To a field's value. Structs have few fields.
    Field(&'a str),
    /// To the value of a table's entry.
    Entry(usize),
    /// To the name of a table's entry. The last step.
    Name(usize),
    /// To a list's item.
    Item(usize),
}

/// The way from the root of a tree to one of its values, kept on the stack while the tree is walked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trail<'a> {
    Root,
    /// To the value of a map's entry with this name.
    Entry(&'a Trail<'a>, &'a str),
    /// To a list's item.
    Item(&'a Trail<'a>, usize),
}

impl Trail<'_> {
    /// The path as messages show it.
    pub(super) fn text(&self) -> String {
        let (mut trail, mut text) = (self, String::new());
        loop {
            trail = match *trail {
                Trail::Root => return text,
                Trail::Entry(parent, name) => {
                    prepend(&mut text, &name_segment(name));
                    parent
                }
                Trail::Item(parent, index) => {
                    prepend(&mut text, &item_segment(index));
                    parent
                }
            };
        }
    }
}

/// A field's name as a part of a path: `acme`, or `["a.b"]`.
pub(super) fn name_segment(name: &str) -> String {
    let plain = (1..=MAX_QUOTED).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-$".contains(&byte));
    if plain { name.to_owned() } else { format!("[{}]", quote(name)) }
}

/// A list's index as a part of a path.
pub(super) fn item_segment(index: usize) -> String {
    format!("[{index}]")
}

/// Puts a segment before a path.
pub(super) fn prepend(path: &mut String, segment: &str) {
    if !path.is_empty() && !path.starts_with('[') {
        path.insert(0, '.');
    }
    path.insert_str(0, segment);
}

/// Puts a segment after a path.
pub(super) fn append(path: &mut String, segment: &str) {
    if !path.is_empty() && !segment.starts_with('[') {
        path.push('.');
    }
    path.push_str(segment);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trail_is_written_from_the_root_on() {
        let key = Trail::Entry(&Trail::Root, "key");
        let item = Trail::Item(&key, 2);
        assert_eq!(Trail::Entry(&item, "a.b").text(), "key[2][\"a.b\"]");
        assert_eq!(Trail::Entry(&Trail::Entry(&Trail::Root, "limits"), "depth").text(), "limits.depth");
        assert_eq!(Trail::Root.text(), "");
    }

    #[test]
    fn long_names_are_shortened() {
        assert_eq!(name_segment("key-1"), "key-1");
        assert_eq!(name_segment(""), "[\"\"]");
        assert_eq!(name_segment(&"x".repeat(1 << 20)).len(), MAX_QUOTED + "[\"…\"]".len());
    }
}
