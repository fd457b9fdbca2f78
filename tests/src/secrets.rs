//! Marked secrets, and the search for them in what programs have written.
//!
//! A secret is found in any case, percent-encoded, in hexadecimal, in base64 and as a list of decimal bytes, also inside a
//! longer text, and also if only a part of it is there.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

/// The length of a secret in bytes: letters and digits.
const LENGTH: usize = 24;

/// So many bytes in a row are a part of a secret. Of text that is not one, no test sees so many by chance.
const PART: usize = 10;

/// The bits of the index that says which bytes may begin a part.
const INDEX_BITS: u32 = 20;

/// The secrets of a test, each with the place where the test puts it.
#[derive(Debug, Default)]
pub struct MarkedSecrets(Mutex<Vec<Secret>>);

#[derive(Clone, Debug)]
struct Secret {
    place: String,
    text: String,
}

/// What a program has written, with a name for a failed test.
#[derive(Clone, Debug)]
pub struct Haystack {
    /// Where it is from.
    pub name: String,
    /// Every byte.
    pub bytes: Vec<u8>,
}

/// A secret in a haystack.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The haystack.
    pub haystack: String,
    /// The place where the test put the secret.
    pub place: String,
    /// The text around it.
    pub context: String,
}

/// The parts of all secrets in every form.
pub struct Search {
    /// In any case: the haystack is read in lower case.
    lower: Parts,
    /// In base64.
    exact: Parts,
}

#[derive(Default)]
struct Parts {
    places: HashMap<[u8; PART], String>,
    index: Vec<bool>,
}

impl MarkedSecrets {
    /// The secret of a place, always the same one: letters of both cases and digits.
    #[must_use]
    pub fn of(&self, place: &str) -> String {
        const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let digest = Sha256::digest(place.as_bytes());
        let letters = digest.iter().map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]));
        let text: String = letters.take(LENGTH).collect();
        self.add(place, &text);
        text
    }

    /// Adds a secret that the test did not choose, such as a signature.
    ///
    /// # Panics
    /// When the text is too short to be searched.
    pub fn add(&self, place: &str, text: &str) {
        assert!(text.len() >= PART, "{place}: {text:?} has less than {PART} bytes");
        let secret = Secret { place: place.to_owned(), text: text.to_owned() };
        let mut known = self.lock();
        if !known.iter().any(|other| other.place == secret.place && other.text == secret.text) {
            known.push(secret);
        }
    }

    /// The number of secrets.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Prepares the search for all secrets so far.
    #[must_use]
    pub fn search(&self) -> Search {
        let (mut lower, mut exact) = (Parts::default(), Parts::default());
        for Secret { place, text } in self.lock().iter() {
            let small = text.to_ascii_lowercase();
            lower.add(place, &small);
            for spelling in [text, &small] {
                lower.add(place, &crate::hex(spelling.as_bytes()));
                for form in base64_forms(spelling.as_bytes()) {
                    exact.add(place, &form);
                    exact.add(place, &form.replace('+', "-").replace('/', "_"));
                }
            }
        }
        Search { lower: lower.indexed(), exact: exact.indexed() }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Secret>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Haystack {
    /// What a program has written.
    #[must_use]
    pub fn new(name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.to_owned(), bytes: bytes.into() }
    }
}

impl Search {
    /// The secrets in a haystack, one finding for each place.
    #[must_use]
    pub fn find(&self, haystack: &Haystack) -> Vec<Finding> {
        let mut found = Vec::new();
        let mut look = |parts: &Parts, bytes: &[u8]| {
            for (place, at) in parts.find(bytes) {
                let context = &bytes[at.saturating_sub(80)..bytes.len().min(at + 80)];
                let context = String::from_utf8_lossy(context).into_owned();
                found.push(Finding { haystack: haystack.name.clone(), place, context });
            }
        };
        look(&self.exact, &haystack.bytes);
        look(&self.lower, &haystack.bytes.to_ascii_lowercase());
        if haystack.bytes.contains(&b'%') {
            let decoded = percent_decoded(&haystack.bytes);
            look(&self.exact, &decoded);
            look(&self.lower, &decoded.to_ascii_lowercase());
        }
        let decoded = decimals_decoded(&haystack.bytes);
        look(&self.exact, &decoded);
        look(&self.lower, &decoded.to_ascii_lowercase());
        found.sort();
        found.dedup_by(|next, first| next.place == first.place);
        found
    }
}

impl Parts {
    fn add(&mut self, place: &str, text: &str) {
        for part in text.as_bytes().windows(PART) {
            if let Ok(part) = part.try_into() {
                self.places.insert(part, place.to_owned());
            }
        }
    }

