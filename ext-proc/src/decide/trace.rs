//! The bytes and places of values in a body, and after which byte the decision was known.
//!
//! Scanners give the same results for chunks of any size. So this scans the body several times: in windows, to see in which
//! of them something changes, and then byte by byte in these. Live requests are scanned once and remember no places.

use cellgate_routing::{BodyFormat, BodyReader, Config, Decider, Head, HeadResult, SourceValue};

use super::body_place::BodyPlace;

/// The bytes that the first scan takes at a time.
const WINDOW: usize = 4096;

/// The findings of a scan, byte by byte.
#[derive(Debug, Default)]
pub struct Trace {
    /// For each source, the first value that it held and the last one, if it is another.
    pub changes: Vec<Vec<Change>>,
    /// After this many bytes only a conflict could change the decision. `None` if the decision needs the end of the body.
    pub known_after: Option<usize>,
    /// The bytes before the scan stopped.
    pub scanned: usize,
}

/// A new value of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The bytes of the body up to the one with which the value was known.
    pub bytes: usize,
    /// The value.
    pub value: SourceValue,
    /// Its place in the body, as far as that can be told.
    pub place: Option<BodyPlace>,
}

/// Follows the sources of a request through its body. `None` if the body is not read.
pub(super) fn run(decider: &Decider, head: &impl Head, body: &[u8]) -> Option<Trace> {
    let open = || match decider.open(head, body.is_empty()) {
        HeadResult::NeedsBody(reader) => Some(reader),
        HeadResult::Decided(_) => None,
    };
    let coarse: Vec<_> = windows(body.len(), WINDOW, |_| false).collect();
    let (seen, scanned) = values(decider, head, open()?, body, &coarse);
    let fine: Vec<_> = windows(body.len(), WINDOW, |window| {
        let end = (window + WINDOW).min(body.len());
        seen.iter().any(|changes| [changes.first(), changes.last()].into_iter().flatten().any(|(at, _)| *at == end))
    })
    .collect();
    let (seen, _) = values(decider, head, open()?, body, &fine);
    let known_in = known_after(open()?, body, &coarse);
    let known_after = known_in.and_then(|end| {
        let steps: Vec<_> = windows(body.len(), WINDOW, |window| (window + WINDOW).min(body.len()) == end).collect();
        known_after(open()?, body, &steps)
    });
    let format = format(decider.config(), head);
    let mut sources = decider.config().sources.iter();
    let changes = seen.into_iter().map(|changes| {
        let source = sources.next();
        let last = changes.len().saturating_sub(1);
        let ends = changes.into_iter().enumerate().filter(|(index, _)| *index == 0 || *index == last);
        ends.map(|(_, (bytes, value))| {
            let place = source.zip(format.as_ref());
            let place = place.and_then(|(source, format)| BodyPlace::find(&source.place, format, body, bytes));
            Change { bytes, value, place }
        })
        .collect()
    });
    Some(Trace { changes: changes.collect(), known_after, scanned })
}

/// The ends of the steps in which a body of this length is pushed: windows, or single bytes where `is_fine`.
fn windows(length: usize, size: usize, is_fine: impl Fn(usize) -> bool) -> impl Iterator<Item = usize> {
    (0..length).step_by(size).flat_map(move |start| {
        let end = (start + size).min(length);
        if is_fine(start) { start + 1..end + 1 } else { end..end + 1 }
    })
}

/// For each source, its values that are not empty, each with the number of bytes; and the bytes before the scan stopped.
fn values(
    decider: &Decider,
    head: &impl Head,
    mut reader: BodyReader,
    body: &[u8],
    ends: &[usize],
) -> (Vec<Vec<(usize, SourceValue)>>, usize) {
    let mut seen: Vec<Vec<(usize, SourceValue)>> = vec![Vec::new(); decider.config().sources.len()];
    let mut note = |reader: &BodyReader, bytes: usize| {
        for (changes, finding) in seen.iter_mut().zip(decider.explain(head, Some(reader))) {
            let is_value = matches!(finding.held, SourceValue::Key(_) | SourceValue::Unusable(_));
            let is_in_body = finding.source.format().is_some();
            if is_value && is_in_body && changes.last().is_none_or(|(_, last)| *last != finding.held) {
                // Only the first one and the last one are of interest.
                changes.truncate(1);
                changes.push((bytes, finding.held));
            }
        }
    };
    let mut start = 0;
    for end in ends {
        if reader.push(body.get(start..*end).unwrap_or_default()).is_err() {
            break;
        }
        note(&reader, *end);
        start = *end;
    }
    if reader.broken().is_none() {
        reader.finish();
        if reader.broken().is_none() {
            note(&reader, body.len());
        }
    }
    let broken = reader.broken().and_then(|broken| usize::try_from(broken.offset).ok());
    let scanned = broken.unwrap_or(body.len());
    (seen, scanned)
}

/// The first of these ends at which the decision is settled.
fn known_after(mut reader: BodyReader, body: &[u8], ends: &[usize]) -> Option<usize> {
    let mut start = 0;
    for end in ends {
        reader.push(body.get(start..*end)?).ok()?;
        reader = match reader.settle() {
            Ok(_) => return Some(*end),
            Err(reader) => reader,
        };
        start = *end;
    }
    None
}

fn format(config: &Config, head: &impl Head) -> Option<BodyFormat> {
    let is_read = |format| config.sources.iter().any(|source| source.format() == Some(format));
    config.content_types.format_of(head, is_read).ok()
}
