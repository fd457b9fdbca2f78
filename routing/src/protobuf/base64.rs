//! Base64 that arrives in pieces: one or more texts, each padded (gRPC-Web, "grpc-web-text").

/// Decodes four characters at a time.
#[derive(Debug, Default)]
pub(super) struct Base64Decoder {
    group: [u8; 4],
    read: usize,
}

/// The bytes of four characters.
pub(super) type Decoded = ([u8; 3], usize);

impl Base64Decoder {
    /// Takes the next character. Returns the bytes of the group that it completes.
    ///
    /// Errs for a character outside the alphabet of RFC 4648, 4, for a padding that is not at the end of a group, and for bits
    /// that are set behind the last byte (3.5): decoders differ on them.
    pub(super) fn push(&mut self, character: u8) -> Result<Option<Decoded>, ()> {
        if let Some(next) = self.group.get_mut(self.read) {
            *next = character;
        }
        self.read += 1;
        if self.read < self.group.len() {
            return Ok(None);
        }
        self.read = 0;
        decode(self.group).map(Some)
    }

    /// Whether the text may end here.
    pub(super) fn is_complete(&self) -> bool {
        self.read == 0
    }
}

fn decode([one, two, three, four]: [u8; 4]) -> Result<Decoded, ()> {
    let high = value(one)? << 18 | value(two)? << 12;
    let (bits, size) = match (three, four) {
        (b'=', b'=') => (high, 1),
        (three, b'=') => (high | value(three)? << 6, 2),
        (three, four) => (high | value(three)? << 6 | value(four)?, 3),
    };
    let [_, bytes @ ..] = bits.to_be_bytes();
    let is_canonical = bytes.iter().skip(size).all(|byte| *byte == 0);
    if is_canonical { Ok((bytes, size)) } else { Err(()) }
}

fn value(character: u8) -> Result<u32, ()> {
    Ok(u32::from(match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return Err(()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Result<Vec<u8>, ()> {
        let mut decoder = Base64Decoder::default();
        let mut bytes = Vec::new();
        for character in text.bytes() {
            if let Some((group, size)) = decoder.push(character)? {
                bytes.extend_from_slice(&group[..size]);
            }
        }
        if decoder.is_complete() { Ok(bytes) } else { Err(()) }
    }

    /// The vectors of RFC 4648, 10.
    #[test]
    fn texts_are_decoded_alone_and_one_after_the_other() {
        let vectors =
            [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYg==", "foob"), ("Zm9vYmFy", "foobar")];
        for (text, bytes) in vectors {
            assert_eq!(decoded(text), Ok(bytes.as_bytes().to_vec()), "{text}");
            assert_eq!(decoded(&format!("Zg=={text}Zm8=")), Ok(format!("f{bytes}fo").into_bytes()), "{text}");
        }
        assert_eq!(decoded("+/+/"), Ok(vec![0xfb, 0xff, 0xbf]));
    }

    #[test]
    fn what_decoders_read_in_different_ways_is_refused() {
        for bad in ["Z", "Zg", "Zg=", "Z===", "====", "Zg=v", "Zm9v\n", "Zm 9", "Zm9-", "Zh==", "Zm9="] {
            assert_eq!(decoded(bad), Err(()), "{bad}");
        }
    }
}
