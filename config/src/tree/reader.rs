//! Tree to structs. A problem is noted where it occurs, and the reading goes on with the next value.
//!
//! The code that serde derives for as many fields was a tenth of the filter's module. Here each type has a few lines, and all
//! that types have in common is compiled once.

use super::super::bytes::{BadBytes, ShowBytes, parse_bytes};
use super::super::number::integral;
use super::super::path::Trail;
use super::super::problems::Problems;
use super::super::suggest::nearest;
use super::super::text::quote;
use super::incomplete::IncompleteMaps;
use super::{MapEntry, TreeNode, Value};

/// The most entries that a message lists.
const MAX_LISTED: usize = 8;

/// A value that a tree can have.
pub(in super::super) trait FromNode<'a>: Sized {
    /// Reads a value. `None` if it is refused: its problem is noted then.
    fn from_node(node: NodeReader<'_, 'a>) -> Option<Self>;
}

/// What is wrong with the shape of a tree.
#[derive(Debug, Default)]
pub(in super::super) struct Findings<'a> {
    pub(in super::super) problems: Problems,
    pub(in super::super) incomplete: IncompleteMaps<'a>,
}

/// A value of the tree, and where to note its problems.
pub(in super::super) struct NodeReader<'c, 'a> {
    node: &'a TreeNode<'a>,
    trail: &'c Trail<'c>,
    findings: &'c mut Findings<'a>,
}

/// A bound of a number.
#[derive(Clone, Copy)]
pub(in super::super) enum NumberKind {
    Integer,
    /// Of bytes: also a string such as `"64KiB"`.
    Size,
}

/// The value of a field that is probably misspelt: not absent, but unknown.
static REFUSED: TreeNode<'_> = TreeNode { at: 0, value: Value::Refused };

/// Reads a whole tree. If there is no value, there is a problem.
pub(in super::super) fn read<'a, T: FromNode<'a>>(root: &'a TreeNode<'a>, findings: &mut Findings<'a>) -> Option<T> {
    let mut reader = NodeReader { node: root, trail: &Trail::Root, findings };
    match &root.value {
        Value::Map(_) => return T::from_node(reader),
        Value::Null => {
            let fields = "`routing_header`, `cells`, `key` and `placement`";
            reader.note(0, format!("the configuration is empty: it needs at least {fields}"));
        }
        other => reader.note(root.at, format!("expected a map of fields, found {}", other.describe())),
    }
    None
}

