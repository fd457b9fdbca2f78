//! Settlement: a number in the response replaces the cost that its request was charged at admission, which is an estimate.

use std::fmt;

use super::due::whole_number;

/// The settlement of a rate limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The place of the number.
    pub place: ResponsePlace,
    /// The highest number of units. A higher one counts as this.
    pub at_most: u64,
    /// The cost of a request without a usable response.
    pub on_failure: OnFailure,
}

/// The field of a response that holds the units. Its name is in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponsePlace {
    /// A header.
    Header(Box<str>),
    /// A trailer.
    Trailer(Box<str>),
}

/// The cost of a request whose response has a status of 5xx, or that ends without a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// The estimate stays.
    #[default]
    Keep,
    /// Nothing: the estimate is refunded.
    Release,
}

/// The parts of the response that the limits of a request need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseNeeds {
    /// Its headers.
    pub headers: bool,
    /// Its trailers, or its end if it has none.
    pub end: bool,
}

impl Settlement {
    /// The units that the values of the field say: one value, in digits only. `None`: the estimate stays.
    #[must_use]
    pub fn units<'a>(&self, mut values: impl Iterator<Item = &'a [u8]>) -> Option<u64> {
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        let units = whole_number(std::str::from_utf8(value).ok()?)?;
        Some(units.min(self.at_most))
    }

    /// The parts of the response that it needs. The status is in the headers.
    #[must_use]
    pub const fn needs(&self) -> ResponseNeeds {
        ResponseNeeds { headers: true, end: matches!(self.place, ResponsePlace::Trailer(_)) }
    }
}

impl ResponseNeeds {
    /// Whether it needs nothing of the response.
    #[must_use]
    pub const fn is_none(self) -> bool {
        !self.headers && !self.end
    }

    /// What both need.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self { headers: self.headers || other.headers, end: self.end || other.end }
    }
}

/// `the response header x-tokens-used, at most 1000`.
impl fmt::Display for Settlement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = match &self.place {
            ResponsePlace::Header(name) => ("header", name),
            ResponsePlace::Trailer(name) => ("trailer", name),
        };
        write!(formatter, "the response {kind} {name}, at most {}", self.at_most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(values: &[&str]) -> Option<u64> {
        let place = ResponsePlace::Header("x-used".into());
        let settlement = Settlement { place, at_most: 100, on_failure: OnFailure::Keep };
        settlement.units(values.iter().map(|value| value.as_bytes()))
    }

    #[test]
    fn one_whole_number_settles_and_anything_else_leaves_the_estimate() {
        for (value, number) in [("0", 0), ("007", 7), ("100", 100), ("101", 100), ("99999999999999999999", 100)] {
            assert_eq!(units(&[value]), Some(number), "{value}");
        }
        for value in ["", "-1", "+1", "1.0", "1e2", " 1", "1,2", "\u{663}", "0x1"] {
            assert_eq!(units(&[value]), None, "{value}");
        }
        assert_eq!((units(&[]), units(&["1", "1"])), (None, None));
    }

    #[test]
    fn a_number_in_the_trailers_needs_the_headers_too() {
        let needs = |place| Settlement { place, at_most: 1, on_failure: OnFailure::Keep }.needs();
        let header = needs(ResponsePlace::Header("a".into()));
        assert_eq!(header, ResponseNeeds { headers: true, end: false });
        assert_eq!(needs(ResponsePlace::Trailer("a".into())), ResponseNeeds { headers: true, end: true });
        assert!(ResponseNeeds::default().is_none() && !header.is_none());
    }
}
