//! Positions in a configuration's text, and values as messages show them.

/// A position in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Position {
    /// Bytes from the beginning.
    Offset(usize),
    /// Line and column, as a parser reported them.
    Line(usize, usize),
}

impl Position {
    /// Line and column (in characters), counted from 1.
    pub(super) fn line_and_column(self, text: &str) -> (usize, usize) {
        let offset = match self {
            Position::Line(line, column) => return (line.max(1), column.max(1)),
            Position::Offset(offset) => offset.min(text.len()),
        };
        let before = text.get(..offset).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        (before.bytes().filter(|byte| *byte == b'\n').count() + 1, column)
    }
}

/// The most characters of a text that a message shows.
pub(super) const MAX_QUOTED: usize = 64;

/// A text in quotes on one line, at most [`MAX_QUOTED`] characters of it.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for (index, character) in text.chars().enumerate() {
        if index == MAX_QUOTED {
            quoted.push('…');
            break;
        }
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            character if character.is_control() => quoted.push('\u{fffd}'),
            character => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

/// A text without quotes, at most [`MAX_QUOTED`] bytes of it.
pub(super) fn shorten(text: &str) -> String {
    match text.get(..MAX_QUOTED) {
        Some(start) if start.len() < text.len() => [start, "…"].concat(),
        _ => text.to_owned(),
    }
}

/// A float as JSON has it. JSON has no text for a number that is not finite, so these are as in YAML.
#[cfg(feature = "yaml")]
pub(super) fn float(value: f64) -> String {
    if value.is_nan() {
        ".nan".into()
    } else if value.is_infinite() {
        if value > 0.0 { ".inf".into() } else { "-.inf".into() }
    } else {
        serde_json::to_string(&value).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_are_counted_in_characters() {
        let text = "a\nå: b\n";
        assert_eq!(Position::Offset(0).line_and_column(text), (1, 1));
        assert_eq!(Position::Offset(2).line_and_column(text), (2, 1));
        assert_eq!(Position::Offset(6).line_and_column(text), (2, 4));
        assert_eq!(Position::Offset(99).line_and_column(text), (3, 1));
    }
}