impl<'a> NodeReader<'_, 'a> {
    pub(in super::super) fn boolean(mut self) -> Option<bool> {
        if let Value::Bool(value) = self.node.value {
            return Some(value);
        }
        self.mismatch("a boolean")
    }

    /// Whether the value is a map, for a field that may be a map or something else.
    pub(in super::super) fn is_map(&self) -> bool {
        matches!(self.node.value, Value::Map(_))
    }

    /// Whether the value is the integer 0, for a number that has a reason not to be.
    pub(in super::super) fn is_zero(&self) -> bool {
        match &self.node.value {
            Value::Unsigned(number) => *number == 0,
            Value::Float(text) => integral(text) == Some(0),
            _ => false,
        }
    }

    /// Refuses a value whose shape is right.
    #[cold]
    pub(in super::super) fn refuse<T>(mut self, message: &str) -> Option<T> {
        self.note(self.node.at, message.to_owned());
        None
    }

    pub(in super::super) fn text(mut self) -> Option<&'a str> {
        if let Value::Text(text) = &self.node.value {
            return Some(text);
        }
        self.mismatch("a string")
    }

    /// An integer from `min` to `max`. A float without a fraction is accepted: some control planes pass configurations in a
    /// protobuf `Struct`, which has no integers.
    pub(in super::super) fn number(mut self, kind: NumberKind, min: u64, max: u64) -> Option<u64> {
        let mut units = "";
        let number = match (&self.node.value, kind) {
            (Value::Unsigned(number), _) => Some(*number),
            (Value::Float(text), _) => integral(text),
            (Value::Text(text), NumberKind::Size) => {
                let bytes = parse_bytes(text);
                if bytes == Err(BadBytes::Malformed) {
                    units = " in bytes or with the unit KiB, MiB or GiB";
                }
                bytes.ok()
            }
            _ => None,
        };
        let number = number.filter(|number| (min..=max).contains(number));
        if number.is_some() {
            return number;
        }
        let expected = match kind {
            NumberKind::Integer => format!("an integer from {min} to {max}"),
            NumberKind::Size => format!("a size from {} to {}{units}", ShowBytes(min), ShowBytes(max)),
        };
        self.mismatch(&expected)
    }

    /// The index of a name in `names`: of a text, or of the only entry of a map. `read` gets it and the entry's value, which
    /// the first `with_value` names need and the others cannot have.
    pub(in super::super) fn variant<T>(
        mut self,
        names: &[&str],
        with_value: usize,
        expected: &str,
        read: &mut dyn FnMut(usize, Option<NodeReader<'_, 'a>>) -> Option<T>,
    ) -> Option<T> {
        let (at, name, node) = match &self.node.value {
            Value::Text(name) => (self.node.at, name, None),
            Value::Map(entries) => match entries.as_slice() {
                [MapEntry { at, name, node }] => (*at, name, Some(node)),
                others => {
                    self.not_one_entry(others);
                    return None;
                }
            },
            _ => return self.mismatch(expected),
        };
        let Some(index) = names.iter().position(|known| *known == &**name) else {
            let near = nearest(name, names.iter().copied());
            self.note(at, unknown("value", name, near, names));
            return None;
        };
        match (node, index < with_value) {
            (None, false) => read(index, None),
            (Some(node), true) => {
                let trail = Trail::Entry(self.trail, name);
                read(index, Some(NodeReader { node, trail: &trail, findings: self.findings }))
            }
            (Some(_), false) => {
                self.note(at, format!("`{name}` takes no value: write `{name}` alone"));
                None
            }
            (None, true) => {
                self.note(at, format!("`{name}` needs a value: write `{name}: …`"));
                None
            }
        }
    }

    /// The items of a list.
    pub(in super::super) fn items(mut self, read: &mut dyn FnMut(NodeReader<'_, 'a>)) -> Option<()> {
        let Value::List(items) = &self.node.value else { return self.mismatch("a list") };
        for (index, node) in items.iter().enumerate() {
            let trail = Trail::Item(self.trail, index);
            read(NodeReader { node, trail: &trail, findings: self.findings });
        }
        Some(())
    }

    /// The entries of a map whose names are data.
    pub(in super::super) fn entries(mut self, read: &mut dyn FnMut(&'a str, NodeReader<'_, 'a>)) -> Option<()> {
        let Value::Map(entries) = &self.node.value else { return self.mismatch("a map") };
        for MapEntry { name, node, .. } in entries {
            let trail = Trail::Entry(self.trail, name);
            read(name, NodeReader { node, trail: &trail, findings: self.findings });
        }
        Some(())
    }

    /// The fields of a map: `read` gets the index of each in `names`, and its value. Other fields are noted and skipped.
    pub(in super::super) fn fields(
        mut self,
        names: &[&'static str],
        expected: &str,
        read: &mut dyn FnMut(usize, NodeReader<'_, 'a>),
    ) -> Option<()> {
        let Value::Map(entries) = &self.node.value else { return self.mismatch(expected) };
        let index_of = |name: &str| names.iter().position(|known| *known == name);
        let mut has_unknown = false;
        for entry in entries {
            let Some(index) = index_of(&entry.name) else {
                has_unknown = true;
                continue;
            };
            let trail = Trail::Entry(self.trail, &entry.name);
            read(index, NodeReader { node: &entry.node, trail: &trail, findings: self.findings });
        }
        if has_unknown {
            self.refuse_unknown(entries, names, read);
        }
        Some(())
    }

    /// Notes each unknown field. An absent field that it was probably meant to be gets a refused value.
    #[cold]
    fn refuse_unknown(
        &mut self,
        entries: &'a [MapEntry<'a>],
        names: &[&'static str],
        read: &mut dyn FnMut(usize, NodeReader<'_, 'a>),
    ) {
        let known: Vec<_> = entries.iter().filter(|entry| names.contains(&&*entry.name)).collect();
        let mut absent: Vec<bool> = names.iter().map(|name| !known.iter().any(|entry| entry.name == *name)).collect();
        for entry in entries.iter().filter(|entry| !names.contains(&&*entry.name)) {
            let near = nearest(&entry.name, names.iter().copied());
            let trail = Trail::Entry(self.trail, &entry.name);
            let message = || unknown("field", &entry.name, near, names);
            self.findings.problems.note(entry.at, &|| trail.text(), &message);
            let Some(index) = names.iter().position(|name| Some(*name) == near) else { continue };
            if absent.get_mut(index).is_some_and(std::mem::take) {
                read(index, NodeReader { node: &REFUSED, trail: &trail, findings: self.findings });
            }
        }
        self.findings.incomplete.add(self.node.at, known);
    }

    #[cold]
    fn not_one_entry(&mut self, entries: &[MapEntry<'_>]) {
        let names: Vec<_> = entries.iter().take(MAX_LISTED).map(|entry| quote(&entry.name)).collect();
        let more = if entries.len() > MAX_LISTED { ", …" } else { "" };
        let names = names.join(", ");
        self.note(self.node.at, format!("expected a map with one entry, found {} [{names}{more}]", entries.len()));
    }

    /// Notes that a value has another shape.
    #[cold]
    fn mismatch<T>(&mut self, expected: &str) -> Option<T> {
        self.note_mismatch(expected);
        None
    }

    fn note_mismatch(&mut self, expected: &str) {
        let advice = match (&self.node.value, expected) {
            (Value::Refused, _) => return,
            (Value::Unsigned(_) | Value::Negative(_) | Value::Float(_) | Value::Bool(_), "a string") => {
                " (write it in quotes)"
            }
            (Value::Null, _) => " (remove the field, or give it a value)",
            _ => "",
        };
        self.note(self.node.at, format!("expected {expected}, found {}{advice}", self.node.value.describe()));
    }

    /// Notes a problem of this value at an offset.
    fn note(&mut self, offset: usize, message: String) {
        self.findings.problems.note(offset, &|| self.trail.text(), &|| message.clone());
    }
}

/// The message for a name that is none of the expected ones.
fn unknown(kind: &str, found: &str, nearest: Option<&str>, expected: &[&str]) -> String {
    match nearest {
        Some(near) => format!("unknown {kind} {}; did you mean `{near}`?", quote(found)),
        None => {
            let expected: Vec<_> = expected.iter().filter(|name| !name.starts_with('$')).copied().collect();
            format!("unknown {kind} {}, expected one of `{}`", quote(found), expected.join("`, `"))
        }
    }
}
