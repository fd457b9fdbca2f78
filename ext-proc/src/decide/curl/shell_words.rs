//! The words of one command, as bash reads them: quotes, `$'…'`, escapes, comments and continued lines.
//!
//! Nothing is expanded or run. Text that a shell would replace is refused.

/// The text is not one simple command.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadShellWords {
    /// A quote is not closed.
    #[error("line {line}: the quote `{quote}` is not closed: close it, or copy the whole command again")]
    Unclosed {
        /// The line of the quote.
        line: usize,
        /// The quote.
        quote: &'static str,
    },
    /// A shell would replace this text: a variable, or the output of a command.
    #[error("line {line}: a shell replaces the text behind {sign:?}: put it in single quotes, or write its value")]
    Expansion {
        /// The line.
        line: usize,
        /// The first character of the text.
        sign: char,
    },
    /// A second command, a pipe or a redirection.
    #[error("line {line}: `{sign}` ends the command: keep one curl command alone, and put a URL with `&` in quotes")]
    Operator {
        /// The line.
        line: usize,
        /// The operator.
        sign: char,
    },
    /// More follows on the next line.
    #[error("line {line}: text after the command: keep one curl command alone, and end each of its lines with ` \\`")]
    SecondLine {
        /// The line of the text.
        line: usize,
    },
    /// An escape of a NUL byte.
    #[error(
        "line {line}: an escape stands for a NUL byte, which no argument can have: put the body into a file, --data-binary @FILE"
    )]
    Nul {
        /// The line.
        line: usize,
    },
    /// An escape whose number is no character.
    #[error(
        "line {line}: `\\{escape}` is not the number of a character: use `\\x` with the bytes of the character in UTF-8"
    )]
    Character {
        /// The line.
        line: usize,
        /// The escape, without its backslash.
        escape: String,
    },
}

/// The words of a command.
pub(super) fn split(text: &[u8]) -> Result<Vec<Vec<u8>>, BadShellWords> {
    ShellReader { rest: text, line: 1 }.words()
}

struct ShellReader<'a> {
    rest: &'a [u8],
    line: usize,
}