    fn indexed(mut self) -> Self {
        self.index = vec![false; 1 << INDEX_BITS];
        for part in self.places.keys() {
            self.index[index(part)] = true;
        }
        self
    }

    /// The places of the parts in `bytes`, each with its first position.
    fn find(&self, bytes: &[u8]) -> Vec<(String, usize)> {
        let mut found: Vec<(String, usize)> = Vec::new();
        for (at, part) in bytes.windows(PART).enumerate().filter(|(_, part)| self.index[index(part)]) {
            if let Some(place) = self.places.get(part)
                && !found.iter().any(|(known, _)| known == place)
            {
                found.push((place.clone(), at));
            }
        }
        found
    }
}

/// The position of a part in the index, by its first four bytes.
fn index(part: &[u8]) -> usize {
    let bytes = part.iter().take(4).fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
    (bytes.wrapping_mul(0x9e37_79b1) >> (32 - INDEX_BITS)) as usize
}

/// The characters of base64 (RFC 4648, 4) that only these bytes decide, at each of the three positions that they may have
/// in a longer text.
fn base64_forms(bytes: &[u8]) -> [String; 3] {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    [0, 1, 2].map(|before| {
        let padded = [&vec![0; before], bytes].concat();
        let digits = padded.chunks_exact(3).flat_map(|group| {
            let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
            [18, 12, 6, 0].map(|shift| char::from(ALPHABET[(bits >> shift) as usize & 63]))
        });
        // The first digits have bits of the bytes before.
        digits.skip([0, 2, 3][before]).collect()
    })
}

fn percent_decoded(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        let digits = (*first == b'%').then(|| after.get(..2)).flatten().and_then(|pair| std::str::from_utf8(pair).ok());
        if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            decoded.push(byte);
            rest = &after[2..];
        } else {
            decoded.push(*first);
            rest = after;
        }
    }
    decoded
}

/// The bytes of lists of numbers such as `[97, 98]`, which is how Rust prints bytes for debugging.
fn decimals_decoded(bytes: &[u8]) -> Vec<u8> {
    let is_of_list = |byte: &u8| byte.is_ascii_digit() || *byte == b',' || byte.is_ascii_whitespace();
    let lists = bytes.split(|byte| !is_of_list(byte)).filter(|list| list.len() > 3 * PART - 2);
    let mut decoded = Vec::new();
    for list in lists {
        let numbers = list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        decoded.extend(
            numbers.map(|number| std::str::from_utf8(number).ok().and_then(|text| text.parse().ok()).unwrap_or(b' ')),
        );
        decoded.push(b' ');
    }
    decoded
}

impl fmt::Debug for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "the secret of {} is in {}: …{}…", self.place, self.haystack, self.context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_every_form() {
        let secrets = MarkedSecrets::default();
        let text = secrets.of("a header");
        assert_ne!(text, secrets.of("another header"));
        let percent: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let base64 = |before: &str| {
            let whole = format!("{before}{text}zz");
            // All digits that the text decides, and those around it.
            base64_forms(&[whole.as_bytes(), &[0; 3]].concat())[0].clone()
        };
        let forms = [
            text.clone(),
            text.to_lowercase(),
            text.to_uppercase(),
            percent.clone(),
            percent.to_uppercase(),
            crate::hex(text.as_bytes()),
            crate::hex(text.as_bytes()).to_uppercase(),
            crate::hex(text.to_lowercase().as_bytes()),
            base64(""),
            base64("a"),
            base64("ab"),
            base64("abc").replace('+', "-").replace('/', "_"),
            format!("{:?}", text.as_bytes()),
            format!("{:#?}", text.as_bytes()),
            // A cut one, and one behind others.
            text[..PART].to_owned(),
            format!("{{\"x\":\"{}\"}}", &text[LENGTH - PART..]),
        ];
        let search = secrets.search();
        for form in forms {
            let found = search.find(&Haystack::new("it", format!("before {form} behind")));
            let places: Vec<_> = found.iter().map(|finding| finding.place.as_str()).collect();
            assert_eq!(places, ["a header"], "{form}");
        }
    }

    #[test]
    fn other_text_has_no_secret() {
        let secrets = MarkedSecrets::default();
        let text = secrets.of("a header");
        let others = MarkedSecrets::default().of("of another test");
        let hay = format!("{} {others} {:x}% %zz %2", &text[..PART - 1], Sha256::digest(text.as_bytes()));
        assert_eq!(secrets.search().find(&Haystack::new("it", hay)), []);
    }
}