impl ShellReader<'_> {
    fn words(mut self) -> Result<Vec<Vec<u8>>, BadShellWords> {
        let mut words = Vec::new();
        let mut word: Option<Vec<u8>> = None;
        while let Some(byte) = self.next() {
            let line = self.line;
            match byte {
                b' ' | b'\t' => words.extend(word.take()),
                b'\r' if self.rest.first() == Some(&b'\n') => {}
                b'\n' => {
                    words.extend(word.take());
                    // Lines before the command are empty.
                    if !words.is_empty() {
                        self.only_blanks()?;
                    }
                }
                b'#' if word.is_none() => self.comment(),
                b'\'' => word.get_or_insert_default().extend(self.single()?),
                b'"' => self.double(word.get_or_insert_default())?,
                b'\\' => self.escape(&mut word),
                b'$' => match self.rest.first() {
                    Some(b'\'') => self.ansi_c(word.get_or_insert_default())?,
                    // `$"…"` is translated into the user's language.
                    Some(b'"') => return Err(BadShellWords::Expansion { line, sign: '$' }),
                    _ => self.dollar(word.get_or_insert_default())?,
                },
                b'`' => return Err(BadShellWords::Expansion { line, sign: '`' }),
                b'|' | b'&' | b';' | b'<' | b'>' | b'(' | b')' => {
                    return Err(BadShellWords::Operator { line, sign: char::from(byte) });
                }
                _ => word.get_or_insert_default().push(byte),
            }
        }
        words.extend(word);
        Ok(words)
    }

    fn next(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        // The line of a byte, and of the end of the text, is that of the byte before.
        if *byte == b'\n' {
            self.line += 1;
        }
        Some(*byte)
    }

    fn comment(&mut self) {
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        self.rest = self.rest.get(end.unwrap_or(self.rest.len())..).unwrap_or_default();
    }

    /// After the line of the command there are only empty lines and comments.
    fn only_blanks(&mut self) -> Result<(), BadShellWords> {
        loop {
            let line = self.line;
            match self.next() {
                None => return Ok(()),
                Some(b'#') => self.comment(),
                Some(byte) if byte.is_ascii_whitespace() => {}
                Some(_) => return Err(BadShellWords::SecondLine { line }),
            }
        }
    }

    fn single(&mut self) -> Result<Vec<u8>, BadShellWords> {
        let unclosed = BadShellWords::Unclosed { line: self.line, quote: "'" };
        let mut text = Vec::new();
        loop {
            match self.next() {
                None => return Err(unclosed),
                Some(b'\'') => return Ok(text),
                Some(byte) => text.push(byte),
            }
        }
    }

    fn double(&mut self, text: &mut Vec<u8>) -> Result<(), BadShellWords> {
        let unclosed = BadShellWords::Unclosed { line: self.line, quote: "\"" };
        loop {
            match self.next() {
                None => return Err(unclosed),
                Some(b'"') => return Ok(()),
                Some(b'`') => return Err(BadShellWords::Expansion { line: self.line, sign: '`' }),
                Some(b'$') => self.dollar(text)?,
                Some(b'\\') => match self.rest.first() {
                    Some(b'$' | b'`' | b'"' | b'\\') => text.extend(self.next()),
                    Some(b'\n') => {
                        self.next();
                    }
                    _ => text.push(b'\\'),
                },
                Some(byte) => text.push(byte),
            }
        }
    }

    /// Outside quotes, a backslash keeps the next character, and joins two lines.
    fn escape(&mut self, word: &mut Option<Vec<u8>>) {
        if let Some(rest) = self.rest.strip_prefix(b"\r\n") {
            self.rest = rest;
            self.line += 1;
            return;
        }
        match self.next() {
            // At the end of the text, the next line was not copied.
            Some(b'\n') | None => {}
            Some(byte) => word.get_or_insert_default().push(byte),
        }
    }

    /// A dollar sign that begins no expansion stands for itself.
    fn dollar(&mut self, text: &mut Vec<u8>) -> Result<(), BadShellWords> {
        // A continued line may stand between the sign and the name.
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_{(@*#?-$!".contains(byte);
        if self.rest.first().is_some_and(is_name) || self.rest.starts_with(b"\\\n") {
            return Err(BadShellWords::Expansion { line: self.line, sign: '$' });
        }
        text.push(b'$');
        Ok(())
    }

    /// `$'…'` (bash, ANSI-C quoting).
    fn ansi_c(&mut self, text: &mut Vec<u8>) -> Result<(), BadShellWords> {
        let unclosed = BadShellWords::Unclosed { line: self.line, quote: "$'" };
        self.next();
        loop {
            match self.next() {
                None => return Err(unclosed),
                Some(b'\'') => return Ok(()),
                Some(b'\\') => self.ansi_c_escape(text)?,
                Some(byte) => text.push(byte),
            }
        }
    }

    fn ansi_c_escape(&mut self, text: &mut Vec<u8>) -> Result<(), BadShellWords> {
        let Some(sign) = self.next() else { return Ok(()) };
        let byte = match sign {
            b'a' => 0x07,
            b'b' => 0x08,
            b'e' | b'E' => 0x1b,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0b,
            b'\\' | b'\'' | b'"' | b'?' => sign,
            b'0'..=b'7' => {
                let first = u32::from(sign - b'0');
                let (number, _) = self.digits(first, 8, 2);
                number.to_le_bytes()[0]
            }
            b'x' => match self.digits(0, 16, 2) {
                (_, 0) => {
                    text.extend(b"\\x");
                    return Ok(());
                }
                (number, _) => number.to_le_bytes()[0],
            },
            b'c' => self.next().map_or(0, |letter| letter & 0x1f),
            b'u' | b'U' => {
                let (number, count) = self.digits(0, 16, if sign == b'u' { 4 } else { 8 });
                if count == 0 {
                    text.extend([b'\\', sign]);
                    return Ok(());
                }
                return self.character(number, char::from(sign), text);
            }
            _ => {
                text.extend([b'\\', sign]);
                return Ok(());
            }
        };
        if byte == 0 {
            return Err(BadShellWords::Nul { line: self.line });
        }
        text.push(byte);
        Ok(())
    }

    /// A character by its number. Two escapes with the halves of a surrogate pair are one character, as the browser that
    /// wrote them means it.
    fn character(&mut self, number: u32, sign: char, text: &mut Vec<u8>) -> Result<(), BadShellWords> {
        let mut number = number;
        if (0xd800..0xdc00).contains(&number) && self.rest.starts_with(b"\\u") {
            self.rest = self.rest.get(2..).unwrap_or_default();
            let (low, _) = self.digits(0, 16, 4);
            if !(0xdc00..0xe000).contains(&low) {
                return Err(BadShellWords::Character { line: self.line, escape: format!("{sign}{number:04x}") });
            }
            number = 0x1_0000 + ((number - 0xd800) << 10) + (low - 0xdc00);
        }
        match char::from_u32(number) {
            Some('\0') => Err(BadShellWords::Nul { line: self.line }),
            Some(character) => {
                text.extend(character.encode_utf8(&mut [0; 4]).as_bytes());
                Ok(())
            }
            None => Err(BadShellWords::Character { line: self.line, escape: format!("{sign}{number:04x}") }),
        }
    }

    /// At most this many more digits of a number, and how many there were.
    fn digits(&mut self, first: u32, base: u32, most: usize) -> (u32, usize) {
        let (mut number, mut count) = (first, 0);
        while count < most
            && let Some(digit) = self.rest.first().and_then(|byte| char::from(*byte).to_digit(base))
        {
            number = number.wrapping_mul(base) + digit;
            count += 1;
            self.next();
        }
        (number, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        split(text.as_bytes()).unwrap().into_iter().map(|word| String::from_utf8(word).unwrap()).collect()
    }

    fn error(text: &str) -> BadShellWords {
        split(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn quotes_escapes_and_lines_are_those_of_bash() {
        assert_eq!(words("curl  'a b'\"c d\"e\\ f \\\n  ''\t\"\" # end\n\n# x\n"), ["curl", "a bc de f", "", ""]);
        assert_eq!(words("\n\na \\\r\n b\r\n"), ["a", "b"]);
        assert_eq!(
            words(
                r#"'a\n' "a\n\"\$\`\\" a\nb "x\
y""#
            ),
            [r"a\n", "a\\n\"$`\\", "anb", "xy"]
        );
        assert_eq!(words("a#b 'x'\\''y' $ \"a$\" a$ 5$'z'"), ["a#b", "x'y", "$", "a$", "a$", "5z"]);
    }

    /// The expected bytes are those of bash 5.2 in a UTF-8 locale, except for surrogate pairs.
    #[test]
    fn ansi_c_quotes_are_those_of_bash() {
        let cases: [(&str, &[u8]); 6] = [
            (r"$'\a\b\e\E\f\n\r\t\v\\\'\x22\?'", b"\x07\x08\x1b\x1b\x0c\n\r\t\x0b\\'\"?"),
            (r"$'\xe9\u00e9\U1f600\u21\u0021x'", b"\xe9\xc3\xa9\xf0\x9f\x98\x80!!x"),
            (r"$'\cA\q\501\8\18\xg\ug'", b"\x01\\qA\\8\x018\\xg\\ug"),
            (r"$'\ud83d\ude00'", "\u{1f600}".as_bytes()),
            (r"$'a b'c", b"a bc"),
            (r"$''", b""),
        ];
        for (text, expected) in cases {
            assert_eq!(split(text.as_bytes()).unwrap(), [expected], "{text}");
        }
        for text in [r"$'\0'", r"$'\x00'", r"$'\u0000'", r"$'\c@'", r"$'\400'"] {
            assert_eq!(error(text), BadShellWords::Nul { line: 1 }, "{text}");
        }
        for text in [r"$'\ud83d'", r"$'\ud83d\u0041'", r"$'\ude00'", r"$'\U110000'"] {
            assert!(matches!(error(text), BadShellWords::Character { line: 1, .. }), "{text}");
        }
    }

    #[test]
    fn nothing_is_expanded_or_run() {
        for text in ["\n$HOME", "\n\"$HOME\"", "\n${A}", "\n$(a)", "\n\"$(a)\"", "\na$1", "\n$\"a\"", "\n$\\\na"] {
            assert_eq!(error(text), BadShellWords::Expansion { line: 2, sign: '$' }, "{text}");
        }
        for text in ["`a`", "\"`a`\""] {
            assert_eq!(error(text), BadShellWords::Expansion { line: 1, sign: '`' }, "{text}");
        }
        for sign in ['|', '&', ';', '<', '>', '(', ')'] {
            assert_eq!(error(&format!("a \\\nb{sign}c")), BadShellWords::Operator { line: 2, sign }, "{sign}");
        }
        assert_eq!(error("a\n\n  b"), BadShellWords::SecondLine { line: 3 });
    }

    #[test]
    fn an_open_quote_is_named_with_its_line() {
        for (text, quote) in [("a\\\n'b\n\n", "'"), ("a\\\n\"b\\\"", "\""), ("a\\\n$'b\\'", "$'"), ("a\\\n$'\\", "$'")]
        {
            assert_eq!(error(text), BadShellWords::Unclosed { line: 2, quote }, "{text}");
        }
    }
}
